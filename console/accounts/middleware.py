"""Who is asking, and in which language they are answered."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve, reverse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _

from console.accounts import sessions
from console.accounts.models import User
from console.lib import problems
from console.lib.origin import origin_of

GetResponse = Callable[[HttpRequest], HttpResponseBase]

#: The only pages that need no sign-in. Static files are answered before we are asked.
OPEN = frozenset(
    {
        "account_login",
        "first-admin",
        "invitation",
        "healthz",
        "readyz",
        "javascript-catalog",
        "preference-theme",
        "preference-language",
    }
)


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
    """Every page needs a sign-in, known or not; :data:`OPEN` names the few that do not."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        user = request.user
        if isinstance(user, User):
            if request.session.session_key:
                sessions.note_session(user=user, session_key=request.session.session_key, origin=origin_of(request))
            return self.get_response(request)
        if SESSION_KEY in request.session:
            # Signed in once, but not any more: the account was suspended or removed.
            request.session.flush()
        if _is_open(request):
            return self.get_response(request)
        return _refuse(request)


def _is_open(request: HttpRequest) -> bool:
    if request.path_info.startswith(settings.STATIC_URL):
        return True  # a file that WhiteNoise does not have: not found, rather than a page in its place
    try:
        return resolve(request.path_info).url_name in OPEN
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


def _sign_in_url(target: str) -> str:
    url = reverse("account_login")
    return f"{url}?{urlencode({'next': target})}" if target not in ("", "/") else url
