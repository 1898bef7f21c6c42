"""A hundred launches at once against a quota of ten, over two web processes and two workers: ten containers run."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from launcher import postgres, say, up
from launcher.paths import ROOT, DataDir, python
from tests.engines import (
    PrivateEngine,
    UnixConnection,
    busybox_image_tar,
    die_with_parent,
    free_port,
    private_dockerd,
    short_directory,
)
from tests.live.crash import Redis, private_redis

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("rush")]
IMAGE: Final = "rush-box:latest"
LAUNCHES, QUOTA, PEOPLE = 100, 10, 4

#: Makes the database and, in it, a team with a part of the host and people with tokens, whom it names.
_SEED: Final = """
import json, sys
import django
django.setup()
from datetime import timedelta
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("createcachetable", verbosity=0)
from console.accounts.models import Membership, Role, Team, TeamRole, User
from console.accounts.tokens import create_token
from console.hosts.models import Host, HostState
from console.lib.origin import Origin
from console.policies.models import PolicyVersion
from console.policies.rules import Rules, to_json
from console.rbac.models import HostGrant
url, image, quota, people = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
host = Host.objects.create(name="harbour", url=url, state=HostState.REACHABLE)
red = Team.objects.create(name="Red")
HostGrant.objects.create(team=red, host=host, containers=quota, first_port=28000, last_port=28099)
PolicyVersion.objects.create(team=red, number=1, content=to_json(Rules(images=(image,))), author_name="alice")
tokens = []
for number in range(people):
    person = User.objects.create_user(f"member-{number}", None, role=Role.USER)
    Membership.objects.create(team=red, person=person, role=TeamRole.MEMBER)
    issued = create_token(actor=person, name="rush", scope="all", team=None, lifetime=timedelta(days=1),
                          origin=Origin(address="127.0.0.1"))
    tokens.append(issued.text)
print(json.dumps({"host": str(host.pk), "team": str(red.pk), "tokens": tokens}))
"""


@dataclass(frozen=True, slots=True)
class Site:
    """A console with two doors."""

    ports: tuple[int, int]
    host: str
    team: str
    tokens: list[str]
    #: What its processes printed.
    log: Path

    def ask(self, number: int, method: str, path: str, form: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Send a request by one of the doors in the name of one of the people; returns status and answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[number % 2], timeout=60)
        headers = {"Authorization": f"Bearer {self.tokens[number % PEOPLE]}", "Accept": "application/json"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, urlencode(form) if form is not None else None, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    with short_directory() as directory, private_dockerd(directory) as found:
        found.import_image(busybox_image_tar(), reference=IMAGE)
        yield found
        _remove_all(found)


@pytest.fixture(params=["sqlite", "postgres"])
def site(request: pytest.FixtureRequest, engine: PrivateEngine, tmp_path: Path) -> Iterator[Site]:
    with contextlib.ExitStack() as stack:
        database = ""
        if request.param == "postgres":
            try:
                database = stack.enter_context(postgres.cluster())
            except say.Trouble as trouble:
                pytest.skip(str(trouble))
        redis = stack.enter_context(private_redis())
        yield stack.enter_context(_console(tmp_path, redis, engine, database=database))
    _remove_all(engine)


@contextlib.contextmanager
def _console(folder: Path, redis: Redis, engine: PrivateEngine, *, database: str) -> Iterator[Site]:
    """Run what `./pilothouse up` runs, but for watch and hub, with web and worker twice."""
    data_dir = DataDir.open(folder / "var")
    ports = free_port(), free_port()
    env = up.environment(data_dir, url=f"http://127.0.0.1:{ports[0]}", redis_url=redis.url)
    env = {name: value for name, value in env.items() if name != "DATABASE_URL"}
    env |= {"DATABASE_URL": database} if database else {}
    arguments = (engine.endpoint.url, IMAGE, str(QUOTA), str(PEOPLE))
    seed = subprocess.run(
        [python(), "-c", _SEED, *arguments], env=env, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert seed.returncode == 0, seed.stderr
    made = json.loads(seed.stdout.splitlines()[-1])
    programs = []
    for port in ports:
        options = up.Options(host="127.0.0.1", port=port, data_dir=data_dir.path, json_logs=False)
        found = {program.name: program for program in up.applications(options, data_dir=data_dir, env=env)}
        programs += [found["web"], found["worker"]]
    programs.append(found["scheduler"])
    processes: list[subprocess.Popen[bytes]] = []
    log = folder / "log"
    try:
        with log.open("wb") as output:
            for program in programs:
                processes.append(
                    subprocess.Popen(
                        program.command,
                        env=program.env,
                        cwd=ROOT,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=output,
                        start_new_session=True,
                        preexec_fn=die_with_parent,
                    )
                )
        site = Site(ports=ports, host=made["host"], team=made["team"], tokens=made["tokens"], log=log)
        _wait_until_up(site, processes)
        yield site
    finally:
        for process in processes:
            process.send_signal(signal.SIGKILL)
        for process in processes:
            process.wait()


def _wait_until_up(site: Site, processes: list[subprocess.Popen[bytes]]) -> None:
    limit = time.monotonic() + 60
    for number in (0, 1):
        while True:
            with contextlib.suppress(OSError):
                status, _answer = site.ask(number, "GET", "/containers/")
                assert status == 200
                break
            assert all(process.poll() is None for process in processes), site.log.read_text()
            assert time.monotonic() < limit, site.log.read_text()
            time.sleep(0.05)


def _ask_engine(engine: PrivateEngine, method: str, path: str) -> Any:
    connection = UnixConnection(engine.socket)
    try:
        connection.request(method, path)
        text = connection.getresponse().read()
        return json.loads(text) if text else None
    finally:
        connection.close()


def _remove_all(engine: PrivateEngine) -> None:
    for container in _ask_engine(engine, "GET", "/containers/json?all=1"):
        _ask_engine(engine, "DELETE", f"/containers/{container['Id']}?force=1")
    _ask_engine(engine, "POST", "/networks/prune")


def test_a_hundred_at_once_give_ten_containers(site: Site, engine: PrivateEngine) -> None:
    begin = threading.Barrier(LAUNCHES)
    answers: list[tuple[int, Any]] = [(0, None)] * LAUNCHES

    def launch(number: int) -> None:
        form = {
            "team": site.team,
            "host": site.host,
            "name": f"web-{number}",
            "image": IMAGE,
            "pull": "never",
            "command": "sleep 1000",
            "port_container": "80",
            "restart_policy": "no",
            "health": "image",
            "init": "on",
            "submit": "start",
        }
        begin.wait()
        answers[number] = site.ask(number, "POST", "/containers/create/", form)

    threads = [threading.Thread(target=launch, args=(number,)) for number in range(LAUNCHES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)

    outcomes = Counter((status, "" if status == 202 else answer and answer.get("code")) for status, answer in answers)
    assert outcomes == {(202, ""): QUOTA, (403, "quota.containers"): LAUNCHES - QUOTA}, (
        f"{outcomes}\n{site.log.read_text()[-6000:]}"
    )

    limit = time.monotonic() + 60
    for number, (status, answer) in enumerate(answers):
        while status == 202 and answer["state"] in ("queued", "running"):
            assert time.monotonic() < limit, answer
            time.sleep(0.1)
            _status, answer = site.ask(number, "GET", f"/operations/{answer['id']}/")
        assert status != 202 or answer["state"] == "succeeded", answer

    there = _ask_engine(engine, "GET", "/containers/json?all=1")
    assert [container["State"] for container in there] == ["running"] * QUOTA
    assert len({container["Names"][0] for container in there}) == QUOTA
    assert len({port["PublicPort"] for container in there for port in container["Ports"]}) == QUOTA
