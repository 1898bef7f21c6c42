"""A kept log's page: its last lines, any others, what matches, and the other lives of its name."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from html import unescape
from urllib.parse import quote

import pytest
from django.test import Client

from console.accounts.models import Team, User
from console.inventory.models import ObservedContainer
from console.logs import reading
from console.logs.models import KeptLog, KeptState
from console.rbac.models import Ownership
from tests.console.logs.conftest import MakeContainer, MakeLog, give, line

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


def page_of(client: Client, log: KeptLog, query: str = "") -> str:
    answer = client.get(f"/logs/{log.pk}/{query}")
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def texts(page: str) -> list[str]:
    """The lines, and the marks between lives, in the order of the page."""
    found = re.findall(r'<span class="kept-text"[^>]*>(.*?)</span>|<p class="kept-border"><span>(.*?)</span></p>', page)
    return [text or f"-- {' '.join(re.sub('<[^>]+>', ' ', border).split())}" for text, border in found]


def link(page: str, rel: str) -> str:
    found = re.search(rf'rel="{rel}" href="([^"]+)"', page)
    assert found, f"no link to {rel}"
    return "?" + found[1].partition("?")[2]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAGE", 4)
    monkeypatch.setattr(reading, "MATCHES", 3)


@pytest.fixture
def lives(red: Team, make_log: MakeLog) -> list[KeptLog]:
    """Three containers that had the same name, one after another."""
    return [
        make_log(red, [line(1, "a1"), line(2, "a2"), line(3, "a3")], digit="a", started=0, ended=10),
        make_log(red, [line(21, "b1"), line(22, "b2")], digit="b", started=20, ended=30, exit_code=1, image="two:2"),
        make_log(red, [line(41, "c1"), line(42, "c2")], digit="c", started=40, ended=50, exit_code=None),
    ]


def test_it_opens_with_the_last_lines_of_the_container(bob: User, client_of: ClientOf, lives: list[KeptLog]) -> None:
    page = page_of(client_of(bob), lives[1])

    assert texts(page)[-1] == "b2"
    assert "c1" not in texts(page)
    assert "It ended with an error of its own" in page
    assert "Later lines" in page


def test_the_lives_of_a_name_are_read_as_one_with_a_mark_at_each_border(
    bob: User, client_of: ClientOf, lives: list[KeptLog]
) -> None:
    page = page_of(client_of(bob), lives[0], "?edge=last")

    found = texts(page)
    assert [text for text in found if not text.startswith("--")] == ["a1", "a2", "a3", "b1", "b2", "c1", "c2"]
    assert found[3].startswith("-- Container replaced")
    assert "exit code 137" in found[3]
    assert "bbbbbbbbbbbb two:2" in found[3]
    assert "exit code 1 " in found[6]
    assert "Containers of this name" in page


def test_it_can_be_read_alone(bob: User, client_of: ClientOf, lives: list[KeptLog]) -> None:
    assert texts(page_of(client_of(bob), lives[1], "?alone=on")) == ["b1", "b2"]


def test_every_line_is_on_exactly_one_page_either_way(
    bob: User, client_of: ClientOf, lives: list[KeptLog], small_pages: None
) -> None:
    client, whole = client_of(bob), ["a1", "a2", "a3", "b1", "b2", "c1", "c2"]
    for start, rel in (("?edge=last", "prev"), ("?edge=first", "next")):
        query, pages = start, []
        while True:
            page = page_of(client, lives[0], query)
            pages.append([text for text in texts(page) if not text.startswith("--")])
            if f'rel="{rel}"' not in page:
                break
            query = link(page, rel)
        found = pages if rel == "next" else pages[::-1]
        assert [text for each in found for text in each] == whole
        assert all(len(each) <= 4 for each in pages)


def test_a_border_is_marked_on_the_page_that_it_begins(
    bob: User, client_of: ClientOf, lives: list[KeptLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAGE", 2)
    client = client_of(bob)

    newest = page_of(client, lives[0], "?edge=last")

    assert texts(newest)[0].startswith("-- Container replaced")
    assert texts(newest)[1:] == ["c1", "c2"]


def test_a_moment_is_jumped_to(bob: User, client_of: ClientOf, lives: list[KeptLog], small_pages: None) -> None:
    client = client_of(bob)

    assert texts(page_of(client, lives[0], "?at=2026-11-30T12:00:22Z"))[0] == "b2"
    assert texts(page_of(client, lives[0], "?at=2026-11-30T12:00:12Z"))[1] == "b1"
    assert texts(page_of(client, lives[0], "?at=2026-12-30T12:00:00Z"))[-1] == "c2"
    assert texts(page_of(client, lives[0], "?at=1999-01-01T00:00:00Z"))[0] == "a1"
    assert "Enter a valid date/time." in page_of(client, lives[0], "?at=soon")


def test_a_line_has_an_address(bob: User, client_of: ClientOf, lives: list[KeptLog], small_pages: None) -> None:
    client = client_of(bob)
    page = page_of(client, lives[0], "?edge=first")
    (address,) = re.findall(r'href="[^"]*(\?around=[^"]+)"[^>]*><time[^>]*>[^<]*</time></a>\s*<span[^>]*>a3<', page)

    page = page_of(client, lives[0], address)

    assert [text for text in texts(page) if not text.startswith("--")] == ["a1", "a2", "a3", "b1"]
    assert re.search(r'data-current="true">.*?a3<', page)


@pytest.mark.parametrize(
    "query",
    [
        "?before=x",
        "?after=1.2.3",
        "?around=zz",
        f"?before={'0' * 32}.1.1",
        f"?around={'0' * 32}.999999999.9",
        "?edge=up",
    ],
)
def test_an_address_that_makes_no_sense_shows_the_log(
    bob: User, client_of: ClientOf, lives: list[KeptLog], query: str
) -> None:
    assert "c2" in texts(page_of(client_of(bob), lives[2], query))


def test_the_whole_log_is_searched(bob: User, client_of: ClientOf, lives: list[KeptLog]) -> None:
    client = client_of(bob)

    page = page_of(client, lives[0], "?q=B")
    assert texts(page) == ["<mark>b</mark>1", "<mark>b</mark>2"]
    assert "2 lines match." in page
    assert texts(page_of(client, lives[0], "?q=^[ac]2$&regex=on")) == ["<mark>a2</mark>", "<mark>c2</mark>"]
    assert "No line matches." in page_of(client, lives[0], "?q=B&case=on")
    assert "No line matches." in page_of(client, lives[0], "?q=12%3A00")
    assert "This is no regular expression" in page_of(client, lives[0], "?q=(&regex=on")


def test_a_search_goes_on_where_it_stopped(
    bob: User, client_of: ClientOf, lives: list[KeptLog], small_pages: None
) -> None:
    client = client_of(bob)

    first = page_of(client, lives[0], "?q=2|1&regex=on")
    second = page_of(client, lives[0], link(first, "prev"))

    assert [re.sub("</?mark>", "", text) for text in texts(first)] == ["b2", "c1", "c2"]
    assert [re.sub("</?mark>", "", text) for text in texts(second)] == ["a1", "a2", "b1"]
    assert 'rel="prev"' not in second


def test_a_search_that_takes_long_says_how_far_it_is(
    bob: User, client_of: ClientOf, lives: list[KeptLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PATIENCE", 0.0)
    client = client_of(bob)

    page = page_of(client, lives[0], "?q=2")
    assert texts(page) == ["c<mark>2</mark>"]
    assert "Searched back to" in page
    page = page_of(client, lives[0], link(page, "prev"))
    assert texts(page) == ["b<mark>2</mark>"]


@pytest.mark.parametrize("pattern", ["(?:.?){800}~", "^(?:.?){800}~"])
def test_a_pattern_that_costs_too_much_is_given_up(
    pattern: str, bob: User, client_of: ClientOf, red: Team, make_log: MakeLog
) -> None:
    log = make_log(red, [line(at, "ab" * 1000) for at in range(150)])
    client = client_of(bob)
    begun = time.process_time()
    page = page_of(client, log, f"?q={quote(pattern)}&regex=on")
    # 300 KB, at the 20 kB that such a pattern does in a second.
    assert time.process_time() - begun < 3
    assert "takes too long" in page


def test_what_a_program_wrote_is_text(bob: User, client_of: ClientOf, red: Team, make_log: MakeLog) -> None:
    hostile = "\x1b[31mred\x1b[0m <script>alert(1)</script>\x00\r"
    log = make_log(red, [line(1, hostile)])

    answer = client_of(bob).get(f"/logs/{log.pk}/").content.decode()

    assert "<script>alert(1)" not in answer
    assert "red &lt;script&gt;alert(1)&lt;/script&gt;\N{REPLACEMENT CHARACTER}</span>" in answer
    found = client_of(bob).get(f"/logs/{log.pk}/?q=red <scr").content.decode()
    assert "<mark>red &lt;scr</mark>" in found


def test_a_container_that_wrote_nothing_says_so(bob: User, client_of: ClientOf, red: Team, make_log: MakeLog) -> None:
    assert "It has written nothing." in page_of(client_of(bob), make_log(red, []))


def test_a_log_that_was_cut_says_so(bob: User, client_of: ClientOf, red: Team, make_log: MakeLog) -> None:
    log = make_log(red, [line(1, "one")], is_cut=True)

    assert "Earlier lines were cut off" in page_of(client_of(bob), log)


def test_programs_get_lines(bob: User, client_of: ClientOf, lives: list[KeptLog]) -> None:
    answer = client_of(bob).get(f"/logs/{lives[1].pk}/?alone=on", headers={"Accept": "application/json"}).json()

    assert (answer["name"], answer["exit_code"], answer["state"]) == ("web-1", 1, "gone")
    assert [found["text"] for found in answer["lines"]] == ["b1", "b2"]
    assert answer["lines"][0]["at"] == "2026-11-30T12:00:21+00:00"


def test_a_stranger_cannot_tell_it_from_one_that_never_was(
    charlie: User, client_of: ClientOf, blue: Team, lives: list[KeptLog]
) -> None:
    client = client_of(charlie)

    for part in ("", "download/"):
        real = client.get(f"/logs/{lives[0].pk}/{part}")
        never = client.get(f"/logs/8d3e5a3e-0000-4000-8000-000000000000/{part}")
        assert real.status_code == never.status_code == 404
    assert client.post(f"/logs/{lives[0].pk}/").status_code in (404, 405)


def test_a_name_that_another_team_uses_now_shows_nothing_of_the_one_before(
    alice: User,
    bob: User,
    charlie: User,
    client_of: ClientOf,
    blue: Team,
    lives: list[KeptLog],
    make_log: MakeLog,
) -> None:
    theirs = make_log(blue, [line(61, "theirs")], digit="d", started=60)

    assert texts(page_of(client_of(charlie), theirs, "?edge=last")) == ["theirs"]
    assert "theirs" not in page_of(client_of(bob), lives[2], "?edge=last")
    assert client_of(charlie).get(f"/logs/{lives[2].pk}/").status_code == 404
    # Not even to who may read both: they are two teams' logs.
    assert texts(page_of(client_of(alice), theirs, "?edge=last")) == ["theirs"]


def test_while_it_is_there_the_log_is_its_owners(
    alice: User, bob: User, charlie: User, client_of: ClientOf, red: Team, blue: Team, make_container: MakeContainer
) -> None:
    container: ObservedContainer = make_container()
    give(container, red, actor=alice)
    log = KeptLog.objects.create(
        host_id=container.host_id,
        container_id=container.container_id,
        container_name="web-1",
        team=red,
        state=KeptState.KEEPING,
        created_at=container.created_at,
        days=7,
    )
    assert client_of(bob).get(f"/logs/{log.pk}/").status_code == 200

    # No list was sent since.
    give(container, blue, actor=alice)
    assert client_of(bob).get(f"/logs/{log.pk}/").status_code == 404
    page = client_of(charlie).get(f"/logs/{log.pk}/").content.decode()
    assert "Follow it live" in page

    Ownership.objects.all().delete()
    assert client_of(bob).get(f"/logs/{log.pk}/").status_code == 200


def test_reading_changes_nothing(
    bob: User, client_of: ClientOf, lives: list[KeptLog], django_assert_max_num_queries: Callable[..., object]
) -> None:
    client = client_of(bob)
    client.get("/logs/")
    before = list(KeptLog.objects.order_by("pk").values())

    for query in ("", "?q=a", "?edge=first", "?at=2026-11-30T12:00:22Z"):
        page_of(client, lives[0], query)

    assert list(KeptLog.objects.order_by("pk").values()) == before
