"""The page behind the one-time link."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib.auth.hashers import identify_hasher
from django.db import connection
from django.test import Client

from console.accounts.models import Role, User
from console.accounts.services import BootstrapSpent, create_first_admin, issue_bootstrap_link
from console.audit.models import AuditEvent
from console.lib.origin import Origin

GOOD = {"username": "alice", "password": "correct horse battery", "password_again": "correct horse battery"}


def open_link() -> str:
    issued = issue_bootstrap_link()
    assert issued is not None
    return f"/accounts/first-admin/{issued.token}/"


@pytest.mark.django_db
def test_it_asks_for_a_name_and_a_password(client: Client) -> None:
    answer = client.get(open_link())
    assert answer.status_code == 200
    for name in GOOD:
        assert f'name="{name}"' in answer.content.decode()


@pytest.mark.django_db
def test_the_first_visitor_becomes_admin_and_is_signed_in(client: Client) -> None:
    answer = client.post(open_link(), GOOD)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    alice = User.objects.get()
    assert (alice.username, alice.role) == ("alice", Role.ADMIN)
    assert client.get("/settings/").status_code == 200


@pytest.mark.django_db
def test_the_password_is_kept_as_argon2id(client: Client, settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    client.post(open_link(), GOOD)
    stored = User.objects.get().password
    assert identify_hasher(stored).algorithm == "argon2"
    assert stored.startswith("argon2$argon2id$")


@pytest.mark.django_db
def test_the_link_works_once(client: Client) -> None:
    url = open_link()
    client.post(url, GOOD)
    for answer in (Client().get(url), Client().post(url, {**GOOD, "username": "charlie"})):
        assert answer.status_code == 404
        assert "Sign in" in answer.content.decode()
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_a_link_that_was_used_stays_dead_when_its_admin_is_suspended() -> None:
    issued = issue_bootstrap_link()
    assert issued is not None
    create_first_admin(token=issued.token, username="alice", password="correct horse", origin=Origin())
    User.objects.update(is_active=False)
    with pytest.raises(BootstrapSpent):
        create_first_admin(token=issued.token, username="charlie", password="correct horse", origin=Origin())


@pytest.mark.django_db
def test_a_wrong_token_says_how_to_get_a_link(client: Client) -> None:
    answer = client.get("/accounts/first-admin/guessed/")
    assert answer.status_code == 404
    assert "manage bootstrap_link" in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("password", "short", "too short"),
        ("password_again", "something else entirely", "differ"),
        ("username", "no spaces please", "valid username"),
        ("username", "", "required"),
    ],
)
def test_a_mistake_is_named_and_the_link_stays_good(client: Client, field: str, value: str, said: str) -> None:
    url = open_link()
    again = {"password_again": value} if field == "password" else {}
    answer = client.post(url, {**GOOD, field: value, **again})
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not User.objects.exists()
    assert client.post(url, GOOD).status_code == 302


@pytest.mark.django_db
def test_a_password_like_the_name_is_refused(client: Client) -> None:
    form = {"username": "harbourmaster", "password": "harbourmaster1", "password_again": "harbourmaster1"}
    assert client.post(open_link(), form).status_code == 422


@pytest.mark.django_db
def test_a_form_without_its_token_is_refused() -> None:
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(open_link(), GOOD).status_code == 403
    assert not User.objects.exists()


@pytest.mark.django_db
def test_it_is_on_record(client: Client) -> None:
    client.post(open_link(), GOOD, REMOTE_ADDR="192.0.2.7")
    row = AuditEvent.objects.get(action="account.create_first_admin")
    assert (row.actor_name, row.outcome, row.address) == ("alice", "succeeded", "192.0.2.7")


@pytest.mark.django_db
def test_the_address_with_the_token_is_not_told_to_other_sites(client: Client) -> None:
    assert client.get(open_link())["Referrer-Policy"] == "same-origin"


@pytest.mark.django_db(transaction=True)
def test_of_twenty_at_once_one_wins() -> None:
    issued = issue_bootstrap_link()
    assert issued is not None
    start = threading.Barrier(20)
    won: list[str] = []
    lost: list[str] = []

    def race(name: str) -> None:
        start.wait()
        try:
            create_first_admin(token=issued.token, username=name, password="correct horse", origin=Origin())
        except BootstrapSpent:
            lost.append(name)
        else:
            won.append(name)
        finally:
            connection.close()

    threads = [threading.Thread(target=race, args=(f"racer{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 19)
    assert User.objects.get().username == won[0]
