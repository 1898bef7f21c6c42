"""Private engines, registries and certificates for tests: real daemons that nobody else on this machine notices.

Everything here is a context manager; what it starts, it ends, also when the test process is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import functools
import hashlib
import http.client
import io
import ipaddress
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from launcher import bridges, say
from runtime import Driver, Endpoint, Timeouts, TlsCredentials

START_LIMIT: Final = 60.0


class EngineTrouble(Exception):
    """A private engine could not be had; says why in one sentence."""


def program(name: str, *, package: str) -> str:
    """Return the path of a program. Raises ``EngineTrouble`` with the command that installs it."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        raise EngineTrouble(
            f"This test needs {name}; install it with: apt-get install --no-install-recommends {package}"
        )
    return found


@contextlib.contextmanager
def short_directory() -> Iterator[Path]:
    """A directory whose path is short enough for sockets inside it."""
    with tempfile.TemporaryDirectory(prefix="ph-", dir="/tmp", ignore_cleanup_errors=True) as name:
        yield Path(name)


# Images without a registry


def tar_of(files: dict[str, bytes], links: dict[str, str] | None = None, folders: Sequence[str] = ()) -> bytes:
    """Return a plain tar of executable files, symbolic links and folders."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in folders:
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return buffer.getvalue()


@functools.cache
def busybox_image_tar() -> bytes:
    """Return a root file system of one static busybox and a link for each of its applets."""
    path = program("busybox", package="busybox-static")
    listed = subprocess.run([path, "--list"], capture_output=True, text=True, check=True).stdout.split()
    # A link named busybox would point to itself.
    links = {f"bin/{applet}": ".busybox" for applet in sorted({*listed} - {"busybox"})}
    return tar_of(
        {
            "bin/.busybox": Path(path).read_bytes(),
            "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n",
            "etc/group": b"root:x:0:\nuser:x:1000:\n",
        },
        links,
        folders=("bin", "etc", "home", "home/user", "root", "tmp", "proc", "sys", "dev"),
    )


# Certificates


@dataclass(frozen=True, slots=True)
class Certificates:
    """An authority of our own, a server certificate for loopback, and a client's."""

    ca_pem: str
    server_certificate_pem: str
    server_key_pem: str
    client: TlsCredentials


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def certificates(*, hosts: Sequence[str] = ("localhost", "127.0.0.1")) -> Certificates:
    """Make an authority and what it signs; valid for a day."""
    now = datetime.datetime.now(datetime.UTC)

    def sign(
        name: str, *, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey, role: str
    ) -> str:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=role == "authority", path_length=None), critical=True)
        )
        if role == "server":
            names: list[x509.GeneralName] = []
            for host in hosts:
                try:
                    names.append(x509.IPAddress(ipaddress.ip_address(host)))
                except ValueError:
                    names.append(x509.DNSName(host))
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        elif role == "client":
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    authority, server, client = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    ca_pem = sign("test authority", key=authority, issuer="test authority", signer=authority, role="authority")
    return Certificates(
        ca_pem=ca_pem,
        server_certificate_pem=sign("engine", key=server, issuer="test authority", signer=authority, role="server"),
        server_key_pem=_pem(server),
        client=TlsCredentials(
            ca_pem=ca_pem,
            certificate_pem=sign("console", key=client, issuer="test authority", signer=authority, role="client"),
            key_pem=_pem(client),
        ),
    )


# Processes


_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG: Final = 1


def die_with_parent() -> None:
    """Have a process that is about to start end with the one that starts it."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _answers(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(path))
        connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
        return b" 200 " in connection.recv(64)
    return False


def wait_until(ready: Callable[[], bool], *, process: subprocess.Popen[bytes], log: Path, what: str) -> None:
    """Wait until a daemon that was just started is ready. Raises ``EngineTrouble`` with the end of its log."""
    limit = time.monotonic() + START_LIMIT
    while not ready():
        if process.poll() is not None or time.monotonic() > limit:
            tail = log.read_text(errors="replace")[-2000:]
            raise EngineTrouble(f"{what} did not start. The end of its log:\n{tail}")
        time.sleep(0.05)


@dataclass(slots=True)
class PrivateEngine:
    """A daemon of our own. ``endpoint`` is its unix socket, ``tls_endpoint`` its TCP port with mutual TLS."""

    directory: Path
    socket: Path
    endpoint: Endpoint
    tls_endpoint: Endpoint | None
    certificates: Certificates | None
    command: Sequence[str]
    environment: dict[str, str]
    what: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """What the daemon printed."""
        return self.directory / "log"

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        return self.processes[-1].pid

    def start(self) -> None:
        """Start the daemon and return when it answers. Raises ``EngineTrouble``."""
        self.socket.unlink(missing_ok=True)
        (self.directory / "pid").unlink(missing_ok=True)
        # A killed helper may be a zombie where nobody buries orphans, and passes for alive.
        (self.directory / "exec/containerd/containerd.pid").unlink(missing_ok=True)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self.processes.append(process)
        wait_until(lambda: _answers(self.socket), process=process, log=self.log, what=self.what)

    def import_image(self, tar: bytes, *, reference: str) -> None:
        """Make an image of a root file system. Raises ``EngineTrouble``."""
        repository, _, tag = reference.partition(":")
        connection = UnixConnection(self.socket)
        try:
            connection.request(
                "POST",
                f"/images/create?fromSrc=-&repo={repository}&tag={tag}",
                body=tar,
                headers={"Content-Type": "application/x-tar"},
            )
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status != 200 or b'"error"' in text:
            raise EngineTrouble(f"{self.what} did not take the image: {text.decode(errors='replace')}")

    def kill(self) -> None:
        """End the daemon and its helper without warning; its containers go on."""
        helpers = [pid for pid, parent in _parents().items() if parent == self.pid]
        self.processes[-1].kill()
        self.processes[-1].wait()
        for pid in helpers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the daemon's process: it accepts connections and never answers."""
        os.kill(self.pid, signal.SIGSTOP)
        # A thread that runs stops when it is next interrupted; until the last one has, answers may still come.
        limit = time.monotonic() + 10
        while not _stands_still(self.pid) and time.monotonic() < limit:
            time.sleep(0.005)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End the daemon, then whatever still belongs to its directory."""
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        _end_what_belongs_to(self.directory)
        _unmount_below(self.directory)


def _stands_still(pid: int) -> bool:
    with contextlib.suppress(OSError):
        states = [(task / "stat").read_text().rpartition(") ")[2][0] for task in Path(f"/proc/{pid}/task").iterdir()]
        return set(states) == {"T"}
    return False


def _parents() -> dict[int, int]:
    """Return the parent of every process."""
    found: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(") ")[2].split()[1])
    return found


def _end_what_belongs_to(directory: Path) -> None:
    """Kill shims and monitors (their command line names our directory) and the containers below them."""
    marker = str(directory).encode()
    parents = _parents()
    ours: set[int] = set()
    for pid in parents:
        with contextlib.suppress(OSError):
            if pid != os.getpid() and marker in Path(f"/proc/{pid}/cmdline").read_bytes():
                ours.add(pid)
    grown = True
    while grown:
        grown = False
        for pid, parent in parents.items():
            if parent in ours and pid not in ours:
                ours.add(pid)
                grown = True
    for pid in ours:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if ours:
        time.sleep(0.2)


def _unmount_below(directory: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in sorted((found for found in mounts if found.startswith(f"{directory}/")), reverse=True):
        _libc.umount2(mount.encode(), 2)


# Bridges: each daemon has its own, or the second one takes the first one's away


@contextlib.contextmanager
def private_bridge(data_root: Path) -> Iterator[bridges.Bridge]:
    """The network bridge of an engine with this data, and a range for its networks; all gone afterwards."""
    try:
        bridge = _first_free_bridge(data_root)
    except say.Trouble as trouble:
        raise EngineTrouble(f"private engines need root, to make a network bridge: {trouble}") from trouble
    try:
        yield bridge
    finally:
        bridge.remove()


def _first_free_bridge(data_root: Path) -> bridges.Bridge:
    for number in itertools.count(1):
        with contextlib.suppress(bridges.NameTaken):
            return bridges.make(f"pht{number}", data_root=data_root, bits=20)
    raise AssertionError("numbers end")


# Engines


@contextlib.contextmanager
def private_dockerd(
    directory: Path, *, tls: bool = False, timeouts: Timeouts | None = None, arguments: Sequence[str] = ()
) -> Iterator[PrivateEngine]:
    """A Docker daemon with its state in ``directory`` (a short path); with ``tls`` also on a TCP port of loopback."""
    binary = program("dockerd", package="docker.io")
    path = directory / "docker.sock"
    limits = timeouts if timeouts is not None else Timeouts()
    keys: Certificates | None = None
    tls_endpoint: Endpoint | None = None
    with private_bridge(directory / "data") as bridge:
        configuration = directory / "daemon.json"
        configuration.write_text(json.dumps(bridge.for_daemon))
        command = [
            binary,
            f"--config-file={configuration}",
            f"--data-root={directory}/data",
            f"--exec-root={directory}/exec",
            f"--pidfile={directory}/pid",
            "--iptables=false",
            "--ip-masq=false",
            "--shutdown-timeout=2",
            f"--host=unix://{path}",
            *arguments,
        ]
        if tls:
            keys = certificates()
            port = free_port()
            for name, text in (
                ("ca.pem", keys.ca_pem),
                ("certificate.pem", keys.server_certificate_pem),
                ("key.pem", keys.server_key_pem),
            ):
                (directory / name).write_text(text)
            command += [
                f"--host=tcp://127.0.0.1:{port}",
                "--tlsverify",
                f"--tlscacert={directory}/ca.pem",
                f"--tlscert={directory}/certificate.pem",
                f"--tlskey={directory}/key.pem",
            ]
            tls_endpoint = Endpoint(
                driver=Driver.DOCKER, url=f"tcp://127.0.0.1:{port}", tls=keys.client, timeouts=limits
            )
        engine = PrivateEngine(
            directory=directory,
            socket=path,
            endpoint=Endpoint(driver=Driver.DOCKER, url=f"unix://{path}", timeouts=limits),
            tls_endpoint=tls_endpoint,
            certificates=keys,
            command=command,
            environment={},
            what="The private Docker daemon",
        )
        try:
            engine.start()
            yield engine
        finally:
            engine.stop()


@contextlib.contextmanager
def private_podman(
    directory: Path, *, timeouts: Timeouts | None = None, insecure_registries: Sequence[str] = ()
) -> Iterator[PrivateEngine]:
    """Podman's service with all its state in ``directory`` (a short path)."""
    binary = program("podman", package="podman")
    init = shutil.which("docker-init") or shutil.which("tini") or "/usr/bin/catatonit"
    with private_bridge(directory / "root") as bridge:
        (directory / "containers.conf").write_text(
            "[containers]\n"
            'default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'
            "[engine]\n"
            'runtime = "runc"\n'
            'cgroup_manager = "cgroupfs"\n'
            'events_logger = "file"\n'
            f'init_path = "{init}"\n'
            f'tmp_dir = "{directory}/libpod"\n'
            "[network]\n"
            f'network_config_dir = "{directory}/networks"\n'
            f'default_subnet_pools = [{{"base" = "{bridge.addresses}", "size" = {bridges.NETWORK_BITS}}}]\n'
        )
        (directory / "registries.conf").write_text(
            "unqualified-search-registries = []\n"
            + "".join(f'[[registry]]\nlocation = "{name}"\ninsecure = true\n' for name in insecure_registries)
        )
        path = directory / "podman.sock"
        engine = PrivateEngine(
            directory=directory,
            socket=path,
            endpoint=Endpoint(
                driver=Driver.PODMAN, url=f"unix://{path}", timeouts=timeouts if timeouts is not None else Timeouts()
            ),
            tls_endpoint=None,
            certificates=None,
            command=[
                binary,
                f"--root={directory}/root",
                f"--runroot={directory}/run",
                "--storage-driver=vfs",
                "system",
                "service",
                "--time=0",
                f"unix://{path}",
            ],
            environment={
                "CONTAINERS_CONF": str(directory / "containers.conf"),
                "CONTAINERS_REGISTRIES_CONF": str(directory / "registries.conf"),
            },
            what="The private Podman service",
        )
        try:
            engine.start()
            yield engine
        finally:
            # The service ends alone; its containers would stay.
            subprocess.run(
                [*engine.command[:4], "rm", "--all", "--force", "--time=0"],
                env={**os.environ, **engine.environment},
                capture_output=True,
                check=False,
                timeout=60,
            )
            engine.stop()


# A file system that can count


@contextlib.contextmanager
def private_btrfs(directory: Path, *, size_bytes: int = 300 * 2**20) -> Iterator[None]:
    """A small btrfs at ``directory``/data, where a private daemon keeps its containers. Raises ``EngineTrouble``."""
    make, mount = program("mkfs.btrfs", package="btrfs-progs"), program("mount", package="mount")
    image, data = directory / "disk", directory / "data"
    with image.open("wb") as file:
        file.truncate(size_bytes)
    data.mkdir()
    try:
        for command in (
            [make, "--quiet", str(image)],
            [mount, "-o", "loop", str(image), str(data)],
            # Else the engine does it with the first limit, and the kernel counts before it refuses anything.
            [program("btrfs", package="btrfs-progs"), "quota", "enable", str(data)],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                said = done.stderr.strip() or done.stdout.strip()
                raise EngineTrouble(f"a btrfs on a loop device cannot be had: {said}")
        yield
    finally:
        # The kernel gives the loop device back with its last mount.
        _libc.umount2(str(data).encode(), 2)


# A registry


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry on loopback; ``name`` is how references begin."""

    name: str

    def push(self, repository: str, *, tag: str, layers: Sequence[bytes]) -> str:
        """Put an image of plain tar layers there and return its reference."""
        descriptors = [self._upload(repository, layer) for layer in layers]
        configuration = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": ["sh"], "Labels": {"made-by": "tests"}},
                "rootfs": {"type": "layers", "diff_ids": [digest for digest, _ in descriptors]},
                "history": [{"created_by": "tests"} for _ in descriptors],
            }
        ).encode()
        digest, size = self._upload(repository, configuration)
        media = "application/vnd.docker.distribution.manifest.v2+json"
        manifest = {
            "schemaVersion": 2,
            "mediaType": media,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": size,
                "digest": digest,
            },
            "layers": [
                {"mediaType": "application/vnd.docker.image.rootfs.diff.tar", "size": size, "digest": digest}
                for digest, size in descriptors
            ],
        }
        self._send("PUT", f"/v2/{repository}/manifests/{tag}", json.dumps(manifest).encode(), media)
        return f"{self.name}/{repository}:{tag}"

    def _upload(self, repository: str, blob: bytes) -> tuple[str, int]:
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        location = self._send("POST", f"/v2/{repository}/blobs/uploads/", b"", "application/octet-stream")
        path = "/" + location.split("://", 1)[-1].partition("/")[2]
        self._send("PUT", f"{path}&digest={digest}", blob, "application/octet-stream")
        return digest, len(blob)

    def _send(self, method: str, path: str, body: bytes, media: str) -> str:
        request = urllib.request.Request(
            f"http://{self.name}{path}", data=body, method=method, headers={"Content-Type": media}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            location: str = answer.headers.get("Location", "")
            return location


@contextlib.contextmanager
def private_registry(directory: Path) -> Iterator[Registry]:
    """A registry with its state in ``directory``."""
    binary = program("docker-registry", package="docker-registry")
    port = free_port()
    configuration = directory / "registry.yml"
    configuration.write_text(
        "version: 0.1\n"
        "log: {level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {directory}/registry}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    log = directory / "registry.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [binary, "serve", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent,
        )

    def ready() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
        return False

    try:
        wait_until(ready, process=process, log=log, what="The private registry")
        yield Registry(f"127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def throttled(registry: Registry, *, bytes_per_second: int) -> Iterator[Registry]:
    """The same registry behind a slow line: a pull through it lasts."""
    target = ("127.0.0.1", int(registry.name.rpartition(":")[2]))
    with socket.create_server(("127.0.0.1", 0)) as server:

        def pump(source: socket.socket, sink: socket.socket, *, rate: int) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(16 * 1024):
                    sink.sendall(data)
                    if rate:
                        time.sleep(len(data) / rate)
                sink.shutdown(socket.SHUT_WR)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = server.accept()
                    upstream = socket.create_connection(target, timeout=60)
                    for source, sink, rate in ((client, upstream, 0), (upstream, client, bytes_per_second)):
                        threading.Thread(target=pump, args=(source, sink), kwargs={"rate": rate}, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield Registry(f"127.0.0.1:{server.getsockname()[1]}")
        finally:
            server.shutdown(socket.SHUT_RDWR)
