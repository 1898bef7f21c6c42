"""Who is asking, and in which language they are answered."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

from allauth.core.internal import ratelimit
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve, reverse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _

from console.accounts import confirmation, second_factor, sessions, tokens
from console.accounts.models import ApiToken, User
from console.lib import problems
from console.lib.bearer import bearer_of, has_token
from console.lib.htmx import trigger
from console.lib.origin import origin_of

GetResponse = Callable[[HttpRequest], HttpResponseBase]

#: The only pages that need no sign-in. Static files are answered before we are asked.
OPEN = frozenset(
    {
        "account_login",
        "oidc-start",
        "oidc-callback",
        "first-admin",
        "second-step",
        "second-step-key",
        "invitation",
        "healthz",
        "readyz",
        "javascript-catalog",
        "preference-theme",
        "preference-language",
    }
)

#: What is left to somebody who has to set up a second factor first, beside :data:`OPEN`.
OPEN_WITHOUT_SECOND_FACTOR = frozenset(
    {
        "account_logout",
        "confirm",
        "confirm-key",
        "second-factor",
        "second-factor-app",
        "second-factor-key-add",
        "second-factor-key-options",
    }
)


def token_of(request: HttpRequest) -> ApiToken | None:
    """Return the token that ``request`` came with, if any."""
    token: ApiToken | None = getattr(request, "auth_token", None)
    return token


class Tokens:
    """Lets a request in by the API token in its header, and by nothing else that it carries.

    It makes no session, no cookie comes of it, and without one no other site can forge it.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.auth_token = None  # type: ignore[attr-defined]
        if has_token(request.META.get("QUERY_STRING", "")):
            # Before anything can log or show it.
            request.META["QUERY_STRING"] = ""
            return _refuse_query(request)
        text = bearer_of(request.headers)
        if text is None:
            return self.get_response(request)
        token = tokens.find_token(text)
        if token is None:
            return _refuse_token(request)
        tokens.note_use(token)
        request.COOKIES = {}
        request.csrf_processing_done = True  # type: ignore[attr-defined]
        request.auth_token = token  # type: ignore[attr-defined]
        response = self.get_response(request)
        response.cookies.clear()
        return response


def _refuse_query(request: HttpRequest) -> HttpResponse:
    with translation.override(translation.get_language_from_request(request)):
        return problems.answer(
            request,
            problems.Problem(
                status=HTTPStatus.BAD_REQUEST,
                code="token_in_query",
                title=_("An API token does not belong into an address"),
                message=_("Addresses are kept in logs and histories on the way, so it was not looked at."),
                next_step=_("Revoke that token, make another, and send it in the header “Authorization: Bearer …”."),
            ),
        )


def _refuse_token(request: HttpRequest) -> HttpResponse:
    """Answer alike whatever is wrong with it.

    A right token is never refused for wrong ones from the same address: nobody guesses 256 bits, so the limit is
    against noise alone.
    """
    # The public face of allauth's limits never counts a GET.
    if not ratelimit.consume(request, app="allauth.account", action="api_token", limit_get=True):
        return problems.too_many_requests(request)
    with translation.override(translation.get_language_from_request(request)):
        response = problems.answer(
            request,
            problems.Problem(
                status=HTTPStatus.UNAUTHORIZED,
                code="bad_token",
                title=_("This token does not work"),
                message=_("It is unknown, has expired or was revoked, or its owner may not sign in."),
                next_step=_("Make another one in your settings, and send it in the header “Authorization: Bearer …”."),
            ),
        )
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


class Authentication(AuthenticationMiddleware):
    """Who asks: whose token it is, else whom the session signs in."""

    def process_request(self, request: HttpRequest) -> None:
        """Put the person onto the request."""
        super().process_request(request)
        token = token_of(request)
        if token is not None:
            request.user = token.owner


class PreferredLanguage:
    """The person's own language; before they sign in a cookie's, then the browser's."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        language = self._language(request)
        with translation.override(language):
            request.LANGUAGE_CODE = language
            response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        patch_vary_headers(response, ("Accept-Language", "Cookie"))
        return response

    @staticmethod
    def _language(request: HttpRequest) -> str:
        chosen = request.user.language if isinstance(request.user, User) else ""
        if chosen in dict(settings.LANGUAGES):
            return chosen
        return translation.get_language_from_request(request)


class SignedIn:
    """Every page needs a sign-in, known or not; :data:`OPEN` names the few that do not.

    So it is with a second factor, where this console requires one of the person.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        user = request.user
        if isinstance(user, User):
            if request.session.session_key:
                sessions.note_session(user=user, session_key=request.session.session_key, origin=origin_of(request))
            user.confirmed_at = confirmation.read_proof(request)
            if second_factor.is_missing(user) and not _is_open(request, OPEN | OPEN_WITHOUT_SECOND_FACTOR):
                return _ask_for_second_factor(request)
            return self.get_response(request)
        if SESSION_KEY in request.session:
            # Signed in once, but not any more: the account was suspended or removed.
            request.session.flush()
        if _is_open(request, OPEN):
            return self.get_response(request)
        return _refuse(request)


class Unconfirmed:
    """Asks again who it is, where a dangerous act wants a recent proof.

    What a page shows or a dialog opens leads to the question and from there on. What was sent is not done: a page of
    ours asks the question over the form, which stays as it was, and sends it again.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer for an act that nobody has confirmed."""
        if not isinstance(exception, confirmation.Unconfirmed):
            return None
        question = reverse("confirm")
        by_token = getattr(request, "auth_token", None) is not None
        if request.method in ("GET", "HEAD") and not problems.wants_json(request) and not by_token:
            return HttpResponseRedirect(f"{question}?{urlencode({'next': request.get_full_path()})}")
        problem = problems.Problem(
            status=HTTPStatus.FORBIDDEN,
            code=exception.code,
            title=_("First confirm that it is you"),
            message=str(exception),
            next_step=_("A token cannot do this: sign in to the console.")
            if by_token
            else _("Confirm that it is you, then do it again."),
            url="" if by_token else question,
            url_label=_("Confirm"),
        )
        if request.headers.get("HX-Request") != "true":
            return problems.answer(request, problem)
        return trigger(problems.answer_fragment(request, problem), "identity:needed", {"url": question})


def _is_open(request: HttpRequest, names: frozenset[str]) -> bool:
    if request.path_info.startswith(settings.STATIC_URL):
        return True  # a file that WhiteNoise does not have: not found, rather than a page in its place
    try:
        return resolve(request.path_info).url_name in names
    except Resolver404:
        return False


def _refuse(request: HttpRequest) -> HttpResponse:
    """Send people to the sign-in page and tell programs why."""
    if problems.wants_json(request):
        return problems.answer(
            request,
            problems.Problem(
                status=HTTPStatus.UNAUTHORIZED,
                code="signed_out",
                title=_("You are not signed in"),
                message=_("Your session has ended, or you have not signed in yet."),
                next_step=_("Sign in and try again."),
            ),
        )
    if request.headers.get("HX-Request") == "true":
        # The page that asked for the part is the one to come back to.
        page = urlsplit(request.headers.get("HX-Current-URL", ""))
        target = page.path + (f"?{page.query}" if page.query else "")
        return HttpResponse(status=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": _sign_in_url(target)})
    return HttpResponseRedirect(_sign_in_url(request.get_full_path() if request.method == "GET" else ""))


def _ask_for_second_factor(request: HttpRequest) -> HttpResponse:
    """Send people to the page where they set one up, and tell programs why."""
    url = reverse("second-factor")
    if problems.wants_json(request):
        return problems.answer(
            request,
            problems.Problem(
                status=HTTPStatus.FORBIDDEN,
                code="second_factor_required",
                title=_("Set up a second factor first"),
                message=_("This console asks it of everybody with your role."),
                next_step=_("Sign in with a browser and set it up."),
            ),
        )
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=HTTPStatus.FORBIDDEN, headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)


def _sign_in_url(target: str) -> str:
    url = reverse("account_login")
    return f"{url}?{urlencode({'next': target})}" if target not in ("", "/") else url
