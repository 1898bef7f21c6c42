"""What people and programs see when something goes wrong: cause and next step, never a bare page.

One :class:`Problem` becomes a whole page, a fragment (HTMX) or JSON, as the request asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

import structlog
from django.core.exceptions import BadRequest
from django.forms import BaseForm
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template import loader
from django.utils.functional import Promise
from django.utils.html import escape
from django.utils.translation import gettext as _

from console.lib.bearer import bearer_of

logger = structlog.get_logger(__name__)


class BadInput(BadRequest):
    """Input that no form of ours could have sent; its sentence is for people. Answered with 400."""


class Missing(Http404):
    """What is not here, or not for this person; its sentence is for people, and the same in both cases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that went wrong, in words."""

    status: int
    code: str
    title: str | Promise
    message: str | Promise
    next_step: str | Promise = ""
    #: Where the next step is done, if there is such a page.
    url: str = ""
    url_label: str | Promise = ""


def request_id() -> str:
    """Return this request's id, as the log has it."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def wants_json(request: HttpRequest) -> bool:
    """Whether a program asks: it brings a token, or accepts JSON and does not ask for HTML."""
    accept = request.headers.get("Accept", "")
    return bearer_of(request.headers) is not None or ("application/json" in accept and "text/html" not in accept)


def wants_fragment(request: HttpRequest) -> bool:
    """Whether HTMX asks for a part of a page (a boosted visit wants a whole one)."""
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-Boosted") != "true"


def wants_page(request: HttpRequest) -> bool:
    """Whether a person's browser asks for a whole page."""
    return (
        not wants_fragment(request)
        and not wants_json(request)
        and ("text/html" in request.headers.get("Accept", "") or request.headers.get("HX-Boosted") == "true")
    )


def answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Return ``problem`` in the shape that ``request`` asks for."""
    if wants_json(request):
        return JsonResponse(
            {
                "code": problem.code,
                "title": problem.title,
                "message": problem.message,
                "next_step": problem.next_step,
                "request_id": request_id(),
            },
            status=problem.status,
        )
    if wants_fragment(request):
        return answer_fragment(request, problem)
    if problem.status != HTTPStatus.INTERNAL_SERVER_ERROR and _is_signed_in(request):
        return _render(request, problem, "problems/page.html")
    # What failed may be what the frame itself needs, so this page stands on its own.
    return _render(request, problem, "problems/alone.html")


def answer_fragment(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Return ``problem`` as a part of a page, also to a boosted visit: the page around it stays."""
    return _render(request, problem, "problems/_problem.html")


def _render(request: HttpRequest, problem: Problem, template: str) -> HttpResponse:
    try:
        content: str = loader.render_to_string(template, {"problem": problem, "request_id": request_id()}, request)
    except Exception:
        logger.exception("problem_page_failed", status=problem.status, code=problem.code)
        content = (
            f"<!doctype html><title>{escape(problem.title)}</title><h1>{escape(problem.title)}</h1>"
            f"<p>{escape(problem.message)}</p><p>{escape(problem.next_step)}</p><p>{escape(request_id())}</p>"
        )
    return HttpResponse(content, status=problem.status)


def _is_signed_in(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return user is not None and user.is_authenticated


def _sentence(exception: Exception | None) -> str:
    """Return what the raiser said for people, if anything: the first argument, when it is text."""
    if exception is None or not exception.args or not isinstance(exception.args[0], str):
        return ""
    return exception.args[0]


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400: the request itself is wrong."""
    # Django's own sentences name hosts and fields of its settings; only ours are for people.
    said = _sentence(exception) if isinstance(exception, BadInput) else ""
    return answer(
        request,
        Problem(
            status=400,
            code="bad_request",
            title=_("That request makes no sense here"),
            message=said or _("Something in it is malformed, too large, or meant for another address."),
            next_step=_("Go back, check what you entered, and try again."),
        ),
    )


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403: known, but not allowed. A refusal of ours brings its own code and sentences."""
    return answer(
        request,
        Problem(
            status=403,
            code=getattr(exception, "code", "forbidden"),
            title=_("You may not do this"),
            message=_sentence(exception) or _("Your role does not allow it."),
            next_step=getattr(exception, "next_step", "") or _("Ask an admin of this console if you need it."),
        ),
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403: a form without its token, or one sent from another site."""
    logger.warning("csrf_failure", reason=reason)
    return answer(
        request,
        Problem(
            status=403,
            code="csrf",
            title=_("This form is too old, or was not ours"),
            message=_("It came without the mark that every form of this console carries, so nothing was done."),
            next_step=_("Reload the page and send the form again. Cookies must be allowed for this address."),
        ),
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404: it is not here, or not for this person; the two look the same."""
    # Django's own sentences name models and patterns; only ours are for people.
    said = _sentence(exception) if isinstance(exception, Missing) else ""
    return answer(
        request,
        Problem(
            status=404,
            code="not_found",
            title=_("There is nothing here"),
            message=said or _("What you are looking for does not exist, was removed, or is not yours to see."),
            next_step=_("Check the address, or look for it with the search at the top."),
        ),
    )


def wrong_method(request: HttpRequest, *, allowed: str) -> HttpResponse:
    """405: the address is right, what was asked of it is not."""
    return answer(
        request,
        Problem(
            status=405,
            code="wrong_method",
            title=_("This address does not work that way"),
            message=_("It was asked with %(method)s and only knows %(allowed)s, so nothing was done.")
            % {"method": request.method, "allowed": allowed},
            next_step=_("Do it from the page that has the button or the form for it."),
        ),
    )


def unacceptable(request: HttpRequest, message: str) -> HttpResponse:
    """422: what a form would show beside its fields, for who has no form to look at."""
    return answer(
        request,
        Problem(
            status=422,
            code="invalid",
            title=_("That cannot be asked for"),
            message=message,
            next_step=_("Correct it and ask again."),
        ),
    )


def field_errors(form: BaseForm) -> JsonResponse:
    """422 for a script of ours: the first error of each field, named."""
    errors = {field: found[0] for field, found in form.errors.items()}
    return JsonResponse({"code": "invalid", "errors": errors}, status=422)


def too_many_requests(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """429: slower, please."""
    del exception
    return answer(
        request,
        Problem(
            status=429,
            code="too_many_requests",
            title=_("Too many attempts"),
            message=_("This came too often from your address, so it was not looked at."),
            next_step=_("Wait a minute, then try again."),
        ),
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """500: our fault."""
    return answer(
        request,
        Problem(
            status=500,
            code="server_error",
            title=_("Something broke on our side"),
            message=_("The console met an error it was not prepared for. What you changed may not have been done."),
            next_step=_("Try again. If it stays, look for the number below in the console's log."),
        ),
    )
