"""A bound on what a request may carry, before anything of it is kept.

Django's ASGI handler writes the whole body to a file before it looks at who is asking.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from http import HTTPStatus
from typing import Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from console.lib import problems
from console.lib.bearer import bearer_of
from console.lib.text import one_line
from console.lib.websocket import Application, Message, Receive, Scope, Send

#: Bytes. The largest form of ours holds certificates, a few KiB each.
LIMIT: Final = 4 * 1024 * 1024
_MARK: Final = "pilothouse.body_too_large"
_BODY: Final = "pilothouse.body"
#: Seconds after which a sender who sends nothing is given up.
SILENCE_LIMIT: Final = 60.0
_PART: Final = 64 * 1024


def _announced(scope: Scope) -> int:
    """Return the size that the request claims for its body; 0 when it claims none."""
    sizes = [value for name, value in scope["headers"] if name == b"content-length" and value.isdigit()]
    return int(sizes[0][:20]) if sizes else 0


class BoundedBody:
    """Hands at most ``LIMIT`` bytes of a body on and throws the rest away; ``RefuseLargeBody`` then answers."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what comes; what says beforehand that it is too large is not even begun."""
        taken = _announced(scope) if _announced(scope) > LIMIT else 0

        async def bounded() -> Message:
            nonlocal taken
            message: Message = {"type": "http.request"}
            if taken <= LIMIT:
                message = await receive()
                taken += len(message.get("body", b""))
            elif _MARK in scope:
                # The body has an end for Django; whoever goes on sending is read, so that the answer gets through.
                while message["type"] == "http.request":
                    message = await receive()
            if taken > LIMIT and message["type"] == "http.request":
                scope[_MARK] = True
                return {"type": "http.request", "body": b"", "more_body": False}
            return message

        await self.application(scope, bounded, send)


class BodyGone(ConnectionError):
    """Whoever sent the body went, or stopped, before it had all come."""


class StreamedBody:
    """Hands the body of one address to its view while it comes: nothing of it is kept in a file or in memory.

    Not reading is back-pressure: the server takes from the network what is asked for. The view alone hears when the
    sender goes, by ``BodyGone``, so that it can put in order what it has begun.
    """

    def __init__(self, application: Application, *, streaming: Application, paths: Collection[str]) -> None:
        self.application = application
        #: For these ``paths``, posted: an application that needs no bound, since its views set their own.
        self.streaming = streaming
        self.paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give Django a body without content, and the view what there is."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in self.paths:
            await self.application(scope, receive, send)
            return
        is_begun = False

        async def nothing() -> Message:
            nonlocal is_begun
            if is_begun:
                await asyncio.Event().wait()  # until Django has answered, and asks no more
            is_begun = True
            return {"type": "http.request", "body": b"", "more_body": False}

        await self.streaming({**scope, _BODY: _incoming(receive)}, nothing, send)


async def _incoming(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        try:
            async with asyncio.timeout(SILENCE_LIMIT):
                message = await receive()
        except TimeoutError as error:
            raise BodyGone("nothing came for too long") from error
        if message["type"] != "http.request":
            raise BodyGone("the sender went")
        more = message.get("more_body", False)
        if data := message.get("body", b""):
            yield data


async def parts_of(request: HttpRequest) -> AsyncIterator[bytes]:
    """Yield the body of ``request`` as it comes. Raises ``BodyGone``."""
    streamed: AsyncIterator[bytes] | None = getattr(request, "scope", {}).get(_BODY)
    if streamed is not None:
        async for data in streamed:
            yield data
        return
    # A server without ``StreamedBody`` has read it already.
    while data := request.read(_PART):
        yield data


class RefuseForeignBody:
    """Answers 415 to a program whose body is no form: what nobody reads must not look as if it had been understood."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        is_form = request.content_type in ("", "application/x-www-form-urlencoded", "multipart/form-data")
        has_body = request.headers.get("Content-Length", "0") != "0"
        if is_form or not has_body or bearer_of(request.headers) is None:
            return self.get_response(request)
        return problems.answer(
            request,
            problems.Problem(
                status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                code="unsupported_media",
                title=_("Nobody here reads that"),
                message=_("This console takes forms, not %(type)s, so nothing was done.")
                % {"type": one_line(request.content_type or "", limit=60)},
                next_step=_("Send the same values as form fields, as “curl -d name=value” does."),
            ),
        )


class RefuseLargeBody:
    """Answers 413 for a body of which the rest was thrown away, before anything reads it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if _MARK not in getattr(request, "scope", ()):
            return self.get_response(request)
        return problems.answer(
            request,
            problems.Problem(
                status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                code="too_large",
                title=_("That is too large"),
                message=_("A form of this console may carry 4 MiB with its files; nothing was done."),
                next_step=_("Choose a smaller file, or enter less."),
            ),
        )
