"""What the create form offers and says: names that are free, a host's images, volumes and networks, a plan in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from console.accounts.models import Team, User
from console.containers.queries import address_of
from console.containers.specs import argv_text, image_repository
from console.gateway import ContainerSpec, RestartPolicy
from console.hosts.models import Host
from console.inventory.models import ObservedContainer, ObservedImage, ObservedNetwork, ObservedVolume
from console.lib.amounts import cpus_text, size_text
from console.operations.models import Operation
from console.policies.queries import bounds_of
from console.policies.rules import Bounds, allows_image, limits_nothing, own_network, prefixed
from console.rbac.policy import Level, allowed, rights_of

_MOST_CHOICES = 300
#: Patterns of images that the form names.
_MOST_PATTERNS = 5
#: Networks every engine has, and the one it takes when nobody says.
_BUILT_IN = ("bridge", "host", "none", "podman")


def hosts_by_id(user: User) -> dict[str, Host]:
    """Return the hosts that ``user`` may see, by id as text, in the order of names."""
    return {str(host.pk): host for host in Host.objects.visible_to(user).order_by("name")}


def owners_by_id(user: User) -> dict[str, Team | None]:
    """Return for whom ``user`` may make a container, by id as text; "" is nobody, and so the admins alone."""
    nobody: dict[str, Team | None] = {"": None} if allowed(user, "container.create") else {}
    teams = Team.objects.filter(grants__isnull=False).distinct().order_by("name")
    if not nobody:
        teams = teams.filter(pk__in=rights_of(user).teams_with(Level.EDIT))
    return nobody | {str(team.pk): team for team in teams}


def is_name_taken(host: Host, name: str) -> bool:
    """Whether a container of this name was last seen on ``host``."""
    return ObservedContainer.objects.filter(host=host, name=name).exists()


def suggest_name(host: Host, image: str, *, prefix: str = "") -> str:
    """Return a name that is free on ``host`` and says what runs: ``nginx``, then ``nginx-2`` and so on.

    ``prefix`` is that of the team that it is for.
    """
    base = image_repository(image)[:150].strip("._-") or "container"
    base = base if len(base) > 1 else f"{base}-1"
    base = prefixed(base, prefix=prefix) if prefix else base
    taken = set(ObservedContainer.objects.filter(host=host, name__startswith=base).values_list("name", flat=True))
    # One that is still being pulled is on no host yet, and wants its name all the same.
    coming = Operation.objects.active().filter(host=host, kind="container.create", object_name__startswith=base)
    taken.update(coming.values_list("object_name", flat=True))
    number = 1
    name = base
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name


@dataclass(frozen=True, slots=True)
class Choices:
    """What a host has to offer to a new container."""

    images: list[str]
    volumes: list[str]
    networks: list[tuple[str, str]]
    #: Why the disk of a container cannot be limited there, in words; "" when it can.
    disk_trouble: str = ""
    #: What to know about images and ports there: of a team, what its policy and its quota say.
    image_help: str = ""
    ports_help: str = ""


def choices(host: Host | None, *, team: Team | None = None) -> Choices:
    """Return what ``host`` holds, as last observed; for a team, what of it the team may use."""
    if host is None:
        return Choices([], [], [("", _("The engine's default"))])
    images = sorted(
        {
            tag
            for tags in ObservedImage.objects.filter(host=host).values_list("tags", flat=True)[:_MOST_CHOICES]
            for tag in tags
        }
    )
    if team is not None:
        return _choices_of_team(images, bounds_of(team=team, host_id=host.pk), host=host)
    # A "local" volume with options can be a path of the host in disguise: it is not offered.
    volumes = [
        name
        for name, options in ObservedVolume.objects.filter(host=host).order_by("name").values_list("name", "options")
        if not options and not _is_anonymous(name)
    ]
    seen = ObservedNetwork.objects.filter(host=host).order_by("name").values_list("name", "driver")
    own = [(name, _("%(name)s (%(driver)s)") % {"name": name, "driver": driver}) for name, driver in seen]
    networks = [
        ("", _("The engine's default")),
        *[(name, label) for name, label in own if name not in _BUILT_IN],
        ("host", _("host: the host's own network, nothing in between")),
        ("none", _("none: no network at all")),
    ]
    return Choices(images[:_MOST_CHOICES], volumes[:_MOST_CHOICES], networks[:_MOST_CHOICES], _disk_trouble(host))


def _disk_trouble(host: Host) -> str:
    return "" if host.limits_disk else limits_nothing(host.storage)


def _choices_of_team(images: list[str], bounds: Bounds, *, host: Host) -> Choices:
    names = ObservedNetwork.objects.filter(host=host, network_id__in=bounds.networks).order_by("name")
    others = [name for name in names.values_list("name", flat=True) if name != own_network(bounds.prefix)]
    return Choices(
        [image for image in images if allows_image(image, bounds.rules.images)][:_MOST_CHOICES],
        sorted(bounds.volumes)[:_MOST_CHOICES] if bounds.rules.volumes else [],
        [
            ("", _("The team's own network")),
            *[(name, name) for name in others if bounds.rules.networks],
            ("none", _("none: no network at all")),
        ],
        _disk_trouble(host),
        image_help=_image_help(bounds),
        ports_help=_ports_help(bounds),
    )


def _image_help(bounds: Bounds) -> str:
    if not bounds.rules.images:
        return _("The policy of the team %(team)s allows no image yet: an admin says which.") % {"team": bounds.team}
    images = ", ".join(bounds.rules.images[:_MOST_PATTERNS]) + (
        "…" if len(bounds.rules.images) > _MOST_PATTERNS else ""
    )
    return _("The policy of the team %(team)s allows: %(images)s.") % {"team": bounds.team, "images": images}


def _ports_help(bounds: Bounds) -> str:
    if not bounds.rules.ports or bounds.ports is None:
        return _("The team %(team)s may publish no ports on this host.") % {"team": bounds.team}
    message = _(
        "The team %(team)s has the ports %(first)s to %(last)s here; without a host port one of them is chosen."
    )
    return message % {"team": bounds.team, "first": bounds.ports[0], "last": bounds.ports[1]}


def _is_anonymous(volume: str) -> bool:
    return len(volume) == 64 and all(character in "0123456789abcdef" for character in volume)


def has_image(host: Host, reference: str) -> bool:
    """Whether ``host`` was last seen with the image."""
    wanted = reference if ":" in reference.rsplit("/", 1)[-1] or "@" in reference else f"{reference}:latest"
    short = wanted.removeprefix("docker.io/").removeprefix("library/")
    images = ObservedImage.objects.filter(host=host)
    if reference.startswith("sha256:"):
        return images.filter(image_id=reference).exists()
    names = {wanted, short, f"docker.io/library/{short}", f"docker.io/{short}", f"localhost/{short}"}
    return any(names & {*tags, *digests} for tags, digests in images.values_list("tags", "digests"))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a form would do, in words."""

    sentences: list[str]
    links: list[str]
    warnings: list[str]


def plan(spec: ContainerSpec, *, host: Host, pull: str, address: str) -> Plan:
    """Return in words what making ``spec`` on ``host`` will do, and what might surprise."""
    reach = address_of(host, address=address)
    links = [
        f"http://{f'[{reach}]' if ':' in reach else reach}:{port.host_port}/"
        for port in spec.ports
        if port.host_port and port.protocol == "tcp" and port.host_ip in ("", "0.0.0.0", "::")
    ]
    return Plan(list(_sentences(spec, host=host, pull=pull)), links[:5], list(_warnings(spec, host=host, pull=pull)))


def _sentences(spec: ContainerSpec, *, host: Host, pull: str) -> Iterator[str]:
    yield _("Runs %(image)s on %(host)s, named %(name)s.") % {"image": spec.image, "host": host.name, "name": spec.name}
    present = has_image(host, spec.image)
    if pull == "always":
        yield _("Pulls the newest image first.")
    elif pull == "missing" and not present:
        yield _("Pulls the image first: the host does not have it.")
    elif present:
        yield _("The host has the image already.")
    if spec.entrypoint is not None or spec.command is not None:
        words = (*(spec.entrypoint or ()), *(spec.command or ()))
        yield _("Starts with: %(command)s") % {"command": argv_text(words)[:300]}
    if spec.environment:
        yield ngettext("Sets %(count)s variable.", "Sets %(count)s variables.", len(spec.environment)) % {
            "count": len(spec.environment)
        }
    for port in spec.ports[:8]:
        parts = {"outside": port.host_port, "inside": f"{port.container_port}/{port.protocol}", "ip": port.host_ip}
        if not port.host_port:
            yield _("Publishes port %(inside)s at a port that the engine chooses.") % parts
        elif port.host_ip:
            yield _("Reachable at port %(outside)s of %(ip)s (port %(inside)s inside).") % parts
        else:
            yield _("Reachable at port %(outside)s of the host (port %(inside)s inside).") % parts
    if len(spec.ports) > 8:
        yield _("… and %(count)s more ports.") % {"count": len(spec.ports) - 8}
    yield from _network_sentences(spec)
    known = set(
        ObservedVolume.objects.filter(host=host, name__in=[volume.volume for volume in spec.volumes]).values_list(
            "name", flat=True
        )
    )
    for volume in spec.volumes[:8]:
        parts = {"volume": volume.volume, "target": volume.target}
        if volume.volume in known:
            yield _("Keeps %(target)s in the volume %(volume)s.") % parts
        else:
            yield _("Keeps %(target)s in the new volume %(volume)s.") % parts
    for mount in spec.tmpfs[:8]:
        size = size_text(mount.size_bytes) if mount.size_bytes else _("no limit")
        yield _("Holds %(target)s in memory (%(size)s); it is empty after each start.") % {
            "target": mount.target,
            "size": size,
        }
    yield from _limit_sentences(spec)


def _network_sentences(spec: ContainerSpec) -> Iterator[str]:
    if spec.network == "none":
        yield _("Has no network.")
    elif spec.network == "host":
        yield _("Shares the host's own network.")
    elif spec.network:
        yield _("Joins the network %(network)s.") % {"network": spec.network}


def _limit_sentences(spec: ContainerSpec) -> Iterator[str]:
    limits = []
    if spec.memory_bytes:
        limits.append(_("%(size)s of memory") % {"size": size_text(spec.memory_bytes)})
    if spec.nano_cpus:
        limits.append(_("%(count)s CPUs") % {"count": cpus_text(spec.nano_cpus)})
    if spec.pids_limit:
        limits.append(_("%(count)s processes") % {"count": spec.pids_limit})
    if spec.disk_bytes:
        limits.append(_("%(size)s of disk") % {"size": size_text(spec.disk_bytes)})
    if limits:
        yield _("Gets at most %(limits)s.") % {"limits": ", ".join(limits)}
    else:
        yield _("May use all memory and processors of the host.")
    restarts = {
        RestartPolicy.NO: _("Is not restarted when it ends."),
        RestartPolicy.ON_FAILURE: _("Is restarted when it fails."),
        RestartPolicy.ALWAYS: _("Is always restarted, also with the host."),
        RestartPolicy.UNLESS_STOPPED: _("Is restarted until somebody stops it."),
    }
    yield restarts[spec.restart_policy]
    if spec.healthcheck is not None and spec.healthcheck.test:
        yield _("Counts as healthy when this ends with 0: %(test)s") % {"test": spec.healthcheck.test[:300]}
    if spec.read_only_root:
        yield _("Cannot write to its own file system.")


def _warnings(spec: ContainerSpec, *, host: Host, pull: str) -> Iterator[str]:
    if not host.is_reachable:
        yield _("%(host)s does not answer at the moment: the operation will wait for it only a few seconds.") % {
            "host": host.name
        }
    if pull == "never" and not has_image(host, spec.image):
        yield _("The host does not have the image, and it shall not be pulled: creating will fail.")
    wanted = {(port.host_port, port.protocol) for port in spec.ports if port.host_port}
    if wanted:
        running = ObservedContainer.objects.filter(host=host, state__in=("running", "paused", "restarting"))
        for name, ports in running.exclude(ports=[]).values_list("name", "ports"):
            for port in ports:
                if (port.get("host_port"), port.get("protocol")) in wanted:
                    wanted.discard((port["host_port"], port["protocol"]))
                    yield _("Port %(port)s is in use by %(name)s.") % {"port": port["host_port"], "name": name}
    if spec.user in ("", "0", "root", "0:0") and spec.network == "host":
        yield _("With the host's network, the container reaches everything that the host reaches.")
    if spec.read_only_root and not spec.volumes and not spec.tmpfs:
        yield _("Many programs need to write somewhere: add a volume, or memory at /tmp.")
