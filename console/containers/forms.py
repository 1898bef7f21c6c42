"""What people type about containers, parsed into closed types; nothing here writes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.accounts.models import Team
from console.containers.create_queries import is_name_taken, suggest_name
from console.containers.masking import looks_secret
from console.containers.specs import (
    MOST_PORTS,
    Problem,
    argv_text,
    check_spec,
    is_reference,
)
from console.containers.states import SIGNALS
from console.gateway import ContainerSpec, Healthcheck, PublishedPort, RestartPolicy, TmpfsMount, VolumeMount
from console.hosts.models import Host
from console.lib.amounts import cpus_text, parse_cpus, parse_number, parse_size, size_text
from console.policies.queries import Gauge, bounds_of, gauges, grant_of, usage_of
from console.policies.quotas import exceeded
from console.policies.rules import Bounds, Denial, complete, decide, limits_nothing, own_network, prefixed

PULL_CHOICES: tuple[tuple[str, Promise], ...] = (
    ("missing", gettext_lazy("If the host does not have it")),
    ("always", gettext_lazy("Always, for the newest version")),
    ("never", gettext_lazy("Never")),
)
RESTART_CHOICES: tuple[tuple[str, Promise], ...] = (
    ("no", gettext_lazy("No")),
    ("on-failure", gettext_lazy("When it fails")),
    ("unless-stopped", gettext_lazy("Always, unless somebody stopped it")),
    ("always", gettext_lazy("Always, also after the host restarts")),
)
HEALTH_CHOICES: tuple[tuple[str, Promise], ...] = (
    ("image", gettext_lazy("As the image says")),
    ("none", gettext_lazy("None")),
    ("command", gettext_lazy("Run a command")),
)

#: The lists of the form: each column is a field that comes once per row.
ROWS: dict[str, tuple[str, ...]] = {
    "environment": ("env_name", "env_value", "env_kept"),
    "ports": ("port_host_ip", "port_host", "port_container", "port_protocol"),
    "volumes": ("volume_name", "volume_target", "volume_mode"),
    "tmpfs": ("tmpfs_target", "tmpfs_size"),
    "labels": ("label_name", "label_value", "label_kept"),
}
#: A row counts as filled in when one of these has text; the others always carry a value.
_DECIDING: dict[str, tuple[str, ...]] = {
    "environment": ("env_name", "env_value"),
    "ports": ("port_host_ip", "port_host", "port_container"),
    "volumes": ("volume_name", "volume_target"),
    "tmpfs": ("tmpfs_target", "tmpfs_size"),
    "labels": ("label_name", "label_value"),
}
#: The lists whose secret values a duplicate takes over unseen by the browser, and how the names of their fields begin.
_KEEPING = {"environment": "env", "labels": "label"}
_ROW_DEFAULTS = {"port_protocol": "tcp", "volume_mode": "rw"}
_BLANK_ROWS = 3
_MOST_ROWS = 400

SCALARS: dict[str, str] = {
    "team": "",
    "host": "",
    "name": "",
    "image": "",
    "pull": "missing",
    "command": "",
    "entrypoint": "",
    "environment_block": "",
    "network": "",
    "restart_policy": "no",
    "restart_max_retries": "",
    "memory": "",
    "cpus": "",
    "pids_limit": "",
    "disk": "",
    "health": "image",
    "health_test": "",
    "health_interval": "30",
    "health_timeout": "30",
    "health_retries": "3",
    "health_start_period": "0",
    "user": "",
    "working_directory": "",
    "hostname": "",
    "stop_timeout": "",
    "cap_add": "",
}
FLAGS = ("tty", "open_stdin", "init", "read_only_root")
#: What a form carries beside its fields; the twin is the text that its preview shows.
_CARRIED = frozenset({"csrfmiddlewaretoken", "submit", "source", "twin"})
_ROW_FIELDS = frozenset(column for columns in ROWS.values() for column in columns)

LABELS: dict[str, Promise] = {
    "team": gettext_lazy("For"),
    "host": gettext_lazy("Host"),
    "name": gettext_lazy("Name"),
    "image": gettext_lazy("Image"),
    "pull": gettext_lazy("Pull the image"),
    "command": gettext_lazy("Command"),
    "entrypoint": gettext_lazy("Entrypoint"),
    "environment": gettext_lazy("Environment"),
    "environment_block": gettext_lazy("Paste variables"),
    "ports": gettext_lazy("Ports"),
    "volumes": gettext_lazy("Volumes"),
    "tmpfs": gettext_lazy("Memory mounts"),
    "network": gettext_lazy("Network"),
    "restart_policy": gettext_lazy("Restart"),
    "restart_max_retries": gettext_lazy("Retries"),
    "memory": gettext_lazy("Memory"),
    "cpus": gettext_lazy("CPUs"),
    "pids_limit": gettext_lazy("Processes"),
    "disk": gettext_lazy("Disk"),
    "health": gettext_lazy("Health check"),
    "health_test": gettext_lazy("Health command"),
    "health_interval": gettext_lazy("Interval"),
    "health_timeout": gettext_lazy("Timeout"),
    "health_retries": gettext_lazy("Retries"),
    "health_start_period": gettext_lazy("Start period"),
    "labels": gettext_lazy("Labels"),
    "user": gettext_lazy("User"),
    "working_directory": gettext_lazy("Working directory"),
    "hostname": gettext_lazy("Host name"),
    "stop_timeout": gettext_lazy("Stop timeout"),
    "cap_add": gettext_lazy("Capabilities"),
    "containers": gettext_lazy("Quota"),
}
SECTIONS: dict[str, tuple[str, ...]] = {
    "basics": ("team", "host", "name", "image", "pull", "containers"),
    "process": ("command", "entrypoint", "user", "working_directory", "cap_add"),
    "environment": ("environment", "environment_block"),
    "network": ("ports", "network", "hostname"),
    "storage": ("volumes", "tmpfs"),
    "limits": ("memory", "cpus", "pids_limit", "disk"),
    "lifecycle": ("restart_policy", "restart_max_retries", "stop_timeout"),
    "health": ("health", "health_test", "health_interval", "health_timeout", "health_retries", "health_start_period"),
    "labels": ("labels",),
}

_DURATION = re.compile(
    r"\s*(?=\d)(?:(\d{1,6})\s*h)?\s*(?:(\d{1,6})\s*m(?:in)?)?\s*(?:(\d{1,6})\s*s?)?\s*\Z", re.IGNORECASE
)
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?\Z")

Value = TypeVar("Value")


# Single values


def parse_words(text: str) -> tuple[str, ...] | None:
    """Return a command line as words, split like a shell does; ``None`` when empty. Raises ``ValidationError``."""
    if not text.strip():
        return None
    try:
        words = tuple(shlex.split(text.replace("\r\n", "\n")))
    except ValueError as error:
        raise ValidationError(
            _("A quotation mark is opened and never closed; close it, or write \\' for the character itself.")
            if "quotation" in str(error)
            else _("A backslash at the end escapes nothing; remove it, or write \\\\ for the character itself.")
        ) from error
    return words if words != ("",) else ()


def parse_seconds(text: str) -> int:
    """Return ``30``, ``90s`` or ``1m 30s`` in seconds. Raises ``ValidationError``."""
    match = _DURATION.match(text)
    if match is None:
        raise ValidationError(_("“%(text)s” is no duration. Write seconds, or 1m30s.") % {"text": text[:60]})
    hours, minutes, seconds = (int(group or 0) for group in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def parse_ports(text: str) -> list[int]:
    """Return a port, or the ports of a range like ``8000-8010``. Raises ``ValidationError``."""
    match = _RANGE.match(text.strip())
    if match is None:
        raise ValidationError(
            _("“%(text)s” is no port. Write a number, or a range like 8000-8010.") % {"text": text[:60]}
        )
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= 65535 or not 1 <= last <= 65535:
        raise ValidationError(_("A port is a number from 1 to 65535."))
    if last < first:
        raise ValidationError(_("The range %(text)s ends before it begins.") % {"text": text.strip()})
    if last - first >= MOST_PORTS:
        raise ValidationError(_("A range has at most %(most)s ports.") % {"most": MOST_PORTS})
    return list(range(first, last + 1))


def parse_block(text: str) -> Iterator[tuple[str, str]]:
    """Yield the variables of pasted ``KEY=VALUE`` lines; empty lines and comments are skipped.

    Raises ``ValidationError``.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.strip().removeprefix("export ").lstrip()
        if not entry or entry.startswith("#"):
            continue
        name, equals, value = entry.partition("=")
        if not equals or not name.strip():
            raise ValidationError(_("Line %(number)s is not KEY=VALUE.") % {"number": number})
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        yield name.strip(), value


# The create form


@dataclass(slots=True)
class Row:
    """One row of a list of the form: what was typed, and what is wrong with it."""

    values: dict[str, str]
    error: str = ""


@dataclass(slots=True)
class CreateForm:
    """Everything a person may say about a new container, as typed and, if it makes sense, as a spec."""

    values: dict[str, str] = field(default_factory=lambda: dict(SCALARS))
    flags: dict[str, bool] = field(default_factory=lambda: {**dict.fromkeys(FLAGS, False), "init": True})
    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in ROWS})
    source: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    host: Host | None = None
    #: Whose it will be; ``None`` is nobody's, and so the admins'.
    team: Team | None = None
    spec: ContainerSpec | None = None
    #: For a team: what it may have on the host, what of this it may not, and how full its quota would be.
    bounds: Bounds | None = None
    denials: list[Denial] = field(default_factory=list)
    gauges: list[Gauge] = field(default_factory=list)
    #: The name is ours, since none was typed.
    is_name_suggested: bool = False

    # Making one

    @classmethod
    def of_data(cls, data: QueryDict) -> CreateForm:
        """Return the form as it was sent, not yet checked."""
        form = cls()
        form.values = {name: data.get(name, default)[:200_000] for name, default in SCALARS.items()}
        form.flags = {name: name in data for name in FLAGS}
        form.source = data.get("source", "")[:200]
        for group, columns in ROWS.items():
            sent = {column: data.getlist(column) for column in columns}
            for index in range(min(_MOST_ROWS, max((len(values) for values in sent.values()), default=0))):
                row = {
                    column: values[index] if index < len(values) else _ROW_DEFAULTS.get(column, "")
                    for column, values in sent.items()
                }
                if any(row[column].strip() for column in _DECIDING[group]):
                    form.rows[group].append(Row(row))
        unknown = sorted(data.keys() - SCALARS.keys() - _ROW_FIELDS - _CARRIED - set(FLAGS))
        if unknown:
            form.errors["form"] = _("The form has no field “%(name)s”; nothing was done.") % {"name": unknown[0][:80]}
        # Which of them counts depends on who reads it; so none does.
        repeated = [name for name in (*SCALARS, *FLAGS) if len(data.getlist(name)) > 1]
        if repeated:
            form.errors["form"] = _("The form says “%(name)s” twice; nothing was done.") % {"name": repeated[0]}
        return form

    @classmethod
    def of_query(cls, query: QueryDict) -> CreateForm:
        """Return a new form, prefilled by what a link may say: whose, a host and an image, nothing that acts."""
        form = cls()
        form.values["team"] = query.get("team", "")[:60]
        form.values["host"] = query.get("host", "")[:60]
        form.values["image"] = query.get("image", "")[:300]
        return form

    @classmethod
    def of_spec(
        cls, spec: ContainerSpec, *, host: Host | None, team_id: UUID | None = None, source: str = ""
    ) -> CreateForm:
        """Return a form that would ask for ``spec`` again; values that look secret stay in ``source`` (``…_kept``)."""
        form = cls(source=source)
        check = spec.healthcheck
        form.values |= {
            "team": str(team_id or ""),
            "host": str(host.pk) if host is not None else "",
            "name": spec.name,
            "image": spec.image,
            "command": argv_text(spec.command) if spec.command else ("" if spec.command is None else '""'),
            "entrypoint": argv_text(spec.entrypoint) if spec.entrypoint else ("" if spec.entrypoint is None else '""'),
            "network": spec.network,
            "restart_policy": spec.restart_policy.value,
            "restart_max_retries": str(spec.restart_max_retries or ""),
            "memory": size_text(spec.memory_bytes) if spec.memory_bytes else "",
            "cpus": cpus_text(spec.nano_cpus) if spec.nano_cpus else "",
            "pids_limit": str(spec.pids_limit or ""),
            "disk": size_text(spec.disk_bytes) if spec.disk_bytes else "",
            "health": "image" if check is None else "command" if check.test else "none",
            "user": spec.user,
            "working_directory": spec.working_directory,
            "hostname": spec.hostname,
            "stop_timeout": "" if spec.stop_timeout is None else str(spec.stop_timeout),
            "cap_add": " ".join(spec.cap_add),
        }
        if check is not None and check.test:
            form.values |= {
                "health_test": check.test,
                "health_interval": str(check.interval),
                "health_timeout": str(check.timeout),
                "health_retries": str(check.retries),
                "health_start_period": str(check.start_period),
            }
        form.flags = {name: bool(getattr(spec, name)) for name in FLAGS}
        for group, prefix in _KEEPING.items():
            for name, value in getattr(spec, group):
                kept = bool(source) and looks_secret(name, value)
                form.rows[group].append(
                    Row(
                        {
                            f"{prefix}_name": name,
                            f"{prefix}_value": "" if kept else value,
                            f"{prefix}_kept": "1" if kept else "",
                        }
                    )
                )
        for port in spec.ports:
            form.rows["ports"].append(
                Row(
                    {
                        "port_host_ip": port.host_ip,
                        "port_host": str(port.host_port or ""),
                        "port_container": str(port.container_port),
                        "port_protocol": port.protocol,
                    }
                )
            )
        for volume in spec.volumes:
            mode = "ro" if volume.read_only else "rw"
            row = {"volume_name": volume.volume, "volume_target": volume.target, "volume_mode": mode}
            form.rows["volumes"].append(Row(row))
        for mount in spec.tmpfs:
            size = size_text(mount.size_bytes) if mount.size_bytes else ""
            form.rows["tmpfs"].append(Row({"tmpfs_target": mount.target, "tmpfs_size": size}))
        return form

    def leave_to_team(self, team: Team) -> None:
        """Leave open what the other one of the team has to itself, its ports, and what each gets, the network."""
        for row in self.rows["ports"]:
            row.values["port_host"] = ""
        if self.values["network"] == own_network(team.prefix):
            self.values["network"] = ""

    # What a page shows

    def with_blanks(self, group: str) -> list[Row]:
        """Return the rows of ``group`` with empty ones after them, so that the form works without scripts."""
        blank = {column: _ROW_DEFAULTS.get(column, "") for column in ROWS[group]}
        missing = max(1, _BLANK_ROWS - len(self.rows[group]))
        return [*self.rows[group], *(Row(dict(blank)) for _index in range(missing))]

    @property
    def environment_rows(self) -> list[Row]:
        """For the page."""
        return self.with_blanks("environment")

    @property
    def port_rows(self) -> list[Row]:
        """For the page."""
        return self.with_blanks("ports")

    @property
    def volume_rows(self) -> list[Row]:
        """For the page."""
        return self.with_blanks("volumes")

    @property
    def tmpfs_rows(self) -> list[Row]:
        """For the page."""
        return self.with_blanks("tmpfs")

    @property
    def label_rows(self) -> list[Row]:
        """For the page."""
        return self.with_blanks("labels")

    @property
    def takes_over(self) -> list[str]:
        """The lists in which a value is to be taken over from the container or the operation in ``source``."""
        return [
            group
            for group, prefix in _KEEPING.items()
            if any(row.values[f"{prefix}_kept"] and not row.values[f"{prefix}_value"] for row in self.rows[group])
        ]

    @property
    def problems(self) -> list[tuple[str, str, str]]:
        """Every error as (section, label, message), for the list at the top of the page."""
        found = []
        if "form" in self.errors:
            found.append(("basics", _("Form"), self.errors["form"]))
        for section, fields in SECTIONS.items():
            for name in fields:
                found += [(section, str(LABELS[name]), self.errors[name])] if name in self.errors else []
                found += [(section, str(LABELS[name]), row.error) for row in self.rows.get(name, ()) if row.error]
        return found

    @property
    def broken_sections(self) -> set[str]:
        """The sections with an error."""
        return {section for section, _label, _message in self.problems}

    # Reading it

    def read(
        self,
        *,
        hosts: Mapping[str, Host],
        owners: Mapping[str, Team | None],
        kept: Mapping[str, Mapping[str, str]] | None = None,
    ) -> bool:
        """Fill in ``host``, ``team`` and ``spec``, or ``errors``; return whether the form makes sense.

        ``owners`` are those it may be made for. ``kept`` holds, by list and name, the values that rows marked
        ``…_kept`` take over.
        """
        self._unfold_block()
        if self.values["team"] not in owners:
            self.errors["team"] = _("Choose for whom it is.")
        self.team = owners.get(self.values["team"])
        self.host = hosts.get(self.values["host"])
        if self.host is None:
            self.errors["host"] = _("Choose the host that shall run it.")
        image = self.values["image"].strip()
        if not image:
            self.errors["image"] = _("Which image? Write it like nginx:1.27.")
        name = self.values["name"].strip()
        self.is_name_suggested = not name
        prefix = self.team.prefix if self.team is not None else ""
        if name:
            name = prefixed(name, prefix=prefix) if prefix else name
            if self.host is not None and is_name_taken(self.host, name):
                self.errors["name"] = _("A container on %(host)s has this name already; choose another.") % {
                    "host": self.host.name
                }
        elif self.host is not None and is_reference(image):
            name = suggest_name(self.host, image, prefix=prefix)
        ports, port_rows = self._read_ports()
        spec = ContainerSpec(
            name=name or "container",
            image=image,
            command=self._parse("command", parse_words),
            entrypoint=self._parse("entrypoint", parse_words),
            environment=tuple(self._read_pairs("environment", kept=kept or {})),
            labels=tuple(self._read_pairs("labels", kept=kept or {})),
            hostname=self.values["hostname"].strip(),
            user=self.values["user"].strip(),
            working_directory=self.values["working_directory"].strip(),
            tty=self.flags["tty"],
            open_stdin=self.flags["open_stdin"],
            init=self.flags["init"],
            read_only_root=self.flags["read_only_root"],
            ports=tuple(ports),
            volumes=tuple(self._read_volumes()),
            tmpfs=tuple(self._read_tmpfs()),
            network=self.values["network"].strip(),
            restart_policy=self._choose("restart_policy", RESTART_CHOICES, RestartPolicy) or RestartPolicy.NO,
            restart_max_retries=self._read_retries(),
            memory_bytes=self._parse("memory", parse_size) or 0,
            nano_cpus=self._parse("cpus", parse_cpus) or 0,
            pids_limit=self._parse("pids_limit", parse_number) or 0,
            disk_bytes=self._parse("disk", parse_size) or 0,
            healthcheck=self._read_health(),
            stop_timeout=self._parse("stop_timeout", parse_seconds) if self.values["stop_timeout"].strip() else None,
            cap_add=tuple(sorted(set(self.values["cap_add"].upper().replace(",", " ").split()))),
        )
        self._choose("pull", PULL_CHOICES, str)
        if self.team is not None and self.host is not None:
            spec = self._keep_within(spec, team=self.team, host=self.host, port_rows=port_rows)
        elif spec.disk_bytes and self.host is not None and not self.host.limits_disk:
            advice = _("Leave it empty, or choose another host.")
            self.errors["disk"] = f"{limits_nothing(self.host.storage)} {advice}"
        for problem in check_spec(spec):
            self._take_over(problem, port_rows)
        self.spec = spec
        return not self.errors and not any(row.error for rows in self.rows.values() for row in rows)

    def _parse(self, name: str, parse: Callable[[str], Value]) -> Value | None:
        try:
            return parse(self.values[name])
        except ValidationError as error:
            self.errors[name] = error.messages[0]
            return None

    def _choose(
        self, name: str, choices: tuple[tuple[str, Promise], ...], kind: Callable[[str], Value]
    ) -> Value | None:
        if self.values[name] not in {value for value, _label in choices}:
            self.errors[name] = _("Choose one of the possibilities.")
            return None
        return kind(self.values[name])

    def _keep_within(self, spec: ContainerSpec, *, team: Team, host: Host, port_rows: list[Row]) -> ContainerSpec:
        """Return ``spec`` as the team would have it; what its policy or quota does not allow is said at the field."""
        self.bounds = bounds_of(team=team, host_id=host.pk)
        spec = complete(spec, self.bounds)
        grant = grant_of(team_id=team.pk, host_id=host.pk)
        self.denials = [*decide(spec, self.bounds), *(exceeded(grant, spec) if grant is not None else ())]
        if grant is not None:
            self.gauges = gauges(grant, usage=usage_of(team_id=team.pk, host_id=host.pk), spec=spec)
        self.show_denials(self.denials, port_rows=port_rows)
        return spec

    def show_denials(self, denials: Iterable[Denial], *, port_rows: list[Row] | None = None) -> None:
        """Say at its field what is not allowed, and what to do instead."""
        for denial in denials:
            problem = Problem(denial.field, f"{denial.message} {denial.next_step}", denial.row)
            self._take_over(problem, port_rows or self.rows["ports"])

    def _take_over(self, problem: Problem, port_rows: list[Row]) -> None:
        rows = port_rows if problem.field == "ports" else self.rows.get(problem.field)
        if rows is not None and problem.row is not None and problem.row < len(rows):
            rows[problem.row].error = rows[problem.row].error or problem.message
        else:
            self.errors.setdefault(problem.field, problem.message)

    def _unfold_block(self) -> None:
        try:
            pasted = list(parse_block(self.values["environment_block"]))
        except ValidationError as error:
            self.errors["environment_block"] = error.messages[0]
            return
        by_name = {row.values["env_name"].strip(): row for row in self.rows["environment"]}
        for name, value in pasted:
            if name in by_name:
                by_name[name].values |= {"env_value": value, "env_kept": ""}
            elif len(self.rows["environment"]) < _MOST_ROWS:
                by_name[name] = Row({"env_name": name, "env_value": value, "env_kept": ""})
                self.rows["environment"].append(by_name[name])
        self.values["environment_block"] = ""

    def _read_pairs(self, group: str, *, kept: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
        prefix, known = _KEEPING[group], kept.get(group, {})
        for row in self.rows[group]:
            name, value = row.values[f"{prefix}_name"].strip(), row.values[f"{prefix}_value"]
            if row.values[f"{prefix}_kept"] and not value:
                if name not in known:
                    row.error = _("There is no value to take over any more; type it.")
                value = known.get(name, "")
            yield name, value

    def _read_ports(self) -> tuple[list[PublishedPort], list[Row]]:
        """Return the ports, a range unfolded, and for each the row it came from."""
        ports: list[PublishedPort] = []
        rows: list[Row] = []
        for row in self.rows["ports"]:
            try:
                inside = parse_ports(row.values["port_container"])
                outside = parse_ports(row.values["port_host"]) if row.values["port_host"].strip() else [0] * len(inside)
                if len(inside) != len(outside):
                    raise ValidationError(_("Both ranges need the same number of ports."))
            except ValidationError as error:
                row.error = (
                    _("Which port of the container?") if not row.values["port_container"].strip() else error.messages[0]
                )
                continue
            for container_port, host_port in zip(inside, outside, strict=True):
                ports.append(
                    PublishedPort(
                        container_port=container_port,
                        protocol=row.values["port_protocol"],
                        host_port=host_port,
                        host_ip=row.values["port_host_ip"].strip(),
                    )
                )
                rows.append(row)
        return ports, rows

    def _read_volumes(self) -> Iterator[VolumeMount]:
        for row in self.rows["volumes"]:
            if row.values["volume_mode"] not in ("rw", "ro"):
                row.error = _("Choose one of the possibilities.")
            yield VolumeMount(
                volume=row.values["volume_name"].strip(),
                target=row.values["volume_target"].strip(),
                read_only=row.values["volume_mode"] == "ro",
            )

    def _read_tmpfs(self) -> Iterator[TmpfsMount]:
        for row in self.rows["tmpfs"]:
            size = 0
            try:
                size = parse_size(row.values["tmpfs_size"])
            except ValidationError as error:
                row.error = error.messages[0]
            yield TmpfsMount(target=row.values["tmpfs_target"].strip(), size_bytes=size)

    def _read_retries(self) -> int:
        # The field stays filled in while another policy is chosen; only then it means nothing.
        if self.values["restart_policy"] != "on-failure":
            return 0
        return self._parse("restart_max_retries", parse_number) or 0

    def _read_health(self) -> Healthcheck | None:
        mode = self._choose("health", HEALTH_CHOICES, str)
        if mode == "none":
            return Healthcheck(test="")
        if mode != "command":
            return None
        if not self.values["health_test"].strip():
            self.errors["health_test"] = _("Which command tells that it is healthy? It must end with 0.")
        return Healthcheck(
            test=self.values["health_test"].strip(),
            interval=self._parse("health_interval", parse_seconds) or 0,
            timeout=self._parse("health_timeout", parse_seconds) or 0,
            retries=self._parse("health_retries", parse_number) or 0,
            start_period=self._parse("health_start_period", parse_seconds) or 0,
        )


# Actions


def parse_name(data: QueryDict, *, team: Team | None) -> str:
    """Return the new name in a rename form, as the team that owns it has its names. Raises ``ValidationError``."""
    name = data.get("name", "").strip()
    if name and team is not None:
        name = prefixed(name, prefix=team.prefix)
    spec = ContainerSpec(name=name, image="scratch")
    problems = [problem for problem in check_spec(spec) if problem.field == "name"]
    if problems:
        raise ValidationError(problems[0].message)
    return name


def parse_team(data: QueryDict) -> Team | None:
    """Return the team that a container is given to; ``None`` is nobody. Raises ``ValidationError``."""
    team_id = data.get("team", "")
    try:
        return Team.objects.get(pk=team_id) if team_id else None
    except (Team.DoesNotExist, ValidationError) as error:
        raise ValidationError(_("There is no such team any more; choose another.")) from error


def parse_signal(data: QueryDict) -> str:
    """Return the signal in a kill form. Raises ``ValidationError``."""
    signal = data.get("signal", "SIGKILL")
    if signal not in SIGNALS:
        raise ValidationError(_("Choose one of the signals in the list."))
    return signal


@dataclass(frozen=True, slots=True)
class Removal:
    """What a person said about removing a container."""

    force: bool
    volumes: bool


def parse_removal(data: QueryDict, *, name: str) -> Removal:
    """Return what shall go; volumes only go when the name was typed. Raises ``ValidationError``."""
    volumes = data.get("volumes") == "1"
    if volumes and data.get("confirm", "").strip() != name:
        raise ValidationError(
            _("Data would be lost for good: type the container's name, %(name)s, to remove its volumes too.")
            % {"name": name}
        )
    return Removal(force=data.get("force") == "1", volumes=volumes)


def parse_targets(data: QueryDict) -> list[tuple[UUID, str]]:
    """Return the containers of a bulk form, as host and full id. Raises ``ValidationError``."""
    targets = []
    for text in data.getlist("ids"):
        host_id, _slash, container_id = text.partition("/")
        if not re.fullmatch(r"[0-9a-f]{64}", container_id):
            raise ValidationError(_("“%(text)s” is no container.") % {"text": text[:100]})
        try:
            targets.append((UUID(host_id), container_id))
        except ValueError as error:
            raise ValidationError(_("“%(text)s” is no container.") % {"text": text[:100]}) from error
    return targets
