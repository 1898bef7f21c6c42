"""One's name and e-mail."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User
from console.audit.models import AuditEvent

pytestmark = pytest.mark.django_db


def test_name_and_mail_are_saved(bob: User, client_of: Callable[..., Client]) -> None:
    answer = client_of(bob).post("/settings/profile/", {"name": "Bob 밥", "email": "bob@example.com"})
    assert answer.status_code == 302
    bob.refresh_from_db()
    assert (bob.name, bob.email) == ("Bob 밥", "bob@example.com")
    assert AuditEvent.objects.get(action="profile.edit").details == {"changed": ["name", "email"]}


def test_saving_nothing_new_is_no_act(bob: User, client_of: Callable[..., Client]) -> None:
    client_of(bob).post("/settings/profile/", {"name": "", "email": ""})
    assert not AuditEvent.objects.exists()


def test_nobody_makes_himself_admin(bob: User, client_of: Callable[..., Client]) -> None:
    client_of(bob).post("/settings/profile/", {"name": "Bob", "role": "admin", "username": "root", "is_active": "1"})
    bob.refresh_from_db()
    assert (bob.username, bob.role, bob.name) == ("bob", "user", "Bob")


@pytest.mark.parametrize(("field", "value"), [("email", "not an address"), ("name", "x" * 121), ("name", "a\0b")])
def test_a_mistake_is_named_and_what_was_typed_stays(
    bob: User, client_of: Callable[..., Client], field: str, value: str
) -> None:
    answer = client_of(bob).post("/settings/profile/", {"name": "Bob", "email": "", field: value})
    assert answer.status_code == 422
    assert f'id="id_{field}_error"' in answer.content.decode() or "aria-invalid" in answer.content.decode()
    bob.refresh_from_db()
    assert bob.name == ""


def test_hostile_names_are_text(bob: User, client_of: Callable[..., Client]) -> None:
    client = client_of(bob)
    client.post("/settings/profile/", {"name": '"><script>alert(1)</script>', "email": ""})
    assert "<script>alert(1)" not in client.get("/settings/").content.decode()


def test_a_link_changes_nothing(bob: User, client_of: Callable[..., Client]) -> None:
    assert client_of(bob).get("/settings/profile/").status_code == 405


def test_a_stranger_is_refused(client: Client) -> None:
    assert client.post("/settings/profile/", {"name": "x"})["Location"].startswith("/accounts/login/")
