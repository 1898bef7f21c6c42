"""Proving who one is: the second step of a sign-in, and again before a dangerous act."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from allauth.account.internal.decorators import login_stage_required
from allauth.account.internal.flows.login import record_authentication
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from console.accounts import confirmation, keys
from console.accounts.forms import check_credentials
from console.accounts.models import User
from console.accounts.pages import layout_for, person_of
from console.accounts.proofs import Proof, SecondFactorProof, proof_of
from console.accounts.signals import account_acted
from console.accounts.stages import SecondStep
from console.lib.htmx import is_fragment, trigger
from console.lib.origin import origin_of
from console.lib.problems import BadInput

_stage_required = login_stage_required(stage=SecondStep.key, redirect_urlname="account_login")


def _stage_of(request: HttpRequest) -> SecondStep:
    stage: SecondStep = request._login_stage  # type: ignore[attr-defined]  # noqa: SLF001  allauth's own place for it
    return stage


def _status(form: Proof) -> HTTPStatus:
    if not form.is_bound:
        return HTTPStatus.OK
    # HTMX shows the form again for the one status alone.
    limited = form.is_limited and not is_fragment(form.request)
    return HTTPStatus.TOO_MANY_REQUESTS if limited else HTTPStatus.UNPROCESSABLE_ENTITY


def _note(request: HttpRequest, user: User, action: str, *, outcome: str, details: dict[str, Any]) -> None:
    account_acted.send(
        sender=User,
        action=action,
        outcome=outcome,
        actor=user if request.user.is_authenticated else None,
        object_id=str(user.pk),
        object_name=user.username,
        origin=origin_of(request),
        details=details,
    )


# The second step of a sign-in


@sensitive_post_parameters("code", "credential")
@require_http_methods(["GET", "HEAD", "POST"])
@_stage_required  # type: ignore[untyped-decorator]
def second_step(request: HttpRequest) -> HttpResponse:
    """Ask for a code or a key after the right password."""
    stage = _stage_of(request)
    if not stage.is_still_good() or "start-again" in request.POST:
        return HttpResponseRedirect(stage.abort().url)
    if request.method != "POST":
        return _second_step_page(request, SecondFactorProof(request=request, user=stage.user))
    check_credentials(request.POST, "code")
    form = SecondFactorProof(request.POST, request=request, user=stage.user)
    if not form.is_valid():
        _note(request, stage.user, "account.sign_in", outcome="failed", details={"known": True, "step": 2})
        return _second_step_page(request, form)
    record_authentication(request, stage.user, "mfa", type=form.authenticator.type)
    response: HttpResponse = stage.exit()
    return response


def _second_step_page(request: HttpRequest, form: SecondFactorProof) -> HttpResponse:
    context = {"form": form, "options_url": reverse("second-step-key")}
    return render(request, "second_factor/second_step.html", context, status=_status(form))


@require_POST
@_stage_required  # type: ignore[untyped-decorator]
def second_step_key(request: HttpRequest) -> HttpResponse:
    """Tell the browser what to ask a security key."""
    stage = _stage_of(request)
    if not stage.is_still_good():
        return HttpResponseRedirect(stage.abort().url)
    return _ask_key(request, stage.user)


def _ask_key(request: HttpRequest, user: User) -> HttpResponse:
    if keys.why_not(request) or not keys.keys_of(user):
        raise BadInput(_("There is no security key to ask at this address."))
    return JsonResponse(keys.begin_asking(request, user))


# Before a dangerous act


@sensitive_post_parameters("code", "credential", "password")
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest) -> HttpResponse:
    """Ask again who it is; then go on to where one was."""
    user = person_of(request)
    target = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts=None):
        target = ""
    if request.method != "POST":
        return _confirm_page(request, proof_of(user, request), target=target)
    check_credentials(request.POST, "code", "password")
    form = proof_of(user, request, request.POST)
    if not form.is_valid():
        _note(request, user, "account.confirm", outcome="failed", details={})
        return _confirm_page(request, form, target=target)
    confirmation.confirm(request.session)
    _note(request, user, "account.confirm", outcome="succeeded", details={"by": form.method})
    if target or not is_fragment(request):
        # A dialog follows to the form that it wanted to show, a page to the page.
        return HttpResponseRedirect(target or reverse("overview"))
    # The act that was held up is done again by the page that asked for it.
    return trigger(HttpResponse(status=HTTPStatus.NO_CONTENT), "identity:confirmed")


def _confirm_page(request: HttpRequest, form: Proof, *, target: str) -> HttpResponse:
    context = {
        "form": form,
        "target": target,
        "options_url": reverse("confirm-key"),
        "layout": layout_for(request),
        "is_password": not isinstance(form, SecondFactorProof),
    }
    name = "second_factor/_confirm.html" if is_fragment(request) else "second_factor/confirm.html"
    return render(request, name, context, status=_status(form))


@require_POST
def confirm_key(request: HttpRequest) -> HttpResponse:
    """Tell the browser what to ask a security key."""
    return _ask_key(request, person_of(request))
