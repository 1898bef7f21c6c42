"""The socket of a terminal: authorise, open the hub's stream, pump both ways. No SQL on the data path."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import structlog
from django.http import Http404
from django.utils.translation import gettext as _

from console.accounts.models import User
from console.audit.models import Outcome
from console.audit.services import record_refusal
from console.containers.access import access_container
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
from console.lib.websocket import FAILED, REFUSED, TOO_LARGE, UNKNOWN, Refusal, StreamConsumer, bad_frame, in_database
from console.operations.errors import explain
from console.policies.queries import ShellTerms, terms_of
from console.rbac.access import Refused
from console.recordings.services import plan_recording
from console.recordings.words import why_unrecorded
from console.terminals import protocol, services, shells
from console.terminals.access import ACTIONS, REVOKED, Place, check_let_in, rights_at, why_lost
from console.terminals.consumers import unknown_container
from console.terminals.models import TerminalKind, TerminalSession

logger = structlog.get_logger(__name__)

#: Input kept for an engine that does not take it: more than what the browser may have on its way.
INPUT_LIMIT: Final = 2 * protocol.INPUT_WINDOW
#: How browsers close a page: normally, or by going elsewhere.
_CLOSED_PAGE: Final = (1000, 1001)
#: How the server tells of a connection that just ended, for whatever reason.
_NO_WORD: Final = 1005
#: Seconds of silence before such an end that speak of a lost network, or of a machine that sleeps: browsers say
#: something every five. Whoever was just there and cut the connection has gone.
_SILENCE: Final = 15.0
#: The server itself ends: the browser comes back to the next one.
_GOING_AWAY: Final = 1012
#: Seconds that the end of a terminal may take while its socket is still open.
_END_PATIENCE: Final = 2.0


class TerminalConsumer(StreamConsumer):
    """A shell in a container, or its main process: one browser's view of what the hub holds."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.session: TerminalSession | None = None
        self.rights = self._rights_now = Place()
        self._why_lost = REVOKED
        self.stream: HubStream | None = None
        self.ended: hub_messages.Ended | None = None
        #: The offset of the next byte of input, and how much of it was taken.
        self._typed = 0
        self._taken = 0
        self._offset = 0
        self._heard_at = time.monotonic()

    @property
    def user(self) -> User:
        """Who opened the socket."""
        user: User = self.scope["user"]
        return user

    # Opening

    async def open(self, first: dict[str, Any]) -> None:
        """Redeem the ticket, authorise again with the rights of now, and open the hub's stream."""
        frame = self._parse_frame(first)
        if not isinstance(frame, protocol.Open):
            raise bad_frame(_("A terminal opens with its ticket."))
        try:
            order = await in_database(lambda: self._enter(frame))
        except services.TicketSpent as error:
            raise Refusal(
                UNKNOWN,
                code="ticket",
                message=_("The ticket of this terminal was used or has expired."),
                next_step=_("Open the terminal again."),
            ) from error
        except Http404 as error:
            await self._note_end("the container is not there", Outcome.FAILED)
            raise unknown_container() from error
        except Refused as error:
            await self._note_end("it was refused", None)
            raise Refusal(REFUSED, code=error.code, message=str(error)) from error
        try:
            self.stream = await hub_client().open(order)
        except HubAway as error:
            if isinstance(order, hub_messages.OpenTerminal):
                await self._note_end("the stream hub did not answer", Outcome.FAILED)
            raise Refusal(
                FAILED,
                code="hub_away",
                message=_("The part of the console that holds terminals does not answer."),
                next_step=_("Try again in some seconds; if that does not help, tell an admin."),
            ) from error
        except HubRefused as error:
            await self._refused(error, is_new=isinstance(order, hub_messages.OpenTerminal))
            raise
        await self._greet(self.stream.opened)

    def _enter(self, frame: protocol.Open) -> hub_messages.OpenTerminal | hub_messages.JoinTerminal:
        """Redeem and authorise; in a thread, all of it in one go. Raises ``TicketSpent``, ``Http404``, ``Refused``."""
        session, is_new = services.redeem_ticket(actor=self.user, session_key=self.session_key, ticket=frame.ticket)
        if is_new:
            self.session = session
        action = ACTIONS[session.kind]
        if not is_new:
            rights = rights_at(self.user, session)
            if rights is None:
                lost = Refused(
                    "terminal.watch",
                    message=_("You may not use this terminal any more."),
                    host=session.host,
                    object_id=session.container_id,
                    object_name=session.container_name,
                )
                record_refusal(lost, actor=self.user, origin=self.origin)
                raise lost
            self.session, self.rights = session, rights
            return hub_messages.JoinTerminal(
                session=str(session.pk),
                viewer=self._viewer(frame),
                columns=frame.columns,
                rows=frame.rows,
                from_offset=frame.from_offset,
            )
        try:
            container = access_container(self.user, session.host_id, session.container_id, action)
            check_let_in(self.user, container, kind=session.kind)
        except Refused as refused:
            record_refusal(refused, actor=self.user, origin=self.origin)
            raise
        self.rights = Place(owns=True, watches=True, types=True)
        terms = terms_of(container.team_id)
        return hub_messages.OpenTerminal(
            session=str(session.pk),
            endpoint=endpoint_for_hub(container.host.endpoint),
            container_id=session.container_id,
            spec=shells.exec_spec(session.parameters) if session.kind == TerminalKind.EXEC else None,
            marker_variable=shells.MARKER_VARIABLE,
            viewer=self._viewer(frame),
            columns=frame.columns,
            rows=frame.rows,
            limits=_limits(terms),
            recording=plan_recording(session, terms),
        )

    def _viewer(self, frame: protocol.Open) -> hub_messages.Viewer:
        return hub_messages.Viewer(
            # Of this person alone: another's tab of the same name is another viewer.
            id=f"{self.user.pk}.{frame.viewer}",
            person=str(self.user.pk),
            name=self.user.get_username(),
            types=self.rights.types,
            owns=self.rights.owns,
            typed=frame.typed,
        )

    async def _refused(self, error: HubRefused, *, is_new: bool) -> None:
        """Turn what the hub says into what the browser is told. Raises ``Refusal``."""
        if error.error is not None:
            # What may be left is the reaper's, which finds the session without a hub.
            if error.clean:
                await self._note_end(error.error.message, Outcome.FAILED)
            if error.error.reason in shells.NOT_RUN_REASONS:
                await self._offer_shells()
            raise self._failure(error.error) from error
        if error.code == "unknown_session":
            code = self._session().exit_code
            message = (
                _("This terminal has ended.")
                if code is None
                else _("The process ended with exit code %(code)s.") % {"code": code}
            )
            raise Refusal(UNKNOWN, code="ended", message=message, next_step=_("Open it again.")) from error
        if error.code == "unrecorded":
            session = self._session()
            await in_database(lambda: services.note_end(session.pk, hub_messages.Ended(reason="unrecorded")))
            raise Refusal(
                FAILED,
                code="unrecorded",
                message=_("Shells here must be recorded, and this one cannot be, so nothing was run."),
                next_step=why_unrecorded(error.message),
            ) from error
        if is_new:
            await self._note_end(error.message or error.code, Outcome.FAILED)
        raise Refusal(FAILED, code=error.code, message=error.message or error.code) from error

    async def _greet(self, opened: hub_messages.Opened) -> None:
        session = self._session()
        self._typed = self._taken = opened.taken
        self._offset = opened.offset
        await self.send_control(
            protocol.serialise(
                protocol.Opened(
                    session=str(session.pk),
                    name=session.title,
                    tty=opened.tty,
                    window=opened.window,
                    offset=opened.offset,
                    end=opened.end,
                    reset=opened.reset,
                    lost=opened.lost,
                    preamble=opened.preamble,
                    taken=opened.taken,
                    recorded=opened.recorded,
                    locked=opened.locked,
                    types=self.rights.types,
                    owns=self.rights.owns,
                )
            )
        )
        if session.holder != opened.hub:
            await in_database(lambda: services.note_opened(session.pk, hub=opened.hub))

    def _session(self) -> TerminalSession:
        if self.session is None:
            raise bad_frame(_("This terminal is not open."))
        return self.session

    def _opened(self) -> HubStream:
        if self.stream is None:
            raise bad_frame(_("This terminal is not open."))
        return self.stream

    def _failure(self, error: BackendError) -> Refusal:
        session = self._session()
        reason = explain(error, name=session.container_name, host=session.host.name)
        return Refusal(FAILED, code=reason.code, message=reason.sentence, next_step=reason.next_step)

    # Output

    async def pump(self) -> None:
        """Pass on what the hub sends; it sends no more than the browser's window has room for."""
        stream = self._opened()
        while (item := await stream.receive()) is not None:
            match item:
                case Output(offset=offset, data=data):
                    self._offset = offset + len(data)
                    await self.send_bytes(data)
                case hub_messages.Taken(bytes=taken):
                    self._taken = taken
                    await self._say(protocol.Taken(bytes=taken))
                case hub_messages.Size(columns=columns, rows=rows):
                    await self._say(protocol.Size(columns=columns, rows=rows))
                case hub_messages.Present(viewers=viewers):
                    await self._say(protocol.Present(viewers=viewers))
                case hub_messages.Notice(code="unrecorded", text=code):
                    await self._say(protocol.Notice(code="unrecorded", by="", text=why_unrecorded(code)))
                case hub_messages.Notice(code=code, by=by, text=text):
                    await self._say(protocol.Notice(code=code, by=by, text=text))
                case hub_messages.Skipped(offset=offset, lost=lost, preamble=preamble):
                    await self._say(protocol.Skipped(offset=offset, lost=lost, preamble=preamble))
                case hub_messages.Dismissed(reason=reason):
                    await self._say(protocol.Dismissed(reason=reason))
                    return
                case hub_messages.Ended() as ended:
                    await self._end(ended)
                    return
        raise Refusal(
            FAILED,
            code="hub_away",
            message=_("The part of the console that holds terminals has ended, and with it this terminal."),
            next_step=_("Open it again."),
        )

    async def _say(self, frame: protocol.ServerFrame) -> None:
        await self.send_control(protocol.serialise(frame))

    async def _end(self, ended: hub_messages.Ended) -> None:
        self.ended = ended
        if ended.error is not None:
            raise self._failure(hub_messages.error_from(ended.error))
        # A shell ends with 127 too, when the last command typed into it was not found.
        could_not_run = ended.exit_code in shells.NOT_RUN and self._offset < shells.LONGEST_REFUSAL
        if ended.reason == "exited" and could_not_run and not self._typed:
            await self._offer_shells()
        message = why_unrecorded(ended.message) if ended.reason == "unrecorded" else ended.message
        await self._say(protocol.Exit(code=ended.exit_code, reason=ended.reason, by=ended.by, message=message))

    async def _offer_shells(self) -> None:
        """The command could not be run: let the person choose another."""
        command = self._session().parameters.get("command")
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

    # Input

    async def take_bytes(self, data: bytes) -> None:
        """Pass input on. Raises ``Refusal`` for a browser that ignores how much was taken."""
        stream = self._opened()
        self._heard_at = time.monotonic()
        if not data:
            return
        if self._typed - self._taken > INPUT_LIMIT:
            raise Refusal(
                TOO_LARGE,
                code="too_large",
                message=_("More was sent to this terminal than its process takes, so the stream was closed."),
                next_step=_("Open the terminal again and send less at once."),
            )
        stream.write(self._typed, data)
        self._typed += len(data)

    def _parse_frame(self, frame: dict[str, Any]) -> protocol.BrowserFrame:
        try:
            return protocol.parse(frame)
        except protocol.BadFrame as error:
            raise bad_frame() from error

    async def take_control(self, frame: dict[str, Any]) -> None:
        """Resize, acknowledge, end of input, ping, close, leave."""
        stream = self._opened()
        self._heard_at = time.monotonic()
        match self._parse_frame(frame):
            case protocol.Ack(offset=offset):
                if offset > self._offset:
                    raise bad_frame()
                stream.send(hub_messages.Ack(offset=offset))
            case protocol.Resize(columns=columns, rows=rows):
                stream.send(hub_messages.Resize(columns=columns, rows=rows))
            case protocol.End():
                stream.send(hub_messages.EndInput())
            case protocol.Ping(at=at):
                await self._say(protocol.Pong(at=at))
            case protocol.Close():
                # Of who does not own it the hub takes it for a going.
                stream.send(hub_messages.Leave(how="end"))
            case protocol.Quit():
                stream.send(hub_messages.Leave(how="closed"))
            case protocol.Open():
                raise bad_frame(_("This terminal is open already."))

    # Rights

    def may_go_on(self) -> bool:
        """Whether the person, as the database knows them now, may still be at the terminal as they are."""
        user = User.objects.filter(pk=self.user.pk).first()
        # Also whose it is may have changed.
        session = TerminalSession.objects.select_related("host").filter(pk=self._session().pk).first()
        if session is not None:
            self.session = session
        rights = rights_at(user, session) if user is not None and session is not None else None
        if rights is not None:
            self._rights_now = rights
        elif session is not None:
            self._why_lost = why_lost(user, session)
        return rights is not None

    async def renew(self) -> None:
        """Have the hub let the person do what their rights allow by now: type, own it, or only watch."""
        now, before, session = self._rights_now, self.rights, self._session()
        self.rights = now
        if (now.types, now.owns) == (before.types, before.owns):
            return
        order = hub_messages.SetPerson(
            session=str(session.pk), person=str(self.user.pk), types=now.types, owns=now.owns
        )
        try:
            await hub_client().ask(order)
        except (HubAway, HubRefused) as error:
            # The terminal ends, and the pump says so.
            logger.info("rights not passed on", session=str(session.pk), error=str(error))

    # The end

    async def close(self) -> None:
        """Say how this viewer went: what that means for the terminal is the hub's to know."""
        session = self.session
        if session is None:
            return
        if self.stream is not None:
            if self.refusal is not None and self.refusal.code == "revoked":
                await self._revoke(session, self.stream)
            how = self._how_it_left()
            if how is not None and self.ended is None:
                self.stream.send(hub_messages.Leave(how=how))
            self.stream.close()
        if self.ended is not None and self.ended.clean:  # else the worker ends what is left, and notes it
            ended = self.ended
            await in_database(lambda: services.note_end(session.pk, ended))

    def _how_it_left(self) -> str | None:
        if self.refusal is not None:
            if self.refusal.code == "lease":
                return "lost"
            # What speaks another protocol than ours cannot come back to it either.
            return "end" if self.rights.owns else "closed"
        if self.disconnect_code is None:
            # The browser took nothing for too long, or this server ends: nobody said goodbye.
            return "lost" if self._is_gone else None
        if self.disconnect_code == _GOING_AWAY:
            return None
        was_there = time.monotonic() - self._heard_at < _SILENCE
        if self.disconnect_code in _CLOSED_PAGE or (self.disconnect_code == _NO_WORD and was_there):
            return "closed"
        return "lost"

    async def _revoke(self, session: TerminalSession, stream: HubStream) -> None:
        """Whose rights ended is out: with the terminal, if it is theirs."""
        order: hub_messages.Order = (
            hub_messages.EndTerminal(session=str(session.pk), reason=self._why_lost)
            if session.person_id == self.user.pk
            else hub_messages.SetPerson(session=str(session.pk), person=str(self.user.pk), views=False)
        )
        try:
            await hub_client().ask(order)
            async with asyncio.timeout(_END_PATIENCE):
                while (item := await stream.receive()) is not None:
                    if isinstance(item, hub_messages.Ended):
                        self.ended = item
        except (HubAway, HubRefused, TimeoutError) as error:
            # The worker looks after it.
            logger.warning("terminal not ended yet", session=str(session.pk), error=str(error))

    async def _note_end(self, reason: str, outcome: Outcome | None) -> None:
        session = self.session
        if session is not None:
            await in_database(lambda: services.end_session(session_id=session.pk, reason=reason, outcome=outcome))


def _limits(terms: ShellTerms) -> hub_messages.Limits:
    return hub_messages.Limits(idle=terms.idle_seconds, age=terms.age_seconds)
