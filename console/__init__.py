"""The house: the Django side of Pilothouse."""

from console.celery import app as celery_app

__all__ = ["celery_app"]
