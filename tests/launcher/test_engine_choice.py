"""Which engine `up` takes: what is asked for, what answers, what can be started, or none."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from launcher import engine, starter_image, system
from launcher.paths import DataDir
from launcher.say import Trouble


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@contextmanager
def _engine_at(path: Path, *, version: object, status: int = 200) -> Iterator[str]:
    """Something that answers `GET /version` on a socket."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(version).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "socket"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
            return

    path.parent.mkdir(parents=True, exist_ok=True)
    with _Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"unix://{path}"
        finally:
            server.shutdown()
            thread.join()


DOCKER = {"ApiVersion": "1.41", "Components": [{"Name": "Engine"}]}
PODMAN = {"ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]}


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    return DataDir.open(tmp_path / "data")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """A machine without engines, on which some can be put."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)
    monkeypatch.delenv("PILOTHOUSE_ENGINE", raising=False)
    usual = [tmp_path / "docker.sock", tmp_path / "podman.sock"]
    monkeypatch.setattr(engine, "_sockets", lambda: usual)
    with ExitStack() as stack:

        def put(name: str, version: object, status: int = 200) -> str:
            return stack.enter_context(_engine_at(tmp_path / name, version=version, status=status))

        yield put


@pytest.fixture
def nothing_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "is_root", lambda: False)


def test_none_means_none(data_dir: DataDir, places: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    places("docker.sock", DOCKER)
    monkeypatch.setenv("PILOTHOUSE_ENGINE", "none")
    assert engine.choose(data_dir) is None


def test_an_unknown_wish_is_refused(
    data_dir: DataDir, places: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PILOTHOUSE_ENGINE", "docker")
    with pytest.raises(Trouble, match="PILOTHOUSE_ENGINE is 'docker'; write auto, private or none"):
        engine.choose(data_dir)


def test_docker_host_comes_first(
    data_dir: DataDir, places: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    places("docker.sock", DOCKER)
    asked_for = places("other.sock", PODMAN)
    monkeypatch.setenv("DOCKER_HOST", asked_for)
    chosen = engine.choose(data_dir)
    assert chosen is not None
    assert (chosen.url, chosen.driver, chosen.private) == (asked_for, "podman", None)


def test_a_docker_host_that_does_not_answer_is_kept_and_named(
    data_dir: DataDir,
    places: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    chosen = engine.choose(data_dir)
    assert chosen is not None
    assert chosen.url == "unix:///nowhere/docker.sock"
    assert "Nothing answers at DOCKER_HOST" in capsys.readouterr().out


def test_a_docker_host_over_ssh_is_left_to_the_hosts_page(
    data_dir: DataDir, places: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://harbour")
    assert engine.choose(data_dir) is None
    assert "Hosts page" in capsys.readouterr().out


def test_the_certificates_of_a_docker_host_are_handed_over(
    data_dir: DataDir, places: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2376")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    chosen = engine.choose(data_dir)
    assert chosen is not None
    assert (chosen.url, chosen.certificates) == ("tcp://192.0.2.1:2376", tmp_path)


@pytest.mark.parametrize(
    ("name", "version", "driver"), [("docker.sock", DOCKER, "docker"), ("podman.sock", PODMAN, "podman")]
)
def test_an_engine_that_answers_is_taken(
    data_dir: DataDir, places: Callable[..., str], name: str, version: object, driver: str
) -> None:
    url = places(name, version)
    chosen = engine.choose(data_dir)
    assert chosen is not None
    assert (chosen.url, chosen.driver, chosen.private) == (url, driver, None)


@pytest.mark.parametrize(("version", "status"), [(["no", "engine"], 200), ({}, 200), (DOCKER, 500)])
def test_something_else_behind_the_socket_is_passed_over(
    data_dir: DataDir, places: Callable[..., str], version: object, status: int
) -> None:
    places("docker.sock", version, status)
    url = places("podman.sock", PODMAN)
    chosen = engine.choose(data_dir)
    assert chosen is not None
    assert chosen.url == url


def test_a_socket_that_hangs_is_passed_over(data_dir: DataDir, places: Callable[..., str], tmp_path: Path) -> None:
    with _Server(str(tmp_path / "docker.sock"), socketserver.BaseRequestHandler):  # it listens, nobody serves
        url = places("podman.sock", PODMAN)
        chosen = engine.choose(data_dir)
    assert chosen is not None
    assert chosen.url == url


def test_without_root_the_console_starts_without(
    data_dir: DataDir, places: Callable[..., str], nothing_to_install: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert engine.choose(data_dir) is None
    printed = capsys.readouterr().out
    assert "only root can start a private engine" in printed
    assert "Hosts page says how to add one" in printed


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A root on a machine without an engine; returns what gets installed."""
    installed: list[str] = []
    monkeypatch.setattr(system, "is_root", lambda: True)
    monkeypatch.setattr(system, "has", lambda program: program not in ("dockerd", "iptables"))
    monkeypatch.setattr(system, "install", lambda packages, *, why: installed.extend(packages))
    monkeypatch.setattr(starter_image, "find_busybox", lambda: None)
    monkeypatch.setattr(engine, "_wait_for_service", lambda: None)
    return installed


def test_a_bare_machine_gets_the_distributions_package(
    data_dir: DataDir, places: Callable[..., str], bare_machine: list[str]
) -> None:
    chosen = engine.choose(data_dir)
    assert bare_machine == ["docker.io", "iptables", "busybox-static"]
    assert chosen is not None
    assert chosen.private is not None
    assert (
        chosen.url
        == f"unix://{data_dir.run_folder('engine', longest='exec/containerd/containerd-debug.sock')}/docker.sock"
    )


def test_when_the_package_cannot_be_installed_the_console_starts_without(
    data_dir: DataDir,
    places: Callable[..., str],
    bare_machine: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(_packages: list[str], *, why: str) -> None:
        raise Trouble(f"{why}: no package to be had.")

    monkeypatch.setattr(system, "install", refuse)
    assert engine.choose(data_dir) is None
    assert "no package to be had.\nThe console starts without an engine" in capsys.readouterr().out
