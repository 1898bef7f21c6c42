"""Why an operation failed, in words people understand: what happened, what the engine said, what to do next."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.gateway import (
    AccessDenied,
    BackendError,
    Conflict,
    EngineFailure,
    Invalid,
    NotFound,
    ProtocolError,
    Terminated,
    TimedOut,
    Unreachable,
    Unsupported,
)


class Failure(Exception):
    """A handler's own reason to fail. ``message`` and ``next_step`` are sentences for people."""

    def __init__(self, code: str, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.next_step = next_step


class Halted(Failure):
    """A handler's own end that is nobody's fault: somebody stopped it, or took away what it waited for."""


class Impossible(Exception):
    """An operation's state forbids what somebody asked of it: it has ended, or its kind cannot be cancelled."""

    def __init__(self, message: str, *, next_step: str) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """How a failure is kept: a stable code, a sentence, and what to do next."""

    code: str
    sentence: str
    next_step: str = ""


Text = str | Promise

#: By the finer cause that the driver recognised. "%(name)s" is the object, "%(host)s" the host.
_BY_REASON: dict[str, tuple[Text, Text]] = {
    "name_taken": (
        gettext_lazy("Another object on %(host)s is called %(name)s already."),
        gettext_lazy("Choose another name, or remove the container called %(name)s."),
    ),
    "port_taken": (
        gettext_lazy("A port that %(name)s wants is taken on %(host)s."),
        gettext_lazy("Choose another port, or stop what uses it."),
    ),
    "no_space": (
        gettext_lazy("The disk of %(host)s is full."),
        gettext_lazy("Remove images and stopped containers that nobody needs, then retry."),
    ),
    "disk_not_limited": (
        gettext_lazy("%(host)s cannot limit the disk of a container: its storage driver lacks quotas."),
        gettext_lazy("Leave the limit of disk out, choose another host, or mount its xfs with pquota."),
    ),
    "image_missing": (
        gettext_lazy("The image %(name)s does not exist, or the registry does not show it to us."),
        gettext_lazy("Check name and tag; a private image needs a registry user and password."),
    ),
    "registry_denied": (
        gettext_lazy("The registry refuses us."),
        gettext_lazy("Check name and tag; a private image needs a registry user and password."),
    ),
    "registry_unreachable": (
        gettext_lazy("%(host)s cannot reach the registry."),
        gettext_lazy("Check the registry's name and the network of %(host)s, then retry."),
    ),
    "rate_limited": (
        gettext_lazy("The registry allows no more pulls for now."),
        gettext_lazy("Wait a while, or sign in with a registry user and password."),
    ),
    "in_use": (
        gettext_lazy("%(name)s is in use."),
        gettext_lazy("Remove the containers that use it first."),
    ),
    "running": (
        gettext_lazy("%(name)s is running."),
        gettext_lazy("Stop it first."),
    ),
    "not_running": (
        gettext_lazy("%(name)s is not running."),
        gettext_lazy("Start it first."),
    ),
    "paused": (
        gettext_lazy("%(name)s is paused."),
        gettext_lazy("Resume it first."),
    ),
    "restarting": (
        gettext_lazy("%(name)s is restarting."),
        gettext_lazy("Wait until it has come up, or stop it, then retry."),
    ),
    "removing": (
        gettext_lazy("%(name)s is being removed."),
        gettext_lazy("Nothing is left to do."),
    ),
    "command_missing": (
        gettext_lazy("The program to run is not in the image."),
        gettext_lazy("Correct the command or the entrypoint."),
    ),
    "command_denied": (
        gettext_lazy("The program to run may not be executed."),
        gettext_lazy("Correct the command, or the file's mode in the image."),
    ),
    "user_missing": (
        gettext_lazy("The image does not have that user."),
        gettext_lazy("Choose a user that the image has, or a number."),
    ),
    "network_missing": (
        gettext_lazy("%(host)s does not have that network."),
        gettext_lazy("Choose one of the networks in the list."),
    ),
    "volume_missing": (
        gettext_lazy("%(host)s does not have that volume."),
        gettext_lazy("Choose one of the volumes in the list."),
    ),
    "container_missing": (
        gettext_lazy("%(host)s does not have this container any more."),
        gettext_lazy("Somebody removed it; go back to the list."),
    ),
}

#: By the class of the error, where no finer cause is known.
_BY_CLASS: tuple[tuple[type[BackendError], Text, Text], ...] = (
    (
        Unreachable,
        gettext_lazy("%(host)s cannot be reached."),
        gettext_lazy("Check that its engine runs and that its address is right, then retry."),
    ),
    (
        TimedOut,
        gettext_lazy("%(host)s did not answer in time."),
        gettext_lazy("It may be busy or stuck, and may still do what was asked: look at the list before you retry."),
    ),
    (
        AccessDenied,
        gettext_lazy("%(host)s refuses this console."),
        gettext_lazy("Ask an admin to check the host's certificate and rights."),
    ),
    (
        NotFound,
        gettext_lazy("%(host)s does not know %(name)s."),
        gettext_lazy("Somebody may have removed it; go back to the list."),
    ),
    (
        Conflict,
        gettext_lazy("The present state of %(name)s forbids this."),
        gettext_lazy("Look at its state, then decide again."),
    ),
    (
        Invalid,
        gettext_lazy("The engine rejects the request."),
        gettext_lazy("Change what the engine names, then try again."),
    ),
    (
        Unsupported,
        gettext_lazy("The engine of %(host)s cannot do that."),
        gettext_lazy("A newer version of the engine may be able to."),
    ),
    (
        EngineFailure,
        gettext_lazy("The engine tried and failed."),
        gettext_lazy("Mend what the engine names, then retry."),
    ),
    (
        ProtocolError,
        gettext_lazy("The answer of %(host)s makes no sense."),
        gettext_lazy("Check that its address is that of a container engine."),
    ),
    (
        Terminated,
        gettext_lazy("%(host)s broke off in the middle."),
        gettext_lazy("Its engine may have been restarted; retry when it is back."),
    ),
    (
        BackendError,
        gettext_lazy("The engine failed."),
        gettext_lazy("Retry; if it fails again, look at the engine's log on %(host)s."),
    ),
)


def explain(error: BackendError, *, name: str, host: str) -> Reason:
    """Return ``error`` in words, in the language that is active. The engine's own sentence follows ours."""
    found = _BY_REASON.get(error.reason)
    if found is None:
        found = next((sentence, step) for kind, sentence, step in _BY_CLASS if isinstance(error, kind))
    values = {"name": name or _("it"), "host": host}
    sentence = str(found[0]) % values
    said = error.message.strip()
    return Reason(
        code=error.reason or error.code,
        sentence=f"{sentence}\n{said}" if said else sentence,
        next_step=str(found[1]) % values,
    )


def took_too_long(limit: int) -> Reason:
    """Return the reason of an operation that reached its kind's time limit, in seconds."""
    return Reason(
        code="timed_out",
        sentence=_("It did not end within its limit of %(limit)s s and was stopped.") % {"limit": limit},
        next_step=_("Look at what the host is busy with, then retry."),
    )


def crashed(attempts: int) -> Reason:
    """Return the reason of an operation whose worker died each time."""
    return Reason(
        code="crashed",
        sentence=_("The worker died %(count)s times in the middle of it, so it is not tried again by itself.")
        % {"count": attempts},
        next_step=_("Look at the worker's log and at the object on its host, then retry."),
    )


def refused(kind: str) -> Reason:
    """Return the reason of an operation whose person may not do it any more."""
    return Reason(
        code="policy",
        sentence=_("Whoever asked for this may not do it any more (%(action)s), so nothing was done.")
        % {"action": kind},
        next_step=_("Ask an admin of this console if you need it."),
    )


def host_gone() -> Reason:
    """Return the reason of an operation whose host was removed from the console."""
    return Reason(
        code="host_gone",
        sentence=_("The host was removed from this console, so nothing was done."),
        next_step=_("Add the host again if you need it, then retry."),
    )


def overtaken(title: str, *, person: str) -> Reason:
    """Return the reason of an operation that only watched its object while ``person`` did ``title`` to it."""
    return Reason(
        code="overtaken",
        sentence=_("While this only waited, %(person)s asked for something else: %(title)s.")
        % {"person": person or _("somebody"), "title": title},
        next_step=_("Nothing is left to do; ask for it anew if you still want it."),
    )


def unknown_kind(kind: str) -> Reason:
    """Return the reason of an operation that this version of the console cannot do."""
    return Reason(
        code="unknown_kind",
        sentence=_("This version of the console does not know how to do “%(kind)s”.") % {"kind": kind},
        next_step=_("Make sure that every process of the console runs the same version."),
    )


def broken() -> Reason:
    """Return the reason of an operation that met a fault of our own."""
    return Reason(
        code="internal",
        sentence=_("The console met an error it was not prepared for. What was asked for may be half done."),
        next_step=_("Look at the object on its host, then retry; the worker's log has the details."),
    )


def undecryptable() -> Reason:
    """Return the reason of an operation whose secrets cannot be read with the present key."""
    return Reason(
        code="undecryptable",
        sentence=_("A stored secret cannot be read: the key that encrypted it is not the one this console has now."),
        next_step=_("Restore keys/encryption from your backup, or enter the secret again."),
    )
