"""What admins enter about policies and quotas, checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from console.accounts.models import Team
from console.hosts.models import Host
from console.lib.amounts import MIB, cpus_text, parse_cpus, parse_size, size_text
from console.policies.rules import GRANTABLE_CAPABILITIES, Recorded, Rules, limits_nothing
from console.rbac.models import HostGrant

_MOST_LINES: Final = 100
_PATTERN = re.compile(r"[a-zA-Z0-9*][a-zA-Z0-9*._:/-]{0,254}\Z")
_LABEL = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._/-]{0,200}\Z")
_RANGE = re.compile(r"\s*(\d{1,5})\s*-\s*(\d{1,5})\s*\Z")
#: Kept logs have room for this at least; less would not hold one container's last words.
_SMALLEST_KEPT: Final = MIB
_RECORDED: Final = (
    (Recorded.OFF.value, _("Not recorded")),
    (Recorded.ON.value, _("Recorded")),
    (Recorded.REQUIRED.value, _("Recorded, or no shell")),
)
#: The least that a container of a policy may have.
_SMALLEST_MEMORY: Final = 6 * MIB


def _text(**attributes: str) -> forms.TextInput:
    return forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", **attributes})


def _lines(text: str, pattern: re.Pattern[str], message: str) -> tuple[str, ...]:
    lines = tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if len(lines) > _MOST_LINES:
        raise ValidationError(gettext("At most %(most)s lines are possible.") % {"most": _MOST_LINES})
    for line in lines:
        if not pattern.match(line):
            raise ValidationError(message % {"text": line[:60]})
    return lines


class PolicyForm(forms.Form):
    """What a team's containers may be."""

    images = forms.CharField(
        label=_("Images"),
        required=False,
        strip=False,
        max_length=30_000,
        widget=forms.Textarea(attrs={"rows": "4", "spellcheck": "false", "class": "mono"}),
        help_text=_(
            "One on each line: nginx, nginx:1.*, docker.io/library/*, registry.example.com/team/*. "
            "A * stands for anything. None means that the team can create nothing."
        ),
    )
    commands = forms.BooleanField(label=_("May say which command an image runs"), required=False)
    root = forms.BooleanField(label=_("May run programs as root"), required=False)
    shells = forms.BooleanField(label=_("May open shells"), required=False)
    capabilities = forms.MultipleChoiceField(
        label=_("Capabilities"),
        required=False,
        choices=[(name, name) for name in GRANTABLE_CAPABILITIES],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Rights of the kernel that its containers may have. All others are always taken from them."),
    )
    volumes = forms.BooleanField(label=_("May use volumes of its own"), required=False)
    tmpfs = forms.CharField(
        label=_("Memory mounts, each at most"),
        required=False,
        max_length=20,
        widget=_text(placeholder="64 MB"),
        help_text=_("Empty allows none."),
    )
    networks = forms.BooleanField(
        label=_("May join other networks that it owns"),
        required=False,
        help_text=_("Each team has a network of its own on each of its hosts, which its containers always may join."),
    )
    ports = forms.BooleanField(label=_("May publish ports of its range"), required=False)
    labels = forms.CharField(
        label=_("Labels that begin with"),
        required=False,
        strip=False,
        max_length=30_000,
        widget=forms.Textarea(attrs={"rows": "2", "spellcheck": "false", "class": "mono"}),
        help_text=_("One on each line. Other programs act on labels, so none is allowed unless it is named."),
    )
    memory = forms.CharField(label=_("Memory of one container"), max_length=20, widget=_text(placeholder="512 MB"))
    cpus = forms.CharField(label=_("CPUs of one container"), max_length=10, widget=_text(placeholder="1"))
    pids = forms.IntegerField(label=_("Processes of one container"), min_value=1, max_value=4_194_304)
    disk = forms.CharField(
        label=_("Disk of one container"),
        max_length=20,
        widget=_text(placeholder="10 GB"),
        help_text=_("What it may write beside its volumes, on hosts that limit it."),
    )
    shell_approval = forms.BooleanField(
        label=_("Each shell needs an approval"),
        required=False,
        help_text=_(
            "An owner of the team or an admin lets somebody in for some minutes, then the shell ends. "
            "Admins need it too, and nobody approves their own request."
        ),
    )
    shell_idle_minutes = forms.IntegerField(
        label=_("Ends after minutes without input"), min_value=0, max_value=10_080, help_text=_("0 is never.")
    )
    shell_hours = forms.IntegerField(
        label=_("Lives at most so many hours"), min_value=0, max_value=720, help_text=_("0 is no limit.")
    )
    shells_at_once = forms.IntegerField(label=_("Open shells of one person"), min_value=1, max_value=1000)
    recording = forms.ChoiceField(
        label=_("Shells are"),
        choices=_RECORDED,
        help_text=_(
            "“Recorded” goes on without a recording when the disk is full; “Recorded, or no shell” ends the shell then."
        ),
    )
    record_input = forms.BooleanField(
        label=_("Record what is typed, too"),
        required=False,
        help_text=_("Never while it is not shown, as with passwords."),
    )
    recording_days = forms.IntegerField(label=_("Recordings are kept for days"), min_value=1, max_value=3650)
    log_days = forms.IntegerField(
        label=_("Logs are kept for days after their container is gone"),
        min_value=0,
        max_value=3650,
        help_text=_("0 keeps none: the log goes with its container."),
    )
    log_kept = forms.CharField(
        label=_("Of each container at most"),
        max_length=20,
        widget=_text(placeholder="100 MB"),
        help_text=_("Beyond it the oldest lines go first."),
    )
    note = forms.CharField(
        label=_("Why it changes"), required=False, max_length=300, widget=_text(), help_text=_("For its history.")
    )
    #: The number of the version that the form was filled in from: two people do not overwrite each other unseen.
    based_on = forms.IntegerField(widget=forms.HiddenInput, min_value=0)

    #: As the page groups them.
    sections = (
        (_("What it runs"), ("images", "commands", "root", "capabilities")),
        (_("Storage and network"), ("volumes", "tmpfs", "networks", "ports", "labels")),
        (_("Limits"), ("memory", "cpus", "pids", "disk")),
        (_("Shells"), ("shells", "shell_approval", "shell_idle_minutes", "shell_hours", "shells_at_once")),
        (_("Recordings"), ("recording", "record_input", "recording_days")),
        (_("Kept logs"), ("log_days", "log_kept")),
    )

    @classmethod
    def initial_of(cls, rules: Rules, *, number: int) -> dict[str, Any]:
        """Return what the form shows of ``rules``."""
        return {
            "images": "\n".join(rules.images),
            "commands": rules.commands,
            "root": rules.root,
            "shells": rules.shells,
            "capabilities": list(rules.capabilities),
            "volumes": rules.volumes,
            "tmpfs": size_text(rules.tmpfs_bytes) if rules.tmpfs_bytes else "",
            "networks": rules.networks,
            "ports": rules.ports,
            "labels": "\n".join(rules.labels),
            "memory": size_text(rules.memory_bytes),
            "cpus": cpus_text(rules.nano_cpus),
            "pids": rules.pids,
            "disk": size_text(rules.disk_bytes),
            "shell_approval": rules.shell_approval,
            "shell_idle_minutes": rules.shell_idle_minutes,
            "shell_hours": rules.shell_hours,
            "shells_at_once": rules.shells_at_once,
            "recording": rules.recording.value,
            "record_input": rules.record_input,
            "recording_days": rules.recording_days,
            "log_days": rules.log_days,
            "log_kept": size_text(rules.log_kept_bytes),
            "based_on": number,
        }

    @property
    def grouped(self) -> list[tuple[Any, list[forms.BoundField]]]:
        """The fields by section, for the page."""
        return [(title, [self[name] for name in names]) for title, names in self.sections]

    def clean_images(self) -> tuple[str, ...]:
        """Patterns of images, one on each line."""
        message = gettext("“%(text)s” names no images. Write it like nginx:1.* or registry.example.com/team/*.")
        return _lines(self.cleaned_data["images"], _PATTERN, message)

    def clean_labels(self) -> tuple[str, ...]:
        """How names of labels begin."""
        lines = _lines(self.cleaned_data["labels"], _LABEL, gettext("“%(text)s” is no beginning of a label's name."))
        if any(
            "pilothouse.".startswith(line.casefold()) or line.casefold().startswith("pilothouse.") for line in lines
        ):
            raise ValidationError(gettext("Names that begin with “pilothouse.” are the console's own; choose another."))
        return lines

    def clean_tmpfs(self) -> int:
        """A size; 0 is none."""
        return parse_size(self.cleaned_data["tmpfs"])

    def clean_memory(self) -> int:
        """A size that a container can live in."""
        size = parse_size(self.cleaned_data["memory"])
        if size < _SMALLEST_MEMORY:
            raise ValidationError(gettext("An engine needs at least 6 MB for a container."))
        return size

    def clean_cpus(self) -> int:
        """A share of processors."""
        return parse_cpus(self.cleaned_data["cpus"])

    def clean_disk(self) -> int:
        """A size that holds something."""
        size = parse_size(self.cleaned_data["disk"])
        if size < MIB:
            raise ValidationError(gettext("A container needs at least 1 MB to write to."))
        return size

    def clean_log_kept(self) -> int:
        """A size that holds something."""
        size = parse_size(self.cleaned_data["log_kept"])
        if size < _SMALLEST_KEPT:
            raise ValidationError(gettext("Keep at least 1 MB of each, or write 0 days to keep none."))
        return size

    @property
    def rules(self) -> Rules:
        """The policy; valid forms only."""
        values = self.cleaned_data
        return Rules(
            images=values["images"],
            commands=values["commands"],
            root=values["root"],
            shells=values["shells"],
            capabilities=tuple(values["capabilities"]),
            volumes=values["volumes"],
            tmpfs_bytes=values["tmpfs"],
            networks=values["networks"],
            ports=values["ports"],
            labels=values["labels"],
            memory_bytes=values["memory"],
            nano_cpus=values["cpus"],
            pids=values["pids"],
            disk_bytes=values["disk"],
            shell_approval=values["shell_approval"],
            shell_idle_minutes=values["shell_idle_minutes"],
            shell_hours=values["shell_hours"],
            shells_at_once=values["shells_at_once"],
            recording=Recorded(values["recording"]),
            record_input=values["record_input"],
            recording_days=values["recording_days"],
            log_days=values["log_days"],
            log_kept_bytes=values["log_kept"],
        )


class QuotaForm(forms.Form):
    """How much of a host a team has."""

    containers = forms.IntegerField(
        label=_("Containers"), required=False, min_value=0, max_value=100_000, help_text=_("Empty is no limit.")
    )
    cpus = forms.CharField(
        label=_("CPUs of all together"), required=False, max_length=10, widget=_text(placeholder="4")
    )
    memory = forms.CharField(
        label=_("Memory of all together"), required=False, max_length=20, widget=_text(placeholder="8 GB")
    )
    disk = forms.CharField(
        label=_("Disk of all together"),
        required=False,
        max_length=20,
        widget=_text(placeholder="100 GB"),
        help_text=_("What containers write beside their volumes, on hosts that limit it."),
    )
    ports = forms.CharField(
        label=_("Ports"),
        required=False,
        max_length=20,
        widget=_text(placeholder="20000-20099"),
        help_text=_("The host's ports that its containers may publish. Empty allows none."),
    )
    address = forms.GenericIPAddressField(
        label=_("Published at"),
        required=False,
        widget=_text(placeholder="0.0.0.0"),
        help_text=_("Empty is every address of the host."),
    )

    def __init__(
        self, data: Any = None, *, team: Team, host: Host | None = None, grant: HostGrant | None = None
    ) -> None:
        super().__init__(data, initial=self.initial_of(grant) if grant is not None else {"containers": 10})
        self._team, self._host = team, host
        if host is not None and not host.limits_disk:
            self.fields["disk"].help_text = self._not_limited(host)

    @staticmethod
    def initial_of(grant: HostGrant) -> dict[str, Any]:
        """Return what the form shows of a quota."""
        return {
            "containers": grant.containers,
            "cpus": cpus_text(grant.nano_cpus) if grant.nano_cpus else "",
            "memory": size_text(grant.memory_bytes) if grant.memory_bytes else "",
            "disk": size_text(grant.disk_bytes) if grant.disk_bytes else "",
            "ports": f"{grant.first_port}-{grant.last_port}" if grant.ports else "",
            "address": grant.address or "",
        }

    def _parsed(self, name: str, parse: Callable[[str], int]) -> int | None:
        return parse(self.cleaned_data[name]) or None

    def clean_cpus(self) -> int | None:
        """A number of processors."""
        return self._parsed("cpus", parse_cpus)

    def clean_memory(self) -> int | None:
        """A size."""
        return self._parsed("memory", parse_size)

    def clean_disk(self) -> int | None:
        """A size."""
        return self._parsed("disk", parse_size)

    @staticmethod
    def _not_limited(host: Host) -> str:
        advice = gettext("Leave it empty: the team could create nothing here.")
        return f"{limits_nothing(host.storage)} {advice}"

    def clean_ports(self) -> tuple[int, int] | None:
        """A range like 20000-20099."""
        text = str(self.cleaned_data["ports"])
        if not text.strip():
            return None
        match = _RANGE.match(text)
        first, last = (int(match[1]), int(match[2])) if match else (0, 0)
        if not 1 <= first <= last <= 65535:
            raise ValidationError(gettext("Write a range from 1 to 65535, like 20000-20099."))
        return first, last

    def clean(self) -> dict[str, Any]:
        """No two teams have the same port of a host, and nobody a quota of disk that the host cannot keep."""
        values: dict[str, Any] = super().clean() or {}
        ports, host = values.get("ports"), values.get("host") or self._host
        if values.get("disk") and host is not None and not host.limits_disk:
            self.add_error("disk", ValidationError(self._not_limited(host)))
        if ports and host is not None:
            others = HostGrant.objects.filter(host=host, first_port__lte=ports[1], last_port__gte=ports[0])
            other = others.exclude(team=self._team).select_related("team").first()
            if other is not None:
                message = gettext("The team %(team)s has %(first)s-%(last)s of this host; the ranges may not overlap.")
                parts = {"team": other.team.name, "first": other.first_port, "last": other.last_port}
                self.add_error("ports", ValidationError(message % parts))
        return values

    @property
    def quota(self) -> dict[str, Any]:
        """The fields of a grant; valid forms only."""
        values = self.cleaned_data
        first, last = values["ports"] or (None, None)
        return {
            "containers": values["containers"],
            "nano_cpus": values["cpus"],
            "memory_bytes": values["memory"],
            "disk_bytes": values["disk"],
            "first_port": first,
            "last_port": last,
            "address": values["address"] or None,
        }
