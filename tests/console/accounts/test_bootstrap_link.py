"""The one-time link: who can have it, and for how long."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from console.accounts.models import BootstrapToken, Role, User
from console.accounts.services import is_bootstrap_open

pytestmark = pytest.mark.django_db


def link(**options: Any) -> str:
    out = StringIO()
    call_command("bootstrap_link", stdout=out, **options)
    return out.getvalue().strip()


def token_of(url: str) -> str:
    return url.rstrip("/").rsplit("/", 1)[1]


def test_it_is_an_absolute_address_of_this_console() -> None:
    assert link().startswith("http://testserver/accounts/first-admin/")


def test_the_token_has_256_bits_and_only_its_hash_is_kept() -> None:
    token = token_of(link())
    assert len(token) == 43
    assert token not in str(BootstrapToken.objects.values().get())


def test_a_new_link_replaces_the_old_one() -> None:
    first, second = token_of(link()), token_of(link())
    assert not is_bootstrap_open(first)
    assert is_bootstrap_open(second)


def test_a_link_older_than_a_day_is_dead() -> None:
    token = token_of(link())
    BootstrapToken.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
    assert not is_bootstrap_open(token)


def test_nothing_is_printed_when_there_is_an_admin(alice: User) -> None:
    assert link() == ""
    assert json.loads(link(json=True)) == {}


def test_an_open_link_dies_when_an_admin_appears_otherwise() -> None:
    token = token_of(link())
    User.objects.create_user("alice", "correct horse battery", role=Role.ADMIN)
    assert not is_bootstrap_open(token)


def test_a_console_whose_only_admin_is_suspended_can_have_a_link(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert link()


def test_programs_get_json() -> None:
    answer = json.loads(link(json=True))
    assert is_bootstrap_open(token_of(answer["url"]))
    assert answer["expires_at"] > timezone.now().isoformat()
