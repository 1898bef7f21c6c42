"""What the views of people and of teams answer alike: forms in a dialog or on a page, and a link that is shown once."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urljoin

from django.conf import settings
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from console.lib.htmx import is_fragment
from console.people.invitation_services import IssuedInvitation


def show_form(
    request: HttpRequest, form: Form, *, title: str, submit: str, back_url: str, text: str = ""
) -> HttpResponse:
    """Show ``form``, within a dialog when the page asks for it there."""
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    context = {"form": form, "title": title, "submit": submit, "back_url": back_url, "text": text}
    return render(request, "people/_form.html" if is_fragment(request) else "people/form.html", context, status=status)


def show_link(request: HttpRequest, issued: IssuedInvitation, *, back_url: str) -> HttpResponse:
    """Show the link of an invitation: this once, and never again."""
    link = urljoin(settings.PUBLIC_URL, reverse("invitation", args=[issued.token]))
    context = {"invitation": issued.invitation, "link": link, "back_url": back_url}
    return render(request, "people/_invited.html" if is_fragment(request) else "people/invited.html", context)
