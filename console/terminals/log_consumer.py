"""The socket of a log: authorise, open the hub's stream, pump. No SQL on the data path.

Binary frames are whole blocks of the log, as the hub sends them: a byte of channel, four of length, and the lines.
"""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext as _

from console.gateway import (
    BackendError,
    HubAway,
    HubRefused,
    HubStream,
    Output,
    endpoint_for_hub,
    hub_client,
    hub_messages,
)
from console.lib.websocket import FAILED, Refusal, bad_frame
from console.terminals import protocol
from console.terminals.consumers import ContainerStream, refuse_unknown
from console.terminals.forms import LogsForm

#: Whether containers have a TTY, by their full id.
_ttys: dict[str, bool] = {}
MOST_TTYS: Final = 10_000


def _hub_away() -> Refusal:
    return Refusal(
        FAILED,
        code="hub_away",
        message=_("The part of the console that reads logs does not answer."),
        next_step=_("Try again in some seconds; if that does not help, tell an admin."),
    )


class LogsConsumer(ContainerStream):
    """A container's log: one browser's view of what the hub reads once for all."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.stream: HubStream | None = None
        self._sent = 0
        self._acknowledged = 0

    async def open(self, first: dict[str, Any]) -> None:
        """Authorise for the container that the first frame names, and ask the hub."""
        if first.pop("type") != "open":
            raise bad_frame(_("A log opens with what to read."))
        form = LogsForm(first)
        refuse_unknown(form)
        if not form.is_valid():
            field, errors = next(iter(form.errors.items()))
            raise bad_frame(f"{field}: {errors[0]}")
        target = form.cleaned_data
        await self.access(host_id=target["host"], container_id=target["container"], action="container.logs")
        try:
            tty = await self._has_tty(target["container"])
        except BackendError as error:
            raise self.failure(error) from error
        order = hub_messages.FollowLog(
            endpoint=endpoint_for_hub(self.container.host.endpoint),
            container_id=target["container"],
            tty=tty,
            **form.arguments(),
        )
        try:
            self.stream = await hub_client().open(order)
        except HubAway as error:
            raise _hub_away() from error
        except HubRefused as error:
            raise Refusal(FAILED, code=error.code, message=error.message or error.code) from error
        await self.send_control({"type": "opened", "tty": tty, "window": self.stream.opened.window})

    async def _has_tty(self, container_id: str) -> bool:
        """Whether the log is one channel: settled when a container is made, so the engine is asked once."""
        if container_id not in _ttys:
            if len(_ttys) >= MOST_TTYS:
                _ttys.clear()
            _ttys[container_id] = (await self.engine.inspect_container(container_id)).tty
        return _ttys[container_id]

    async def pump(self) -> None:
        """Send what the hub sends: it waits for the browser's acknowledgements."""
        if self.stream is None:
            return
        while (item := await self.stream.receive()) is not None:
            match item:
                case Output(data=data):
                    self._sent += len(data)
                    await self.send_bytes(data)
                case hub_messages.Skipped(lost=lost):
                    await self.send_control({"type": "skipped", "lost": lost})
                case hub_messages.Ended(error=error):
                    if error is not None:
                        raise self.failure(hub_messages.error_from(error))
                    await self.send_control({"type": "end"})
                    return
                case _:
                    pass  # what concerns terminals
        raise _hub_away()

    async def take_control(self, frame: dict[str, Any]) -> None:
        """Acknowledge."""
        try:
            parsed = protocol.parse_log(frame)
        except protocol.BadFrame as error:
            raise bad_frame() from error
        match parsed:
            case protocol.LogAck(bytes=total):
                if not self._acknowledged <= total <= self._sent or self.stream is None:
                    raise bad_frame()
                self._acknowledged = total
                self.stream.send(hub_messages.Ack(offset=total))
            case protocol.Ping(at=at):
                await self.send_control(protocol.serialise(protocol.Pong(at=at)))

    async def close(self) -> None:
        """Let go of the hub's stream."""
        if self.stream is not None:
            self.stream.send(hub_messages.Leave(how="closed"))
            self.stream.close()
