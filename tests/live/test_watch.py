"""The watch and the test of an address against a real Docker daemon."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import SyncToAsync, sync_to_async
from django.db import connections

from console import gateway
from console.gateway import ContainerEngine, ContainerSpec, Endpoint, Timeouts
from console.hosts.models import Host, HostState
from console.hosts.probe import probe
from console.inventory import watcher
from console.inventory.models import ObservedContainer, ObservedImage, Rank
from console.inventory.watcher import Watch
from tests.engines import PrivateEngine, busybox_image_tar, certificates, private_dockerd, short_directory

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

_IMAGE = "watched:latest"
_SPEC = ContainerSpec(name="web", image=_IMAGE, command=("sleep", "1000"), labels=(("team", "blue"),))


@pytest.fixture(autouse=True)
def _leave_no_connection() -> Iterator[None]:
    """The thread behind `sync_to_async` keeps its connection, and a database in use cannot be dropped."""
    yield
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()


@pytest.fixture(scope="module")
def dockerd() -> Iterator[PrivateEngine]:
    """A Docker daemon on a unix socket and on TCP with mutual TLS."""
    with short_directory() as directory, private_dockerd(directory, tls=True) as engine:
        engine.import_image(busybox_image_tar(), reference=_IMAGE)
        yield engine


@pytest.fixture
def garbage() -> Iterator[str]:
    """The address of somebody who is no engine."""
    with short_directory() as directory, closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(directory / "s"))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                # The watch may hang up first.
                with connection, suppress(OSError):
                    connection.recv(1000)
                    connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"unix://{directory}/s"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@asynccontextmanager
async def watching() -> AsyncIterator[Watch]:
    watch = Watch()
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        watch.stop()
        async with asyncio.timeout(3):
            await task


@asynccontextmanager
async def engine_of(dockerd: PrivateEngine) -> AsyncIterator[ContainerEngine]:
    """The engine, as somebody beside the console uses it; what they leave behind is removed."""
    # Another limit makes it another engine than the watch's, which closes its own.
    endpoint = replace(dockerd.endpoint, timeouts=Timeouts(connect=4.0))
    engine = gateway.open_engine(endpoint)
    try:
        yield engine
    finally:
        for container in await engine.list_containers():
            await engine.remove_container(container.container_id, force=True)
        await gateway.close_engine(endpoint)


async def eventually(what: Callable[[], Any], *, within: float = 15) -> Any:
    async with asyncio.timeout(within):
        while True:
            found = await sync_to_async(what)()
            if found:
                return found
            await asyncio.sleep(0.01)


def row(name: str) -> ObservedContainer | None:
    return ObservedContainer.objects.filter(name=name).first()


def state_of(host: Host) -> tuple[str, str]:
    return Host.objects.values_list("state", "cause").get(id=host.id)


async def test_what_others_do_is_seen(dockerd: PrivateEngine) -> None:
    host = await Host.objects.acreate(name="real", url=dockerd.endpoint.url)
    async with engine_of(dockerd) as engine, watching():
        await eventually(lambda: ObservedImage.objects.filter(name=_IMAGE).exists())
        container_id = await engine.create_container(_SPEC)
        await eventually(lambda: (found := row("web")) and found.state == "created")
        await engine.start_container(container_id)
        started = await eventually(lambda: (found := row("web")) and found.state == "running" and found)
        assert started.labels == {"team": "blue"}
        await engine.pause_container(container_id)
        await eventually(lambda: (found := row("web")) and found.state == "paused")
        await engine.unpause_container(container_id)
        await engine.rename_container(container_id, name="shop")
        await eventually(lambda: (found := row("shop")) and found.state == "running")
        await engine.stop_container(container_id, grace=1)
        # sleep ignores SIGTERM as the first process, so it is killed; by a person, so it is nobody's problem.
        await eventually(lambda: (found := row("shop")) and found.state == "exited" and found.rank == Rank.ENDED)
        await engine.remove_container(container_id)
        await eventually(lambda: row("shop") is None)
        info = (await Host.objects.aget(id=host.id)).info
        assert info["product"] == "Docker"
        assert info["cpus"] >= 1


async def test_a_full_list_finds_nothing_that_the_events_left_wrong(
    dockerd: PrivateEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One shape for both ways: else each full list would rewrite the rows and wake every page."""
    monkeypatch.setattr(watcher, "LIST_EVERY", 0.3)
    await Host.objects.acreate(name="real", url=dockerd.endpoint.url)
    async with engine_of(dockerd) as engine, watching():
        container_id = await engine.create_container(_SPEC)
        await engine.start_container(container_id)
        before = await eventually(lambda: (found := row("web")) and found.state == "running" and found)
        await asyncio.sleep(1.2)
        after = await eventually(lambda: row("web"))
        assert after.observed_at == before.observed_at


async def test_an_engine_that_hangs_is_noticed_while_another_host_stays_fresh(
    dockerd: PrivateEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "PING_EVERY", 0.3)
    monkeypatch.setattr(watcher, "PING_LIMIT", 0.7)
    monkeypatch.setattr(watcher, "LONGEST_PAUSE", 0.5)
    with short_directory() as directory, private_dockerd(directory) as second:
        second.import_image(busybox_image_tar(), reference=_IMAGE)
        frozen = await Host.objects.acreate(name="frozen", url=dockerd.endpoint.url)
        fresh = await Host.objects.acreate(name="fresh", url=second.endpoint.url)
        async with engine_of(dockerd) as engine, engine_of(second) as other, watching():
            await engine.create_container(_SPEC)
            await eventually(lambda: row("web") and state_of(fresh)[0] == HostState.REACHABLE)
            with dockerd.frozen():
                await eventually(lambda: state_of(frozen) == (HostState.FAILING, "timed_out"), within=5)
                assert await sync_to_async(row)("web"), "its rows stay"
                await other.create_container(replace(_SPEC, name="beside"))
                await eventually(lambda: row("beside"), within=2)
                assert (await sync_to_async(state_of)(fresh))[0] == HostState.REACHABLE
            await eventually(lambda: state_of(frozen) == (HostState.REACHABLE, ""))


async def test_an_engine_that_ends_is_said_and_followed_again_when_it_is_back() -> None:
    with short_directory() as directory, private_dockerd(directory) as dockerd:
        dockerd.import_image(busybox_image_tar(), reference=_IMAGE)
        host = await Host.objects.acreate(name="real", url=dockerd.endpoint.url)
        async with engine_of(dockerd) as engine, watching():
            await engine.create_container(_SPEC)
            await eventually(lambda: row("web"))
            dockerd.processes[-1].terminate()
            await asyncio.to_thread(dockerd.processes[-1].wait, 20)
            await eventually(lambda: state_of(host)[0] == HostState.UNREACHABLE, within=5)
            assert (await sync_to_async(state_of)(host))[1] in ("refused", "no_socket")
            await asyncio.to_thread(dockerd.start)
            await eventually(lambda: state_of(host)[0] == HostState.REACHABLE, within=20)
            assert await sync_to_async(row)("web")


async def test_who_is_no_engine_is_told_as_that(garbage: str) -> None:
    host = await Host.objects.acreate(name="mail", url=garbage)
    async with watching():
        await eventually(lambda: state_of(host) == (HostState.FAILING, "protocol"))
        assert "ESMTP" not in (await Host.objects.aget(id=host.id)).status


async def test_a_real_engine_passes_the_test_over_tls_and_fails_it_with_the_wrong_certificates(
    dockerd: PrivateEngine,
) -> None:
    assert dockerd.tls_endpoint is not None
    assert dockerd.tls_endpoint.tls is not None
    good = Endpoint(driver=dockerd.endpoint.driver, url=dockerd.tls_endpoint.url, tls=dockerd.tls_endpoint.tls)
    report = await probe(good)
    assert [step.outcome for step in report.steps] == ["ok"] * 5, report.steps

    stranger = certificates().client
    untrusted = await probe(replace(good, tls=replace(good.tls, ca_pem=stranger.ca_pem)))  # type: ignore[type-var]
    assert untrusted.cause == "tls_untrusted"
    rejected = await probe(replace(good, tls=replace(stranger, ca_pem=good.tls.ca_pem)))  # type: ignore[union-attr]
    assert rejected.cause == "tls_rejected"
    plain = await probe(replace(good, tls=None))
    assert plain.cause == "tls_needed"
    assert [step.outcome for step in plain.steps[:2]] == ["ok", "ok"]


def test_the_command_ends_cleanly_on_a_signal(dockerd: PrivateEngine, tmp_path: Path) -> None:
    import os

    environment = {
        **os.environ,
        "PILOTHOUSE_DATA_DIR": str(tmp_path / "var"),
        "DJANGO_SETTINGS_MODULE": "console.settings",
    }
    manage = [sys.executable, "manage.py"]
    root = Path(__file__).resolve().parents[2]
    for words in (["migrate", "--verbosity=0"], ["register_local_host", "--url", dockerd.endpoint.url]):
        subprocess.run([*manage, *words], cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)
    process = subprocess.Popen(
        [*manage, "watch"], cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "watch_lease" in line:
                break
        process.terminate()
        rest = process.stdout.read()
        assert process.wait(20) == 0
        assert "watch_stopped" in rest
    finally:
        process.kill()
        process.wait()
