"""The package's only face."""

import runtime
from runtime import Driver, connect
from runtime.connect import _DRIVERS
from runtime.containers import ContainerEngine
from runtime.drivers.docker.engine import DockerEngine
from runtime.testing import FakeEngine


def test_the_face_is_what_it_says() -> None:
    public = {name for name in vars(runtime) if not name.startswith("_")}
    modules = {
        "archives",
        "connect",
        "containers",
        "drivers",
        "endpoint",
        "errors",
        "files",
        "hub",
        "kept_logs",
        "recordings",
        "streams",
        "testing",
        "transport",
    }
    assert public - modules == set(runtime.__all__) - modules
    assert sorted(runtime.__all__) == list(runtime.__all__)
    assert callable(connect)


def test_every_kind_of_daemon_has_a_driver() -> None:
    assert set(_DRIVERS) == set(Driver)


def test_every_member_has_every_method() -> None:
    promised = {name for name in vars(ContainerEngine) if not name.startswith("_")}
    for member in (DockerEngine, FakeEngine):
        assert promised <= {name for name in dir(member) if not name.startswith("_")}


def test_the_members_are_engines() -> None:
    # What mypy checks: both fulfil the protocol.
    members: list[type[ContainerEngine]] = [DockerEngine, FakeEngine]
    assert len(members) == 2
