"""Network bridges of private engines: where their networks lie, whose they are, and how they go.

A daemon leaves the bridges of its networks behind, and one that is killed leaves its first one too; when a machine has
enough of them, no engine on it finds a free network any more. So each private engine has a range of addresses for all
its bridges, and a socket holds the name of the first one: when nobody holds the name the engine is dead, and whoever
makes the next bridge takes away what it left.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from launcher import say
from launcher.processes import run

Network = ipaddress.IPv4Network

#: Private addresses that engines do not hand out by themselves, in the order in which we try them.
PLACES: Final = (Network("10.128.0.0/9"), Network("100.64.0.0/10"))
#: 2048 networks of 61 containers each; an engine by itself has room for about thirty.
RANGE_BITS: Final = 15
NETWORK_BITS: Final = 26
_FIRST_BITS: Final = 24
_MARK: Final = "pilothouse "
#: What the kernel keeps of it.
_LONGEST_MARK: Final = 255
_PATIENCE: Final = 20.0


class NameTaken(say.Trouble):
    """A bridge of this name belongs to a living engine."""


def _hold(name: str) -> socket.socket | None:
    """Take a name for as long as this process lives, or return None when another has it.

    An abstract socket is where bridges are, in the network namespace, and the kernel gives it back whatever happens.
    """
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        held.bind(f"\0pilothouse-bridge/{name}")
    except OSError:
        held.close()
        return None
    return held


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time looks for a free range and takes it."""
    deadline = time.monotonic() + _PATIENCE
    while (turn := _hold("turn")) is None:
        if time.monotonic() > deadline:
            raise say.Trouble("Another private engine has been making its network for too long.")
        time.sleep(0.02)
    with turn:
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """The first bridge of a private engine, and the range for all others."""

    name: str
    addresses: Network
    held: socket.socket = field(repr=False)

    @property
    def network(self) -> Network:
        """The bridge's own network: for containers that nobody put elsewhere."""
        return next(self.addresses.subnets(new_prefix=_FIRST_BITS))

    @property
    def for_daemon(self) -> Mapping[str, object]:
        """What dockerd must be told, in the words of its file."""
        pool = {"base": str(self.addresses), "size": NETWORK_BITS}
        return {"bridge": self.name, "default-address-pools": [pool]}

    def remove(self) -> None:
        """Take away every bridge of the engine, and let go of its name."""
        with self.held:
            _remove(self.name)


def make(name: str, *, data_root: Path, bits: int = RANGE_BITS) -> Bridge:
    """Make the first bridge of the daemon with this data, after taking away what dead engines left.

    Raises :class:`NameTaken` when another process holds the name, another :class:`say.Trouble` when it cannot be made.
    """
    held = _hold(name)
    if held is None:
        raise NameTaken(f"Another private engine of this machine has the bridge {name}.")
    try:
        with _alone():
            _remove_dead()
            _remove(name)
            bridge = Bridge(name=name, addresses=free_range(bits=bits), held=held)
            run(["ip", "link", "add", name, "type", "bridge"])
            run(["ip", "link", "set", name, "alias", _Mark(bridge.addresses, data_root).text])
            run(["ip", "address", "add", f"{bridge.network[1]}/{_FIRST_BITS}", "dev", name])
            run(["ip", "link", "set", name, "up"])
    except say.Trouble:
        held.close()
        raise
    return bridge


def remove_dead() -> None:
    """Take away what dead engines of this machine left."""
    with _alone():
        _remove_dead()


@dataclass(frozen=True, slots=True)
class _Mark:
    """What is written on the first bridge of an engine, for whoever finds it when the engine is dead."""

    addresses: Network
    data_root: Path

    @property
    def text(self) -> str:
        return f"{_MARK}{self.addresses} {self.data_root}"[:_LONGEST_MARK]

    @classmethod
    def on(cls, name: str) -> _Mark | None:
        """Read the mark on a bridge; None when there is none, or no such bridge."""
        try:
            text = Path("/sys/class/net", name, "ifalias").read_text().strip()
        except OSError:
            return None
        if not text.startswith(_MARK):
            return None
        addresses, _, data_root = text.removeprefix(_MARK).partition(" ")
        return cls(Network(addresses), Path(data_root))


def free_range(*, bits: int = RANGE_BITS) -> Network:
    """Return a range that no route of this machine touches. Raises :class:`say.Trouble` when there is none."""
    taken = _routes()
    for place in PLACES:
        # From above: people number their own networks from below.
        for found in reversed(list(place.subnets(new_prefix=bits))):
            if not any(map(found.overlaps, taken)):
                return found
    places = " or ".join(map(str, PLACES))
    raise say.Trouble(f"No range of addresses in {places} is left for a private engine. Free one, or set DOCKER_HOST.")


def _routes() -> list[Network]:
    found = []
    for row in Path("/proc/net/route").read_text().splitlines()[1:]:
        fields = row.split()
        address, mask = (int.from_bytes(bytes.fromhex(text), "little") for text in (fields[1], fields[7]))
        if mask:
            found.append(Network((address, mask.bit_count()), strict=False))
    return found


def _remove_dead() -> None:
    for entry in Path("/sys/class/net").iterdir():
        if _Mark.on(entry.name) is not None and (held := _hold(entry.name)) is not None:
            with held:
                _remove(entry.name)


def _remove(name: str) -> None:
    """Take away an engine's bridges, the first one last: the mark on it says what is left to do."""
    mark = _Mark.on(name)
    others = _in_the_books(mark.data_root) or _within(mark.addresses) if mark else []
    for other in {*others} - {name}:
        # The first bridge of another engine is for that one to take away, wherever its addresses are.
        if _Mark.on(other) is None:
            _delete(other)
    _delete(name)


def _in_the_books(data_root: Path) -> list[str]:
    """Return the bridges that a daemon wrote down, also those whose addresses somebody chose; none without its data."""
    try:
        book = (data_root / "network/files/local-kv.db").read_bytes()
    except OSError:
        return []
    return [name.decode() for name in re.findall(rb'"(br-[0-9a-f]{12})"', book)]


def _within(addresses: Network) -> list[str]:
    """Return the bridges of this machine that are in a range."""
    return [
        link["ifname"]
        for link in json.loads(run(["ip", "-json", "-4", "address", "show", "type", "bridge"]))
        for address in link.get("addr_info", [])
        if ipaddress.IPv4Address(address["local"]) in addresses
    ]


def _delete(name: str) -> None:
    if Path("/sys/class/net", name).exists():
        run(["ip", "link", "delete", name])
