"""Giving a volume to a team, and taking it back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from console.accounts.models import Team, User
from console.audit.models import AuditEvent
from console.containers.ownership import CannotBeGiven
from console.containers.volume_services import assign_volume
from console.hosts.models import Host
from console.rbac.models import OwnedKind, Ownership, owner_of
from runtime import Unreachable
from runtime.testing import FakeEngine
from tests.console.volumes.conftest import MakeVolume, Sign, give_volume, person, url_of

pytestmark = pytest.mark.django_db

BIND = {"type": "none", "o": "bind", "device": "/"}


def owner(host: Host, name: str = "data") -> object:
    return owner_of(host_id=host.pk, kind=OwnedKind.VOLUME, object_id=name)


def test_giving_taking_and_giving_on_are_recorded(
    make_volume: MakeVolume, host: Host, red: Team, blue: Team, as_: Sign
) -> None:
    volume, admin, member = make_volume(), as_("admin"), as_("member")
    assert member.get(url_of(volume)).status_code == 404
    for team in (red, blue, None):
        answer = admin.post(url_of(volume, "assign/"), {"team": str(team.pk) if team else ""})
        assert answer.status_code == 302
        assert owner(host) == (team.pk if team else None)
        assert member.get(url_of(volume)).status_code == (200 if team == red else 404), "rights end at once"
    events = AuditEvent.objects.filter(action="volume.assign").order_by("sequence")
    given = [(event.details["before"], event.details["team"]) for event in events]
    assert given == [("", "red"), ("red", "blue"), ("blue", "")]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"options": BIND}, "It has driver options"),
        ({"options": {"type": "nfs", "o": "addr=10.0.0.1", "device": ":/x"}}, "It has driver options"),
        ({"driver": "rclone"}, "Its driver is rclone"),
        ({"driver": "rclone", "options": BIND}, "Its driver is rclone"),
    ],
)
def test_a_folder_of_the_host_in_disguise_is_never_a_teams(
    fields: dict[str, object], words: str, make_volume: MakeVolume, red: Team, as_: Sign
) -> None:
    volume, admin = make_volume("data", **fields), as_("admin")
    assert words in admin.get(url_of(volume, "assign/")).content.decode()
    answer = admin.post(url_of(volume, "assign/"), {"team": str(red.pk)})
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Ownership.objects.exists()


def test_the_engine_is_asked_what_it_is_now(
    make_volume: MakeVolume, host: Host, red: Team, alice: User, engine: FakeEngine
) -> None:
    volume = make_volume()
    engine.add_volume("data", options=BIND)
    with pytest.raises(CannotBeGiven):
        assign_volume(actor=alice, volume=volume, team=red)
    assert owner(host) is None


def test_one_of_a_host_that_does_not_answer_is_given_later_and_taken_now(
    make_volume: MakeVolume, host: Host, red: Team, alice: User, as_: Sign, engine: FakeEngine
) -> None:
    volume, admin = make_volume(), as_("admin")
    engine.fail_next("inspect_volume", Unreachable("no route"))
    answer = admin.post(url_of(volume, "assign/"), {"team": str(red.pk)})
    assert answer.status_code == 422
    assert "harbour cannot be reached" in answer.content.decode()
    give_volume(volume, red, by=alice)
    engine.fail_next("inspect_volume", Unreachable("no route"))
    assert admin.post(url_of(volume, "assign/"), {"team": ""}).status_code == 302
    assert owner(host) is None


@pytest.mark.parametrize("team", ["nobody", "00000000-0000-0000-0000-000000000000", "\0"])
def test_a_team_that_is_not_there_is_named_a_mistake(team: str, make_volume: MakeVolume, as_: Sign) -> None:
    answer = as_("admin").post(url_of(make_volume(), "assign/"), {"team": team})
    assert answer.status_code == 422
    assert ("There is no such team any more" in answer.content.decode()) == team.startswith("00")
    assert not Ownership.objects.exists()


def test_who_loses_it_is_asked_at_once(
    make_volume: MakeVolume,
    red: Team,
    blue: Team,
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Callable[..., object],
) -> None:
    volume, bob = make_volume(), person("member", red=red, blue=blue)
    give_volume(volume, red, by=alice)
    told: list[str] = []
    monkeypatch.setattr("console.lib.live._put", told.extend)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        assign_volume(actor=alice, volume=volume, team=None)
    assert {f"person:{bob.pk}", "volumes", "teams"} <= {*told}
