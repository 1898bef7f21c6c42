"""Signing in by a directory: a real slapd, its people, and what proves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from console.accounts import confirmation
from console.accounts.models import GroupMapping, Membership, Role, Source, Team, User
from console.audit.models import AuditEvent
from console.sign_in import LdapSettings, Roles, SignIn
from tests.console.accounts.second_factors import Clock
from tests.directory import GROUPS, PASSWORD, PEOPLE, SERVICE_DN, SERVICE_PASSWORD, Directory, running_directory

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def _running_directory() -> Iterator[Directory]:
    with running_directory() as directory:
        yield directory


@pytest.fixture
def directory(_running_directory: Directory, settings: object) -> Directory:
    """A directory with erin in it, known to the console."""
    _running_directory.clear()
    _running_directory.person("erin", cn="Erin Example")
    set_up(settings, _running_directory)
    return _running_directory


def set_up(settings: Any, directory: Directory, **changed: Any) -> None:
    """Tell the console of the directory."""
    known = LdapSettings(
        url=directory.url,
        base=PEOPLE,
        bind_dn=SERVICE_DN,
        bind_password=SERVICE_PASSWORD,
        ca_file=directory.ca_file,
        name="Acme",
    )
    settings.SIGN_IN = SignIn(ldap=replace(known, **changed))


def sign_in(name: str, password: str = PASSWORD, *, client: Client | None = None) -> tuple[int, str]:
    """Type a name and a password; return the status, and who is signed in then."""
    browser = client or Client()
    status = browser.post("/accounts/login/", {"login": name, "password": password}).status_code
    answer = browser.get("/settings/")
    return status, str(answer.context["user"].username) if answer.status_code == 200 else ""


# Who comes in


def test_who_is_in_the_directory_comes_in_with_their_password_there(directory: Directory) -> None:
    assert sign_in("erin") == (302, "erin")
    erin = User.objects.get()
    assert (erin.name, erin.email, erin.role) == ("Erin Example", "erin@example.com", Role.USER)
    assert not erin.has_usable_password()
    assert [event.action for event in AuditEvent.objects.order_by("sequence")] == ["account.create", "account.sign_in"]


@pytest.mark.parametrize("password", ["wrong", PASSWORD.upper(), f"{PASSWORD} ", " "])
def test_a_wrong_password_is_refused(directory: Directory, password: str) -> None:
    assert sign_in("erin", password) == (422, "")
    assert not User.objects.exists()


def test_no_password_is_refused_before_the_directory_is_asked(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory takes a name without a password for nobody, and says that all is well."""
    from console.accounts import directory as asked

    monkeypatch.setattr("ldap.initialize", lambda *_args, **_kwargs: pytest.fail("it was asked"))
    assert asked.prove("erin", "", directory=LdapSettings(url=directory.url, base=PEOPLE)) is None
    assert asked.prove(" ", "x", directory=LdapSettings(url=directory.url, base=PEOPLE)) is None
    assert sign_in("erin", "") == (422, "")


@pytest.mark.parametrize(
    "name",
    ["*", "er*", "e*n", "erin)(uid=*", "*)(uid=*))(|(uid=*", "(uid=erin)", "erin\\", "\\65rin", "nobody", "uid=erin"],
)
def test_a_name_is_a_name_and_no_filter(directory: Directory, name: str) -> None:
    assert sign_in(name) == (422, "")
    assert not User.objects.exists()


def test_a_name_with_signs_of_a_filter_is_found(directory: Directory) -> None:
    directory.root.add_s(
        f"uid=f\\28x\\29*,{PEOPLE}",
        [
            ("objectClass", [b"inetOrgPerson"]),
            ("cn", [b"F"]),
            ("sn", [b"F"]),
            ("userPassword", [PASSWORD.encode()]),
        ],
    )
    assert sign_in("f(x)*") == (302, "f.x")


def test_two_entries_of_one_name_are_nobody(directory: Directory, settings: object) -> None:
    directory.person("twin", cn="Same")
    directory.person("other", cn="Same")
    set_up(settings, directory, filter="(cn={name})")
    assert sign_in("Same") == (422, "")
    assert sign_in("Erin Example") == (302, "erin")


def test_a_person_of_ours_with_that_name_is_somebody_else(directory: Directory, alice: User) -> None:
    directory.person("alice", mail="alice@example.com")
    User.objects.filter(pk=alice.pk).update(email="alice@example.com")
    assert sign_in("alice") == (302, "alice-2")
    assert sign_in("alice", "correct horse battery") == (302, "alice")
    assert not SocialAccount.objects.filter(user=alice).exists()


def test_who_is_renamed_there_is_the_same_here_and_who_gets_the_old_name_is_not(directory: Directory) -> None:
    sign_in("erin")
    directory.root.rename_s(f"uid=erin,{PEOPLE}", "uid=erika")
    assert sign_in("erika") == (302, "erin")
    directory.person("erin")
    assert sign_in("erin") == (302, "erin-2")


def test_people_can_be_known_by_their_place_in_the_directory(directory: Directory, settings: object) -> None:
    set_up(settings, directory, id_attribute="dn")
    sign_in("erin")
    assert SocialAccount.objects.get().uid == "uid=erin,ou=people,dc=example,dc=com"


def test_who_has_no_id_there_is_not_let_in(directory: Directory, settings: object) -> None:
    set_up(settings, directory, id_attribute="employeeNumber")
    assert sign_in("erin") == (502, "")
    assert not User.objects.exists()


def test_a_suspended_person_stays_outside(directory: Directory) -> None:
    sign_in("erin")
    User.objects.update(is_active=False)
    assert sign_in("erin") == (422, "")


def test_a_session_ends_when_its_person_is_suspended(directory: Directory) -> None:
    browser = Client()
    sign_in("erin", client=browser)
    User.objects.update(is_active=False)
    assert browser.get("/settings/").status_code == 302


def test_the_sixth_wrong_password_is_not_taken_there(directory: Directory) -> None:
    for _ in range(5):
        assert sign_in("erin", "wrong")[0] == 422
    assert sign_in("erin") == (429, "")


# Groups


@pytest.mark.parametrize("settled", [{}, {"group_base": GROUPS}], ids=["by the person's entry", "by a search"])
def test_groups_lead_to_teams_and_roles(directory: Directory, settings: object, settled: dict[str, str]) -> None:
    roles = Roles(auditor_groups=frozenset({f"cn=lookouts,{GROUPS}"}))
    set_up(settings, directory, roles=roles, **settled)
    sailors = directory.group("Sailors", f"uid=erin,{PEOPLE}")
    directory.group("lookouts", f"uid=erin,{PEOPLE}")
    red = Team.objects.create(name="red")
    # As somebody may write it: in another case, with other spaces.
    GroupMapping.objects.create(source=Source.LDAP, group=f"CN=sailors, {GROUPS.replace(',', ' , ')}", team=red)

    sign_in("erin")
    assert Membership.objects.get().source == Source.LDAP
    assert User.objects.get().role == Role.AUDITOR

    directory.root.delete_s(sailors)
    directory.root.delete_s(f"cn=lookouts,{GROUPS}")
    sign_in("erin")
    assert not Membership.objects.exists()
    assert User.objects.get().role == Role.USER


def test_a_group_of_the_same_short_name_elsewhere_leads_nowhere(directory: Directory) -> None:
    directory.group("sailors", f"uid=erin,{PEOPLE}")
    red = Team.objects.create(name="red")
    GroupMapping.objects.create(source=Source.LDAP, group=f"cn=sailors,ou=others,{GROUPS}", team=red)
    GroupMapping.objects.create(source=Source.LDAP, group="sailors", team=red)
    sign_in("erin")
    assert not Membership.objects.exists()


# The way there


@pytest.mark.parametrize("scheme", ["ldaps", "start_tls"])
def test_the_way_there_is_encrypted_and_the_certificate_is_checked(
    directory: Directory, settings: object, scheme: str, alice: User
) -> None:
    url = f"ldaps://127.0.0.1:{directory.tls_port}" if scheme == "ldaps" else directory.url
    set_up(settings, directory, url=url, start_tls=scheme == "start_tls")
    assert sign_in("erin") == (302, "erin")
    # An authority that did not sign it: the machine's own.
    set_up(settings, directory, url=url, start_tls=scheme == "start_tls", ca_file=None)
    assert sign_in("erin") == (502, "")


def test_a_certificate_for_another_name_is_refused(directory: Directory, settings: object) -> None:
    """127.0.0.2 reaches the same server by a name that its certificate does not hold."""
    url = f"ldap://127.0.0.2:{directory.port}"
    set_up(settings, directory, url=url)
    assert sign_in("erin") == (302, "erin")
    set_up(settings, directory, url=url, start_tls=True)
    assert sign_in("erin") == (502, "")


def test_a_directory_that_is_away_is_said_to_be_and_our_own_passwords_work(
    directory: Directory, settings: object, alice: User
) -> None:
    set_up(settings, directory, url="ldap://127.0.0.1:9")
    page = Client().post("/accounts/login/", {"login": "erin", "password": PASSWORD}, HTTP_ACCEPT="text/html")
    assert page.status_code == 502
    assert "does not answer" in page.content.decode()
    assert AuditEvent.objects.get(action="account.sign_in").outcome == "failed"
    assert sign_in("alice", "correct horse battery") == (302, "alice")


def test_a_service_account_with_a_wrong_password_is_the_consoles_trouble(
    directory: Directory, settings: object
) -> None:
    set_up(settings, directory, bind_password="wrong")
    assert sign_in("erin") == (502, "")


@pytest.mark.parametrize("changed", [{"base": "ou=nowhere,dc=example,dc=com"}, {"bind_dn": "", "bind_password": ""}])
def test_where_nothing_is_to_be_seen_nobody_is(directory: Directory, settings: object, changed: dict[str, str]) -> None:
    set_up(settings, directory, **changed)
    assert sign_in("erin") == (422, "")


# Connecting


def test_who_has_an_account_connects_it_and_signs_in_by_either(directory: Directory, alice: User) -> None:
    browser = Client()
    browser.force_login(alice)
    assert "Connect Acme" in browser.get("/settings/").content.decode()
    wanted = {
        "directory-username": "erin",
        "directory-password": PASSWORD,
        "directory-current": "correct horse battery",
    }
    for field in ("directory-password", "directory-current"):
        assert browser.post("/settings/connections/add-directory/", wanted | {field: "wrong"}).status_code == 422
    assert not SocialAccount.objects.exists()
    assert browser.post("/settings/connections/add-directory/", wanted)["Location"] == "/settings/"
    assert "You are erin there." in browser.get("/settings/").content.decode()
    assert sign_in("erin") == (302, "alice")
    assert sign_in("alice", "correct horse battery") == (302, "alice")


def test_without_a_directory_there_is_nothing_to_connect(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.post("/settings/connections/add-directory/", {}).status_code == 404


def test_the_sign_in_page_says_that_the_password_there_works(directory: Directory, client: Client) -> None:
    assert "The password that you have at Acme works here." in client.get("/accounts/login/").content.decode()


# Proving again who one is


def test_whose_password_is_kept_there_confirms_with_it(directory: Directory, clock: Clock) -> None:
    browser = Client()
    sign_in("erin", client=browser)
    User.objects.filter(username="erin").update(role=Role.ADMIN)
    assert browser.get("/hosts/add/").status_code == 200
    clock.now += confirmation.RECENT
    asked = browser.get("/hosts/add/")["Location"]
    assert browser.post(asked, {"password": "something else"}).status_code == 422
    assert browser.get("/hosts/add/").status_code == 302
    assert browser.post(asked, {"password": PASSWORD})["Location"] == "/hosts/add/"
    assert browser.get("/hosts/add/").status_code == 200


def test_while_the_directory_is_away_nothing_is_confirmed(directory: Directory, clock: Clock, settings: object) -> None:
    browser = Client()
    sign_in("erin", client=browser)
    User.objects.filter(username="erin").update(role=Role.ADMIN)
    clock.now += confirmation.RECENT
    asked = browser.get("/hosts/add/")["Location"]
    set_up(settings, directory, url="ldaps://localhost:1")
    answer = browser.post(asked, {"password": PASSWORD})
    assert "does not answer" in answer.content.decode()
    assert browser.get("/hosts/add/").status_code == 302
