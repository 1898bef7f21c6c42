"""Bridges of private engines: enough addresses for each, and nothing left of the dead."""

from __future__ import annotations

import ipaddress
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from launcher import bridges
from launcher.paths import ROOT
from launcher.processes import run

pytestmark = pytest.mark.live

#: Small, so that others who start engines now find room.
_BITS = 20
#: Others may run these tests on this machine too.
_ONE, _OTHER, _FOREIGN = (f"pht-{os.getpid()}{letter}" for letter in "abc")

_SCRIPT = f"""
import sys
from pathlib import Path
from launcher import bridges

bridge = bridges.make(sys.argv[1], data_root=Path(sys.argv[2]), bits={_BITS})
print(bridge.addresses, flush=True)
sys.stdin.read()
"""


def of_a_daemon() -> str:
    """A name as a daemon gives to the bridge of a network."""
    return f"br-{secrets.token_hex(6)}"


def there(name: str) -> bool:
    """Whether the machine has such a bridge."""
    return Path("/sys/class/net", name).exists()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., bridges.Bridge]]:
    """Make bridges that are gone after the test."""
    with ExitStack() as stack:

        def make_(name: str) -> bridges.Bridge:
            bridge = bridges.make(name, data_root=tmp_path, bits=_BITS)
            stack.callback(bridge.remove)
            return bridge

        yield make_


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Callable[[str], tuple[subprocess.Popen[str], bridges.Network]]]:
    """Make a bridge in another process, which can be killed."""
    with ExitStack() as stack:

        def start(name: str) -> tuple[subprocess.Popen[str], bridges.Network]:
            process = subprocess.Popen(
                [sys.executable, "-c", _SCRIPT, name, str(tmp_path / "data")],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout is not None
            return process, bridges.Network(process.stdout.readline().strip())

        yield start


def lay(name: str, network: str) -> None:
    """Make a bridge as a daemon does for a network."""
    run(["ip", "link", "add", name, "type", "bridge"])
    run(["ip", "address", "add", network, "dev", name])
    run(["ip", "link", "set", name, "up"])


def test_a_range_has_room_for_thousands_and_overlaps_no_route() -> None:
    found = bridges.free_range()
    assert len(list(found.subnets(new_prefix=bridges.NETWORK_BITS))) >= 2000
    routes = [word for word in run(["ip", "-4", "route"]).split() if "/" in word and word[0].isdigit()]
    assert not any(found.overlaps(ipaddress.ip_network(route)) for route in routes)


def test_two_engines_have_two_ranges(make: Callable[..., bridges.Bridge]) -> None:
    one, other = make(_ONE), make(_OTHER)
    assert not one.addresses.overlaps(other.addresses)


def test_the_name_of_a_living_engine_is_taken_and_its_bridge_stays(
    make: Callable[..., bridges.Bridge], elsewhere: Callable[[str], tuple[subprocess.Popen[str], bridges.Network]]
) -> None:
    elsewhere(_ONE)
    with pytest.raises(bridges.NameTaken):
        make(_ONE)
    bridges.remove_dead()
    assert there(_ONE)


@pytest.mark.parametrize("data_is_left", [True, False])
def test_whoever_comes_next_takes_away_what_a_killed_one_left(
    data_is_left: bool,
    make: Callable[..., bridges.Bridge],
    elsewhere: Callable[[str], tuple[subprocess.Popen[str], bridges.Network]],
    tmp_path: Path,
) -> None:
    process, addresses = elsewhere(_ONE)
    inside = f"{addresses[-2]}/{bridges.NETWORK_BITS}"
    ours, foreign = of_a_daemon(), of_a_daemon()
    lay(ours, "198.51.100.1/30" if data_is_left else inside)
    lay(foreign, "198.51.100.5/30")
    try:
        if data_is_left:
            book = tmp_path / "data/network/files/local-kv.db"
            book.parent.mkdir(parents=True)
            book.write_bytes(f'\0{{"BridgeName":"{ours}"}}\0'.encode())
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert there(_ONE)
        make(_OTHER)
        assert not there(_ONE)
        assert not there(ours)
        # Somebody else's.
        assert there(foreign)
    finally:
        run(["ip", "link", "delete", foreign])


def test_what_ends_in_good_order_takes_its_networks_along(make: Callable[..., bridges.Bridge]) -> None:
    bridge = make(_ONE)
    network = of_a_daemon()
    lay(network, f"{bridge.addresses[-2]}/{bridges.NETWORK_BITS}")
    bridge.remove()
    assert not there(_ONE)
    assert not there(network)


def test_another_bridge_without_our_mark_is_nobodys_to_take(make: Callable[..., bridges.Bridge]) -> None:
    lay(_FOREIGN, "198.51.100.9/30")
    try:
        bridges.remove_dead()
        assert there(_FOREIGN)
    finally:
        run(["ip", "link", "delete", _FOREIGN])


def test_the_first_bridge_of_a_living_engine_stays_wherever_its_addresses_are(
    make: Callable[..., bridges.Bridge], elsewhere: Callable[[str], tuple[subprocess.Popen[str], bridges.Network]]
) -> None:
    bridge = make(_ONE)
    elsewhere(_OTHER)
    run(["ip", "address", "add", f"{bridge.addresses[-2]}/{bridges.NETWORK_BITS}", "dev", _OTHER])
    bridge.remove()
    assert not there(_ONE)
    assert there(_OTHER)
