"""Where an invitation leads, for people who have no account yet, too."""

from __future__ import annotations

from django.urls import path

from console.people import invitation_views

urlpatterns = [path("<str:token>/", invitation_views.invitation, name="invitation")]
