"""The page of one container."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.gateway import Healthcheck, PublishedPort, RestartPolicy, TimedOut, TmpfsMount, Unreachable, VolumeMount
from console.inventory.models import ObservedContainer
from console.operations.models import Operation
from runtime.testing import FakeEngine
from tests.console.containers.conftest import changes, url_of

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]
FRAGMENT = {"HX-Request": "true"}
TABS = ("", "configuration/", "inspect/", "activity/")


@pytest.fixture
def rich(make_container: Callable[..., ObservedContainer]) -> ObservedContainer:
    """A container with a bit of everything."""
    return make_container(
        "rich-1",
        environment=(("DB_PASSWORD", "canary-7f3"), ("LOG", "debug")),
        labels=(("team", "red"), ("api_token", "canary-9a1")),
        ports=(PublishedPort(container_port=80, host_port=8080),),
        volumes=(VolumeMount(volume="orders", target="/data", read_only=True),),
        tmpfs=(TmpfsMount(target="/scratch", size_bytes=16 * 1024 * 1024),),
        memory_bytes=64 * 1024 * 1024,
        nano_cpus=500_000_000,
        pids_limit=50,
        restart_policy=RestartPolicy.ON_FAILURE,
        restart_max_retries=3,
        healthcheck=Healthcheck(test="true", interval=60),
        stop_timeout=20,
    )


@pytest.mark.parametrize("tab", TABS)
def test_no_tab_waits_for_the_engine(
    alice: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine, tab: str
) -> None:
    answer = client_of(alice).get(url_of(container, tab))

    assert answer.status_code == 200
    assert "web-1" in answer.content.decode()
    assert engine.calls == []


def test_the_overview_shows_what_the_engine_says_now(alice: User, client_of: ClientOf, rich: ObservedContainer) -> None:
    page = client_of(alice).get(url_of(rich, "live/"), headers=FRAGMENT).content.decode()

    for text in ("64 MB", "0.5", "orders", "/data", "8080→80", "When it fails, at most 3 times", "sleep 1000", "team"):
        assert text in page, text


def test_secrets_are_masked_until_asked_for(alice: User, client_of: ClientOf, rich: ObservedContainer) -> None:
    client = client_of(alice)

    for part in ("live/", "configuration/", "inspect/", "look/", ""):
        page = client.get(url_of(rich, part), headers=FRAGMENT).content.decode()
        assert "canary" not in page, part
    shown = client.post(url_of(rich, "reveal/"), {"kind": "environment", "name": "DB_PASSWORD"}, headers=FRAGMENT)

    assert "canary-7f3" in shown.content.decode()
    event = AuditEvent.objects.get(action="container.reveal")
    assert event.details == {"revealed": "DB_PASSWORD", "kind": "environment"}
    assert "canary" not in repr(list(AuditEvent.objects.values()))


def test_revealing_is_no_link_and_not_for_strangers(
    alice: User, charlie: User, client_of: ClientOf, rich: ObservedContainer, engine: FakeEngine
) -> None:
    form = {"kind": "environment", "name": "DB_PASSWORD"}

    assert client_of(alice).get(url_of(rich, "reveal/"), form).status_code == 405
    assert client_of(charlie).post(url_of(rich, "reveal/"), form).status_code == 404
    assert client_of(alice).post(url_of(rich, "reveal/"), {"kind": "environment", "name": "NO"}).status_code == 404
    assert engine.calls == ["inspect_container"]


@pytest.mark.parametrize(
    ("code", "words"),
    [(1, "an error of its own"), (137, "SIGKILL"), (139, "crashed"), (127, "does not exist"), (42, "exit code 42")],
)
def test_an_exit_is_told_in_words(
    alice: User, client_of: ClientOf, make_container: Callable[..., ObservedContainer], code: int, words: str
) -> None:
    failed = make_container(command=("sh", "-c", f"exit {code}"))

    page = client_of(alice).get(url_of(failed, "live/"), headers=FRAGMENT).content.decode()

    assert "Why it stopped" in page
    assert words in page


@pytest.mark.parametrize("error", [Unreachable("no such socket"), TimedOut("no answer within 10 s")])
@pytest.mark.parametrize("part", ["live/", "configuration/", "inspect/"])
def test_a_dead_host_is_told_with_what_was_last_seen(
    alice: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine, part: str, error: Exception
) -> None:
    engine.fail_next("inspect_container", error)  # type: ignore[arg-type]

    answer = client_of(alice).get(url_of(container, part), headers=FRAGMENT)

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "gives no answer about this container" in page
    assert "Last seen:" in page
    assert "Ask again" in page


def test_the_configuration_is_a_form_a_command_line_and_json(
    alice: User, client_of: ClientOf, rich: ObservedContainer
) -> None:
    page = unescape(client_of(alice).get(url_of(rich, "configuration/"), headers=FRAGMENT).content.decode())

    for line in (
        "docker run --detach \\",
        "--name rich-1 \\",
        "--env DB_PASSWORD \\",
        "--env LOG=debug \\",
        "--publish 8080:80 \\",
        "--volume orders:/data:ro \\",
        "--tmpfs /scratch:size=16777216 \\",
        "--memory 64m \\",
        "--cpus 0.5 \\",
        "--restart on-failure:3 \\",
        "--stop-timeout 20 \\",
        "starter:latest sleep 1000",
    ):
        assert line in page, line
    assert '"memory_bytes": 67108864' in page


def test_the_configuration_says_how_to_change_it(alice: User, client_of: ClientOf, rich: ObservedContainer) -> None:
    page = unescape(client_of(alice).get(url_of(rich, "configuration/"), headers=FRAGMENT).content.decode())

    assert "this one stays as it is" in page
    assert f'href="/containers/create/?from={rich.host_id}/{rich.container_id}"' in page


def test_the_configuration_is_a_compose_file_too(alice: User, client_of: ClientOf, rich: ObservedContainer) -> None:
    page = unescape(client_of(alice).get(url_of(rich, "configuration/"), headers=FRAGMENT).content.decode())

    for line in ("  rich-1:", '      LOG: "debug"', "      DB_PASSWORD: null", '      api_token: "••••••••"'):
        assert f"{line}\n" in page, line
    assert "Its volumes and networks have to exist" in page


def test_the_engines_whole_answer_can_be_read(alice: User, client_of: ClientOf, rich: ObservedContainer) -> None:
    page = unescape(client_of(alice).get(url_of(rich, "inspect/"), headers=FRAGMENT).content.decode())

    assert '"HostConfig"' in page
    assert '"DB_PASSWORD=••••••••"' in page


def test_activity_holds_operations_and_the_record(
    alice: User, client_of: ClientOf, container: ObservedContainer, worker: None
) -> None:
    client = client_of(alice)
    client.post(url_of(container, "stop/"))

    page = client.get(url_of(container, "activity/")).content.decode()

    assert str(Operation.objects.get().pk) in page
    assert "Stop web-1" in page
    assert page.count("container.stop") == 2


def test_one_that_nobody_ever_saw_is_not_found(alice: User, client_of: ClientOf, container: ObservedContainer) -> None:
    for tab in TABS:
        url = url_of(container, tab).replace(container.container_id, "f" * 64)
        answer = client_of(alice).get(url)
        assert answer.status_code == 404
        assert "This container does not exist." in answer.content.decode()


def test_a_refusal_does_not_make_a_container_known(
    alice: User, charlie: User, client_of: ClientOf, container: ObservedContainer
) -> None:
    unknown = url_of(container).replace(container.container_id, "f" * 64)
    client_of(charlie).get(unknown)

    assert client_of(alice).get(unknown).status_code == 404


def test_a_gone_one_is_told_as_gone_by_every_tab(
    alice: User, client_of: ClientOf, container: ObservedContainer, worker: None
) -> None:
    client = client_of(alice)
    client.post(url_of(container, "remove/"), {"force": "1"})

    for tab in TABS:
        page = client.get(url_of(container, tab))
        assert page.status_code == 200
        assert "This container no longer exists" in page.content.decode()


def test_a_stranger_cannot_tell_it_from_one_that_never_was(
    charlie: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine
) -> None:
    client = client_of(charlie)
    for part in (*TABS, "header/", "row/", "look/", "menu/", "live/", "logs/", "terminal/", "stats/"):
        real = client.get(url_of(container, part))
        never = client.get(url_of(container, part).replace(container.container_id, "0" * 64))
        assert real.status_code == never.status_code == 404, part
        request_id = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{64}|nonce=\"[^\"]+\"|csrf[^>]*>")
        assert request_id.sub("", real.content.decode()) == request_id.sub("", never.content.decode())
    assert engine.calls == []


def test_the_head_offers_what_the_state_allows(
    alice: User, client_of: ClientOf, container: ObservedContainer, stopped: ObservedContainer
) -> None:
    client = client_of(alice)
    running = client.get(url_of(container, "header/")).content.decode()
    created = client.get(url_of(stopped, "header/")).content.decode()

    assert "stop/" in running
    assert "start/" not in running.replace("restart/", "")
    assert "start/" in created
    assert "stop/" not in created


def test_reading_changes_nothing(
    alice: User, client_of: ClientOf, rich: ObservedContainer, engine: FakeEngine, django_assert_num_queries: Any
) -> None:
    client = client_of(alice)
    for part in (*TABS, "live/", "header/", "row/", "look/", "menu/", "kill/", "rename/", "remove/"):
        assert client.get(url_of(rich, part), headers=FRAGMENT).status_code == 200
    assert changes(engine) == []
    assert not Operation.objects.exists()
    assert not AuditEvent.objects.exists()
