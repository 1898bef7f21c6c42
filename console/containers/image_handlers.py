"""The worker side of every change to an image.

Each may run again after a crash: engines keep the layers they have, a tag that is there is there, and what is gone is
gone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from console.gateway import Conflict, ContainerState, LayerPhase, NotFound, PullProgress, RegistryCredentials
from console.operations.errors import Failure
from console.operations.registry import OperationContext, register

_LONGEST_PULL = 6 * 3600
_MOST_NAMES = 5


@dataclass(slots=True)
class _Layer:
    """One layer of a pull, as far as the engine told."""

    phase: LayerPhase = LayerPhase.WAITING
    current: int = 0
    total: int = 0
    #: Bytes of the layer that have arrived; extracting counts anew and must not turn them back.
    downloaded: int = 0


class _Pull:
    """Adds up what an engine says of its layers."""

    def __init__(self) -> None:
        self._layers: dict[str, _Layer] = {}

    def feed(self, step: PullProgress) -> bool:
        """Take one message; says whether a layer entered another phase."""
        if not step.layer_id or step.phase is None:
            return False
        layer = self._layers.setdefault(step.layer_id, _Layer())
        entered = layer.phase is not step.phase
        layer.phase, layer.current = step.phase, step.current_bytes
        layer.total = max(layer.total, step.total_bytes)
        if step.phase is LayerPhase.DOWNLOADING:
            layer.downloaded = step.current_bytes
        elif step.phase is not LayerPhase.WAITING:
            layer.downloaded = layer.total
        if step.phase in (LayerPhase.DONE, LayerPhase.EXISTS):
            layer.current = layer.total
        return entered

    @property
    def has_bytes(self) -> bool:
        """Whether anything has arrived."""
        return any(layer.downloaded for layer in self._layers.values())

    @property
    def is_extracting(self) -> bool:
        """Whether every byte is here and only unpacking is left."""
        waits = (LayerPhase.WAITING, LayerPhase.DOWNLOADING)
        phases = [layer.phase for layer in self._layers.values()]
        return LayerPhase.EXTRACTING in phases and not any(phase in waits for phase in phases)

    def report(self, context: OperationContext) -> None:
        """Tell bytes in all and by layer."""
        layers: list[dict[str, Any]] = [
            {"id": layer_id, "phase": layer.phase.value, "current": layer.current, "total": layer.total}
            for layer_id, layer in self._layers.items()
        ]
        context.progress(
            current=sum(layer.downloaded for layer in self._layers.values()),
            total=sum(layer.total for layer in self._layers.values()),
            unit="bytes",
            layers=layers,
        )


async def pull_with_progress(
    context: OperationContext, reference: str, *, credentials: RegistryCredentials | None = None
) -> None:
    """Pull ``reference`` within the phase at hand, telling bytes by layer; cancelled, it stops the engine's pull too.

    Raises ``BackendError``.
    """
    pull = _Pull()
    context.fault("image.pull.started")
    extracting = False
    # The protocol promises that closing it cancels the pull, so it is more than an iterator.
    stream = cast("AsyncGenerator[PullProgress, None]", context.engine.pull_image(reference, credentials=credentials))
    async with aclosing(stream) as steps:
        async for step in steps:
            entered = pull.feed(step)
            if not step.layer_id:
                context.output(step.message)
            elif entered:
                context.output(f"{step.layer_id}: {step.message}")
            pull.report(context)
            if pull.has_bytes:
                context.fault("image.pull.progress")
            if pull.is_extracting and not extracting:
                extracting = True
                context.say(_("Unpacking %(image)s") % {"image": reference})
    context.fault("image.pull.pulled")


@register(
    "image.pull",
    title=gettext_lazy("Pull %(name)s"),
    cancellable=True,
    timeout=_LONGEST_PULL,
    secrets=("credentials",),
)
async def pull(context: OperationContext) -> None:
    """Pull an image; what an engine has of it already is not fetched again."""
    reference = str(context.arguments["reference"])
    context.phase("pull", _("Pulling %(image)s") % {"image": reference})
    # A pull may be silent for minutes; that the engine answers at all shows within seconds.
    await context.engine.ping()
    await pull_with_progress(context, reference, credentials=_credentials(context.arguments.get("credentials")))
    try:
        detail = await context.engine.inspect_image(reference)
    except NotFound as error:
        raise Failure(
            "image_missing",
            _("The engine says that it pulled %(image)s and does not have it: somebody removed it at once.")
            % {"image": reference},
            next_step=_("Retry."),
        ) from error
    context.result(image_id=detail.image.image_id, size_bytes=detail.image.size_bytes)


def _credentials(value: Any) -> RegistryCredentials | None:
    if not isinstance(value, dict):
        return None
    return RegistryCredentials(
        username=str(value.get("username", "")),
        password=str(value.get("password", "")),
        server_address=str(value.get("server_address", "")),
    )


@register("image.tag", title=gettext_lazy("Tag %(name)s"), timeout=60)
async def tag(context: OperationContext) -> None:
    """Give an image another name."""
    repository, name = str(context.arguments["repository"]), str(context.arguments["tag"])
    context.phase("tag", _("Naming it %(reference)s") % {"reference": f"{repository}:{name}"})
    await context.engine.tag_image(context.object_id, repository=repository, tag=name)
    context.fault("image.tag.tagged")
    context.result(reference=f"{repository}:{name}")


@register("image.remove", title=gettext_lazy("Remove %(name)s"), timeout=300)
async def remove(context: OperationContext) -> None:
    """Remove one of an image's names, or the image with all of them; never one that a container uses."""
    context.phase("remove")
    try:
        image = (await context.engine.inspect_image(context.object_id)).image
    except NotFound:
        context.output(_("It was gone already."))
        return
    one = str(context.arguments.get("reference", ""))
    if one and one not in image.tags:
        context.output(_("The image is not called %(reference)s any more.") % {"reference": one})
        return
    if not one or len(image.tags) + len(image.digests) <= 1:
        await _check_unused(context, image.image_id)
    references = [one] if one else [*image.tags, *image.digests, image.image_id]
    for reference in references:
        try:
            # Without force: an engine forced to it takes the image away from stopped containers.
            await context.engine.remove_image(reference)
        except NotFound:
            continue  # the last name took the image with it
        except Conflict as error:
            raise Failure(
                "in_use",
                _("%(name)s is still needed.") % {"name": context.object_name} + "\n" + error.message,
                next_step=_("Remove the containers that use it, and the images that were built from it, first."),
            ) from error
        context.output(_("Removed %(reference)s") % {"reference": reference})
    context.fault("image.remove.removed")


async def _check_unused(context: OperationContext, image_id: str) -> None:
    """Refuse before the first name goes, not after the last but one."""
    users = [found for found in await context.engine.list_containers() if found.image_id == image_id]
    if not users:
        return
    names = ", ".join(found.name for found in users[:_MOST_NAMES]) + (" …" if len(users) > _MOST_NAMES else "")
    running = any(found.state is ContainerState.RUNNING for found in users)
    raise Failure(
        "in_use",
        ngettext(
            "%(count)s container uses it: %(names)s.",
            "%(count)s containers use it: %(names)s.",
            len(users),
        )
        % {"count": len(users), "names": names},
        next_step=_("Stop and remove the containers first.") if running else _("Remove the containers first."),
    )
