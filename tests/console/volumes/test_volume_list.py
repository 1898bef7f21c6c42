"""The list of volumes and one volume, as last observed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.accounts.models import Team, User
from console.containers.services import assign_container
from console.gateway import Volume
from console.hosts.models import Host, HostState
from console.inventory.models import ObservedContainer, ObservedVolume
from console.inventory.services import apply_volumes
from runtime import VolumeMount
from runtime.testing import FakeEngine
from tests.console.volumes.conftest import MakeVolume, Sign, give_volume, url_of

pytestmark = pytest.mark.django_db
MakeContainer = Callable[..., ObservedContainer]
MOUNT = (VolumeMount(volume="data", target="/data"),)


@pytest.fixture
def some(make_volume: MakeVolume, make_container: MakeContainer, red: Team, alice: User) -> None:
    """A used volume of red, an unused one of nobody, and one without a name."""
    data = make_volume("data", labels={"Tier": "gold"})
    make_volume("spare")
    make_volume("f" * 64)
    make_container("web-1", volumes=MOUNT)
    give_volume(data, red, by=alice)


def names(browser: Client, query: str = "") -> list[str]:
    """Return the names in the list, in order."""
    answer = browser.get(f"/volumes/{query}")
    assert answer.status_code == 200
    return [row.name for row in answer.context["page"].rows]


@pytest.mark.usefixtures("some")
def test_one_list_narrowed_and_ordered_by_its_address(as_: Sign, red: Team, host: Host) -> None:
    admin = as_("admin")
    assert names(admin) == ["data", "f" * 12, "spare"]
    assert names(admin, "?sort=-name") == ["spare", "f" * 12, "data"]
    assert names(admin, "?q=TIER=gold") == ["data"]
    assert names(admin, "?use=used") == ["data"]
    assert names(admin, "?use=unused") == ["f" * 12, "spare"]
    assert names(admin, f"?team={red.pk}") == ["data"]
    assert names(admin, "?team=nobody") == ["f" * 12, "spare"]
    assert names(admin, f"?host={host.pk}") == ["data", "f" * 12, "spare"]
    assert names(admin, "?host=00000000-0000-4000-8000-000000000000") == []
    assert names(admin, "?sort=password&use=x&team=x&host=x&page=x&q=%00") == ["data", "f" * 12, "spare"]


@pytest.mark.usefixtures("some")
def test_filters_say_how_many_they_leave(as_: Sign) -> None:
    facets = {
        facet.name: [(choice.label, choice.count) for choice in facet.choices]
        for facet in as_("admin").get("/volumes/").context["facets"]
    }
    assert facets == {
        "use": [("In use", 1), ("Not in use", 2)],
        "host": [("harbour", 3)],
        "team": [("red", 1), ("Nobody", 2)],
    }


@pytest.mark.usefixtures("some")
def test_a_team_sees_its_own_and_no_other_teams(as_: Sign) -> None:
    page = as_("member").get("/volumes/")
    assert [row.name for row in page.context["page"].rows] == ["data"]
    assert [facet.name for facet in page.context["facets"]] == ["use", "host"]
    assert "spare" not in page.content.decode()
    assert names(as_("other team")) == []
    assert as_("stranger").get("/volumes/").status_code == 403


def test_paging(host: Host, as_: Sign) -> None:
    volumes = [Volume(name=f"v{n:03}", driver="local", mountpoint="", created_at=None) for n in range(120)]
    apply_volumes(host, volumes=volumes, asked_at=timezone.now())
    admin = as_("admin")
    assert len(names(admin)) == 50
    assert names(admin, "?page=3") == [f"v{n:03}" for n in range(100, 120)]
    assert names(admin, "?page=99") == names(admin, "?page=3")
    assert names(admin, "?page=2&sort=-name")[0] == "v069"


def test_a_long_list_asks_as_often_as_a_short_one(
    host: Host, as_: Sign, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    admin = as_("admin")
    volumes = [Volume(name=f"v{n:03}", driver="local", mountpoint="", created_at=None) for n in range(50)]
    apply_volumes(host, volumes=volumes, asked_at=timezone.now())
    names(admin)
    with django_assert_max_num_queries(26):
        names(admin)


@pytest.mark.usefixtures("some")
def test_a_host_that_does_not_answer_shows_what_was_seen(as_: Sign, engine: FakeEngine) -> None:
    Host.objects.update(state=HostState.UNREACHABLE)
    page = as_("admin").get("/volumes/").content.decode()
    assert "harbour does not answer" in page
    assert "data-stale" in page
    assert engine.calls == []


def test_an_empty_list_says_what_to_do_first(as_: Sign, host: Host) -> None:
    assert "No volumes yet" in as_("member").get("/volumes/").content.decode()
    Host.objects.all().delete()
    assert "No host yet" in as_("admin").get("/volumes/").content.decode()


def test_its_page_tells_who_uses_it_and_what_only_overseers_need(
    make_volume: MakeVolume, make_container: MakeContainer, red: Team, alice: User, as_: Sign, engine: FakeEngine
) -> None:
    volume = make_volume("data", labels={"tier": "gold", "api_key": "hunter2", "pilothouse.operation": "x"})
    mine = make_container("web-1", volumes=MOUNT)
    make_container("hidden-1", volumes=MOUNT)
    assign_container(actor=alice, container=mine, team=red)
    give_volume(volume, red, by=alice)
    page = as_("member").get(url_of(volume)).content.decode()
    assert "web-1" in page
    assert "hidden-1" not in page
    assert "1 container that you may not see uses it." in page
    assert "/fake/volumes/data" not in page, "where a host keeps files is not for teams"
    assert "gold" in page
    assert "hunter2" not in page
    assert "pilothouse.operation" not in page
    page = as_("auditor").get(url_of(volume)).content.decode()
    assert "/fake/volumes/data" in page
    assert "hidden-1" in page
    assert engine.calls == []


def test_secrets_among_driver_options_are_masked(make_volume: MakeVolume, as_: Sign) -> None:
    options = {"type": "cifs", "o": "addr=nas,username=u,password=hunter2,vers=3.0", "device": "//nas/x"}
    page = as_("admin").get(url_of(make_volume("share", options=options))).content.decode()
    assert "hunter2" not in page
    assert "addr=nas" in page
    assert "No team can own it." in page


@pytest.mark.parametrize("part", ["", "remove/", "assign/"])
def test_what_is_not_theirs_looks_like_what_never_was(part: str, make_volume: MakeVolume, as_: Sign) -> None:
    volume, browser = make_volume("data"), as_("other team")
    there, never = browser.get(url_of(volume, part)), browser.get(url_of(volume, part).replace("/data/", "/none/"))
    assert (there.status_code, never.status_code) == (404, 404)
    assert there.context["problem"] == never.context["problem"]


@pytest.mark.parametrize("name", ["..", "-x", "a b", "a" * 256, "%00"])
def test_an_address_with_another_name_leads_nowhere(name: str, as_: Sign, host: Host) -> None:
    assert as_("admin").get(f"/volumes/{host.pk}/{name}/").status_code == 404


def test_hostile_words_are_words(make_volume: MakeVolume, as_: Sign) -> None:
    nasty = "<img src=x onerror=alert(1)>"
    volume = make_volume("data", driver=nasty, labels={nasty: nasty}, options={nasty: nasty})
    admin = as_("admin")
    for address in ("/volumes/", url_of(volume), url_of(volume, "assign/"), url_of(volume, "remove/")):
        assert nasty not in admin.get(address).content.decode(), address
    assert ObservedVolume.objects.get().labels == {nasty: nasty}


@pytest.mark.usefixtures("some")
def test_search_finds_what_one_may_see(as_: Sign) -> None:
    assert "hard-drive-" in as_("member").get("/search/?q=data").content.decode()
    other = as_("other team").get("/search/?q=data").content.decode()
    assert "hard-drive-" not in other
    assert "harbour" not in other
