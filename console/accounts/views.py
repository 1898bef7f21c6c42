"""Sign in and out, the first admin, and a person's own settings."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast
from uuid import UUID

from allauth.account.adapter import get_adapter
from allauth.account.views import LoginView
from allauth.core import ratelimit
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout, update_session_auth_hash
from django.db import IntegrityError
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.accounts import confirmation, second_factor, services, sessions, tokens
from console.accounts.forms import (
    ConfirmForm,
    DirectoryForm,
    NewPersonForm,
    PasswordForm,
    ProfileForm,
    SignInForm,
    TokenForm,
    check_credentials,
)
from console.accounts.identities import DirectoryFailed, list_connections
from console.accounts.models import ApiToken, Source, Theme, User
from console.accounts.pages import person_of
from console.lib import problems
from console.lib.context import THEME_COOKIE
from console.lib.origin import origin_of
from console.lib.problems import BadInput

COOKIE_AGE = 365 * 24 * 3600


class SignIn(LoginView):  # type: ignore[misc]
    """allauth's sign-in with our form and our bounds."""

    form_class = SignInForm

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Offer the other ways to sign in."""
        return cast("dict[str, Any]", super().get_context_data(sign_in=settings.SIGN_IN, **kwargs))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Check the bounds, then sign in."""
        check_credentials(request.POST, "login", "password")
        try:
            return cast("HttpResponse", super().post(request, *args, **kwargs))
        except DirectoryFailed:
            return directory_failed(request)

    def form_invalid(self, form: Form) -> HttpResponse:
        """Show the form again, with a status that programs understand."""
        response: HttpResponse = super().form_invalid(form)
        codes = {error.code for error in form.non_field_errors().as_data()}
        limited = "too_many_login_attempts" in codes
        response.status_code = HTTPStatus.TOO_MANY_REQUESTS if limited else HTTPStatus.UNPROCESSABLE_ENTITY
        return response


# Around it: who is signed in already is led on before a view of Django's looks at the method.
sign_in = require_http_methods(["GET", "HEAD", "POST"])(SignIn.as_view())


def directory_failed(request: HttpRequest) -> HttpResponse:
    """Say that nobody could be asked whether a password is right."""
    return problems.answer(
        request,
        problems.Problem(
            status=HTTPStatus.BAD_GATEWAY,
            code="directory_failed",
            title=_("You are not signed in"),
            message=_("The directory that would know your password does not answer, or not this console."),
            next_step=_("Try again in a while. Whoever has a password here can sign in with it meanwhile."),
        ),
    )


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End this session."""
    services.sign_out(
        actor=person_of(request), session_key=request.session.session_key or "", origin=origin_of(request)
    )
    logout(request)
    return redirect("account_login")


@sensitive_post_parameters("password", "password_again")
@require_http_methods(["GET", "HEAD", "POST"])
def first_admin(request: HttpRequest, token: str) -> HttpResponse:
    """Create the first admin by the one-time link, and sign them in."""
    if not services.is_bootstrap_open(token):
        return _spent(request)
    if request.method != "POST":
        return render(request, "accounts/first_admin.html", {"form": NewPersonForm()})
    check_credentials(request.POST, "username", "password", "password_again")
    form = NewPersonForm(request.POST)
    if not form.is_valid():
        return render(request, "accounts/first_admin.html", {"form": form}, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        user = services.create_first_admin(
            token=token,
            username=form.cleaned_data["username"],
            password=form.cleaned_data["password"],
            origin=origin_of(request),
        )
    except (services.BootstrapSpent, IntegrityError):
        return _spent(request)  # somebody else was faster
    get_adapter(request).login(request, user)
    return redirect("overview")


def _spent(request: HttpRequest) -> HttpResponse:
    return render(
        request,
        "accounts/first_admin_spent.html",
        {"has_admin": services.has_admin()},
        status=HTTPStatus.NOT_FOUND,
    )


def show_settings(
    request: HttpRequest,
    *,
    profile: ProfileForm | None = None,
    password: PasswordForm | None = None,
    token: TokenForm | None = None,
    confirm: ConfirmForm | None = None,
    directory: DirectoryForm | None = None,
    status: HTTPStatus = HTTPStatus.OK,
) -> HttpResponse:
    user = person_of(request)
    connections = list_connections(user)
    # Who has no password here has nothing to prove with that it is them who connects.
    may_connect = {*Source} - {one.source for one in connections} if user.has_usable_password() else set()
    return render(
        request,
        "settings/settings.html",
        {
            "profile_form": profile or ProfileForm(instance=user),
            "password_form": password or PasswordForm(user=user),
            "token_form": token or TokenForm(user=user),
            "token_examples": _token_examples(),
            "tokens": tokens.list_tokens(user),
            "confirm_form": confirm or ConfirmForm(user=user, prefix="confirm"),
            "directory_form": directory or DirectoryForm(user=user, prefix="directory"),
            "connections": connections,
            "oidc": settings.SIGN_IN.oidc if Source.OIDC in may_connect else None,
            "ldap": settings.SIGN_IN.ldap if Source.LDAP in may_connect else None,
            "sessions": sessions.list_sessions(user, current_key=request.session.session_key or ""),
            "second_factor": second_factor.second_factor_of(user),
            "themes": Theme.choices,
            "version": settings.VERSION,
        },
        status=status,
    )


@require_GET
def settings_page(request: HttpRequest) -> HttpResponse:
    """Show a person's own settings."""
    return show_settings(request)


@require_POST
def profile_edit(request: HttpRequest) -> HttpResponse:
    """Change name and e-mail."""
    user = person_of(request)
    # A copy: a form that fails must not rename the person in the page around it.
    form = ProfileForm(request.POST, instance=User.objects.get(pk=user.pk))
    if not form.is_valid():
        return show_settings(request, profile=form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    services.edit_profile(
        actor=user,
        name=form.cleaned_data["name"],
        email=form.cleaned_data["email"],
        origin=origin_of(request),
    )
    messages.success(request, _("Your profile is saved."))
    return redirect("settings")


@sensitive_post_parameters("current", "password", "password_again")
@require_POST
def password_change(request: HttpRequest) -> HttpResponse:
    """Change the password; every other session and every API token ends."""
    user = person_of(request)
    if not user.has_usable_password():
        raise BadInput(_("You have no password here."))
    check_credentials(request.POST, "current", "password", "password_again")
    if second_factor.is_set_up(user):
        # Without one, the present password in this form is the proof.
        confirmation.require(user, "password.change")
    form = PasswordForm(request.POST, user=user)
    if not ratelimit.consume(request, action="change_password", user=user):
        form.add_error("current", _("Too many attempts. Wait a minute, then try again."))
        return show_settings(request, password=form, status=HTTPStatus.TOO_MANY_REQUESTS)
    if not form.is_valid():
        return show_settings(request, password=form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    services.change_password(actor=user, password=form.cleaned_data["password"], origin=origin_of(request))
    # This browser stays signed in, under a new key: whoever had the old one does not.
    update_session_auth_hash(request, user)
    messages.success(request, _("Your password is changed. Every other session and every API token has ended."))
    return redirect("settings")


@require_POST
def session_end(request: HttpRequest, session_id: int) -> HttpResponse:
    """End one session of one's own."""
    try:
        key = sessions.end_session(actor=person_of(request), session_id=session_id, origin=origin_of(request))
    except UserSession.DoesNotExist:
        raise Http404 from None
    if key == request.session.session_key:
        logout(request)
        return redirect("account_login")
    messages.success(request, _("That session has ended."))
    return redirect("settings")


@require_POST
def session_end_others(request: HttpRequest) -> HttpResponse:
    """End every session of one's own but this one."""
    count = sessions.end_other_sessions(
        actor=person_of(request), current_key=request.session.session_key or "", origin=origin_of(request)
    )
    messages.success(request, _("Every other session has ended.") if count else _("There was no other session to end."))
    return redirect("settings")


@require_POST
def token_create(request: HttpRequest) -> HttpResponse:
    """Make a token, and show it this once."""
    user = person_of(request)
    confirmation.require(user, "token.create")
    form = TokenForm(request.POST, user=user)
    if not form.is_valid():
        return show_settings(request, token=form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    issued = tokens.create_token(actor=user, origin=origin_of(request), **form.wanted)
    return render(request, "settings/token_created.html", {"issued": issued, "token_examples": _token_examples()})


def _token_examples() -> str:
    url = settings.PUBLIC_URL
    return "\n".join(
        (
            "read -rs TOKEN && export TOKEN",
            f'curl -H "Authorization: Bearer $TOKEN" "{url}/containers/?state=running"',
            f'curl -H "Authorization: Bearer $TOKEN" -X POST "{url}/containers/HOST/ID/restart/"',
            f'curl -H "Authorization: Bearer $TOKEN" "{url}/operations/OPERATION/"',
        )
    )


@require_POST
def token_revoke(request: HttpRequest, token_id: UUID) -> HttpResponse:
    """Make one token of one's own worthless."""
    try:
        token = tokens.revoke_token(actor=person_of(request), token_id=token_id, origin=origin_of(request))
    except ApiToken.DoesNotExist:
        raise Http404 from None
    messages.success(request, _("The token %(name)s is revoked; it works no more.") % {"name": token.name})
    return redirect("settings")


@require_POST
def preference_theme(request: HttpRequest) -> HttpResponse:
    """Colour pages like the system, light or dark; the script has applied it already."""
    theme = request.POST.get("theme", "")
    if theme not in Theme.values:
        raise BadInput(_("There is no such theme; choose system, light or dark."))
    if isinstance(request.user, User):
        services.prefer_theme(actor=request.user, theme=theme)
    response = _back(request)
    _remember(response, THEME_COOKIE, theme)
    return response


@require_POST
def preference_language(request: HttpRequest) -> HttpResponse:
    """Answer in another language from now on."""
    language = request.POST.get("language", "")
    if language not in dict(settings.LANGUAGES):
        raise BadInput(_("There is no such language here."))
    if isinstance(request.user, User):
        services.prefer_language(actor=request.user, language=language)
    with override(language):
        response = _back(request)
    _remember(response, settings.LANGUAGE_COOKIE_NAME, language)
    return response


def _remember(response: HttpResponse, name: str, value: str) -> None:
    response.set_cookie(
        name, value, max_age=COOKIE_AGE, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE, httponly=True
    )


def _back(request: HttpRequest) -> HttpResponse:
    """Return to the page at hand: reloaded by HTMX, nothing for a script, a redirect for a plain form."""
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=HTTPStatus.NO_CONTENT, headers={"HX-Refresh": "true"})
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts=None):
        target = reverse("settings") if request.user.is_authenticated else reverse("account_login")
    return HttpResponseRedirect(target)
