"""A person's second factor, below their settings."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import qrcode
from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.accounts import codes, keys, second_factor
from console.accounts import second_factor_services as services
from console.accounts.confirmation import require
from console.accounts.models import User
from console.accounts.pages import layout_for, person_of
from console.accounts.proofs import say_wrong
from console.accounts.second_factor_forms import AppForm, KeyForm, KeyNameForm
from console.lib.origin import origin_of
from console.lib.problems import BadInput

#: Seconds for which a new app's secret may be confirmed; it waits in the page, nowhere else.
_SET_UP_WITHIN = 3600
_SALT = "second-factor-app"


def _current(request: HttpRequest) -> dict[str, Any]:
    return {"current_key": request.session.session_key or "", "origin": origin_of(request)}


def _render(
    request: HttpRequest, name: str, context: dict[str, Any], *, status: HTTPStatus = HTTPStatus.OK
) -> HttpResponse:
    user = person_of(request)
    context |= {"layout": layout_for(request), "is_required": second_factor.is_required(user)}
    return render(request, f"second_factor/{name}.html", context, status=status)


def _done(request: HttpRequest, issued: list[str], text: str) -> HttpResponse:
    """Say what was done; recovery codes are shown in this answer, and never again."""
    messages.success(request, text)
    return _codes_page(request, issued) if issued else redirect("second-factor")


def _codes_page(request: HttpRequest, issued: list[str]) -> HttpResponse:
    lines = [_("Recovery codes of %(name)s for Pilothouse") % {"name": person_of(request).username}, *issued]
    return _render(
        request, "recovery_codes", {"codes": issued, "text": "\n".join(issued), "file": quote("\n".join(lines) + "\n")}
    )


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """Show what is set up, and what can be."""
    user = person_of(request)
    context = {"has": second_factor.second_factor_of(user), "why_no_keys": keys.why_not(request), "most": keys.MOST}
    return _render(request, "overview", context)


# The authenticator app


@sensitive_post_parameters("code", "sealed")
@require_http_methods(["GET", "HEAD", "POST"])
def app_add(request: HttpRequest) -> HttpResponse:
    """Show a secret for an app, and keep it once the app has shown a code for it."""
    user = person_of(request)
    require(user, "second_factor.add_app")
    if second_factor.second_factor_of(user).app_since is not None:
        return redirect("second-factor")
    if request.method != "POST":
        return _app_page(request, AppForm(), secret=codes.new_secret())
    secret = _unseal(user, request.POST.get("sealed", ""))
    if not secret:
        messages.warning(request, _("That page was open for too long. Here is a new key: scan it again."))
        return redirect("second-factor-app")
    form = AppForm(request.POST)
    if not form.is_valid():
        return _app_page(request, form, secret=secret)
    try:
        counter = codes.check_new_app(secret, form.cleaned_data["code"])
    except codes.WrongCode as error:
        form.add_error("code", say_wrong(error))
        return _app_page(request, form, secret=secret)
    try:
        issued = services.add_app(actor=user, secret=secret, counter=counter, **_current(request))
    except services.AlreadyThere:
        return redirect("second-factor")  # the other window was faster
    return _done(request, issued, _("From now on a sign-in asks for a code of your app."))


def _unseal(user: User, sealed: str) -> str:
    try:
        kept = signing.loads(sealed, salt=_SALT, max_age=_SET_UP_WITHIN)
    except signing.BadSignature:
        return ""
    return str(kept["secret"]) if kept["user"] == str(user.pk) else ""


def _app_page(request: HttpRequest, form: AppForm, *, secret: str) -> HttpResponse:
    user = person_of(request)
    label = quote(f"Pilothouse:{user.username}")
    address = f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': 'Pilothouse'})}"
    context = {
        "form": form,
        "sealed": signing.dumps({"user": str(user.pk), "secret": secret}, salt=_SALT),
        "secret": " ".join(secret[place : place + 4] for place in range(0, len(secret), 4)),
        "address": address,
        "qr": _qr(address),
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    return _render(request, "app", context, status=status)


def _qr(text: str) -> dict[str, Any]:
    """Return the side of a QR code in modules, and its dark ones as the path of an SVG."""
    code = qrcode.QRCode(border=4)
    code.add_data(text)
    rows = code.get_matrix()
    path = "".join(
        f"M{column} {row}h1v1h-1z" for row, cells in enumerate(rows) for column, is_dark in enumerate(cells) if is_dark
    )
    return {"side": len(rows), "path": path}


@require_POST
def app_remove(request: HttpRequest) -> HttpResponse:
    """Forget the authenticator app."""
    user = person_of(request)
    require(user, "second_factor.remove_app")
    try:
        services.remove_app(actor=user, **_current(request))
    except services.StillRequired:
        return _still_required(request)
    messages.success(request, _("The authenticator app is removed."))
    return redirect("second-factor")


# Security keys


@require_http_methods(["GET", "HEAD", "POST"])
def key_add(request: HttpRequest) -> HttpResponse:
    """Make a security key one of this person's."""
    user = person_of(request)
    require(user, "second_factor.add_key")
    if why_not := keys.why_not(request):
        raise BadInput(why_not)
    if request.method != "POST":
        return _key_page(request, KeyForm())
    form = KeyForm(request.POST)
    if not form.is_valid():
        return _key_page(request, form)
    try:
        kept = keys.finish_adding(request, form.cleaned_data["credential"])
        issued = services.add_key(actor=user, name=form.cleaned_data["name"], kept=kept, **_current(request))
    except keys.BadAnswer:
        form.add_error(None, _("The security key's answer was not accepted. Try again."))
        return _key_page(request, form)
    except services.AlreadyThere:
        form.add_error(None, _("You have as many keys as there may be; remove one first."))
        return _key_page(request, form)
    return _done(
        request, issued, _("From now on a sign-in accepts the key %(name)s.") % {"name": form.cleaned_data["name"]}
    )


def _key_page(request: HttpRequest, form: KeyForm) -> HttpResponse:
    context = {"form": form, "options_url": reverse("second-factor-key-options")}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    return _render(request, "key_add", context, status=status)


@require_POST
def key_options(request: HttpRequest) -> HttpResponse:
    """Tell the browser how to make a new key."""
    user = person_of(request)
    require(user, "second_factor.add_key")
    if why_not := keys.why_not(request):
        raise BadInput(why_not)
    return JsonResponse(keys.begin_adding(request, user))


def _key(user: User, key_id: int) -> Authenticator:
    key = Authenticator.objects.filter(user=user, type=Authenticator.Type.WEBAUTHN, pk=key_id).first()
    if key is None:
        raise Http404
    return key


@require_http_methods(["GET", "HEAD", "POST"])
def key_rename(request: HttpRequest, key_id: int) -> HttpResponse:
    """Call a key something else."""
    user = person_of(request)
    key = _key(user, key_id)
    require(user, "second_factor.rename_key")
    form = KeyNameForm(request.POST) if request.method == "POST" else KeyNameForm(initial={"name": key.data["name"]})
    if form.is_bound and form.is_valid():
        services.rename_key(actor=user, key=key, name=form.cleaned_data["name"], origin=origin_of(request))
        messages.success(request, _("The key is called %(name)s now.") % {"name": form.cleaned_data["name"]})
        return redirect("second-factor")
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    return _render(request, "key_rename", {"form": form, "name": key.data["name"]}, status=status)


@require_POST
def key_remove(request: HttpRequest, key_id: int) -> HttpResponse:
    """Forget a key."""
    user = person_of(request)
    key = _key(user, key_id)
    require(user, "second_factor.remove_key")
    try:
        services.remove_key(actor=user, key=key, **_current(request))
    except services.StillRequired:
        return _still_required(request)
    messages.success(request, _("The key %(name)s is removed.") % {"name": key.data["name"]})
    return redirect("second-factor")


# Recovery codes, and the end of it


@require_POST
def recovery_codes_renew(request: HttpRequest) -> HttpResponse:
    """Make new recovery codes, and show them this once."""
    user = person_of(request)
    require(user, "second_factor.renew_codes")
    if not second_factor.is_set_up(user):
        return redirect("second-factor")
    return _codes_page(request, services.renew_codes(actor=user, origin=origin_of(request)))


@require_POST
def turn_off(request: HttpRequest) -> HttpResponse:
    """Let a sign-in ask for nothing but the password again."""
    user = person_of(request)
    require(user, "second_factor.turn_off")
    try:
        services.turn_off(actor=user, **_current(request))
    except services.StillRequired:
        return _still_required(request)
    messages.success(request, _("The second factor is off. A sign-in asks for your password alone."))
    return redirect("second-factor")


def _still_required(request: HttpRequest) -> HttpResponse:
    messages.error(request, _("This console wants a second factor of you, so the last one stays. Add another first."))
    return redirect("second-factor")
