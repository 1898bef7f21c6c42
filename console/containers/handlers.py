"""The worker side of every change to a container.

Each may run again after a crash: what is already so counts as done, and a create adopts what it made before.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import NoReturn
from uuid import UUID

import structlog
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.containers import belongings, permits, starts
from console.containers.dry_run import image_of
from console.containers.image_handlers import pull_with_progress
from console.containers.made_by import is_made_by, labels_of
from console.containers.specs import (
    check_spec,
    differences,
    from_arguments,
    is_reference,
)
from console.containers.states import SIGNALS, exit_words
from console.gateway import (
    BackendError,
    Conflict,
    ContainerDetail,
    ContainerSpec,
    ContainerState,
    EngineFailure,
    Health,
    HubAway,
    HubRefused,
    Invalid,
    NotFound,
    hub_client,
    hub_messages,
)
from console.hosts.models import storage_words
from console.lib.decoding import Malformed
from console.operations.errors import Failure, Halted, explain
from console.operations.registry import OperationContext, register
from console.policies import quotas
from console.policies.quotas import free_container
from console.policies.refusals import Denied
from console.policies.rules import NOT_LIMITED, Bounds, harden, limits_nothing

logger = structlog.get_logger(__name__)

#: How long a fresh container without a health check must go on running, seconds.
_SETTLE = 1.0
_LAST_LINES = 20
_POLL = 0.25
#: A health check that never decides: the longest wait, seconds.
_LONGEST_HEALTH_WAIT = 1800
_LONGEST_REMOVAL = 60
#: A removal waits for the last lines of a kept log, seconds.
_LONGEST_LAST_LINES = 2.0
#: What keeps a container from ever being healthy, when somebody asks for it while a create waits.
_ENDING = ("container.stop", "container.kill", "container.restart", "container.pause", "container.remove")


# Simple changes


@register("container.start", title=gettext_lazy("Start %(name)s"), timeout=120)
async def start(context: OperationContext) -> None:
    """Start a container."""
    context.phase("start")
    # A start may take long for good reasons; that the engine answers at all shows within seconds.
    await context.engine.ping()
    await _permit_start(context)
    try:
        await context.engine.start_container(context.object_id)
    except (EngineFailure, Invalid):
        await _tell_last_lines(context)
        raise


@register("container.stop", title=gettext_lazy("Stop %(name)s"), timeout=3720)
async def stop(context: OperationContext) -> None:
    """Stop a container within the grace it was created with."""
    context.phase("stop")
    await context.engine.stop_container(context.object_id, grace=await _grace(context))


@register("container.restart", title=gettext_lazy("Restart %(name)s"), timeout=3720)
async def restart(context: OperationContext) -> None:
    """Stop a container, if it runs, and start it."""
    context.phase("restart")
    await _permit_start(context)  # before it is stopped: what may not be started again goes on
    try:
        await context.engine.restart_container(context.object_id, grace=await _grace(context))
    except (EngineFailure, Invalid):
        await _tell_last_lines(context)
        raise


@register("container.kill", title=gettext_lazy("Kill %(name)s"), timeout=120)
async def kill(context: OperationContext) -> None:
    """Send a signal to a container's main process."""
    context.phase("kill")
    signal = context.arguments.get("signal", "SIGKILL")
    if signal not in SIGNALS:
        raise Failure(
            "invalid", _("The signal is not one of those in the list."), next_step=_("Choose another signal.")
        )
    await context.engine.ping()
    try:
        await context.engine.kill_container(context.object_id, signal=signal)
    except Conflict as error:
        if signal == "SIGKILL" and await _state(context) is not ContainerState.RUNNING:
            context.output(_("It was not running any more."))
            return
        raise Failure("conflict", error.message, next_step=_("Only a running container takes a signal.")) from error


@register("container.pause", title=gettext_lazy("Pause %(name)s"), timeout=120)
async def pause(context: OperationContext) -> None:
    """Freeze a container's processes."""
    context.phase("pause")
    await context.engine.ping()
    try:
        await context.engine.pause_container(context.object_id)
    except (Conflict, EngineFailure) as error:
        if await _state(context) is ContainerState.PAUSED:
            context.output(_("It was paused already."))
            return
        raise Failure(error.code, error.message, next_step=_("Only a running container can be paused.")) from error


@register("container.unpause", title=gettext_lazy("Resume %(name)s"), timeout=120)
async def unpause(context: OperationContext) -> None:
    """Let a container's processes go on."""
    context.phase("unpause")
    await context.engine.ping()
    await _permit_start(context)
    try:
        await context.engine.unpause_container(context.object_id)
    except (Conflict, EngineFailure) as error:
        if await _state(context) is ContainerState.RUNNING:
            context.output(_("It was running already."))
            return
        raise Failure(error.code, error.message, next_step=_("Only a paused container can be resumed.")) from error


@register("container.rename", title=gettext_lazy("Rename %(name)s"), timeout=120)
async def rename(context: OperationContext) -> None:
    """Give a container another name."""
    context.phase("rename")
    name = str(context.arguments.get("name", ""))
    if any(problem.field == "name" for problem in check_spec(ContainerSpec(name=name, image="scratch"))):
        raise Failure("invalid", _("This is no name for a container."), next_step=_("Choose another name."))
    try:
        await context.engine.rename_container(context.object_id, name=name)
    except (Conflict, Invalid) as error:
        if (await context.engine.inspect_container(context.object_id)).container.name == name:
            return
        raise Failure(error.code, error.message, next_step=_("Choose another name.")) from error
    context.identify(object_id=context.object_id, object_name=name)


@register("container.remove", title=gettext_lazy("Remove %(name)s"), timeout=300)
async def remove(context: OperationContext) -> None:
    """Remove a container, and its anonymous volumes when asked; already gone is done."""
    context.phase("remove")
    force, volumes = context.arguments.get("force") is True, context.arguments.get("volumes") is True
    context.fault("container.remove.before")
    try:
        detail = await context.engine.inspect_container(context.object_id)
        context.result(name=detail.container.name, image=detail.container.image)
        await _finish_log(context)
        await context.engine.remove_container(context.object_id, force=force, volumes=volumes)
    except NotFound:
        context.output(_("It was gone already."))
    except Conflict as error:
        state = await _state(context)
        if state is None or state is ContainerState.REMOVING:
            await _wait_until_gone(context)
        elif state in (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING):
            raise Failure(
                "conflict",
                error.message,
                next_step=_("It is running: stop it first, or tick “stop it first” when removing."),
            ) from error
        else:
            raise Failure("conflict", error.message, next_step=_("Try again in a moment.")) from error
    context.fault("container.remove.removed")
    if context.host_id is not None:
        await context.in_database(free_container, host_id=context.host_id, container_id=context.object_id)


async def _permit_start(context: OperationContext) -> None:
    """See that the policy of now lets it run, by what the engine says that it is. Raises ``Failure``."""
    if not await context.in_database(starts.is_decided, context.operation_id):
        return
    detail = await context.engine.inspect_container(context.object_id)
    answer = detail, await image_of(context.engine, detail)
    try:
        await context.in_database(starts.permit_start, context.operation_id, answer)
    except Denied as denied:
        raise _failed(context, denied) from denied


def _failed(context: OperationContext, denied: Denied) -> Failure:
    """Return the end of an operation that was refused; what else was wrong goes into its output."""
    first = denied.denials[0]
    for denial in denied.denials[1:]:
        context.output(denial.message)
    return Failure(first.code, first.message, next_step=first.next_step)


async def _finish_log(context: OperationContext) -> None:
    """Give the hub a moment to take over the last lines, if it keeps them: the engine's own go with the container."""
    order = hub_messages.FinishLog(host=str(context.host_id), container=context.object_id, patience=_LONGEST_LAST_LINES)
    try:
        async with asyncio.timeout(_LONGEST_LAST_LINES + 1):
            answer = await hub_client().ask(order)
    except (HubAway, HubRefused, TimeoutError) as error:
        logger.warning("last_lines_not_kept", container_id=context.object_id, error=str(error))
    else:
        if not answer["finished"]:
            logger.warning("last_lines_not_kept", container_id=context.object_id, error="not in time")


async def _state(context: OperationContext) -> ContainerState | None:
    """Return the container's state now; ``None`` when it is gone."""
    try:
        return (await context.engine.inspect_container(context.object_id)).container.state
    except NotFound:
        return None


async def _grace(context: OperationContext) -> int:
    detail = await context.engine.inspect_container(context.object_id)
    config = detail.raw.get("Config")
    grace = config.get("StopTimeout") if isinstance(config, dict) else None
    return grace if isinstance(grace, int) and 0 <= grace <= 3600 else 10


async def _wait_until_gone(context: OperationContext) -> None:
    context.phase("remove", _("The engine is removing it already."))
    for _round in range(int(_LONGEST_REMOVAL / _POLL)):
        if await _state(context) is None:
            return
        await asyncio.sleep(_POLL)
    raise Failure(
        "timed_out",
        _("The engine began to remove it and did not finish within a minute."),
        next_step=_("Look at the engine's own log on the host; something holds the container's files."),
    )


async def _tell_last_lines(context: OperationContext, *, container_id: str = "") -> str:
    """Put the last lines of the container's log into the operation's output, and return them."""
    container_id = container_id or context.object_id
    text = bytearray()
    try:
        async with asyncio.timeout(5):
            detail = await context.engine.inspect_container(container_id)
            async for chunk in context.engine.logs(container_id, tty=detail.tty, tail=_LAST_LINES):
                text += chunk.data
                if len(text) > 64 * 1024:
                    break
    except (BackendError, TimeoutError) as error:
        context.output(_("Its log could not be read: %(cause)s") % {"cause": error})
    lines = text.decode(errors="replace").splitlines()[-_LAST_LINES:]
    for line in lines:
        context.output(line[:2000])
    return "\n".join(lines)


# Create


@register(
    "container.create",
    title=gettext_lazy("Create %(name)s"),
    cancellable=True,
    timeout=6 * 3600,
    accept=permits.accept_create,
)
async def create(context: OperationContext) -> None:
    """Pull, create, compare, start and watch a container; a second run goes on with what the first one made."""
    try:
        await _create(context)
    except Denied as denied:
        raise _failed(context, denied) from denied
    finally:
        if context.team_id is not None and not context.object_id and not context.abandoned:
            # Nothing was made: whoever asks next finds the share free.
            await asyncio.shield(context.in_database(quotas.free, operation_id=context.operation_id))


async def _create(context: OperationContext) -> None:
    try:
        spec = from_arguments(context.arguments.get("spec"))
    except Malformed as error:
        raise Failure("invalid", str(error), next_step=_("Fill in the form again.")) from error
    problems = check_spec(spec)
    if problems or not is_reference(spec.image):
        message = problems[0].message if problems else _("This is no image reference.")
        raise Failure("invalid", message, next_step=_("Fill in the form again."))
    wants_start = context.arguments.get("start") is True
    if spec.disk_bytes:
        await _check_disk(context)

    container_id = await _adopt(context, spec)
    image_id = ""
    if container_id is None:
        if context.team_id is not None:
            await _permit(context, spec)  # before anything is pulled; asked again before anything is made
        await _provide_image(context, spec.image, pull=str(context.arguments.get("pull", "missing")))
    if context.team_id is not None:
        spec, image_id = await _within_bounds(context, spec, is_made=container_id is not None)
    started = False
    try:
        if container_id is None:
            container_id = await _make(context, spec)
        if context.team_id is not None:
            await _own(context, "container", container_id)
        detail = await _compare(context, spec, container_id, image_id=image_id)
        # Whoever stopped it since an earlier run of this operation started it meant to.
        started = detail.started_at is not None and _is_made_by(detail, context.operation_id)
        if wants_start and not started:
            context.phase("start", _("Starting %(name)s") % {"name": spec.name})
            await _start(context, container_id)
            started = True
            context.fault("container.create.started")
    except asyncio.CancelledError:
        # A container that somebody cancelled before it ran would only be in the way.
        if not started and not context.abandoned:
            await asyncio.shield(_undo(context, spec, container_id))
        raise
    if wants_start:
        context.watch(undone_by=_ENDING)
        try:
            await _settle(context, container_id)
        except NotFound as error:
            raise Halted(
                "removed",
                _("It was started, and removed while this waited for it."),
                next_step=_("Nothing is left to do; ask for it anew if you still want it."),
            ) from error
        except asyncio.CancelledError as cancelled:
            if context.abandoned:
                raise
            raise Halted(
                "cancelled",
                _("It was started before it was cancelled, so the container is kept."),
                next_step=_("Stop or remove it, if you do not want it."),
            ) from cancelled


async def _check_disk(context: OperationContext) -> None:
    """See that the engine of now keeps a limit of disk: some take one and ignore it."""
    info = await context.engine.info()
    if not info.limits_disk:
        raise Failure(
            NOT_LIMITED,
            limits_nothing(storage_words(info.storage_driver, info.backing_filesystem)),
            next_step=_("Leave the limit of disk out, or choose another host."),
        )


def _labelled(context: OperationContext, spec: ContainerSpec) -> ContainerSpec:
    ours = labels_of(context.operation_id, kind="container")
    whose = belongings.team_labels(context.team_id, kind="container") if context.team_id is not None else ()
    return replace(spec, labels=(*spec.labels, *ours, *whose))


def _is_ours(context: OperationContext, detail: ContainerDetail) -> bool:
    """Whether this operation made the container, or one that it repeats."""
    return _is_made_by(detail, context.operation_id, *context.repeats)


def _is_made_by(detail: ContainerDetail, *operations: UUID) -> bool:
    return is_made_by(detail.container.labels, *operations, kind="container")


async def _adopt(context: OperationContext, spec: ContainerSpec) -> str | None:
    """Return what an earlier run of this operation made, if it did."""
    try:
        detail = await context.engine.inspect_container(spec.name)
    except NotFound:
        return None
    if detail.container.name == spec.name and _is_ours(context, detail):
        context.identify(object_id=detail.container.container_id, object_name=spec.name)
        context.result(container_id=detail.container.container_id)
        return detail.container.container_id
    return None


async def _provide_image(context: OperationContext, reference: str, *, pull: str) -> None:
    if pull not in ("always", "missing", "never"):
        raise Failure("invalid", _("When to pull is always, missing or never."), next_step=_("Fill in the form again."))
    try:
        await context.engine.inspect_image(reference)
    except NotFound as error:
        if pull == "never" or reference.startswith("sha256:"):
            raise Failure(
                "image_missing",
                _("The host does not have the image %(image)s, and it was not to be pulled.") % {"image": reference},
                next_step=_("Pull it on the Images page, or let the form pull it."),
            ) from error
    else:
        if pull != "always" or reference.startswith("sha256:"):
            return
    context.phase("pull", _("Pulling %(image)s") % {"image": reference})
    await pull_with_progress(context, reference)


async def _make(context: OperationContext, spec: ContainerSpec) -> str:
    context.phase("create", _("Creating %(name)s") % {"name": spec.name})
    context.fault("container.create.before")
    try:
        container_id = await context.engine.create_container(_labelled(context, spec))
    except Conflict as error:
        adopted = await _adopt(context, spec)
        if adopted is None:
            raise Failure(
                "name_taken",
                _("Another container on this host is named %(name)s.") % {"name": spec.name},
                next_step=_("Choose another name, or remove the other container first."),
            ) from error
        container_id = adopted
    except NotFound as error:
        raise Failure(
            "image_missing",
            _("The image %(image)s vanished before the container was made: %(cause)s")
            % {"image": spec.image, "cause": error.message},
            next_step=_("Try again with “Pull the image: always”."),
        ) from error
    context.fault("container.create.created")
    context.identify(object_id=container_id, object_name=spec.name)
    context.result(container_id=container_id)
    return container_id


async def _permit(context: OperationContext, spec: ContainerSpec) -> Bounds:
    """Return what the team may have now. Raises ``Denied``."""
    return await context.in_database(
        permits.permit, operation_id=context.operation_id, repeats=context.repeats, spec=spec
    )


async def _within_bounds(context: OperationContext, spec: ContainerSpec, *, is_made: bool) -> tuple[ContainerSpec, str]:
    """Return ``spec`` as a team gets it, and the id of its image; its network and volumes are there afterwards.

    Raises ``Denied``: the policy of now decides, on what the host really has.
    """
    bounds = await _permit(context, spec)
    image = await context.engine.inspect_image(spec.image)
    if not is_made:
        await context.in_database(
            permits.permit_image, operation_id=context.operation_id, spec=spec, bounds=bounds, image=image
        )
    spec = harden(spec, bounds.rules)
    spec = replace(spec, network=await belongings.provide_network(context, spec, bounds))
    await belongings.provide_volumes(context, spec, bounds)
    return spec, image.image.image_id


async def _own(context: OperationContext, kind: str, object_id: str) -> None:
    await context.in_database(
        permits.own,
        operation_id=context.operation_id,
        kind=kind,
        object_id=object_id,
        operation_ids=tuple(context.repeats),
    )


async def _compare(
    context: OperationContext, spec: ContainerSpec, container_id: str, *, image_id: str
) -> ContainerDetail:
    """Hold what was made against what was asked for; what differs is removed before it ever runs.

    ``image_id`` is the image that was looked at, if one was: a tag may have come to mean another.
    Returns what was made.
    """
    context.phase("compare", _("Checking what was made"))
    detail = await context.engine.inspect_container(container_id)
    # Of an adopted one our own labels may name the operation that this one repeats.
    found = differences(spec if _is_ours(context, detail) else _labelled(context, spec), detail.raw)
    if image_id and detail.container.image_id != image_id:
        found.append(_("the image changed meanwhile"))
    if not found or detail.container.state is not ContainerState.CREATED:
        return detail
    for difference in found:
        context.output(difference)
    await _remove_quietly(context, container_id)
    raise Failure(
        "mismatch",
        _("The engine made something else than was asked for, and it was removed: %(what)s.") % {"what": found[0]},
        next_step=_("This engine ignores a setting: leave it out, or choose another host."),
    )


async def _start(context: OperationContext, container_id: str) -> None:
    try:
        await context.engine.start_container(container_id)
    except (Conflict, EngineFailure, Invalid, NotFound) as error:
        await _tell_last_lines(context, container_id=container_id)
        reason = explain(error, name=context.object_name, host=_("The host"))
        advice = {
            "port_taken": _("The container is kept: free the port and start it, or remove it and choose another port."),
            "no_space": _("Make room, then start the container; it is kept."),
        }.get(error.reason, _("The container is kept, so that you can look at it. To correct it, duplicate it."))
        raise Failure(reason.code, reason.sentence, next_step=advice) from error


async def _undo(context: OperationContext, spec: ContainerSpec, container_id: str | None) -> None:
    """Remove what a cancelled create made; a create that was under way may have been carried out.

    Only what this very operation made: a retry may have found the container that an earlier one left, and that one
    holds what somebody keeps it for.
    """
    try:
        detail = await context.engine.inspect_container(container_id or spec.name)
    except NotFound:
        return
    if _is_made_by(detail, context.operation_id):
        await _remove_quietly(context, detail.container.container_id)


async def _remove_quietly(context: OperationContext, container_id: str) -> None:
    try:
        await context.engine.remove_container(container_id, force=True, volumes=True)
    except NotFound:
        pass  # it is gone, which is what was wanted
    except BackendError as error:
        context.output(_("It could not be removed: %(cause)s") % {"cause": error})
        return
    if context.host_id is not None and context.team_id is not None:
        await context.in_database(permits.disown, host_id=context.host_id, container_id=container_id)


async def _settle(context: OperationContext, container_id: str) -> None:
    """Wait until a started container is healthy, or has shown that it keeps running."""
    detail = await context.engine.inspect_container(container_id)
    bound = _health_bound(detail)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    context.phase("healthy", _("Waiting until it is healthy") if bound else _("Checking that it keeps running"))
    while True:
        state = detail.container.state
        if state in (ContainerState.EXITED, ContainerState.DEAD):
            return await _tell_end(context, detail)
        if detail.restart_count or state is ContainerState.RESTARTING:
            await _fail(context, detail, "restarting", _("It starts, ends and is restarted again."))
        health = detail.container.health
        waited = loop.time() - begun
        if health is Health.HEALTHY:
            return context.saw(_("It runs and is healthy."))
        if health is Health.NONE and waited >= _SETTLE:
            return context.saw(_("It runs."))
        if health is Health.UNHEALTHY:
            for line in detail.health_log[-3:]:
                context.output(line[:2000])
            said = detail.health_log[-1].strip()[:500] if detail.health_log else ""
            message = (
                _("It runs, and its health check fails: %(said)s")
                if said
                else _("It runs, and its health check fails.")
            )
            await _fail(context, detail, "unhealthy", message % {"said": said} if said else message)
        if bound and waited > bound:
            await _fail(
                context,
                detail,
                "unhealthy",
                _("Its health check did not succeed within %(count)s s.") % {"count": bound},
            )
        await asyncio.sleep(_POLL if waited < 10 else 1.0)
        detail = await context.engine.inspect_container(container_id)


def _health_bound(detail: ContainerDetail) -> int:
    """Return the longest time in which the health check must have decided, seconds; 0 without one."""
    if detail.container.health is Health.NONE:
        return 0
    config = detail.raw.get("Config")
    check = (config.get("Healthcheck") if isinstance(config, dict) else None) or {}

    def seconds(name: str, default: int) -> int:
        return round((check.get(name) or 0) / 10**9) or default

    rounds = int(check.get("Retries") or 3) + 1
    bound = seconds("StartPeriod", 0) + rounds * (seconds("Interval", 30) + seconds("Timeout", 30)) + 10
    return min(bound, _LONGEST_HEALTH_WAIT)


async def _tell_end(context: OperationContext, detail: ContainerDetail) -> None:
    """A container that ended at once: without an error that is what some are for, else it failed."""
    container = detail.container
    words = exit_words(container.exit_code, oom_killed=detail.oom_killed)
    if container.exit_code == 0:
        await _tell_last_lines(context, container_id=container.container_id)
        context.say(words)
        return
    await _fail(context, detail, "exited", words)


async def _fail(context: OperationContext, detail: ContainerDetail, code: str, message: str) -> NoReturn:
    lines = await _tell_last_lines(context, container_id=detail.container.container_id)
    reason = f"{message} {detail.error}".strip()
    tail = _("Its last lines:") + "\n" + lines if lines else _("It wrote nothing to its log.")
    raise Failure(
        code,
        f"{reason}\n{tail}",
        next_step=_(
            "Correct the command, the variables or the image by duplicating the container, then remove this one."
        ),
    )
