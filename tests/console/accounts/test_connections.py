"""Connecting an account that is there with a provider: only by its own person, who knows its password."""

from __future__ import annotations

import pytest
from allauth.socialaccount.models import SocialAccount
from django.http import HttpResponse
from django.test import Client

from console.accounts import confirmation
from console.accounts.models import GroupMapping, Membership, Source, Team, User
from console.audit.models import AuditEvent
from tests.console.accounts.conftest import come_back, sign_in_by
from tests.console.accounts.second_factors import Clock, set_up_app
from tests.provider import Provider

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture
def browser(client: Client, alice: User) -> Client:
    """Alice's browser, in which she is signed in with her password."""
    client.force_login(alice)
    return client


def connect(provider: Provider, browser: Client) -> HttpResponse:
    """Go to the provider from the settings, and come back."""
    answer = browser.post("/settings/connections/add/", {"confirm-current": PASSWORD})
    assert answer.status_code == 200
    return come_back(browser, provider.visit(answer.context["url"]))


def connected(person: User) -> list[str]:
    return list(SocialAccount.objects.filter(user=person).values_list("uid", flat=True))


def test_who_connects_signs_in_by_it_from_then_on(provider: Provider, browser: Client, alice: User) -> None:
    assert "Connect Acme" in browser.get("/settings/").content.decode()
    assert connect(provider, browser)["Location"] == "/settings/"
    page = browser.get("/settings/").content.decode()
    assert "From now on you can sign in with Acme." in page
    assert "You are erin there." in page
    assert "Connect Acme" not in page

    another = Client()
    sign_in_by(provider, another)
    assert another.get("/settings/").context["user"] == alice
    assert [(event.action, event.actor_name) for event in AuditEvent.objects.order_by("sequence")] == [
        ("connection.add", "alice"),
        ("account.sign_in", "alice"),
    ]


def test_a_name_of_ones_own_stays_when_one_connects(provider: Provider, browser: Client, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(name="Alice A.")
    provider.claims["name"] = "Erin Example"
    connect(provider, browser)
    sign_in_by(provider, Client())
    assert User.objects.get(pk=alice.pk).name == "Alice A."


def test_a_session_that_somebody_borrowed_connects_nothing(provider: Provider, browser: Client, alice: User) -> None:
    answer = browser.post("/settings/connections/add/", {"confirm-current": "a guess"})
    assert answer.status_code == 422
    assert "not your present password" in answer.content.decode()
    assert provider.asked == []
    for _ in range(10):
        answer = browser.post("/settings/connections/add/", {"confirm-current": "a guess"})
    assert answer.status_code == 429


def test_somebody_else_in_the_same_browser_is_not_connected(
    provider: Provider, browser: Client, alice: User, bob: User
) -> None:
    url = provider.visit(browser.post("/settings/connections/add/", {"confirm-current": PASSWORD}).context["url"])
    session = browser.session
    key = session["socialaccount_states"]
    browser.force_login(bob)
    session = browser.session
    session["socialaccount_states"] = key
    session.save()
    assert come_back(browser, url).status_code == 400
    assert connected(alice) == connected(bob) == []


def test_who_is_somebody_elses_already_cannot_be_connected(provider: Provider, browser: Client, alice: User) -> None:
    sign_in_by(provider, Client())
    connect(provider, browser)
    assert "connected with another account" in browser.get("/settings/").content.decode()
    assert connected(alice) == []


def test_one_account_has_one_person_of_a_provider(provider: Provider, browser: Client, alice: User) -> None:
    connect(provider, browser)
    provider.claims["sub"] = "another-at-acme"
    connect(provider, browser)
    assert "connected with somebody else at Acme" in browser.get("/settings/").content.decode()
    assert connected(alice) == ["erin-at-acme"]


def test_disconnecting_takes_what_groups_gave(provider: Provider, browser: Client, alice: User) -> None:
    red, blue = (Team.objects.create(name=name) for name in ("red", "blue"))
    GroupMapping.objects.create(source=Source.OIDC, group="sailors", team=red)
    Membership.objects.create(person=alice, team=blue)
    provider.claims["groups"] = ["sailors"]
    connect(provider, browser)
    assert set(alice.teams.all()) == {red, blue}

    connection = SocialAccount.objects.get()
    assert browser.post(f"/settings/connections/{connection.pk}/remove/")["Location"] == "/settings/"
    assert set(alice.teams.all()) == {blue}
    another = Client()
    sign_in_by(provider, another)
    assert another.get("/settings/").context["user"] != alice


def test_nobody_disconnects_another(provider: Provider, browser: Client, alice: User, bob: User) -> None:
    connect(provider, browser)
    connection = SocialAccount.objects.get()
    browser.force_login(bob)
    assert browser.post(f"/settings/connections/{connection.pk}/remove/").status_code == 404
    assert connected(alice) == ["erin-at-acme"]


def test_who_has_no_password_here_is_told_where_it_is_and_stays_connected(provider: Provider, client: Client) -> None:
    sign_in_by(provider, client)
    page = client.get("/settings/").content.decode()
    assert "You sign in with Acme and have no password here." in page
    assert "/settings/password/" not in page
    assert "Disconnect" not in page
    answer = client.post("/settings/password/", {"current": "", "password": PASSWORD, "password_again": PASSWORD})
    assert answer.status_code == 400
    connection = SocialAccount.objects.get()
    assert client.post(f"/settings/connections/{connection.pk}/remove/").status_code == 404
    assert client.post("/settings/connections/add/", {"confirm-current": ""}).status_code == 422


def test_without_a_provider_there_is_nothing_to_connect(browser: Client) -> None:
    assert "other ways" not in browser.get("/settings/").content.decode()
    assert browser.post("/settings/connections/add/", {"confirm-current": PASSWORD}).status_code == 404


@pytest.mark.parametrize("path", ["add/", "1/remove/"])
def test_nothing_happens_by_only_looking(browser: Client, path: str) -> None:
    assert browser.get(f"/settings/connections/{path}", HTTP_ACCEPT="application/json").status_code == 405


# Proving again who one is


def test_who_has_no_password_here_is_told_to_sign_in_anew(provider: Provider, clock: Clock) -> None:
    browser = Client()
    sign_in_by(provider, browser)
    User.objects.update(role="admin")
    assert browser.get("/hosts/add/").status_code == 200
    clock.now += confirmation.RECENT
    asked = browser.get("/hosts/add/")["Location"]
    page = browser.get(asked).content.decode()
    assert "you have no password here to ask for" in page
    assert 'name="password"' not in page
    assert browser.post(asked, {"password": ""}).status_code == 422
    browser.post("/accounts/logout/")
    sign_in_by(provider, browser)
    assert browser.get("/hosts/add/").status_code == 200


def test_to_disconnect_asks_who_it_is(provider: Provider, browser: Client, alice: User, clock: Clock) -> None:
    connect(provider, browser)
    connection = SocialAccount.objects.get(user=alice)
    clock.now += confirmation.RECENT
    answer = browser.post(f"/settings/connections/{connection.pk}/remove/", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (403, "reauth_required")
    assert connected(alice) == [connection.uid]


def test_with_a_second_factor_the_password_alone_connects_nothing(
    clock: Clock, provider: Provider, browser: Client
) -> None:
    set_up_app(browser, at=clock.now)
    clock.now += confirmation.RECENT
    answer = browser.post(
        "/settings/connections/add/", {"confirm-current": PASSWORD}, headers={"Accept": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "reauth_required")


def test_whoever_comes_by_the_provider_is_asked_for_the_second_factor_too(
    clock: Clock, provider: Provider, browser: Client
) -> None:
    connect(provider, browser)
    set_up_app(browser, at=clock.now)
    another = Client()
    answer = sign_in_by(provider, another)
    assert "/accounts/second-step/" in answer["Location"]
    assert another.get("/settings/").status_code == 302
