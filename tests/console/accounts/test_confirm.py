"""Before a dangerous act the console asks again who it is, unless that was shown within the last 15 minutes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from console.accounts import confirmation
from console.accounts.models import TokenScope, User
from console.accounts.tokens import create_token
from console.audit.models import AuditEvent
from console.hosts.models import Host
from console.lib.origin import Origin
from tests.console.accounts.second_factors import (
    NOW,
    PASSWORD,
    Clock,
    SignIn,
    SoftKey,
    add_key,
    first_step,
    set_up_app,
)

pytestmark = pytest.mark.django_db
URL = "/settings/confirm/"
ADD = "/hosts/add/"


@pytest.fixture
def late(alice: User, client_of: SignIn, clock: Clock) -> Client:
    """Alice's browser, in which she signed in 15 minutes ago."""
    client = client_of(alice)
    clock.now += confirmation.RECENT
    return client


def test_a_fresh_sign_in_counts(alice: User, clock: Clock) -> None:
    client = Client()
    first_step(client)
    assert client.get(ADD).status_code == 200
    clock.now += confirmation.RECENT - 1
    assert client.get(ADD).status_code == 200
    clock.now += 1
    assert client.get(ADD).status_code == 302


def test_a_form_is_not_shown_before_so_that_nothing_typed_is_lost(late: Client) -> None:
    answer = late.get(f"{ADD}?x=1")
    assert answer["Location"] == f"{URL}?next=%2Fhosts%2Fadd%2F%3Fx%3D1"
    page = late.get(answer["Location"]).content.decode()
    assert "Enter your password once more" in page
    back = late.post(answer["Location"], {"password": PASSWORD})
    assert back["Location"] == f"{ADD}?x=1"
    assert late.get(ADD).status_code == 200


def test_what_is_sent_is_not_done_and_the_page_says_so(late: Client, host: Host) -> None:
    answer = late.post(f"/hosts/{host.pk}/remove/", {"confirmation": host.name}, HTTP_ACCEPT="text/html")
    page = answer.content.decode()
    assert answer.status_code == 403
    assert "First confirm that it is you" in page
    assert f'href="{URL}"' in page
    assert Host.objects.filter(pk=host.pk).exists()
    event = AuditEvent.objects.get(action="host.remove")
    assert (event.actor_name, event.outcome, event.object_name) == ("alice", "denied", host.name)
    assert event.details == {"code": "reauth_required"}


def test_to_be_asked_before_a_form_is_no_refusal(late: Client) -> None:
    late.get(ADD)
    assert not AuditEvent.objects.filter(outcome="denied").exists()


def test_a_program_is_told_in_json(late: Client) -> None:
    for answer in (late.get(ADD, HTTP_ACCEPT="application/json"), late.post(ADD, HTTP_ACCEPT="application/json")):
        assert (answer.status_code, answer.json()["code"]) == (403, "reauth_required")


@pytest.mark.parametrize("boosted", [True, False])
def test_a_page_of_ours_asks_over_the_form(boosted: bool, late: Client) -> None:
    extra: dict[str, str] = {"HTTP_HX_BOOSTED": "true"} if boosted else {}
    answer = late.post(ADD, {"name": "x"}, HTTP_HX_REQUEST="true", **extra)  # type: ignore[arg-type]
    assert answer.status_code == 403
    assert json.loads(answer["HX-Trigger"]) == {"identity:needed": {"url": URL}}
    assert '<main id="main"' not in answer.content.decode(), "the form stays where it is"


def test_a_dialog_asks_in_its_place_and_goes_on_to_its_form(late: Client) -> None:
    part: dict[str, Any] = {"HTTP_HX_REQUEST": "true"}
    question = late.get("/people/invite/", follow=True, **part)
    page = question.content.decode()
    assert "<html" not in page
    assert f'hx-post="{URL}?next=%2Fpeople%2Finvite%2F"' in page
    form = late.post(f"{URL}?next=%2Fpeople%2Finvite%2F", {"password": PASSWORD}, follow=True, **part)
    assert "Invite somebody" in form.content.decode()


def test_over_a_form_the_page_is_told_to_go_on(late: Client) -> None:
    answer = late.post(URL, {"password": PASSWORD}, HTTP_HX_REQUEST="true")
    assert answer.status_code == 204
    assert json.loads(answer["HX-Trigger"]) == {"identity:confirmed": {}}


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"]
)
def test_one_is_not_sent_to_another_site(target: str, late: Client) -> None:
    answer = late.post(f"{URL}?next={target}", {"password": PASSWORD})
    assert answer["Location"] == "/"


def test_a_wrong_password_confirms_nothing_and_is_on_record(late: Client) -> None:
    answer = late.post(URL, {"password": "wrong"})
    assert answer.status_code == 422
    assert "This is not your password" in answer.content.decode()
    assert late.get(ADD).status_code == 302
    late.post(URL, {"password": PASSWORD})
    events = AuditEvent.objects.filter(action="account.confirm").order_by("sequence")
    assert [(event.actor_name, event.outcome, event.details) for event in events] == [
        ("alice", "failed", {}),
        ("alice", "succeeded", {"by": "password"}),
    ]


def test_the_sixth_wrong_password_is_not_looked_at(late: Client) -> None:
    statuses = [late.post(URL, {"password": "wrong"}).status_code for _ in range(5)]
    assert [*statuses, late.post(URL, {"password": PASSWORD}).status_code] == [422] * 5 + [429]
    assert late.get(ADD).status_code == 302


def test_with_a_second_factor_the_password_is_not_enough(alice: User, client_of: SignIn, clock: Clock) -> None:
    client = client_of(alice)
    app, _codes = set_up_app(client)
    clock.now += confirmation.RECENT
    assert "password" not in client.get(URL).content.decode().split("<form")[2].split("</form>")[0]
    assert client.post(URL, {"password": PASSWORD}).status_code == 422
    assert client.get(ADD).status_code == 302
    client.post(URL, {"code": app.code(clock.now)})
    assert client.get(ADD).status_code == 200
    assert AuditEvent.objects.get(action="account.confirm", outcome="succeeded").details == {"by": "totp"}


def test_a_code_that_confirmed_opens_no_sign_in(alice: User, client_of: SignIn, clock: Clock) -> None:
    client, elsewhere = client_of(alice), Client()
    app, _codes = set_up_app(client)
    clock.now += confirmation.RECENT
    client.post(URL, {"code": app.code(clock.now)})
    first_step(elsewhere)
    assert elsewhere.post("/accounts/second-step/", {"code": app.code(clock.now)}).status_code == 422


def test_a_key_confirms(alice: User, client_of: SignIn, clock: Clock) -> None:
    client, key = client_of(alice), SoftKey()
    add_key(client, key)
    clock.now += confirmation.RECENT
    options = client.post(f"{URL}key/", HTTP_HOST="localhost").json()
    client.post(URL, {"credential": key.get(options)}, HTTP_HOST="localhost")
    assert client.get(ADD).status_code == 200


def test_a_proof_of_the_future_does_not_count(alice: User, client_of: SignIn, clock: Clock) -> None:
    client = client_of(alice)
    clock.now -= 3600
    assert client.get(ADD).status_code == 302


def test_another_session_is_not_confirmed_with_it(alice: User, client_of: SignIn, late: Client) -> None:
    other = client_of(alice)
    session = other.session
    session["confirmed_at"] = float(NOW)
    session.save()
    late.post(URL, {"password": PASSWORD})
    assert other.get(ADD).status_code == 302


def test_a_token_never_counts(alice: User, clock: Clock) -> None:
    issued = create_token(
        actor=alice, name="x", scope=TokenScope.ALL, team=None, lifetime=timedelta(days=1), origin=Origin()
    )
    answer = Client().post(ADD, HTTP_AUTHORIZATION=f"Bearer {issued.text}", HTTP_ACCEPT="application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "reauth_required")
    assert "A token cannot do this" in answer.json()["next_step"]
    assert AuditEvent.objects.get(action="host.add").outcome == "denied"


def test_a_token_is_not_helped_by_a_session_beside_it(alice: User, client_of: SignIn, clock: Clock) -> None:
    issued = create_token(
        actor=alice, name="x", scope=TokenScope.ALL, team=None, lifetime=timedelta(days=1), origin=Origin()
    )
    answer = client_of(alice).post(ADD, HTTP_AUTHORIZATION=f"Bearer {issued.text}", HTTP_ACCEPT="application/json")
    assert answer.json()["code"] == "reauth_required"


def test_whoever_may_not_anyway_is_refused_and_not_asked(bob: User, client_of: SignIn, clock: Clock) -> None:
    client = client_of(bob)
    clock.now += confirmation.RECENT
    answer = client.post(ADD, HTTP_ACCEPT="application/json")
    assert answer.json()["code"] == "policy.host.add"


def test_a_form_without_its_token_is_refused(alice: User, client_of: SignIn) -> None:
    assert client_of(alice, enforce_csrf_checks=True).post(URL, {"password": PASSWORD}).status_code == 403
