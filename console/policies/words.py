"""Policies in words: what one allows, and how two differ."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from console.lib.amounts import cpus_text, size_text
from console.policies.rules import Recorded, Rules


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a policy, in words."""

    name: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """How one rule of a policy changed."""

    label: str
    before: str
    after: str


def describe(rules: Rules) -> list[Rule]:
    """Return each rule with what it allows."""

    def may(allowed: bool) -> str:  # noqa: FBT001  # a rule is a yes or a no
        return _("yes") if allowed else _("no")

    words = {
        "images": (_("Images"), "\n".join(rules.images) or _("none yet")),
        "commands": (_("Commands of its own"), may(rules.commands)),
        "root": (_("Programs as root"), may(rules.root)),
        "capabilities": (_("Capabilities"), ", ".join(rules.capabilities) or _("none")),
        "volumes": (_("Volumes of the team"), may(rules.volumes)),
        "tmpfs_bytes": (
            _("Memory mounts"),
            _("at most %(size)s each") % {"size": size_text(rules.tmpfs_bytes)} if rules.tmpfs_bytes else _("no"),
        ),
        "networks": (_("Other networks of the team"), may(rules.networks)),
        "ports": (_("Published ports"), _("within the team's range") if rules.ports else _("no")),
        "labels": (_("Labels"), "\n".join(f"{label}…" for label in rules.labels) or _("none")),
        "memory_bytes": (_("Memory of one container"), size_text(rules.memory_bytes)),
        "nano_cpus": (_("CPUs of one container"), cpus_text(rules.nano_cpus)),
        "pids": (_("Processes of one container"), str(rules.pids)),
        "disk_bytes": (
            _("Disk of one container"),
            _("%(size)s, where the host limits it") % {"size": size_text(rules.disk_bytes)},
        ),
        "shells": (_("Shells"), may(rules.shells)),
        "shell_approval": (
            _("Approval of each shell"),
            _("needed, from somebody else") if rules.shell_approval else _("not needed"),
        ),
        "shell_idle_minutes": (
            _("Shells without input end"),
            ngettext("after %(number)s minute", "after %(number)s minutes", rules.shell_idle_minutes)
            % {"number": rules.shell_idle_minutes}
            if rules.shell_idle_minutes
            else _("never"),
        ),
        "shell_hours": (
            _("Longest life of a shell"),
            ngettext("%(number)s hour", "%(number)s hours", rules.shell_hours) % {"number": rules.shell_hours}
            if rules.shell_hours
            else _("no limit"),
        ),
        "shells_at_once": (_("Open shells of one person"), str(rules.shells_at_once)),
        "recording": (_("Recording of shells"), _recorded(rules.recording)),
        "record_input": (_("Recording of what is typed"), may(rules.record_input)),
        "recording_days": (_("Recordings are kept"), _days(rules.recording_days)),
        "log_days": (
            _("Logs of containers that are gone are kept"),
            _days(rules.log_days) if rules.log_days else _("no"),
        ),
        "log_kept_bytes": (_("Kept log of one container"), size_text(rules.log_kept_bytes)),
    }
    return [Rule(name, label, text) for name, (label, text) in words.items()]


def _recorded(recording: Recorded) -> str:
    return {
        Recorded.OFF: _("off"),
        Recorded.ON: _("on"),
        Recorded.REQUIRED: _("required: without a recording there is no shell"),
    }[recording]


def _days(number: int) -> str:
    return ngettext("for %(number)s day", "for %(number)s days", number) % {"number": number}


def changes(before: Rules, after: Rules) -> list[Change]:
    """Return the rules that differ."""
    pairs = zip(describe(before), describe(after), strict=True)
    return [Change(old.label, old.text, new.text) for old, new in pairs if old.text != new.text]
