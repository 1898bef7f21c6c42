"""Policies in words: what one allows, and how two differ."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from console.lib.amounts import cpus_text, size_text
from console.policies.rules import Rules


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
        "shells": (_("Shells"), may(rules.shells)),
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
    }
    return [Rule(name, label, text) for name, (label, text) in words.items()]


def changes(before: Rules, after: Rules) -> list[Change]:
    """Return the rules that differ."""
    pairs = zip(describe(before), describe(after), strict=True)
    return [Change(old.label, old.text, new.text) for old, new in pairs if old.text != new.text]
