"""Moments within recordings."""

from __future__ import annotations

from django import template

register = template.Library()


@register.filter
def clock(seconds: float) -> str:
    """Return a moment as players show it: 1:05, 1:00:05. static/js/replay.js says it in the same way."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@register.filter
def unlocalized(number: float) -> str:
    """Return a number as addresses and scripts want it, in any language."""
    return f"{number:g}" if number < 100_000 else f"{number:.1f}"
