"""`./pilothouse up`: prepare this machine, start every process, and stay until somebody asks for the end."""

from __future__ import annotations

import asyncio
import fcntl
import ipaddress
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from launcher import engine, engine_api, prepare, redis, say, starter_image, system
from launcher.engine import Engine
from launcher.paths import ROOT, DataDir, python
from launcher.supervisor import Program, Supervisor

_ENGINE_TIMEOUT = 20.0
_WEB_TIMEOUT = 60.0
#: Seconds that the web process has for itself.
_HEAD_START = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `up` was asked for."""

    host: str
    port: int
    data_dir: Path
    json_logs: bool


@contextmanager
def claim(data_dir: DataDir, *, public_url: str) -> Iterator[None]:
    """Hold a data directory for ourselves. Raises :class:`say.Trouble` while another `up` holds it."""
    path = data_dir.path / "running.json"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            holder = running(data_dir)
            raise say.Trouble(
                f"Pilothouse already runs on {data_dir.path}: process {holder.get('pid', 'unknown')}, "
                f"at {holder.get('url', 'an unknown address')}. Stop it first (Ctrl+C, or kill "
                f"{holder.get('pid', 'its process')}), or choose another --data-dir and --port."
            ) from cause
        file.truncate()
        json.dump({"pid": os.getpid(), "url": public_url}, file)
        file.flush()
        yield


def running(data_dir: DataDir) -> Mapping[str, object]:
    """Return the process id and address of the last `up` on this data directory, if there was one."""
    try:
        found = json.loads((data_dir.path / "running.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def public_url(options: Options) -> str:
    """The address people type: as configured, else by where we listen."""
    if configured := os.environ.get("PILOTHOUSE_PUBLIC_URL"):
        return configured
    name = options.host
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return f"http://{name}:{options.port}"
    if address.is_unspecified:
        name = system.outward_address()
        say.line(f"People reach this machine as {name}; if not, set PILOTHOUSE_PUBLIC_URL, as in http://name:port.")
    return (
        f"http://[{name}]:{options.port}" if address.version == 6 and ":" in name else f"http://{name}:{options.port}"
    )


def hub_socket(data_dir: DataDir) -> Path:
    """Where the stream hub answers: in a folder that only we can open."""
    return data_dir.run_folder("hub", longest="hub.sock") / "hub.sock"


def environment(data_dir: DataDir, *, url: str, redis_url: str, json_logs: bool = False) -> dict[str, str]:
    """The environment of every process of the console."""
    env = {
        **os.environ,
        "PILOTHOUSE_DATA_DIR": str(data_dir.path),
        "PILOTHOUSE_PUBLIC_URL": url,
        "PILOTHOUSE_REDIS_URL": redis_url,
        "PILOTHOUSE_HUB_SOCKET": os.environ.get("PILOTHOUSE_HUB_SOCKET") or str(hub_socket(data_dir)),
        "DJANGO_SETTINGS_MODULE": "console.settings",
        "PYTHONUNBUFFERED": "1",
        # glibc gives every thread an arena of its own, which multiplies the memory of a worker with 16 of them.
        "MALLOC_ARENA_MAX": "2",
    }
    if json_logs:
        env["PILOTHOUSE_LOG_FORMAT"] = "json"
    return env


def applications(options: Options, *, data_dir: DataDir, env: Mapping[str, str]) -> list[Program]:
    """The console's own processes."""
    celery: list[str | Path] = [python(), "-m", "celery", "--quiet", "-A", "console"]
    web: list[str | Path] = [
        *(python(), "-m", "uvicorn", "console.asgi:application", "--host", options.host, "--port", str(options.port)),
        *(
            "--loop",
            "uvloop",
            "--http",
            "console.lib.http:BoundedHttp",
            "--ws",
            "websockets-sansio",
            "--ws-max-size",
            "1048576",
        ),
        # One compressed byte a keystroke costs more than it saves.
        *("--ws-per-message-deflate", "false", "--timeout-graceful-shutdown", "2"),
        *("--no-server-header", "--no-access-log", "--log-level", "warning"),
        *_proxy_words(env.get("PILOTHOUSE_TRUSTED_PROXIES", "")),
    ]
    worker = [*celery, "worker", "-P", "threads", "-c", "16", "--without-mingle", "--without-gossip"]
    # A worker that owns a private engine must be root anyway.
    worker_env = {**env, "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges"}
    schedule = data_dir.folder("scheduler") / "schedule"
    answers_at = env.get("PILOTHOUSE_HUB_SOCKET") or hub_socket(data_dir)
    hub: list[str | Path] = [python(), "-m", "runtime.hub", "--socket", answers_at, "--data-dir", data_dir.path]
    commands: dict[str, list[str | Path]] = {
        "web": web,
        "hub": hub,
        "worker": [*worker, "--loglevel", "WARNING"],
        "scheduler": [*celery, "beat", "--schedule", schedule, "--loglevel", "WARNING"],
        "watch": [python(), "manage.py", "watch"],
    }
    return [
        Program(name=name, command=command, env=worker_env if name == "worker" else env, cwd=ROOT)
        for name, command in commands.items()
    ]


def _proxy_words(trusted: str) -> list[str]:
    """Whose X-Forwarded-For is believed. uvicorn would believe this machine's, where anybody who is let in may be."""
    return ["--proxy-headers", "--forwarded-allow-ips", trusted] if trusted else ["--no-proxy-headers"]


def up(options: Options) -> int:
    """Run the console until a signal. Returns the exit code; raises :class:`say.Trouble` when it cannot start."""
    if options.json_logs:
        say.use_json()
    data_dir = DataDir.open(options.data_dir)
    url = public_url(options)
    with claim(data_dir, public_url=url):
        system.check_port(options.host, port=options.port)
        prepare.clone(dev=False)
        prepare.directory(os.environ.get("PILOTHOUSE_SIGN_IN_FILE", ""))
        chosen = engine.choose(data_dir)
        # From here on everything that is written is for us alone.
        os.umask(0o077)
        system.raise_file_limit()
        services = []
        redis_url = os.environ.get("PILOTHOUSE_REDIS_URL", "")
        if not redis_url:
            redis_url = redis.url(data_dir)
            services.append(redis.program(redis.configure(data_dir)))
        if chosen is not None and chosen.private is not None:
            services.append(chosen.private)
        env = environment(data_dir, url=url, redis_url=redis_url, json_logs=options.json_logs)
        prepare.database(data_dir, env=env)
        prepare.static_files(data_dir, env=env)
        console = _Console(options=options, data_dir=data_dir, url=url, env=env, engine=chosen)
        try:
            asyncio.run(console.serve(services))
        finally:
            if chosen is not None:
                chosen.clean_up()
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Console:
    """One run of the console."""

    options: Options
    data_dir: DataDir
    url: str
    env: Mapping[str, str]
    engine: Engine | None

    async def serve(self, services: list[Program]) -> None:
        supervisor = Supervisor(json_logs=self.options.json_logs)
        try:
            for program in services:
                supervisor.start(program)
            web, *others = applications(self.options, data_dir=self.data_dir, env=self.env)
            supervisor.start(web)
            welcome = asyncio.ensure_future(self._welcome(supervisor, others))
            await supervisor.wait_for_stop()
            welcome.cancel()
            say.line("Stopping.")
        finally:
            await supervisor.shut_down()
        say.line("Stopped.")

    async def _welcome(self, supervisor: Supervisor, others: list[Program]) -> None:
        """Start the rest, say where the console is, once it is there, and introduce it to its engine."""
        # All five at once would share two cores, and the first page is what a person waits for.
        await _until(self._web_answers, timeout=_HEAD_START)
        for program in others:
            supervisor.start(program)
        if not await _until(self._web_answers, timeout=_WEB_TIMEOUT):
            say.warning(f"The web process does not answer after {_WEB_TIMEOUT:.0f} s; its lines above say why.")
            return
        say.line("")
        say.line(f"Pilothouse is ready: {self.url}")
        code, lines = await supervisor.run_once(self._manage("bootstrap_link"))
        if code != 0:
            say.warning("The link for the first admin could not be made:\n    " + "\n    ".join(lines[-10:]))
        for link in (line.strip() for line in lines if line.startswith(("http://", "https://"))):
            say.line(f"Create the first admin with this link, which works once: {link}")
        say.line("Stop with Ctrl+C.")
        say.line("")
        if self.engine is not None:
            await self._introduce(supervisor, chosen=self.engine)

    async def _introduce(self, supervisor: Supervisor, *, chosen: Engine) -> None:
        if chosen.private is not None:

            def answers() -> bool:
                return engine_api.driver_at(chosen.url, timeout=1) is not None

            if not await _until(answers, timeout=_ENGINE_TIMEOUT):
                say.warning(
                    f"The private engine does not answer after {_ENGINE_TIMEOUT:.0f} s; its lines above say why. "
                    "The console works without it; its Hosts page says how to add another."
                )
                return
            await asyncio.to_thread(_load_starter_image, chosen.url)
        words = ["--url", chosen.url, "--driver", chosen.driver, "--note", chosen.note]
        if chosen.certificates is not None:
            words += ["--certificates", str(chosen.certificates)]
        code, lines = await supervisor.run_once(self._manage("register_local_host", *words))
        if code != 0:
            say.warning("The engine could not be registered:\n    " + "\n    ".join(lines[-10:]))

    def _manage(self, *words: str) -> Program:
        return Program(name=words[0], command=[python(), "manage.py", *words], env=self.env, cwd=ROOT)

    def _web_answers(self) -> bool:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.options.host, self.options.host)
        try:
            # It listens when it is ready to answer.
            socket.create_connection((host, self.options.port), timeout=2).close()
        except OSError:
            return False
        return True


async def _until(condition: Callable[[], bool], *, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if await asyncio.to_thread(condition):
            return True
        await asyncio.sleep(0.1)
    return False


def _load_starter_image(url: str) -> None:
    busybox = starter_image.find_busybox()
    if busybox is None:
        say.warning("No static busybox on this machine, so the private engine starts without an image.")
        return
    try:
        if starter_image.load(url, busybox=busybox):
            say.line(f"The private engine holds the image {starter_image.REFERENCE}, for your first container.")
    except OSError as cause:
        say.warning(f"The starter image could not be loaded: {cause}.")
