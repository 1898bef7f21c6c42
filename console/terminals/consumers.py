"""What the sockets of a container have in common, and the one of its statistics."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.utils.translation import gettext as _

from console.accounts.models import User
from console.audit.services import record_refusal
from console.containers.access import access_container, still_allowed
from console.gateway import BackendError, ContainerEngine, open_engine
from console.inventory.models import ObservedContainer
from console.lib.text import one_line
from console.lib.websocket import BAD_FRAME, FAILED, REFUSED, UNKNOWN, Refusal, StreamConsumer, in_database
from console.operations.errors import explain
from console.rbac.access import Refused
from console.terminals.forms import TargetForm
from console.terminals.samples import sample_frame


def refuse_unknown(form: TargetForm) -> None:
    """Refuse a first frame with a key that means nothing. Raises ``Refusal``."""
    for key in form.unknown():
        message = _("“%(key)s” is no field of this stream.") % {"key": one_line(key, limit=100)}
        raise Refusal(BAD_FRAME, code="bad_frame", message=message)


def unknown_container() -> Refusal:
    """The same for a container that is not there and for one that the person may not know of."""
    return Refusal(
        UNKNOWN,
        code="not_found",
        message=_("This container does not exist."),
        next_step=_("Go back to the list of containers."),
    )


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
            raise unknown_container() from error
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


class StatsConsumer(ContainerStream):
    """A container's use of CPU, memory, network and disk, about once a second."""

    async def open(self, first: dict[str, Any]) -> None:
        """Authorise for the container that the first frame names."""
        kind = first.pop("type")
        form = TargetForm(first)
        refuse_unknown(form)
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
