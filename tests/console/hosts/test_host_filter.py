"""Narrowing every list to one host, from the top bar."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User
from console.hosts.models import Host, HostState

Sign = Callable[..., Client]
URL = "/hosts/filter/"


@pytest.fixture
def other(host: Host) -> Host:
    return Host.objects.create(name="Anchor <b>", url="unix:///nowhere/anchor.sock", state=HostState.UNREACHABLE)


@pytest.mark.parametrize("page", ["/", "/containers/", "/images/", "/activity/", "/settings/"])
def test_every_page_offers_the_hosts_by_name_with_their_states(
    alice: User, client_of: Sign, host: Host, other: Host, page: str
) -> None:
    text = client_of(alice).get(page).content.decode()
    part = text[text.index('id="host-filter"') : text.index('class="topbar-end"')]
    assert part.index(f'data-host="{other.pk}"') < part.index(f'data-host="{host.pk}"')
    assert 'data-state="unreachable"' in part
    assert "Anchor &lt;b&gt;" in part
    assert f'href="/containers/?host={host.pk}"' in part


def test_one_host_is_no_choice(alice: User, client_of: Sign, host: Host) -> None:
    assert client_of(alice).get(URL).content.decode().strip().endswith("></div>")


def test_it_is_asked_again_when_hosts_change(alice: User, client_of: Sign, host: Host, other: Host) -> None:
    text = client_of(alice).get(URL).content.decode()
    assert text.startswith('<div class="topbar-slot" id="host-filter" data-live="hosts"')
    assert "<html" not in text


def test_the_stranger_is_offered_nothing(charlie: User, client_of: Sign, host: Host, other: Host) -> None:
    client = client_of(charlie)
    for page in (URL, "/settings/"):
        text = client.get(page).content.decode()
        assert "harbour" not in text
        assert str(host.pk) not in text


def test_it_changes_nothing(alice: User, client_of: Sign) -> None:
    assert client_of(alice).post(URL).status_code == 405


def test_lists_that_know_hosts_are_marked_for_the_choice_to_be_carried(alice: User, client_of: Sign) -> None:
    text = client_of(alice).get("/settings/").content.decode()
    for path in ("/", "/containers/", "/images/", "/activity/"):
        assert f'href="{path}" data-by-host data-nav' in text
    assert 'href="/hosts/" data-by-host' not in text
