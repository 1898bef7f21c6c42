"""Testing an address, step by step, against real sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from console import gateway
from console.accounts.models import User
from console.audit.models import AuditEvent
from console.gateway import AccessDenied, Timeouts
from console.hosts import probe
from console.hosts.models import Host
from console.hosts.probe import Report
from runtime.testing import FailingEngine, FakeEngine
from tests.console.hosts.conftest import CLIENT
from tests.engines import free_port, short_directory

Sign = Callable[..., Client]
NEW = "/hosts/test/"


@pytest.fixture
def directory() -> Iterator[Path]:
    """A place for sockets."""
    with short_directory() as found:
        yield found


@contextlib.contextmanager
def serving(path: Path, reply: bytes | None) -> Iterator[None]:
    """Somebody at ``path`` who answers everything with ``reply``; with nothing at all for ``None``."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            held.append(connection)
            if reply is not None:
                with contextlib.suppress(OSError):
                    connection.settimeout(1)
                    connection.recv(4096)
                    connection.sendall(reply)
                    connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in held:
            connection.close()
        thread.join(5)


def outcomes(answer: Any) -> list[str]:
    report: Report = answer.context["report"]
    return [step.outcome for step in report.steps]


def ask(client: Client, url: str, **values: str) -> Any:
    security = "socket" if url.startswith("unix") else "plain"
    return client.post(NEW, {"driver": "docker", "url": url, "security": security, "plain_confirmed": "on", **values})


def test_a_good_engine_passes_every_step(
    alice: User, client_of: Sign, host: Host, engine: FakeEngine, directory: Path
) -> None:
    with serving(directory / "s", None):
        answer = ask(client_of(alice), f"unix://{directory}/s")
    assert outcomes(answer) == ["ok"] * 5
    page = answer.content.decode()
    assert "The test passed" in page
    assert "Docker 20.10.24, API 1.41" in page
    assert not any(call.startswith(("create", "start", "remove")) for call in engine.calls)
    event = AuditEvent.objects.get(action="host.test")
    assert (event.outcome, event.details["address"]) == ("succeeded", f"unix://{directory}/s")


def test_it_works_from_the_form_before_anything_has_a_name(alice: User, client_of: Sign, directory: Path) -> None:
    answer = ask(client_of(alice), f"unix://{directory}/none", name="")
    assert answer.status_code == 200
    assert not Host.objects.exists()


def test_a_path_without_a_socket_is_said(alice: User, client_of: Sign, directory: Path) -> None:
    answer = ask(client_of(alice), f"unix://{directory}/none")
    assert outcomes(answer) == ["failed", "skipped", "skipped", "skipped", "skipped"]
    page = answer.content.decode()
    assert "There is no socket at this path." in page
    assert "/var/run/docker.sock" in page, "the next step"
    event = AuditEvent.objects.get(action="host.test")
    assert (event.outcome, event.details["cause"]) == ("failed", "no_socket")


def test_a_file_that_is_no_socket_is_said_and_not_read(alice: User, client_of: Sign, directory: Path) -> None:
    (directory / "file").write_text("the secret content")
    answer = ask(client_of(alice), f"unix://{directory}/file")
    assert outcomes(answer)[0] == "failed"
    assert "secret content" not in answer.content.decode()


def test_a_socket_that_nobody_serves_is_said(alice: User, client_of: Sign, directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(directory / "s"))
    answer = ask(client_of(alice), f"unix://{directory}/s")
    assert outcomes(answer) == ["ok", "failed", "skipped", "skipped", "skipped"]
    assert "Nothing listens" in answer.content.decode()


def test_a_closed_port_is_said(alice: User, client_of: Sign) -> None:
    answer = ask(client_of(alice), f"tcp://127.0.0.1:{free_port()}")
    assert outcomes(answer)[:2] == ["ok", "failed"]
    assert "127.0.0.1" in answer.content.decode()


def test_a_name_nobody_knows_is_said(alice: User, client_of: Sign) -> None:
    answer = ask(client_of(alice), "tcp://no-such-host.invalid:2376")
    assert outcomes(answer)[0] == "failed"
    assert "Its name is not known here." in answer.content.decode()


def test_who_speaks_something_else_is_told_apart_and_not_repeated(
    alice: User, client_of: Sign, directory: Path
) -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\nroot:x:0:0:topsecret\n"
    with serving(directory / "s", reply):
        answer = ask(client_of(alice), f"unix://{directory}/s")
    page = answer.content.decode()
    assert outcomes(answer) == ["ok", "ok", "ok", "failed", "skipped"]
    assert "not a Docker or Podman engine" in page
    assert "topsecret" not in page
    assert "topsecret" not in str(AuditEvent.objects.get(action="host.test").details)


def test_garbage_is_told_apart_too(alice: User, client_of: Sign, directory: Path) -> None:
    with serving(directory / "s", b"SSH-2.0-topsecret\r\n"):
        answer = ask(client_of(alice), f"unix://{directory}/s")
    assert "failed" in outcomes(answer)
    assert "topsecret" not in answer.content.decode()


def test_who_accepts_and_says_nothing_is_given_up_on(
    alice: User, client_of: Sign, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_TIMEOUTS", Timeouts(connect=1, read=0.2))
    with serving(directory / "s", None):
        answer = ask(client_of(alice), f"unix://{directory}/s")
    assert "It accepts connections and does not answer." in answer.content.decode()
    assert answer.context["report"].cause == "timed_out"


def test_the_whole_test_has_an_end(
    alice: User, client_of: Sign, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_WHOLE", 0.2)
    with serving(directory / "s", None):
        answer = ask(client_of(alice), f"unix://{directory}/s")
    assert answer.context["report"].cause == "timed_out"


def test_an_engine_that_lets_us_list_nothing_is_said(
    alice: User, client_of: Sign, host: Host, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FailingEngine(AccessDenied("denied by plugin"), methods=["list_containers"])
    monkeypatch.setattr("console.gateway.open_engine", lambda _endpoint: engine)
    with serving(directory / "s", None):
        answer = ask(client_of(alice), f"unix://{directory}/s")
    assert outcomes(answer) == ["ok", "ok", "ok", "ok", "failed"]
    assert "refuses what we ask" in answer.content.decode()


def test_an_engine_that_is_registered_already_is_said(
    alice: User, client_of: Sign, host: Host, directory: Path
) -> None:
    Host.objects.update(engine_id="FAKE")
    with serving(directory / "s", None):
        answer = ask(client_of(alice), f"unix://{directory}/s")
    assert "The host “harbour” says that it is the same engine" in answer.content.decode()


def test_a_form_with_errors_is_not_tested(alice: User, client_of: Sign) -> None:
    answer = ask(client_of(alice), "http://10.0.0.5")
    assert answer.status_code == 422
    assert "tcp://" in answer.content.decode()
    assert not AuditEvent.objects.exists()


def test_a_registered_host_is_tested_as_it_is_stored(alice: User, client_of: Sign, host: Host) -> None:
    answer = client_of(alice).post(reverse("host-test", args=[host.id]))
    assert "There is no socket at this path." in answer.content.decode()
    assert AuditEvent.objects.get(action="host.test").host_id == host.id


def test_stored_certificates_are_not_sent_to_another_address(
    alice: User, client_of: Sign, tls_form: dict[str, Any]
) -> None:
    client = client_of(alice)
    client.post("/hosts/add/", tls_form)
    host = Host.objects.get()
    kept = {**tls_form, "ca_pem": "", "certificate_pem": "", "key_pem": ""}
    answer = client.post(reverse("host-test", args=[host.id]), {**kept, "url": "tcp://evil.example:2376"})
    assert answer.status_code == 422
    assert "enter the certificates and the key again" in answer.content.decode()
    assert CLIENT.key.splitlines()[1] not in answer.content.decode()


def test_the_stranger_is_refused(charlie: User, client_of: Sign, host: Host, directory: Path) -> None:
    client = client_of(charlie)
    heard: list[int] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "s"))
        listener.listen()
        listener.setblocking(False)
        assert ask(client, f"unix://{directory}/s").status_code == 403
        assert client.post(reverse("host-test", args=[host.id])).status_code == 404
        with contextlib.suppress(BlockingIOError):
            heard.append(listener.accept()[0].fileno())
    assert heard == [], "no connection was made"


def test_looking_tests_nothing(alice: User, client_of: Sign) -> None:
    assert client_of(alice).get(NEW).status_code == 405


def test_a_test_leaves_no_engine_open(alice: User, client_of: Sign, directory: Path) -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
    url = f"unix://{directory}/s"
    with serving(directory / "s", reply):
        ask(client_of(alice), url)
    assert url not in {endpoint.url for _loop, endpoint in gateway._engines}
