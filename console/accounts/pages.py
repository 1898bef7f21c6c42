"""What several views of accounts need to know about the page around them."""

from __future__ import annotations

from django.http import Http404, HttpRequest

from console.accounts import second_factor
from console.accounts.models import User


def person_of(request: HttpRequest) -> User:
    """Return who is signed in; the middleware lets nobody else through."""
    if not isinstance(request.user, User):
        raise Http404
    return request.user


def layout_for(request: HttpRequest) -> str:
    """Return the template around a page: without the frame, whose parts answer nobody who lacks a second factor."""
    return "second_factor/alone.html" if second_factor.is_missing(person_of(request)) else "base.html"
