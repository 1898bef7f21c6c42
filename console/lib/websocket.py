"""Sockets: who may open one, and the adapter every stream is built on.

Streams are plain ASGI applications. Channels' own consumers hop to a shared thread for every message, so that one slow
query holds every terminal of the process; here nothing shared stands in the path of a byte.
"""

from __future__ import annotations

import asyncio
import json
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import Any, ClassVar, Final, TypeVar

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import DatabaseError, close_old_connections, connections
from django.http import HttpRequest
from django.utils import translation
from django.utils.translation import gettext as _

from console.lib.bearer import bearer_of, has_token
from console.lib.origin import Origin, origin_of_scope
from console.lib.rechecks import rechecked

logger = structlog.get_logger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Result = TypeVar("Result")

#: Application close codes (4000 to 4999 are ours to give).
BAD_FRAME: Final = 4400
NOT_SIGNED_IN: Final = 4401
REFUSED: Final = 4403
UNKNOWN: Final = 4404
LATE: Final = 4408
GOING_AWAY: Final = 1001
NORMAL: Final = 1000
#: The engine or a part of ours failed; the error frame before it says how.
FAILED: Final = 1011
TOO_LARGE: Final = 1009

TEXT_LIMIT: Final = 16 * 1024
#: Sockets that one person may have open in one process; a window full of terminals takes some dozens.
MOST_SOCKETS = 500
#: Seconds for which a thread of the sockets keeps a database connection that it does not use.
KEEP_CONNECTION = 60.0

# Rights are asked in threads of their own: pages must not wait for sockets, nor sockets for pages.
_executor = ThreadPoolExecutor(max_workers=4, thread_name_prefix="sockets")


async def in_database(work: Callable[[], Result], *, executor: ThreadPoolExecutor | None = None) -> Result:
    """Run ``work``, which uses the database, in the sockets' own threads. They are few and keep their connections.

    Work that may wait long brings an ``executor`` of its own.
    """

    def run() -> Result:
        close_old_connections()
        try:
            return work()
        finally:
            for connection in connections.all(initialized_only=True):
                connection.close_at = time.monotonic() + KEEP_CONNECTION
                connection.close_if_unusable_or_obsolete()

    return await sync_to_async(run, thread_sensitive=False, executor=executor or _executor)()


class BrowserGone(ConnectionError):
    """The browser has taken nothing for so long that nobody can be there."""


class Refusal(Exception):
    """The socket ends, and the person is told why."""

    def __init__(self, close_code: int, *, code: str, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.close_code = close_code
        self.code = code
        self.message = message
        self.next_step = next_step


def bad_frame(message: str = "") -> Refusal:
    """The browser sent what the protocol has no place for."""
    return Refusal(BAD_FRAME, code="bad_frame", message=message or _("This frame is not one of the protocol's."))


async def _refuse_handshake(receive: Receive, send: Send) -> None:
    """Answer 403 instead of a socket."""
    await receive()
    await send({"type": "websocket.close", "code": REFUSED})


async def refuse(_scope: Scope, receive: Receive, send: Send) -> None:
    """The application behind every path that has no socket."""
    await _refuse_handshake(receive, send)


class ExactOrigin:
    """Let only pages of ours open sockets: exactly one Origin header, equal to one of ``ALLOWED_ORIGINS``."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the handshake on, or refuse it."""
        origins = [value for name, value in scope["headers"] if name.lower() == b"origin"]
        if len(origins) != 1 or origins[0].decode("latin-1") not in settings.ALLOWED_ORIGINS:
            await _refuse_handshake(receive, send)
            return
        await self.application(scope, receive, send)


def _cookies(scope: Scope) -> SimpleCookie:
    """Return the handshake's cookies; none when they cannot be read."""
    header = b"; ".join(value for name, value in scope["headers"] if name.lower() == b"cookie")
    try:
        return SimpleCookie(header.decode("latin-1"))
    except CookieError:
        return SimpleCookie()


def _brings_token(scope: Scope) -> bool:
    """Whether an API token is to open the socket: it opens none, whoever is signed in beside it."""
    headers = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"authorization"]
    query = scope.get("query_string", b"").decode("latin-1")
    return has_token(query) or any(bearer_of({"Authorization": value}) is not None for value in headers)


class SessionUser:
    """Put the signed-in person into ``scope["user"]``, and beside it the check that the session still is theirs.

    ``find`` returns the person a session's key signs in, ``is_valid`` whether it still does: they come from
    ``console.accounts``, a floor above this one.
    """

    def __init__(
        self,
        application: Application,
        *,
        find: Callable[[str], AbstractBaseUser | None],
        is_valid: Callable[[str, Any], bool],
    ) -> None:
        self.application = application
        self.find = find
        self.is_valid = is_valid
        #: How many sockets each person has open here.
        self.open: Counter[Any] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One look-up at the handshake; the lease of the stream asks again."""
        morsel = _cookies(scope).get(settings.SESSION_COOKIE_NAME)
        key = morsel.value if morsel else ""
        user = await in_database(lambda: self.find(key)) if key and not _brings_token(scope) else None
        if user is None:
            await _refuse_handshake(receive, send)
            return
        user_id = user.pk
        scope["user"] = user
        scope["session_key"] = key
        scope["is_signed_in"] = lambda: self.is_valid(key, user_id)
        if self.open[user_id] >= MOST_SOCKETS:
            logger.warning("too many sockets", person=str(user_id))
            await _refuse_handshake(receive, send)
            return
        self.open[user_id] += 1
        try:
            await self.application(scope, receive, send)
        finally:
            self.open[user_id] -= 1
            if not self.open[user_id]:
                del self.open[user_id]


def _language(scope: Scope) -> str:
    """The language of the pages that open sockets: the person's own, else the cookie's, else the browser's."""
    request = HttpRequest()
    for name, value in scope["headers"]:
        if name == b"accept-language":
            request.META["HTTP_ACCEPT_LANGUAGE"] = value.decode("latin-1")
    request.COOKIES = {name: morsel.value for name, morsel in _cookies(scope).items()}
    return scope["user"].language or translation.get_language_from_request(request)


class StreamConsumer:
    """One socket: authorise and open, pump one way, take frames the other way, close. Subclasses are adapters.

    Binary frames are data; text frames are control, JSON objects with a ``type``. The first one opens the stream.
    """

    #: Seconds that the first frame may take.
    first_frame_timeout: ClassVar[float] = 10.0
    #: Seconds between two questions whether the person still may, when no signal asks sooner; revocation must reach an
    #: open socket within 5 s.
    lease_interval: ClassVar[float] = 4.0
    #: Seconds without an answer to that question (the database is away) after which the stream closes.
    lease_patience: ClassVar[float] = 15.0
    #: Seconds that a frame may wait for the browser to take what was sent before it. A network that was cut says no
    #: more than that: neither the server's pings nor its closing get past bytes that nobody takes.
    send_patience: ClassVar[float] = 40.0
    #: Seconds for the last words. Who is revoked must be out within 5 s, and need not be reading.
    parting_patience: ClassVar[float] = 0.5
    frame_limit: ClassVar[int] = 1024 * 1024

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.session_key: str = scope["session_key"]
        self._receive = receive
        self._asgi_send = send
        self._is_gone = False
        #: How the browser closed, once it did; ``None`` when its connection was only lost, or the server ends.
        self.disconnect_code: int | None = None
        #: Why the socket was closed by us, once it was.
        self.refusal: Refusal | None = None

    @classmethod
    def as_asgi(cls) -> Callable[..., Any]:
        """Return the ASGI application that serves one socket with an instance of its own.

        URL patterns take it where they take a view, hence the loose type.
        """

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            with translation.override(_language(scope)):
                await cls(scope, receive, send).serve()

        return application

    # What subclasses say

    @abstractmethod
    async def open(self, first: dict[str, Any]) -> None:
        """Authorise by the first frame and open the stream. Raises ``Refusal``."""

    @abstractmethod
    async def pump(self) -> None:
        """Send until the stream has ended. Raises ``Refusal``."""

    async def take_bytes(self, data: bytes) -> None:  # noqa: ARG002  subclasses use it
        """Take a binary frame. Raises ``Refusal``."""
        raise Refusal(BAD_FRAME, code="bad_frame", message=_("This stream takes no input."))

    async def take_control(self, frame: dict[str, Any]) -> None:  # noqa: ARG002  subclasses use it
        """Take a text frame after the first. Raises ``Refusal``."""
        raise Refusal(BAD_FRAME, code="bad_frame", message=_("This stream takes no commands."))

    def may_go_on(self) -> bool:
        """Whether the person still may, with the rights of now (the session is asked for beside). Runs in a thread."""
        return True

    async def renew(self) -> None:
        """Called after each good answer of the lease. Raises ``Refusal``."""

    async def close(self) -> None:
        """Let go of what was opened; called once, however the stream ended."""

    # What subclasses use

    @property
    def origin(self) -> Origin:
        """Where the socket came from, for audit rows."""
        return origin_of_scope(self.scope)

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary frame; waits while the browser's side of TCP is full."""
        await self._send({"type": "websocket.send", "bytes": data})

    async def send_control(self, frame: dict[str, Any]) -> None:
        """Send a text frame."""
        await self._send({"type": "websocket.send", "text": json.dumps(frame, separators=(",", ":"))})

    # The life of a socket

    async def serve(self) -> None:
        """Live from handshake to close."""
        message = await self._receive()
        if message["type"] != "websocket.connect":
            return
        await self._asgi_send({"type": "websocket.accept"})
        code = NORMAL
        try:
            first = await asyncio.wait_for(self._first_frame(), self.first_frame_timeout)
            if first is None:
                return
            await self.open(first)
            code = await self._run()
        except TimeoutError:
            code = LATE
            await self._tell(Refusal(LATE, code="late", message=_("The stream was not opened in time.")))
        except Refusal as refusal:
            code = refusal.close_code
            self.refusal = refusal
            await self._tell(refusal)
        except OSError:
            self._is_gone = True  # sending failed: the browser went first
        finally:
            # The process of a terminal has to end even when the server cancels this task.
            await asyncio.shield(self.close())
        if not self._is_gone:
            await self._part({"type": "websocket.close", "code": code})

    async def _send(self, message: Message) -> None:
        try:
            async with asyncio.timeout(self.send_patience):
                await self._asgi_send(message)
        except TimeoutError as error:
            raise BrowserGone(f"nothing was taken for {self.send_patience:g} s") from error

    async def _part(self, message: Message) -> None:
        """Send one of the last words, to a browser that may have gone or may not listen."""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(self.parting_patience):
                await self._asgi_send(message)

    async def _tell(self, refusal: Refusal) -> None:
        frame = {"type": "error", "code": refusal.code, "message": refusal.message, "next_step": refusal.next_step}
        await self._part({"type": "websocket.send", "text": json.dumps(frame, separators=(",", ":"))})

    async def _first_frame(self) -> dict[str, Any] | None:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._is_gone = True
            self.disconnect_code = message.get("code")
            return None
        return self._parse(message.get("text"))

    def _parse(self, text: str | None) -> dict[str, Any]:
        bad = bad_frame()
        if text is None or len(text) > TEXT_LIMIT:
            raise bad
        try:
            frame = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise bad from error
        if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
            raise bad
        if any(isinstance(value, dict | list) for value in frame.values()):
            raise bad  # no frame of ours holds another value than text, numbers and flags
        return frame

    async def _run(self) -> int:
        """Pump, receive and keep the lease until the first of them ends; raise what it raised."""
        with rechecked(self.scope["user"].pk) as recheck:
            tasks = {
                asyncio.create_task(work) for work in (self.pump(), self._take_frames(), self._keep_lease(recheck))
            }
            try:
                done, _pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            error = task.exception()
            if isinstance(error, OSError):
                self._is_gone = True  # sending failed: the browser went first
            elif error is not None:
                raise error
        return NORMAL

    async def _take_frames(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self._is_gone = True
                self.disconnect_code = message.get("code")
                return
            data = message.get("bytes")
            if data is None:
                await self.take_control(self._parse(message.get("text")))
            elif len(data) > self.frame_limit:
                raise Refusal(TOO_LARGE, code="too_large", message=_("This frame is larger than 1 MiB."))
            else:
                await self.take_bytes(data)

    async def _keep_lease(self, recheck: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        answered = loop.time()
        while True:
            # Not wait_for, which returns what arrives as it is cancelled, and this would then never end.
            with suppress(TimeoutError):
                async with asyncio.timeout(self.lease_interval):
                    await recheck.wait()
            recheck.clear()
            try:
                async with asyncio.timeout(self.lease_patience):
                    allowed = await in_database(self._is_allowed)
            except (DatabaseError, TimeoutError) as error:
                # Fail closed, but not at the first hiccup.
                logger.warning("lease not answered", error=str(error))
                if loop.time() - answered >= self.lease_patience:
                    raise Refusal(
                        FAILED,
                        code="lease",
                        message=_("Your rights could not be checked for 15 seconds, so the stream was closed."),
                        next_step=_("Try again when the console's database answers."),
                    ) from error
                continue
            answered = loop.time()
            if not allowed:
                raise Refusal(
                    REFUSED,
                    code="revoked",
                    message=_("Your session or your rights ended, so the stream was closed."),
                    next_step=_("Sign in again, or ask an admin."),
                )
            await self.renew()

    def _is_allowed(self) -> bool:
        is_signed_in: bool = self.scope["is_signed_in"]()
        return is_signed_in and self.may_go_on()
