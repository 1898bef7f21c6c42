"""The page behind an invitation's link. Looking at it spends nothing."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from console.accounts.forms import NewPersonForm, check_credentials
from console.accounts.models import Invitation, User
from console.lib.origin import origin_of
from console.people import invitation_services as services


@sensitive_post_parameters("password", "password_again")
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Let somebody join: with a new account, or with the one that they are signed in to."""
    found = services.find_invitation(token)
    if found is None:
        return _spent(request)
    if isinstance(request.user, User):
        return _join(request, found, token=token, person=request.user)
    if request.method != "POST":
        return _welcome(request, found, NewPersonForm())
    check_credentials(request.POST, "username", "password", "password_again")
    form = NewPersonForm(request.POST)
    if not form.is_valid():
        return _welcome(request, found, form)
    try:
        person = services.accept_as_new_person(
            token=token,
            username=form.cleaned_data["username"],
            password=form.cleaned_data["password"],
            origin=origin_of(request),
        )
    except services.InvitationSpent:
        return _spent(request)  # somebody else was faster
    except services.UsernameTaken:
        form.add_error("username", _("Somebody has this user name already; choose another."))
        return _welcome(request, found, form)
    get_adapter(request).login(request, person)
    return redirect("team-detail", team_id=found.team_id) if found.team_id else redirect("overview")


def _welcome(request: HttpRequest, found: Invitation, form: NewPersonForm) -> HttpResponse:
    sign_in = f"{reverse('account_login')}?{urlencode({'next': request.path})}"
    return render(
        request,
        "people/invitation_welcome.html",
        {"invitation": found, "form": form, "sign_in_url": sign_in},
        status=HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK,
    )


def _join(request: HttpRequest, found: Invitation, *, token: str, person: User) -> HttpResponse:
    is_member = found.team is not None and found.team.memberships.filter(person=person).exists()
    context = {"invitation": found, "is_member": is_member}
    if request.method != "POST":
        return render(request, "people/invitation_join.html", context)
    try:
        team = services.accept_as_member(token=token, person=person, origin=origin_of(request))
    except services.InvitationSpent:
        return _spent(request)
    except services.AlreadyMember:
        context["is_member"] = True
        return render(request, "people/invitation_join.html", context, status=HTTPStatus.CONFLICT)
    except services.NothingToJoin:
        return render(request, "people/invitation_join.html", context, status=HTTPStatus.CONFLICT)
    messages.success(request, _("You are in the team %(team)s now.") % {"team": team.name})
    return redirect("team-detail", team_id=team.pk)


def _spent(request: HttpRequest) -> HttpResponse:
    return render(request, "people/invitation_spent.html", status=HTTPStatus.NOT_FOUND)
