"""Every page of a volume and of a network, and everybody there is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from console.accounts.models import Team, User
from console.audit.models import AuditEvent
from console.containers.volume_services import remove_volume
from console.inventory.models import ObservedNetwork, ObservedVolume
from console.operations.consumers import _known
from console.operations.models import Operation
from console.rbac.models import Ownership
from runtime.testing import FakeEngine
from tests.console.volumes.conftest import (
    REACH,
    MakeNetwork,
    MakeVolume,
    Sign,
    give_network,
    give_volume,
    person,
    url_of,
)

pytestmark = pytest.mark.django_db
Resource = ObservedVolume | ObservedNetwork

#: What each address asks for, by kind.
ASKS = {
    "volume": {"": "look", "remove/": "edit", "assign/": "admin"},
    "network": {"": "look", "remove/": "admin", "assign/": "admin"},
}


@pytest.fixture(params=["volume", "network"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def owned(kind: str, make_volume: MakeVolume, make_network: MakeNetwork, red: Team, alice: User) -> Resource:
    """A volume or a network of the team red."""
    if kind == "volume":
        volume = make_volume()
        give_volume(volume, red, by=alice)
        return volume
    network = make_network()
    give_network(network, red, by=alice)
    return network


def expected(who: str, wanted: str) -> int:
    if wanted in REACH[who]:
        return 200
    return 403 if "look" in REACH[who] else 404


@pytest.mark.parametrize("who", REACH)
def test_every_page_of_it_knows_who_asks(who: str, kind: str, owned: Resource, as_: Sign, engine: FakeEngine) -> None:
    browser = as_(who)
    for part, wanted in ASKS[kind].items():
        assert browser.get(url_of(owned, part)).status_code == expected(who, wanted), part
    assert engine.calls == []


@pytest.mark.parametrize("who", REACH)
def test_every_change_to_it_knows_who_asks(who: str, kind: str, owned: Resource, as_: Sign, engine: FakeEngine) -> None:
    browser = as_(who)
    for part, wanted in ASKS[kind].items():
        if not part:
            continue
        before = Operation.objects.count()
        answer = browser.post(url_of(owned, part), {"confirmation": owned.name, "team": ""})
        if wanted in REACH[who]:
            assert answer.status_code == 302, part
            continue
        assert answer.status_code == expected(who, wanted), part
        assert Operation.objects.count() == before
        denied = AuditEvent.objects.filter(outcome="denied", action=f"{kind}.{part[:-1]}")
        assert denied.exists() == ("look" in REACH[who])
    if "admin" not in REACH[who]:
        assert Ownership.objects.count() == 1
    assert engine.calls == []


@pytest.mark.parametrize("who", REACH)
def test_networks_are_made_by_admins(who: str, as_: Sign, host: object, engine: FakeEngine) -> None:
    browser = as_(who)
    data = {"name": "blue", "host": str(getattr(host, "pk", ""))}
    wanted = (200, 302) if who == "admin" else (403, 403)
    assert (browser.get("/networks/create/").status_code, browser.post("/networks/create/", data).status_code) == wanted
    assert Operation.objects.exists() == (who == "admin")


def test_it_says_what_it_takes(kind: str, owned: Resource, as_: Sign) -> None:
    admin = as_("admin")
    for address in (f"/{kind}s/", url_of(owned)):
        assert admin.post(address).status_code == 405
    for address in (f"/{kind}s/create/", url_of(owned, "remove/"), url_of(owned, "assign/")):
        assert admin.put(address).status_code == 405


def test_what_was_done_to_it_is_seen_by_its_team_alone(
    make_volume: MakeVolume, red: Team, blue: Team, alice: User, as_: Sign
) -> None:
    volume = make_volume()
    give_volume(volume, red, by=alice)
    operation = remove_volume(actor=alice, volume=volume)
    assert as_("viewer").get(f"/operations/{operation.pk}/").status_code == 200
    assert as_("other team").get(f"/operations/{operation.pk}/").status_code == 404


def test_teams_are_told_that_volumes_changed_and_not_which(red: Team, blue: Team) -> None:
    topics = ["volumes", "networks", "volume:x:y"]
    assert _known(person("viewer", red=red, blue=blue), topics) == ["volumes", "networks"]


def test_the_teams_page_shows_what_it_owns(kind: str, owned: Resource, red: Team, as_: Sign) -> None:
    page = as_("viewer").get(f"/people/teams/{red.pk}/").content.decode()
    assert url_of(owned) in page
    assert f"1 {kind}" in page


def test_a_team_that_owns_it_stays(
    kind: str, owned: Resource, red: Team, as_: Sign, client_of: Callable[..., object]
) -> None:
    admin = as_("admin")
    answer = admin.post(f"/people/teams/{red.pk}/remove/", {"confirmation": "red"})
    assert answer.status_code == 403
    assert f"still owns 1 {kind}" in answer.content.decode()
    type(owned).objects.all().delete()
    assert admin.post(f"/people/teams/{red.pk}/remove/", {"confirmation": "red"}).status_code == 302
    assert not Team.objects.filter(pk=red.pk).exists()
