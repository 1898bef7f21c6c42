"""What several views need to know about the person behind their request, and the page around them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.http import Http404, HttpRequest

from console.accounts import second_factor
from console.accounts.middleware import token_of
from console.accounts.models import User
from console.accounts.sessions import find_user
from console.accounts.tokens import find_owner


def person_of(request: HttpRequest) -> User:
    """Return who is signed in; the middleware lets nobody else through."""
    if not isinstance(request.user, User):
        raise Http404
    return request.user


def finder_of(request: HttpRequest) -> Callable[[], User | None]:
    """Return what finds who is behind ``request``, by token or session, for as long as that lets them in."""
    token = token_of(request)
    return partial(find_owner, token.pk) if token else partial(find_user, request.session.session_key or "")


def layout_for(request: HttpRequest) -> str:
    """Return the template around a page: without the frame, whose parts answer nobody who lacks a second factor."""
    return "second_factor/alone.html" if second_factor.is_missing(person_of(request)) else "base.html"
