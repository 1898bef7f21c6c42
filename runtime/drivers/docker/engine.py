"""Docker and Podman over the Docker Engine API. Calls only: values are parsed and built in the other modules."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from runtime.containers import (
    Container,
    ContainerDetail,
    ContainerSpec,
    ContainerState,
    EngineInfo,
    Event,
    ExecDetail,
    ExecOutput,
    ExecSpec,
    Image,
    ImageDetail,
    Network,
    NetworkSpec,
    PathStat,
    PullProgress,
    RegistryCredentials,
    Stats,
    Volume,
    VolumeSpec,
)
from runtime.drivers.docker import leftovers, parse, serialise
from runtime.drivers.docker.problems import problem, pull_problem
from runtime.drivers.docker.terminal import DockerTerminal, TerminalCalls
from runtime.endpoint import Driver, Endpoint
from runtime.errors import (
    BackendError,
    Conflict,
    EngineFailure,
    Invalid,
    NotFound,
    ProtocolError,
    Terminated,
    TimedOut,
    Unsupported,
)
from runtime.streams import ByteParts, Channel, Chunk, Terminal
from runtime.transport.bulk import BulkAnswer
from runtime.transport.frames import FrameDecoder
from runtime.transport.http import Answer, Body, HttpTransport, StreamedAnswer
from runtime.transport.upgrade import Wire, open_wire

#: The newest API version this driver knows and the oldest it can live with.
NEWEST: Final = (1, 47)
OLDEST: Final = (1, 24)

#: Seconds of silence we bear from what an engine may rightly take long over.
_SLOW: Final = 120.0
_PULL_SILENCE: Final = 300.0
_LOG_SILENCE: Final = 60.0
_ARCHIVE_SILENCE: Final = 120.0
#: Added to the grace of stop and restart.
_GRACE_MARGIN: Final = 30.0
_EXEC_OUTPUT_LIMIT: Final = 1024 * 1024
_KILL_TIMEOUT: Final = 20
_PATTERN: Final = re.compile(r"[*?\[\\]")
#: How runtimes say that the program to run is not there or not a program.
_NOT_RUN: Final = (126, 127)


def parse_version(text: str) -> tuple[int, int]:
    """Return an API version such as ``"1.41"`` as numbers. Raises ``ProtocolError``."""
    major, _, minor = text.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise ProtocolError(f"the engine's API version is {text[:40]!r}")
    return int(major), int(minor)


class DockerEngine:
    """See ``runtime.containers.ContainerEngine``."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._http = HttpTransport(endpoint)
        self._version: tuple[int, int] | None = None
        self._podman = endpoint.driver is Driver.PODMAN

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        await self._http.close()

    # The engine itself

    async def ping(self) -> str:
        """``GET /_ping``: return the API version in use."""
        self._version = await self._negotiate()
        return "{}.{}".format(*self._version)

    async def info(self) -> EngineInfo:
        """``GET /info`` and ``GET /version``."""
        info, version = await asyncio.gather(self._json("GET", "/info"), self._json("GET", "/version"))
        return parse.engine_info(info, version)

    async def _negotiate(self) -> tuple[int, int]:
        answer = await self._http.request("GET", "/_ping", limit=64 * 1024)
        if answer.status != 200:
            raise problem(answer.status, answer.body)
        if "Libpod-API-Version" in answer.headers:
            self._podman = True
        offered = answer.headers.get("Api-Version")
        if offered is None:
            raise ProtocolError(f"{self._http.where} answers a ping without naming its API version; is it an engine?")
        version = min(NEWEST, parse_version(offered))
        if version < OLDEST:
            raise Unsupported(
                "the engine speaks API {}.{}; the oldest we know is {}.{}".format(*version, *OLDEST),
                reason="api_version",
            )
        return version

    async def _prefix(self) -> str:
        if self._version is None:
            self._version = await self._negotiate()
        return "/v{}.{}".format(*self._version)

    def _refusal(self, status: int, body: bytes) -> BackendError:
        error = problem(status, body)
        if error.reason == "api_version":
            # The engine was exchanged for another version under our feet: ask it anew next time.
            self._version = None
        return error

    async def _call(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        body: Body = None,
        timeout: float | None = None,
    ) -> Answer:
        answer = await self._http.request(
            method, await self._prefix() + path, parameters=parameters, body=body, timeout=timeout
        )
        if answer.status >= 400 or (300 <= answer.status < 400 and answer.status != 304):
            raise self._refusal(answer.status, answer.body)
        return answer

    async def _json(self, method: str, path: str, *, parameters: Mapping[str, str] | None = None) -> Any:
        return (await self._call(method, path, parameters=parameters)).json()

    @asynccontextmanager
    async def _stream(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        head_unbounded: bool = False,
        refusal: Callable[[int, bytes], BackendError] | None = None,
    ) -> AsyncIterator[StreamedAnswer]:
        async with self._http.stream(
            method,
            await self._prefix() + path,
            parameters=parameters,
            body=body,
            headers=headers,
            timeout=timeout,
            head_unbounded=head_unbounded,
        ) as answer:
            if answer.status >= 300:
                raise (refusal or self._refusal)(answer.status, await answer.read_all(limit=1024 * 1024))
            yield answer

    # Containers

    async def list_containers(self, *, container_ids: Collection[str] = ()) -> list[Container]:
        """``GET /containers/json?all=1``; with ``container_ids`` only those of them that exist."""
        parameters = {"all": "1"}
        if container_ids:
            parameters["filters"] = json.dumps({"id": [serialise.segment(name) for name in container_ids]})
        return parse.containers(await self._json("GET", "/containers/json", parameters=parameters))

    async def inspect_container(self, container_id: str) -> ContainerDetail:
        """``GET /containers/{id}/json``. Raises ``NotFound``."""
        return parse.container_detail(await self._json("GET", f"/containers/{serialise.segment(container_id)}/json"))

    async def create_container(self, spec: ContainerSpec) -> str:
        """``POST /containers/create``. Raises ``NotFound`` (image), ``Conflict`` (name), ``Invalid``."""
        answer = await self._call(
            "POST",
            "/containers/create",
            parameters={"name": spec.name} if spec.name else None,
            body=serialise.container_body(spec),
            timeout=_SLOW,
        )
        return parse.identifier(answer.json())

    async def start_container(self, container_id: str) -> None:
        """``POST /containers/{id}/start``. Raises ``NotFound``, ``EngineFailure``."""
        try:
            await self._call("POST", f"/containers/{serialise.segment(container_id)}/start", timeout=_SLOW)
        except Invalid as error:
            if error.reason in ("bad_name", "api_version"):
                raise
            # We sent nothing that could be malformed: Docker answers 400 when the program cannot be run.
            raise EngineFailure(error.message, reason=error.reason) from error

    async def stop_container(self, container_id: str, *, grace: int = 10) -> None:
        """``POST /containers/{id}/stop``; already stopped is success. Raises ``NotFound``."""
        await self._call(
            "POST",
            f"/containers/{serialise.segment(container_id)}/stop",
            parameters={"t": str(grace)},
            timeout=grace + _GRACE_MARGIN,
        )

    async def restart_container(self, container_id: str, *, grace: int = 10) -> None:
        """``POST /containers/{id}/restart``. Raises ``NotFound``."""
        await self._call(
            "POST",
            f"/containers/{serialise.segment(container_id)}/restart",
            parameters={"t": str(grace)},
            timeout=grace + _SLOW,
        )

    async def kill_container(self, container_id: str, *, signal: str = "SIGKILL") -> None:
        """``POST /containers/{id}/kill``. Raises ``NotFound``, ``Conflict`` (not running)."""
        await self._call(
            "POST",
            f"/containers/{serialise.segment(container_id)}/kill",
            parameters={"signal": signal},
            timeout=_GRACE_MARGIN,
        )

    async def pause_container(self, container_id: str) -> None:
        """``POST /containers/{id}/pause``. Raises ``NotFound``, ``Conflict``."""
        await self._call("POST", f"/containers/{serialise.segment(container_id)}/pause", timeout=_GRACE_MARGIN)

    async def unpause_container(self, container_id: str) -> None:
        """``POST /containers/{id}/unpause``. Raises ``NotFound``, ``Conflict``."""
        await self._call("POST", f"/containers/{serialise.segment(container_id)}/unpause", timeout=_GRACE_MARGIN)

    async def rename_container(self, container_id: str, *, name: str) -> None:
        """``POST /containers/{id}/rename``. Raises ``NotFound``, ``Conflict`` (name taken)."""
        await self._call("POST", f"/containers/{serialise.segment(container_id)}/rename", parameters={"name": name})

    async def remove_container(self, container_id: str, *, force: bool = False, volumes: bool = False) -> None:
        """``DELETE /containers/{id}``. Raises ``NotFound``, ``Conflict``."""
        await self._call(
            "DELETE",
            f"/containers/{serialise.segment(container_id)}",
            parameters={"force": str(int(force)), "v": str(int(volumes))},
            timeout=_SLOW,
        )

    async def wait_container(self, container_id: str) -> int:
        """``POST /containers/{id}/wait``; no time limit. Raises ``NotFound``."""
        async with self._stream(
            "POST", f"/containers/{serialise.segment(container_id)}/wait", head_unbounded=True
        ) as answer:
            return parse.exit_code(parse.decode(await answer.read_all(limit=1024 * 1024)))

    async def logs(
        self,
        container_id: str,
        *,
        tty: bool,
        follow: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        timestamps: bool = False,
        tail: int | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> AsyncIterator[Chunk]:
        """``GET /containers/{id}/logs``. Raises ``NotFound``, ``Terminated``."""
        parameters = {
            "follow": str(int(follow)),
            "stdout": str(int(stdout)),
            "stderr": str(int(stderr)),
            "timestamps": str(int(timestamps)),
            "tail": "all" if tail is None else str(tail),
        }
        if since is not None:
            parameters["since"] = f"{since:.6f}"
        if until is not None:
            parameters["until"] = f"{until:.6f}"
        path = f"{await self._prefix()}/containers/{serialise.segment(container_id)}/logs?{urlencode(parameters)}"
        wire = await self._open_wire()
        try:
            answer = BulkAnswer(wire)
            await answer.ask(path, timeout=self._endpoint.timeouts.read)
            if answer.status != 200:
                raise self._refusal(
                    answer.status, await answer.read_all(limit=1024 * 1024, timeout=self._endpoint.timeouts.read)
                )
            silence = None if follow else _LOG_SILENCE
            decoder = FrameDecoder()
            while data := await answer.read(timeout=silence):
                if tty:
                    yield Chunk(Channel.STDOUT, data)
                else:
                    for chunk in decoder.feed(data):
                        yield chunk
            if not decoder.complete:
                raise Terminated("the engine cut the log in the middle of a frame")
        finally:
            wire.close()

    async def stats(self, container_id: str) -> AsyncIterator[Stats]:
        """``GET /containers/{id}/stats?stream=1``; ends when the container is not running. Raises ``NotFound``."""
        path = f"/containers/{serialise.segment(container_id)}/stats"
        async with (
            self._stream("GET", path, parameters={"stream": "1"}) as answer,
            aclosing(answer.messages()) as messages,
        ):
            async for message in messages:
                sample = parse.stats(message)
                if sample is None:
                    return
                yield sample

    async def attach(self, container_id: str, *, tty: bool, stdin: bool = True) -> Terminal:
        """``POST /containers/{id}/attach`` (hijacked). Raises ``NotFound``, ``Conflict`` (not running)."""
        path = f"{await self._prefix()}/containers/{serialise.segment(container_id)}"
        wire = await self._open_wire()
        try:
            # Docker attaches to a stopped container without a word, and waits.
            head, body = await wire.request("GET", f"{path}/json")
            if head.status != 200:
                raise self._refusal(head.status, body)
            detail = parse.container_detail(parse.decode(body))
            if detail.container.state is not ContainerState.RUNNING:
                reason = "paused" if detail.container.state is ContainerState.PAUSED else "not_running"
                raise Conflict(f"the container is {detail.container.state.value}", reason=reason)
            head, body = await wire.upgrade(
                f"{path}/attach?stream=1&stdout=1&stderr=1&stdin={int(stdin)}&detachKeys={serialise.DETACH_QUERY}"
            )
            if head.status not in (101, 200):
                raise self._refusal(head.status, body)
        except BaseException:
            wire.close()
            raise

        async def resize(columns: int, rows: int) -> None:
            await self._resize(f"/containers/{container_id}/resize", columns=columns, rows=rows)

        async def exit_code() -> int | None:
            found = await self.inspect_container(container_id)
            return found.container.exit_code

        async def kill() -> bool:
            return True

        return DockerTerminal(
            wire,
            exec_id=None,
            tty=tty,
            calls=TerminalCalls(resize=resize, exit_code=exit_code, kill=kill),
            paced=self._podman and tty,
        )

    async def _open_wire(self) -> Wire:
        return await open_wire(self._endpoint, context=self._http.tls_context())

    async def _resize(self, path: str, *, columns: int, rows: int) -> None:
        await self._call("POST", path, parameters={"h": str(rows), "w": str(columns)})

    # Exec

    async def open_exec(self, container_id: str, spec: ExecSpec) -> Terminal:
        """``POST /containers/{id}/exec``, ``/exec/{id}/start`` (hijacked). Raises ``NotFound``, ``Conflict``."""
        marker = dict(spec.environment).get(leftovers.MARKER_VARIABLE)
        if marker is None:
            marker = secrets.token_hex(16)
            spec = _with_variable(spec, leftovers.MARKER_VARIABLE, marker)
        return await self._open_exec(container_id, spec, marker=marker)

    async def _open_exec(self, container_id: str, spec: ExecSpec, *, marker: str) -> DockerTerminal:
        path = f"{await self._prefix()}/containers/{serialise.segment(container_id)}/exec"
        sized = self._takes_size()
        # Create and start share one connection: no second handshake, no pool.
        wire = await self._open_wire()
        try:
            head, body = await wire.request("POST", path, body=serialise.exec_body(spec, console_size=sized))
            if head.status != 201:
                raise self._refusal(head.status, body)
            exec_id = serialise.segment(parse.identifier(parse.decode(body)))
            head, body = await wire.upgrade(
                f"{await self._prefix()}/exec/{exec_id}/start",
                body=serialise.exec_start_body(spec, console_size=sized),
            )
            if head.status not in (101, 200):
                raise self._refusal(head.status, body)
        except BaseException:
            wire.close()
            raise

        async def resize(columns: int, rows: int) -> None:
            await self._resize(f"/exec/{exec_id}/resize", columns=columns, rows=rows)

        async def exit_code() -> int | None:
            return (await self.inspect_exec(exec_id)).exit_code

        async def kill() -> bool:
            return await self.kill_execs(container_id, marker=marker)

        return DockerTerminal(
            wire,
            exec_id=exec_id,
            tty=spec.tty,
            calls=TerminalCalls(resize=resize, exit_code=exit_code, kill=kill),
            first_size=(spec.columns, spec.rows) if spec.tty and not sized else None,
            paced=self._podman and spec.tty,
        )

    def _takes_size(self) -> bool:
        return self._version is not None and self._version >= (1, 42) and not self._podman

    async def run_exec(self, container_id: str, spec: ExecSpec, *, timeout: int = 10) -> ExecOutput:
        """Run to its end; output beyond 1 MiB is dropped. Raises ``TimedOut``, ``NotFound``, ``Conflict``."""
        marker = secrets.token_hex(16)
        spec = _with_variable(spec, leftovers.MARKER_VARIABLE, marker)
        try:
            return await self._run_exec(container_id, spec, marker=marker, timeout=timeout)
        except TimedOut:
            await self.kill_execs(container_id, marker=marker)
            raise

    async def _run_exec(self, container_id: str, spec: ExecSpec, *, marker: str, timeout: int) -> ExecOutput:
        output = {Channel.STDOUT: bytearray(), Channel.STDERR: bytearray(), Channel.STDIN: bytearray()}
        room = _EXEC_OUTPUT_LIMIT
        try:
            async with asyncio.timeout(timeout):
                terminal = await self._open_exec(container_id, spec, marker=marker)
                try:
                    if spec.attach_stdin and not spec.tty:
                        await terminal.write_eof()
                    while (chunk := await terminal.read_chunk()) is not None:
                        kept = chunk.data[:room]
                        room -= len(kept)
                        output[chunk.channel] += kept
                    code = await terminal.exit_code()
                finally:
                    await terminal.close()
        except TimeoutError as error:
            raise TimedOut(f"the command did not end within {timeout} s") from error
        if code is None:
            raise Terminated("the command's output ended and its exit code is not known")
        return ExecOutput(exit_code=code, stdout=bytes(output[Channel.STDOUT]), stderr=bytes(output[Channel.STDERR]))

    async def inspect_exec(self, exec_id: str) -> ExecDetail:
        """``GET /exec/{id}/json``. Raises ``NotFound``."""
        return parse.exec_detail(await self._json("GET", f"/exec/{serialise.segment(exec_id)}/json"))

    async def kill_execs(self, container_id: str, *, marker: str) -> bool:
        """End every process with ``marker`` in its environment; ``True`` when none is left.

        Raises ``Invalid`` for a marker too short to be unique, ``Conflict`` when the container is paused.
        """
        if len(marker) < 8:
            raise Invalid(f"a marker of {len(marker)} characters could be anybody's", reason="bad_marker")
        seen: set[str] = set()
        users = ["0"]
        clean = True
        # A container can name users without end, each of whom costs an exec.
        while users and len(seen) <= leftovers.MOST_USERS:
            user = users.pop()
            seen.add(user)
            spec = ExecSpec(command=leftovers.command(marker), tty=False, user=user, attach_stdin=False)
            try:
                report = await self._run_exec(container_id, spec, marker="", timeout=_KILL_TIMEOUT)
            except NotFound:
                return True
            except Conflict as error:
                if error.reason == "paused":
                    raise
                return True
            except (EngineFailure, Invalid):
                # Podman's way to say that there is no shell in this container.
                return await self._end_from_outside(marker)
            found = leftovers.read_report(report.stdout)
            if found is None:
                if report.exit_code in _NOT_RUN:
                    return await self._end_from_outside(marker)
                return False
            nothing_left, hidden = found
            clean = clean and nothing_left
            users += [str(uid) for uid in hidden if str(uid) not in seen and str(uid) not in users]
        return clean

    async def _end_from_outside(self, marker: str) -> bool:
        if self._endpoint.socket_path is None or os.geteuid() != 0:
            return False
        return await leftovers.end_from_outside(marker)

    # Files

    async def stat_archive(self, container_id: str, path: str) -> PathStat:
        """``HEAD /containers/{id}/archive``: a link is not followed. Raises ``NotFound``, ``Invalid``."""
        prefix = await self._prefix()
        answer = await self._http.request(
            "HEAD",
            f"{prefix}/containers/{serialise.segment(container_id)}/archive",
            parameters={"path": self._archive_path(path)},
        )
        if answer.status == 404:
            # The answer to a HEAD has no sentence that says which of the two is missing.
            await self.inspect_container(container_id)
            raise NotFound(f"Could not find the file {path} in container {container_id}", reason="path_missing")
        if answer.status >= 300:
            raise self._refusal(answer.status, answer.body)
        return parse.path_stat(answer.headers.get("X-Docker-Container-Path-Stat"))

    async def get_archive(self, container_id: str, path: str) -> tuple[PathStat, ByteParts]:
        """``GET /containers/{id}/archive``: what is there, and a tar of it as it comes. Raises ``NotFound``."""
        await self._prefix()
        async with AsyncExitStack() as stack:
            answer = await stack.enter_async_context(
                self._stream(
                    "GET",
                    f"/containers/{serialise.segment(container_id)}/archive",
                    parameters={"path": self._archive_path(path)},
                    timeout=_ARCHIVE_SILENCE,
                )
            )
            found = parse.path_stat(answer.headers.get("X-Docker-Container-Path-Stat"))
            return found, _AnswerParts(answer, held=stack.pop_all())

    def _archive_path(self, path: str) -> str:
        if self._podman and _PATTERN.search(path):
            # It would answer with whatever else matches.
            raise Unsupported("Podman takes the path for a pattern, and has no way to say that it is none")
        return serialise.inner_path(path)

    async def put_archive(
        self,
        container_id: str,
        path: str,
        tar: AsyncIterator[bytes],
        *,
        keep_kinds: bool = True,
        as_user: bool = False,
    ) -> None:
        """``PUT /containers/{id}/archive``: unpack a plain tar. Raises ``NotFound``, ``Conflict``."""
        async with self._stream(
            "PUT",
            f"/containers/{serialise.segment(container_id)}/archive",
            parameters={
                "path": serialise.inner_path(path),
                "noOverwriteDirNonDir": str(int(keep_kinds)),
                "copyUIDGID": str(int(as_user)),
            },
            body=tar,
            headers={"Content-Type": "application/x-tar"},
            timeout=_ARCHIVE_SILENCE,
        ) as answer:
            await answer.read_all(limit=1024 * 1024)

    # Images

    async def list_images(self) -> list[Image]:
        """``GET /images/json``."""
        return parse.images(await self._json("GET", "/images/json"))

    async def inspect_image(self, reference: str) -> ImageDetail:
        """``GET /images/{name}/json``. Raises ``NotFound``."""
        return parse.image_detail(await self._json("GET", f"/images/{serialise.image_segment(reference)}/json"))

    async def pull_image(
        self, reference: str, *, credentials: RegistryCredentials | None = None
    ) -> AsyncIterator[PullProgress]:
        """``POST /images/create``; closing the iterator cancels the pull.

        Raises ``NotFound``, ``AccessDenied``, ``Invalid``, ``EngineFailure``.
        """
        repository, tag = serialise.split_reference(reference)
        headers = {"X-Registry-Auth": serialise.registry_auth(credentials)} if credentials is not None else None
        reader = parse.PullProgressReader()
        async with (
            self._stream(
                "POST",
                "/images/create",
                parameters={"fromImage": repository, "tag": tag},
                headers=headers,
                timeout=_PULL_SILENCE,
                refusal=self._pull_refusal,
            ) as answer,
            aclosing(answer.messages()) as messages,
        ):
            async for message in messages:
                failure = parse.pull_error(message)
                if failure is not None:
                    raise pull_problem(failure)
                yield reader.feed(message)

    def _pull_refusal(self, status: int, body: bytes) -> BackendError:
        """Refused before the first message: what the registry said is in the sentence, not in the status."""
        error = self._refusal(status, body)
        return pull_problem(error.message) if isinstance(error, EngineFailure | NotFound | Conflict) else error

    async def tag_image(self, reference: str, *, repository: str, tag: str) -> None:
        """``POST /images/{name}/tag``. Raises ``NotFound``, ``Conflict``, ``Invalid``."""
        await self._call(
            "POST",
            f"/images/{serialise.image_segment(reference)}/tag",
            parameters={"repo": repository, "tag": tag},
        )

    async def remove_image(self, reference: str, *, force: bool = False) -> None:
        """``DELETE /images/{name}``. Raises ``NotFound``, ``Conflict`` (in use)."""
        await self._call(
            "DELETE",
            f"/images/{serialise.image_segment(reference)}",
            parameters={"force": str(int(force))},
            timeout=_SLOW,
        )

    async def import_image(self, tar: AsyncIterator[bytes], *, reference: str) -> None:
        """``POST /images/create?fromSrc=-``. Raises ``Invalid``."""
        repository, tag = serialise.split_reference(reference)
        async with (
            self._stream(
                "POST",
                "/images/create",
                # Podman 4 does not look at a separate tag.
                parameters={"fromSrc": "-", "repo": f"{repository}:{tag}"},
                body=tar,
                headers={"Content-Type": "application/x-tar"},
                timeout=_PULL_SILENCE,
            ) as answer,
            aclosing(answer.messages()) as messages,
        ):
            async for message in messages:
                failure = parse.pull_error(message)
                if failure is not None:
                    raise Invalid(failure)

    # Volumes and networks

    async def list_volumes(self) -> list[Volume]:
        """``GET /volumes``."""
        return parse.volumes(await self._json("GET", "/volumes"))

    async def inspect_volume(self, name: str) -> Volume:
        """``GET /volumes/{name}``. Raises ``NotFound``."""
        return parse.volume(await self._json("GET", f"/volumes/{serialise.segment(name)}"))

    async def create_volume(self, spec: VolumeSpec) -> Volume:
        """``POST /volumes/create``. Raises ``Invalid``, ``Conflict`` (the name is another driver's)."""
        answer = await self._call("POST", "/volumes/create", body=serialise.volume_body(spec), timeout=_GRACE_MARGIN)
        return parse.volume(answer.json())

    async def remove_volume(self, name: str) -> None:
        """``DELETE /volumes/{name}``. Raises ``NotFound``, ``Conflict`` (in use)."""
        await self._call("DELETE", f"/volumes/{serialise.segment(name)}", timeout=_GRACE_MARGIN)

    async def list_networks(self) -> list[Network]:
        """``GET /networks``."""
        return parse.networks(await self._json("GET", "/networks"))

    async def inspect_network(self, network_id: str) -> Network:
        """``GET /networks/{id}``. Raises ``NotFound``."""
        return parse.network(await self._json("GET", f"/networks/{serialise.segment(network_id)}"))

    async def create_network(self, spec: NetworkSpec) -> str:
        """``POST /networks/create``. Raises ``Conflict`` (name taken), ``Invalid``."""
        answer = await self._call("POST", "/networks/create", body=serialise.network_body(spec), timeout=_GRACE_MARGIN)
        return parse.identifier(answer.json())

    async def remove_network(self, network_id: str) -> None:
        """``DELETE /networks/{id}``. Raises ``NotFound``, ``Conflict`` (in use, or one of the engine's own)."""
        name = serialise.segment(network_id)
        await self._prefix()
        if self._podman:
            # Podman looks for users of the very word it is given: by its id a network would go from under them.
            name = serialise.segment((await self.inspect_network(network_id)).name)
        await self._call("DELETE", f"/networks/{name}", timeout=_GRACE_MARGIN)

    # Events

    async def events(self, *, since: float | None = None) -> AsyncIterator[Event]:
        """``GET /events``; endless. Raises ``Terminated`` when the engine goes away."""
        parameters = {"since": f"{since:.6f}"} if since is not None else None
        async with (
            self._stream("GET", "/events", parameters=parameters) as answer,
            aclosing(answer.messages()) as messages,
        ):
            async for message in messages:
                yield parse.event(message)
        raise Terminated("the engine ended its stream of events")


class _AnswerParts:
    """The body of an answer that outlives the call which asked for it. See ``runtime.streams.ByteParts``."""

    def __init__(self, answer: StreamedAnswer, *, held: AsyncExitStack) -> None:
        self._answer = answer
        self._held = held

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body; let the connection go at its end."""
        try:
            while data := await self._answer.read():
                yield data
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Let the connection go. Idempotent."""
        await self._held.aclose()


def _with_variable(spec: ExecSpec, name: str, value: str) -> ExecSpec:
    kept = tuple(pair for pair in spec.environment if pair[0] != name)
    return replace(spec, environment=(*kept, (name, value)))
