"""People themselves."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from console.accounts.models import Role, User


@pytest.mark.django_db
def test_two_names_that_differ_in_case_are_one(alice: User) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("Alice", "correct horse battery")


@pytest.mark.django_db
def test_a_suspended_admin_is_none(alice: User) -> None:
    assert alice.is_admin
    alice.is_active = False
    assert not alice.is_admin
    assert not User(role=Role.USER).is_admin


@pytest.mark.django_db
def test_migrations_make_the_table_of_limits() -> None:
    assert "cache" in connection.introspection.table_names()
