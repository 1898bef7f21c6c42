"""Bodies that no form of ours sends: what one parser sees and another does not must never reach an engine."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlencode

import pytest
from django.db import transaction
from django.http import QueryDict
from django.test import Client
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from console import gateway
from console.accounts.models import User
from console.containers.forms import FLAGS, ROWS, SCALARS, CreateForm
from console.containers.specs import OPERATION_LABEL, SIGNATURE_LABEL, from_arguments
from console.gateway import Driver, Endpoint
from console.hosts.models import Host
from console.operations.models import Operation
from runtime import connect
from runtime.drivers.docker import serialise
from runtime.testing import FakeEngine

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]
URL = "/containers/create/"
FORM = "application/x-www-form-urlencoded"
#: Fields of the Engine API, each of which has opened a host to somebody somewhere.
ENGINE_FIELDS = [
    "Binds",
    "ContainerIDFile",
    "LogConfig",
    "NetworkMode",
    "PortBindings",
    "RestartPolicy",
    "AutoRemove",
    "VolumeDriver",
    "VolumesFrom",
    "ConsoleSize",
    "Annotations",
    "CapAdd",
    "CapDrop",
    "CgroupnsMode",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "ExtraHosts",
    "GroupAdd",
    "IpcMode",
    "Cgroup",
    "Links",
    "OomScoreAdj",
    "PidMode",
    "Privileged",
    "PublishAllPorts",
    "ReadonlyRootfs",
    "SecurityOpt",
    "StorageOpt",
    "Tmpfs",
    "UTSMode",
    "UsernsMode",
    "ShmSize",
    "Sysctls",
    "Runtime",
    "Isolation",
    "Mounts",
    "MaskedPaths",
    "ReadonlyPaths",
    "Init",
    "CpuShares",
    "Memory",
    "NanoCpus",
    "CgroupParent",
    "BlkioWeight",
    "CpuPeriod",
    "CpuQuota",
    "CpusetCpus",
    "Devices",
    "DeviceCgroupRules",
    "DeviceRequests",
    "MemorySwap",
    "MemorySwappiness",
    "OomKillDisable",
    "PidsLimit",
    "Ulimits",
    "HostConfig",
    "NetworkingConfig",
    "Config",
    "Env",
    "Cmd",
    "Entrypoint",
    "ExposedPorts",
    "Healthcheck",
    "Volumes",
    "OnBuild",
    "Labels",
    "StopSignal",
    "Shell",
    "MacAddress",
    "EndpointsConfig",
    "IPAMConfig",
    "DriverOpts",
    "idmappings",
    "rootfs",
    "unmask",
    "systemd",
]


@pytest.fixture
def form(host: Host) -> dict[str, str]:
    """What would create a container."""
    return {"host": str(host.pk), "name": "web-1", "image": "starter:latest", "command": "sleep 1000"}


@pytest.fixture
def refused(alice: User, client_of: ClientOf, engine: FakeEngine) -> Callable[..., None]:
    """Send a body as an admin would, and see that nothing comes of it."""

    def send(body: bytes, content_type: str = FORM, **headers: str) -> None:
        answer = client_of(alice).post(URL, body, content_type=content_type, headers=headers)
        assert 400 <= answer.status_code < 500, (answer.status_code, body[:200])
        assert not Operation.objects.exists()
        assert engine.calls == []

    return send


def test_the_form_itself_is_taken(alice: User, client_of: ClientOf, form: dict[str, str]) -> None:
    """So that the refusals below prove something."""
    assert client_of(alice).post(URL, urlencode(form), content_type=FORM).status_code == 302


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/octet-stream", "text/xml", ""])
def test_another_type_of_content_says_nothing(form: dict[str, str], refused: Callable[..., None], kind: str) -> None:
    for body in (
        urlencode(form).encode(),
        json.dumps(form).encode(),
        json.dumps({**form, "Privileged": True}).encode(),
    ):
        refused(body, kind)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[" * 10_000,
        b'{"a":' * 10_000,
        b'{"Memory": NaN}',
        b'{"Memory": 1e400}',
        b'{"image": "a", "image": "b"}',
        b'{"image": "a"} {"image": "b"}',
        b"\xef\xbb\xbf{}",
        '{"image": "a"}'.encode("utf-16"),
        b"\xff\xfe\x00\x00",
        b"\x80\x04\x95cos\nsystem\n",
    ],
)
def test_no_json_is_a_form(refused: Callable[..., None], body: bytes) -> None:
    refused(body)
    refused(body, "application/json")


def test_other_writings_of_the_same_form_are_refused(form: dict[str, str], refused: Callable[..., None]) -> None:
    plain = urlencode(form)
    refused(plain.encode("utf-16"))
    refused(plain.encode(), f"{FORM}; charset=utf-16")
    refused(plain.encode(), f"{FORM}; charset=utf-7")
    refused(b"\xef\xbb\xbf" + plain.encode())
    refused(gzip.compress(plain.encode()), **{"Content-Encoding": "gzip"})
    refused(plain.replace("&", ";").encode())
    refused(f"{plain}&{'x=1&' * 2001}".encode())
    refused(plain.encode(), "multipart/form-data")
    refused(plain.encode(), "multipart/form-data; boundary=x")
    part = b'--x\r\nContent-Disposition: form-data; name="%s"; filename="f"\r\n\r\n%s\r\n'
    refused(
        b"".join(part % (n.encode(), v.encode()) for n, v in form.items()) + b"--x--", "multipart/form-data; boundary=x"
    )


@pytest.mark.parametrize("name", ["host", "name", "image", "command", "network", "pull", "tty", "memory"])
def test_a_field_that_is_there_twice_is_refused_by_name(
    form: dict[str, str], refused: Callable[..., None], alice: User, client_of: ClientOf, name: str
) -> None:
    twice = f"{urlencode({name: 'on', **form})}&{urlencode({name: 'on'})}"
    refused(twice.encode())
    assert f"“{name}” twice" in client_of(alice).post(URL, twice, content_type=FORM).content.decode()


@pytest.mark.parametrize(
    "field", ["Privileged", "privileged", "HostConfig[Binds]", "networ\u212aMode", "Bind\u017f", "Mounts\0"]
)
def test_a_field_of_the_engine_is_refused(form: dict[str, str], refused: Callable[..., None], field: str) -> None:
    refused(urlencode({**form, field: "1"}).encode())


def test_every_field_of_the_engine_is_refused_by_name_in_any_spelling() -> None:
    ours = SCALARS.keys() | set(FLAGS)
    for field in ENGINE_FIELDS:
        folded = field.replace("s", "\u017f").replace("k", "\u212a").replace("i", "\u0131")
        for name in {
            field,
            field.lower(),
            field.upper(),
            folded,
            f"HostConfig.{field}",
            f" {field}",
            f"{field}\0",
        } - ours:
            read = CreateForm.of_data(QueryDict(urlencode({name: "1"})))
            assert f"no field “{name}”" in read.errors["form"]


@pytest.mark.parametrize("number", ["NaN", "1e400", "Infinity", "-1", "0x10", "9" * 40])
@pytest.mark.parametrize("field", ["memory", "cpus", "pids_limit", "stop_timeout"])
def test_what_no_machine_can_count_is_no_number(
    form: dict[str, str], refused: Callable[..., None], field: str, number: str
) -> None:
    refused(urlencode({**form, field: number}).encode())


# What is accepted: the engine gets the spec, nothing else


class _Engine(ThreadingUnixStreamServer):
    """Has every image, makes no container, and remembers what it was asked to make."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.bodies: list[bytes] = []
        self.lines: list[str] = []
        super().__init__(str(path), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Engine

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""

    def _answer(self, status: int, content: object) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.server.lines.append(self.path)
        if self.path == "/_ping":
            self._answer(200, b"OK")
        elif "/images/" in self.path:
            self._answer(200, {"Id": "sha256:" + "1" * 64, "RepoTags": [], "Config": {}, "RootFS": {"Layers": []}})
        else:
            self._answer(404, {"message": "there is nothing here"})

    def do_POST(self) -> None:
        self.server.lines.append(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if "/containers/create" in self.path:
            self.server.bodies.append(body)
        self._answer(400, {"message": "no"})


@pytest.fixture
def wire(host: Host, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Engine]:
    """An engine on a socket, with our real driver in front of it."""
    with TemporaryDirectory(prefix="ph-", dir="/tmp") as directory:
        server = _Engine(Path(directory) / "s")
        Thread(target=server.serve_forever, daemon=True).start()
        opened = connect(Endpoint(driver=Driver.DOCKER, url=f"unix://{directory}/s"))
        monkeypatch.setattr(gateway, "open_engine", lambda _endpoint: opened)
        yield server
        gateway.submit(opened.close).result()
        server.shutdown()
        server.server_close()


_TEXT = st.text(max_size=12) | st.sampled_from(
    [
        "starter:latest",
        "/data",
        "web",
        "64 MB",
        "8080",
        "80",
        "on-failure",
        "command",
        "host",
        "0.5",
        "A",
        "[]",
        '{"a":1}',
    ]
)
_FIELDS = st.sampled_from([*SCALARS, *FLAGS, *(column for columns in ROWS.values() for column in columns)])
_ODD = st.sampled_from([*ENGINE_FIELDS, "HostConfig[Binds]", "ho\u017ft", "\u0130nit", "name\0"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(_FIELDS, _TEXT, max_size=8), st.dictionaries(_ODD, _TEXT, max_size=1))
@example({"command": 'a "b\u212a" \u017f', "env_name": "Privileged", "env_value": 'true","Privileged":true,"x":"'}, {})
@example({"label_name": "HostConfig", "label_value": '{"Binds": ["/:/h"]}', "network": '"},"PidMode":"host'}, {})
@example({"volume_name": "data", "volume_target": "/data", "port_container": "80", "tty": "on", "memory": "64 MB"}, {})
def test_what_reaches_the_engine_is_the_spec_and_nothing_else(
    alice: User,
    host: Host,
    client_of: ClientOf,
    wire: _Engine,
    run_operations: Callable[[], None],
    fields: dict[str, str],
    odd: dict[str, str],
) -> None:
    wire.bodies.clear()
    plain = {"host": str(host.pk), "name": "web-1", "image": "starter:latest", "pull": "never"}
    with transaction.atomic():
        answer = client_of(alice).post(URL, {**plain, **fields, **odd})
        operation = Operation.objects.first()
        run_operations()
        transaction.set_rollback(True)
    if operation is None:
        assert 400 <= answer.status_code < 500
        assert wire.bodies == []
        return
    assert not odd
    spec = from_arguments(operation.arguments["spec"])
    for body in wire.bodies:
        sent = json.loads(body, object_pairs_hook=_without_repetition)
        assert sent["Labels"].pop(OPERATION_LABEL) == str(operation.pk)
        assert sent["Labels"].pop(SIGNATURE_LABEL)
        assert sent == json.loads(json.dumps(serialise.container_body(replace(spec, name=""))))


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys differ for every parser there is: also for one that does not look at case."""
    assert len({key.casefold() for key, _value in pairs}) == len(pairs) or all(isinstance(v, str) for _k, v in pairs)
    return dict(pairs)


def test_the_engine_behind_the_wire_is_asked_to_create(
    alice: User, host: Host, client_of: ClientOf, wire: _Engine, run_operations: Callable[[], None]
) -> None:
    """So that the test above proves something."""
    form = {"host": str(host.pk), "name": "web-1", "image": "starter:latest", "pull": "never", "memory": "64 MB"}
    client_of(alice).post(URL, form)
    run_operations()
    (body,) = wire.bodies
    assert json.loads(body)["HostConfig"]["Memory"] == 64 * 1024 * 1024
    assert [line for line in wire.lines if "create" in line] == ["/v1.41/containers/create?name=web-1"]


# No way around the form


@pytest.mark.parametrize(
    "path",
    [
        "/containers/json",
        "/containers/create",
        "/containers/prune",
        "/v1.24/containers/create",
        "/v1.24/../plugins",
        "/v1.24/%2e%2e/plugins",
        "//plugins",
        "/%70lugins",
        "/plugins/pull",
        "/build",
        "/build/prune",
        "/commit",
        "/session",
        "/grpc",
        "/swarm/init",
        "/services/create",
        "/secrets/create",
        "/configs/create",
        "/system/df",
        "/images/create",
        "/images/load",
        "/auth",
        "/exec/{id}/start",
        "/containers/{id}/archive",
        "/containers/{id}/attach",
        "/containers/{id}/exec",
        "/libpod/containers/create",
        "/api/containers/create",
        "/proxy/containers/json",
        "/hosts/{host}/containers/create",
        "/hosts/{host}/v1.24/containers/json",
        "/hosts/{host}/proxy/_ping",
        "/templates/",
        "/compose/",
        "/stacks/",
    ],
)
def test_no_path_of_the_engine_leads_to_it(
    alice: User, host: Host, client_of: ClientOf, engine: FakeEngine, path: str
) -> None:
    path = unquote(path.replace("{id}", "a" * 64).replace("{host}", str(host.pk)))
    browser = client_of(alice)
    body = json.dumps({"Image": "starter:latest", "HostConfig": {"Privileged": True}})
    for method in ("GET", "POST", "PUT", "DELETE"):
        for ending in ("", "/"):
            whole = {"PATH_INFO": path + ending}
            answer = browser.generic(method, "/", body, content_type="application/json", **whole)  # type: ignore[arg-type]
            # Where an address of ours begins alike, it leads to our form or to the method that it takes.
            assert answer.status_code in (301, 302, 404, 405) or path == "/containers/create", (method, answer)
    assert engine.calls == []
    assert not Operation.objects.exists()
