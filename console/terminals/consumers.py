"""The sockets of terminals, logs and statistics: authorise, open, pump, close. No SQL on the data path."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final
from weakref import WeakKeyDictionary

import structlog
from django.http import Http404
from django.utils.translation import gettext as _

from console.accounts.models import User
from console.audit.models import Outcome
from console.audit.services import record_refusal
from console.containers.access import access_container, still_allowed
from console.gateway import (
    BackendError,
    Chunk,
    ContainerEngine,
    NotFound,
    ProtocolError,
    Terminal,
    Terminated,
    TimedOut,
    Unreachable,
    Window,
    open_engine,
)
from console.inventory.models import ObservedContainer
from console.lib.text import one_line
from console.lib.websocket import BAD_FRAME, FAILED, REFUSED, TOO_LARGE, UNKNOWN, Refusal, StreamConsumer, in_database
from console.operations.errors import explain
from console.rbac.access import Refused
from console.terminals import holding, protocol, services, shells
from console.terminals.forms import LogsForm, TargetForm
from console.terminals.models import TerminalKind, TerminalSession
from console.terminals.samples import sample_frame

logger = structlog.get_logger(__name__)

#: Seconds of rest after a burst's frame, so that the rest of the burst becomes one large frame.
REST: Final = 0.004
#: A smaller frame is a keystroke's echo: the next may follow at once.
BURST: Final = 1024
#: Input kept for an engine that does not take it: more than what the browser may have on its way.
INPUT_LIMIT: Final = 2 * protocol.INPUT_WINDOW
#: The engine is asked for more of a log once this much of the last has been taken.
LOG_FRAME: Final = 256 * 1024


#: How a session is said to have ended when it was us who closed it; in the record's language, not the person's.
_END_REASONS: Final = {
    "revoked": "the person's session or rights ended",
    "lease": "the person's rights could not be checked",
    "bad_frame": "the browser sent a frame that is none",
    "too_large": "the browser sent a frame that is too large",
}


#: Whether containers have a TTY, by their full id.
_ttys: dict[str, bool] = {}
MOST_TTYS: Final = 10_000

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def _turn_to_kill() -> asyncio.Semaphore:
    """Many tabs that close at once take turns, so that terminals that are just opening need not wait for all."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(services.KILLS_AT_ONCE))


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

    def parse(self, frame: dict[str, Any]) -> protocol.BrowserFrame:
        """Return the typed frame. Raises ``Refusal``."""
        try:
            return protocol.parse(frame)
        except protocol.BadFrame as error:
            raise Refusal(BAD_FRAME, code="bad_frame", message=_("This frame is not one of the protocol's.")) from error


class TerminalConsumer(WindowedStream):
    """A shell in a container, or its main process."""

    session: TerminalSession | None = None
    terminal: Terminal | None = None
    exit_code: int | None = None
    end_reason = "the browser went"
    #: How that goes on record, unless a refusal has its row already.
    outcome: Outcome | None = Outcome.CANCELLED
    #: Whether the engine may have begun to run something.
    may_run = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        #: What was typed and the engine has not taken yet; None is the end of input.
        self._input: deque[bytes | None] = deque()
        self._input_size = 0
        self._input_arrived = asyncio.Event()
        self._was_typed_into = False
        self._input_ended = False

    async def open(self, first: dict[str, Any]) -> None:
        """Redeem the ticket, authorise again with the rights of now, and open the engine's socket."""
        frame = self.parse(first)
        if not isinstance(frame, protocol.Open):
            raise Refusal(BAD_FRAME, code="bad_frame", message=_("A terminal opens with its ticket."))
        try:
            session = await in_database(
                lambda: services.redeem_ticket(actor=self.user, session_key=self.session_key, ticket=frame.ticket)
            )
        except services.TicketSpent as error:
            raise Refusal(
                UNKNOWN,
                code="ticket",
                message=_("The ticket of this terminal was used or has expired."),
                next_step=_("Open the terminal again."),
            ) from error
        self.session = session
        holding.hold(session.pk)
        try:
            await self.access(
                host_id=session.host_id, container_id=session.container_id, action=services.ACTIONS[session.kind]
            )
        except Refusal as refusal:
            self.end_reason = "the container is not there" if refusal.close_code == UNKNOWN else "it was refused"
            self.outcome = Outcome.FAILED if refusal.close_code == UNKNOWN else None
            raise
        try:
            await self._connect(session, frame)
        except BackendError as error:
            self.end_reason = error.message
            self.outcome = Outcome.FAILED
            # A definite no means that nothing runs; a silence does not.
            self.may_run = self.may_run and isinstance(error, Unreachable | TimedOut | Terminated | ProtocolError)
            if error.reason in shells.NOT_RUN_REASONS:
                await self._offer_shells()
            raise self.failure(error) from error
        self.outcome = Outcome.SUCCEEDED
        await self.send_control(
            protocol.serialise(
                protocol.Opened(session=str(session.pk), tty=self._opened().tty, window=self.window.limit)
            )
        )

    async def _connect(self, session: TerminalSession, frame: protocol.Open) -> None:
        if session.kind == TerminalKind.ATTACH:
            detail = await self.engine.inspect_container(session.container_id)
            self.terminal = await self.engine.attach(session.container_id, tty=detail.tty, stdin=detail.open_stdin)
            if detail.tty:
                await self._resize(self.terminal, columns=frame.columns, rows=frame.rows)
            return
        spec = shells.exec_spec(session.parameters, marker=session.marker, columns=frame.columns, rows=frame.rows)
        self.may_run = True
        self.terminal = await self.engine.open_exec(session.container_id, spec)

    async def _resize(self, terminal: Terminal, *, columns: int, rows: int) -> None:
        try:
            await terminal.resize(columns=columns, rows=rows)
        except BackendError as error:
            # The process is just ending; the pump says so.
            logger.info("terminal not resized", error=error.message)

    def _opened(self) -> Terminal:
        if self.terminal is None:
            raise Refusal(BAD_FRAME, code="bad_frame", message=_("This terminal is not open."))
        return self.terminal

    async def pump(self) -> None:
        """Send at once when idle; rest after a burst's frame, while the next gathers in the transport."""
        terminal = self._opened()
        writer = asyncio.create_task(self._write_input(terminal))
        try:
            if terminal.tty:
                await self._pump_bytes(terminal)
            else:
                await self._pump_chunks(terminal)
            self.exit_code = await self._find_exit_code(terminal)
        except BackendError as error:
            self.end_reason = error.message
            raise self.failure(error) from error
        finally:
            writer.cancel()
        self.end_reason = "the process ended"
        # A shell ends with 127 too, when the last command typed into it was not found.
        could_not_run = self.exit_code in shells.NOT_RUN and self.window.sent < shells.LONGEST_REFUSAL
        if could_not_run and not self._was_typed_into:
            await self._offer_shells()
        await self.send_control(protocol.serialise(protocol.Exit(code=self.exit_code)))

    async def _pump_bytes(self, terminal: Terminal) -> None:
        while data := await terminal.read():
            await self.send_counted(data)
            if len(data) >= BURST:
                await asyncio.sleep(REST)

    async def _pump_chunks(self, terminal: Terminal) -> None:
        while (chunk := await terminal.read_chunk()) is not None:
            await self.send_counted(bytes((chunk.channel,)) + chunk.data)

    async def _find_exit_code(self, terminal: Terminal) -> int | None:
        if self.session is not None and self.session.kind == TerminalKind.ATTACH:
            detail = await self.engine.inspect_container(self.session.container_id)
            return detail.container.exit_code
        return await terminal.exit_code()

    async def _offer_shells(self) -> None:
        """The command could not be run: let the person choose another."""
        command = self.session.parameters.get("command") if self.session else None
        message = (
            _("“%(command)s” cannot be run in this container.") % {"command": " ".join(command)}
            if command
            else _("This container has neither bash nor sh.")
        )
        await self.send_control(
            {
                "type": "choose",
                "message": message,
                "next_step": _("Choose another command, or type one that the image has."),
                "commands": list(shells.CHOICES),
            }
        )

    async def take_bytes(self, data: bytes) -> None:
        """Queue input for the engine. Raises ``Refusal`` for a browser that ignores how much was taken.

        Not written here: the engine may take nothing before its output is read, and that waits for acknowledgements,
        which arrive behind this input. Nor waited for: the browser's going arrives behind it too.
        """
        self._opened()
        if not data or self._input_ended:
            return  # nothing would not count against the limit
        self._was_typed_into = True
        if self._input_size > INPUT_LIMIT:
            raise Refusal(
                TOO_LARGE,
                code="too_large",
                message=_("More was sent to this terminal than its process takes, so the stream was closed."),
                next_step=_("Open the terminal again and send less at once."),
            )
        self._input.append(data)
        self._input_size += len(data)
        self._input_arrived.set()

    async def _write_input(self, terminal: Terminal) -> None:
        taken = told = 0
        try:
            while True:
                while not self._input:
                    self._input_arrived.clear()
                    await self._input_arrived.wait()
                data = self._input.popleft()
                if data is None:
                    await terminal.write_eof()
                    continue
                await terminal.write(data)
                taken += len(data)
                self._input_size -= len(data)
                if taken - told >= protocol.TAKEN_EVERY:
                    told = taken
                    await self.send_control(protocol.serialise(protocol.Taken(bytes=taken)))
        except BackendError as error:
            # Nobody reads there any more: the pump finds out how it ended.
            logger.info("terminal takes no input", error=error.message)
        except OSError as error:
            logger.info("browser went", error=str(error))

    async def take_control(self, frame: dict[str, Any]) -> None:
        """Resize, acknowledge, end of input, ping."""
        terminal = self._opened()
        match self.parse(frame):
            case protocol.Ack(bytes=total):
                self.acknowledge(total)
            case protocol.Resize(columns=columns, rows=rows) if terminal.tty:
                await self._resize(terminal, columns=columns, rows=rows)
            case protocol.End() if not self._input_ended:
                # After what was typed before it.
                self._input_ended = True
                self._input.append(None)
                self._input_arrived.set()
            case protocol.Ping(at=at):
                await self.send_control(protocol.serialise(protocol.Pong(at=at)))
            case protocol.Open():
                raise Refusal(BAD_FRAME, code="bad_frame", message=_("This terminal is open already."))

    async def close(self) -> None:
        """End the process and its children, verify, and note how the session ended."""
        session = self.session
        if session is None:
            return
        if self.refusal is not None:
            self.end_reason = _END_REASONS.get(self.refusal.code, self.end_reason)
        try:
            clean = await self._end_processes(session)
        finally:
            holding.let_go(session.pk)
            if self.terminal is not None:
                await self.terminal.close()
        if clean:  # else the reaper goes on with it
            await in_database(
                lambda: services.end_session(
                    session_id=session.pk, reason=self.end_reason, exit_code=self.exit_code, outcome=self.outcome
                )
            )

    async def _end_processes(self, session: TerminalSession) -> bool:
        """End what runs or may run, and return whether nothing is left. A main process is never touched."""
        if not self.may_run or self.exit_code is not None:
            return True
        try:
            async with _turn_to_kill(), asyncio.timeout(services.KILL_PATIENCE):
                return await self.engine.kill_execs(session.container_id, marker=session.marker)
        except NotFound:
            return True  # the container is gone, and with it every process
        except (BackendError, TimeoutError) as error:
            logger.warning("terminal not ended", session=str(session.pk), error=str(error))
            return False


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
            case protocol.Ack(bytes=total):
                self.acknowledge(total)
            case protocol.Ping(at=at):
                await self.send_control(protocol.serialise(protocol.Pong(at=at)))
            case _:
                raise Refusal(BAD_FRAME, code="bad_frame", message=_("A log takes no input."))

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
