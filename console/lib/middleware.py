"""Headers that every answer carries, answers to the wrong method, and the one table from engine errors to answers."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.request import split_domain_port
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from console.gateway import (
    AccessDenied,
    BackendError,
    Conflict,
    EngineFailure,
    Invalid,
    NotFound,
    ProtocolError,
    Terminated,
    TimedOut,
    Unreachable,
    Unsupported,
)
from console.lib import problems
from console.lib.crypto import Undecryptable

logger = structlog.get_logger(__name__)

#: What a page of ours may ask the browser for: nothing but the clipboard, for terminals.
PERMISSIONS_POLICY = ", ".join(
    [
        *(
            f"{feature}=()"
            for feature in (
                "accelerometer",
                "autoplay",
                "browsing-topics",
                "camera",
                "display-capture",
                "geolocation",
                "gyroscope",
                "hid",
                "magnetometer",
                "microphone",
                "midi",
                "payment",
                "serial",
                "usb",
                "xr-spatial-tracking",
            )
        ),
        "clipboard-read=(self)",
        "clipboard-write=(self)",
        "fullscreen=(self)",
    ]
)


class SecurityHeaders:
    """Sets what Django's own middleware does not. Static files keep the caching that WhiteNoise gives them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        # Nothing is kept by caches or by the back button after signing out, unless a view says otherwise.
        response.headers.setdefault("Cache-Control", "no-store, private")
        return response


class LocalProbes:
    """Answers this machine's own probes, which know no public address. Every other page insists on its name."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        name, _port = split_domain_port(request.headers.get("Host", ""))
        if request.path in ("/healthz", "/readyz") and name in settings.LOOPBACK_HOSTS:
            request.META["HTTP_HOST"] = urlsplit(settings.PUBLIC_URL).netloc
        return self.get_response(request)


class WrongMethods:
    """Says in words that an address takes another method; whoever only reloads a form's answer is led to its page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not isinstance(response, HttpResponseNotAllowed):
            return response
        if request.method in ("GET", "HEAD") and problems.wants_page(request):
            # A form's answer leaves its address in the browser, which asks for it again when the page is reloaded.
            return HttpResponseRedirect(_page_above(request))
        answer = problems.wrong_method(request, allowed=response.headers["Allow"])
        answer.headers["Allow"] = response.headers["Allow"]
        return answer


def _page_above(request: HttpRequest) -> str:
    """Return the nearest address above that leads somewhere, narrowed as the present one is."""
    path = request.path_info.rstrip("/")
    while path:
        path = path.rpartition("/")[0]
        try:
            resolve(f"{path}/")
        except Resolver404:
            continue
        break
    query = request.META.get("QUERY_STRING", "")
    return f"{path}/?{query}" if query else f"{path}/"


#: Most specific first: status, what happened, what to do next. The engine's own sentence is shown between the two.
ANSWERS: tuple[tuple[type[BackendError], int, str | Promise, str | Promise], ...] = (
    (
        Unreachable,
        502,
        _("The host cannot be reached"),
        _("Check that the engine runs and that the host's address is right, then try again."),
    ),
    (
        TimedOut,
        504,
        _("The host does not answer in time"),
        _("It may be busy or stuck. Try again; if it stays so, look at the engine on that machine."),
    ),
    (
        AccessDenied,
        502,
        _("The engine refuses this console"),
        _("Ask an admin to check the host's certificate and rights."),
    ),
    (
        NotFound,
        404,
        _("The engine does not know this object"),
        _("It may have been removed meanwhile. Go back to the list."),
    ),
    (
        Conflict,
        409,
        _("The object's present state forbids this"),
        _("Reload to see its state, then decide again."),
    ),
    (Invalid, 422, _("The engine rejects the request"), _("Change what the engine names, then try again.")),
    (
        Unsupported,
        501,
        _("This engine cannot do that"),
        _("A newer version of the engine may be able to."),
    ),
    (EngineFailure, 502, _("The engine tried and failed"), _("Mend what the engine names, then try again.")),
    (
        ProtocolError,
        502,
        _("The host's answer makes no sense"),
        _("Check that the host's address is that of a container engine."),
    ),
    (Terminated, 502, _("The engine ended the stream"), _("Open it again.")),
    (BackendError, 502, _("The engine failed"), _("Try again.")),
)


class BackendErrors:
    """Turns what an engine did wrong into an answer with cause and next step."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer for an engine's error, or for a secret that cannot be read; leave the rest to Django."""
        if isinstance(exception, Undecryptable):
            logger.error("undecryptable", path=request.path)
            return problems.answer(
                request,
                problems.Problem(
                    status=503,
                    code="undecryptable",
                    title=_("A stored secret cannot be read"),
                    message=_("The key that encrypted it is not the one this console has now."),
                    next_step=_("Restore keys/encryption from your backup, or enter the secret again."),
                ),
            )
        if not isinstance(exception, BackendError):
            return None
        status, title, next_step = next(
            (status, title, next_step) for kind, status, title, next_step in ANSWERS if isinstance(exception, kind)
        )
        logger.warning("engine_error", code=exception.code, reason=exception.reason, said=exception.message)
        return problems.answer(
            request,
            problems.Problem(
                status=status, code=exception.code, title=title, message=exception.message, next_step=next_step
            ),
        )
