"""The sockets of logs and statistics: authorise, open, pump, close. No SQL on the data path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from django.http import Http404
from django.utils.translation import gettext as _

from console.accounts.models import User
from console.audit.services import record_refusal
from console.containers.access import access_container, still_allowed
from console.gateway import (
    BackendError,
    Chunk,
    ContainerEngine,
    Window,
    open_engine,
)
from console.inventory.models import ObservedContainer
from console.lib.text import one_line
from console.lib.websocket import BAD_FRAME, FAILED, REFUSED, UNKNOWN, Refusal, StreamConsumer, in_database
from console.operations.errors import explain
from console.rbac.access import Refused
from console.terminals import protocol
from console.terminals.forms import LogsForm, TargetForm
from console.terminals.samples import sample_frame

#: Whether containers have a TTY, by their full id.
_ttys: dict[str, bool] = {}
MOST_TTYS: Final = 10_000


def _refuse_unknown(form: TargetForm) -> None:
    """Refuse a first frame with a key that means nothing. Raises ``Refusal``."""
    for key in form.unknown():
        message = _("“%(key)s” is no field of this stream.") % {"key": one_line(key, limit=100)}
        raise Refusal(BAD_FRAME, code="bad_frame", message=message)


class ContainerStream(StreamConsumer):
    """A stream of one container: fetches and authorises it, and asks again while the stream is open."""

    action: str
    container: ObservedContainer
    engine: ContainerEngine

    @property
    def user(self) -> User:
        """Who opened the socket."""
        user: User = self.scope["user"]
        return user

    async def access(self, *, host_id: Any, container_id: str, action: str) -> None:
        """Fetch and authorise. Raises ``Refusal`` with 4404 or 4403; nothing has reached the engine by then."""
        self.action = action

        def fetch() -> ObservedContainer:
            try:
                return access_container(self.user, host_id, container_id, action)
            except Refused as refused:
                record_refusal(refused, actor=self.user, origin=self.origin)
                raise

        try:
            self.container = await in_database(fetch)
        except Http404 as error:
            raise Refusal(
                UNKNOWN,
                code="not_found",
                message=_("This container does not exist."),
                next_step=_("Go back to the list of containers."),
            ) from error
        except Refused as error:
            raise Refusal(REFUSED, code=error.code, message=str(error)) from error
        self.engine = open_engine(self.container.host.endpoint)

    def failure(self, error: BackendError) -> Refusal:
        """An engine's error as what the browser is told."""
        reason = explain(error, name=self.container.name, host=self.container.host.name)
        return Refusal(FAILED, code=reason.code, message=reason.sentence, next_step=reason.next_step)

    def may_go_on(self) -> bool:
        """Whether the person, as the database knows them now, may still do what the stream does."""
        user = User.objects.filter(pk=self.user.pk).first()
        container = self.container
        return user is not None and still_allowed(
            user, host_id=container.host_id, container_id=container.container_id, action=self.action
        )


class WindowedStream(ContainerStream):
    """A stream of bytes that stops reading the engine while the browser has not rendered what was sent."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.window = Window()
        self._room = asyncio.Event()
        self._room.set()

    async def send_counted(self, data: bytes) -> None:
        """Send data, then wait until the window has room again."""
        self.window.send(len(data))
        await self.send_bytes(data)
        if not self.window.room:
            self._room.clear()
            await self._room.wait()

    def acknowledge(self, total: int) -> None:
        """Take the browser's running total. Raises ``Refusal`` for one that cannot be."""
        try:
            self.window.acknowledge(total)
        except ValueError as error:
            raise Refusal(BAD_FRAME, code="bad_frame", message=_("This frame is not one of the protocol's.")) from error
        if self.window.room:
            self._room.set()

    def parse(self, frame: dict[str, Any]) -> protocol.LogFrame:
        """Return the typed frame. Raises ``Refusal``."""
        try:
            return protocol.parse_log(frame)
        except protocol.BadFrame as error:
            raise Refusal(BAD_FRAME, code="bad_frame", message=_("This frame is not one of the protocol's.")) from error


class LogsConsumer(WindowedStream):
    """A container's log: frames of one channel's byte and the bytes as they came."""

    _chunks: AsyncIterator[Chunk] | None = None

    async def open(self, first: dict[str, Any]) -> None:
        """Authorise for the container that the first frame names, and ask the engine."""
        if first.pop("type") != "open":
            raise Refusal(BAD_FRAME, code="bad_frame", message=_("A log opens with what to read."))
        form = LogsForm(first)
        _refuse_unknown(form)
        if not form.is_valid():
            field, errors = next(iter(form.errors.items()))
            raise Refusal(BAD_FRAME, code="bad_frame", message=f"{field}: {errors[0]}")
        target = form.cleaned_data
        await self.access(host_id=target["host"], container_id=target["container"], action="container.logs")
        try:
            tty = await self._has_tty(target["container"])
        except BackendError as error:
            raise self.failure(error) from error
        self._chunks = self.engine.logs(target["container"], tty=tty, **form.arguments())
        await self.send_control({"type": "opened", "tty": tty, "window": self.window.limit})

    async def _has_tty(self, container_id: str) -> bool:
        """Whether the log is one channel: settled when a container is made, so the engine is asked once."""
        if container_id not in _ttys:
            if len(_ttys) >= MOST_TTYS:
                _ttys.clear()
            _ttys[container_id] = (await self.engine.inspect_container(container_id)).tty
        return _ttys[container_id]

    async def pump(self) -> None:
        """Send as fast as the browser takes it; no rest: the engine's socket buffer is small."""
        if self._chunks is None:
            return
        try:
            async for chunk in self._chunks:
                await self.send_counted(bytes((chunk.channel,)) + chunk.data)
        except BackendError as error:
            raise self.failure(error) from error
        await self.send_control({"type": "end"})

    async def take_control(self, frame: dict[str, Any]) -> None:
        """Acknowledge."""
        match self.parse(frame):
            case protocol.LogAck(bytes=total):
                self.acknowledge(total)
            case protocol.Ping(at=at):
                await self.send_control(protocol.serialise(protocol.Pong(at=at)))

    async def close(self) -> None:
        """Let go of the engine's stream."""
        if self._chunks is not None and hasattr(self._chunks, "aclose"):
            await self._chunks.aclose()


class StatsConsumer(ContainerStream):
    """A container's use of CPU, memory, network and disk, about once a second."""

    async def open(self, first: dict[str, Any]) -> None:
        """Authorise for the container that the first frame names."""
        kind = first.pop("type")
        form = TargetForm(first)
        _refuse_unknown(form)
        if kind != "open" or not form.is_valid():
            raise Refusal(BAD_FRAME, code="bad_frame", message=_("Statistics open with the container to watch."))
        await self.access(
            host_id=form.cleaned_data["host"],
            container_id=form.cleaned_data["container"],
            action="container.stats",
        )

    async def pump(self) -> None:
        """Send each sample."""
        samples = self.engine.stats(self.container.container_id)
        try:
            async for sample in samples:
                await self.send_control(sample_frame(sample))
        except BackendError as error:
            raise self.failure(error) from error
        finally:
            if hasattr(samples, "aclose"):
                await samples.aclose()
        await self.send_control({"type": "end"})
