"""States and exit codes in words for people."""

from __future__ import annotations

import signal

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.gateway import ContainerState, Health

STATE_LABELS: dict[str, Promise] = {
    ContainerState.CREATED.value: gettext_lazy("Created"),
    ContainerState.RUNNING.value: gettext_lazy("Running"),
    ContainerState.PAUSED.value: gettext_lazy("Paused"),
    ContainerState.RESTARTING.value: gettext_lazy("Restarting"),
    ContainerState.REMOVING.value: gettext_lazy("Removing"),
    ContainerState.EXITED.value: gettext_lazy("Exited"),
    ContainerState.DEAD.value: gettext_lazy("Dead"),
}
UNHEALTHY = "unhealthy"
UNHEALTHY_LABEL = gettext_lazy("Unhealthy")

#: Exit codes of a program that was asked to end (SIGINT, SIGTERM): no problem of anybody's.
ASKED_TO_END = (130, 143)

#: The signals a person may send, closed.
SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH")


def state_badge(state: str, *, health: str, exit_code: int | None, end_requested: bool = False) -> tuple[str, str]:
    """Return a badge's colour, as one of the frame's states, and its words."""
    label = str(STATE_LABELS.get(state, state))
    if state == ContainerState.RUNNING:
        if health == Health.UNHEALTHY:
            return "unhealthy", str(UNHEALTHY_LABEL)
        if health == Health.STARTING:
            return "starting", _("Starting")
        return ("healthy", _("Healthy")) if health == Health.HEALTHY else ("running", label)
    if state == ContainerState.EXITED and exit_code:
        failed = not end_requested and exit_code not in ASKED_TO_END
        return "failed" if failed else "exited", _("Exited (%(code)s)") % {"code": exit_code}
    return state, label


def exit_words(exit_code: int | None, *, oom_killed: bool = False) -> str:
    """Return what an exit code means, or ``""`` while there is none."""
    if exit_code is None:
        return ""
    if oom_killed:
        return _("It needed more memory than its limit, and the kernel killed it (exit code %(code)s).") % {
            "code": exit_code
        }
    known = {
        0: _("It ended by itself, without an error (exit code 0)."),
        1: _("It ended with an error of its own (exit code 1); its log says more."),
        2: _("It was called wrongly, or ended with an error (exit code 2); its log says more."),
        125: _("The engine could not run it (exit code 125)."),
        126: _("Its command was found and cannot be executed: no permission, or no program (exit code 126)."),
        127: _("Its command does not exist in the image (exit code 127)."),
        137: _(
            "It was killed by SIGKILL (exit code 137): by a person, by a stop that took too long, or out of memory."
        ),
        139: _("It crashed: it touched memory that is not its own (SIGSEGV, exit code 139)."),
        143: _("It was asked to stop, and stopped (SIGTERM, exit code 143)."),
    }
    if exit_code in known:
        return known[exit_code]
    if 128 < exit_code < 160:
        try:
            name = signal.Signals(exit_code - 128).name
        except ValueError:
            name = str(exit_code - 128)
        return _("It was ended by the signal %(signal)s (exit code %(code)s).") % {"signal": name, "code": exit_code}
    return _("It ended with the exit code %(code)s; its log says more.") % {"code": exit_code}
