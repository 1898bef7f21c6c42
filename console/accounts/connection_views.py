"""To the provider and back: signing in by it, and connecting an account with it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, cast

import structlog
from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from allauth.core import ratelimit
from allauth.core.internal.ratelimit import consume
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from console.accounts import confirmation, identities, oidc, second_factor
from console.accounts.backends import prove
from console.accounts.forms import ConfirmForm, DirectoryForm, check_credentials
from console.accounts.identities import DirectoryFailed, Proof
from console.accounts.models import User
from console.accounts.oidc import Failure, SignInFailed
from console.accounts.pages import person_of
from console.accounts.signals import account_acted
from console.accounts.views import directory_failed, show_settings
from console.lib import problems
from console.lib.origin import origin_of
from console.sign_in import OidcSettings

logger = structlog.get_logger(__name__)

_LONGEST_TARGET: Final = 2000

#: What people are told, by why nobody is signed in: status, what happened, what to do next.
_ANSWERS: Final[dict[Failure, tuple[HTTPStatus, str | Promise, str | Promise]]] = {
    Failure.UNREACHABLE: (
        HTTPStatus.BAD_GATEWAY,
        gettext_lazy("%(name)s does not answer, or not in time."),
        gettext_lazy("Try again in a while. Whoever has a password here can sign in with it meanwhile."),
    ),
    Failure.GARBLED: (
        HTTPStatus.BAD_GATEWAY,
        gettext_lazy("%(name)s answered with something that makes no sense here."),
        gettext_lazy("Try again. If it stays, an admin finds the reason in the console's log and audit."),
    ),
    Failure.DECLINED: (
        HTTPStatus.FORBIDDEN,
        gettext_lazy("%(name)s did not sign you in, or you did not want it to."),
        gettext_lazy("Try again, or ask whoever looks after your account there."),
    ),
    Failure.STALE: (
        HTTPStatus.BAD_REQUEST,
        gettext_lazy("This sign-in was not begun in this browser, was used already, or is more than ten minutes old."),
        gettext_lazy("Begin again on the sign-in page. Cookies must be allowed for this address."),
    ),
    Failure.UNTRUSTED: (
        HTTPStatus.FORBIDDEN,
        gettext_lazy("What came from %(name)s cannot be believed, so nothing was done."),
        gettext_lazy("Try again. If it stays, an admin finds the reason in the console's log and audit."),
    ),
}


@require_POST
def oidc_start(request: HttpRequest) -> HttpResponse:
    """Send somebody to the provider to sign in."""
    provider = _provider()
    if isinstance(request.user, User):
        return redirect("overview")
    target = request.POST.get("next", "")
    if len(target) > _LONGEST_TARGET or not url_has_allowed_host_and_scheme(target, allowed_hosts=None):
        target = ""
    return _leave(request, provider=provider, target=target)


@require_GET
def oidc_callback(request: HttpRequest) -> HttpResponse:
    """Take somebody back from the provider. The state in their session says that they were sent there from here."""
    provider = _provider()
    if not _is_in_bounds(request):
        return problems.too_many_requests(request)
    try:
        back = oidc.come_back(request, oidc=provider)
    except SignInFailed as failed:
        return _failed(request, failed, provider=provider)
    if back.connects:
        if str(getattr(request.user, "pk", "")) != back.connects:
            stale = SignInFailed(Failure.STALE, "somebody else is signed in than who left")
            return _failed(request, stale, provider=provider)
        return _connect(request, back.proof, name=provider.name)
    try:
        person = identities.admit(back.proof, origin=origin_of(request))
    except identities.Suspended:
        return _refused(request, _("Your account here is suspended."), detail="suspended", provider=provider)
    record_authentication(request, person, "socialaccount", provider=back.proof.provider, uid=back.proof.subject)
    return cast("HttpResponse", perform_login(request, person, redirect_url=back.next_url or None))


@sensitive_post_parameters("confirm-current")
@require_POST
def connection_add(request: HttpRequest) -> HttpResponse:
    """Send somebody who is signed in to the provider, to sign in by it from then on. Their password is asked for."""
    user = person_of(request)
    _want_second_factor(user)
    provider = _provider()
    check_credentials(request.POST, "confirm-current")
    form = ConfirmForm(request.POST, user=user, prefix="confirm")
    if not ratelimit.consume(request, action="reauthenticate", user=user):
        form.add_error("current", _("Too many attempts. Wait a minute, then try again."))
        return show_settings(request, confirm=form, status=HTTPStatus.TOO_MANY_REQUESTS)
    if not form.is_valid():
        return show_settings(request, confirm=form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return _leave(request, provider=provider, connects=str(user.pk))


@sensitive_post_parameters("directory-current", "directory-password")
@require_POST
def connection_add_directory(request: HttpRequest) -> HttpResponse:
    """Let somebody sign in by the directory from now on, who proves who they are there and here."""
    directory = settings.SIGN_IN.ldap
    if directory is None:
        raise Http404
    user = person_of(request)
    _want_second_factor(user)
    check_credentials(request.POST, "directory-username", "directory-password", "directory-current")
    form = DirectoryForm(request.POST, user=user, prefix="directory")
    if not ratelimit.consume(request, action="reauthenticate", user=user):
        form.add_error("current", _("Too many attempts. Wait a minute, then try again."))
        return show_settings(request, directory=form, status=HTTPStatus.TOO_MANY_REQUESTS)
    proof = None
    if form.is_valid():
        try:
            proof = prove(form.cleaned_data["username"], form.cleaned_data["password"])
        except DirectoryFailed as failed:
            logger.error("directory_failed", reason=str(failed))
            return directory_failed(request)
        if proof is None:
            form.say_wrong()
    if proof is None:
        return show_settings(request, directory=form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return _connect(request, proof, name=directory.name)


@require_POST
def connection_remove(request: HttpRequest, connection_id: int) -> HttpResponse:
    """Sign in by a provider no longer."""
    user = person_of(request)
    confirmation.require(user, "connection.remove")
    try:
        identities.disconnect(actor=user, connection_id=connection_id, origin=origin_of(request))
    except SocialAccount.DoesNotExist:
        raise Http404 from None
    messages.success(request, _("It is disconnected. You sign in with your password from now on."))
    return redirect("settings")


def _want_second_factor(user: User) -> None:
    """Ask for the second factor of whoever has one; of others, the present password in the form is the proof."""
    if second_factor.is_set_up(user):
        confirmation.require(user, "connection.add")


def _provider() -> OidcSettings:
    provider = settings.SIGN_IN.oidc
    if provider is None:
        raise Http404
    return provider


def _is_in_bounds(request: HttpRequest) -> bool:
    """Whether this address was here not too often: each visit asks the provider, or writes a row of the audit."""
    # The way back is a GET, which the face of this package never limits.
    return consume(request, app="allauth.account", action="single_sign_on", limit_get=True) is not None


def _leave(request: HttpRequest, *, provider: OidcSettings, target: str = "", connects: str = "") -> HttpResponse:
    if not _is_in_bounds(request):
        return problems.too_many_requests(request)
    try:
        url = oidc.leave(request, oidc=provider, next_url=target, connects=connects)
    except SignInFailed as failed:
        return _failed(request, failed, provider=provider)
    # A page that goes on by itself: a redirect would count as the form's, which may be sent to nobody but us.
    return render(request, "accounts/leave.html", {"url": url, "name": provider.name})


def _connect(request: HttpRequest, proof: Proof, *, name: str) -> HttpResponse:
    try:
        identities.connect(actor=person_of(request), proof=proof, origin=origin_of(request))
    except identities.ConnectedElsewhere:
        messages.error(
            request,
            _("Who you are at %(name)s is connected with another account of this console.") % {"name": name},
        )
    except identities.ConnectedAlready:
        messages.error(
            request,
            _("Your account is connected with somebody else at %(name)s; disconnect that first.") % {"name": name},
        )
    else:
        messages.success(request, _("From now on you can sign in with %(name)s.") % {"name": name})
    return redirect("settings")


def _failed(request: HttpRequest, failed: SignInFailed, *, provider: OidcSettings) -> HttpResponse:
    status, message, next_step = _ANSWERS[failed.failure]
    return _refused(
        request,
        message % {"name": provider.name},
        detail=failed.detail,
        provider=provider,
        code=failed.failure.value,
        status=status,
        next_step=next_step,
    )


def _refused(
    request: HttpRequest,
    message: str,
    *,
    detail: str,
    provider: OidcSettings,
    code: str = "suspended",
    status: HTTPStatus = HTTPStatus.FORBIDDEN,
    next_step: str | Promise = "",
) -> HttpResponse:
    """Put on record why nobody is signed in, and say it."""
    logger.warning("single_sign_on_failed", code=code, reason=detail, provider=provider.issuer)
    account_acted.send(
        sender=User,
        action="account.sign_in",
        outcome="failed",
        actor=request.user if isinstance(request.user, User) else None,
        object_id="",
        object_name=provider.name,
        origin=origin_of(request),
        details={"provider": provider.issuer, "code": code, "reason": detail},
    )
    return problems.answer(
        request,
        problems.Problem(
            status=status,
            code=f"single_sign_on.{code}",
            title=_("You are not signed in"),
            message=message,
            next_step=next_step or _("Ask an admin of this console."),
        ),
    )
