"""Adding a host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.hosts.models import Host, HostState
from tests.console.hosts.conftest import CA, CLIENT

Sign = Callable[..., Client]
URL = "/hosts/add/"


def test_an_admin_adds_a_socket(alice: User, client_of: Sign, socket_form: dict[str, Any]) -> None:
    answer = client_of(alice).post(URL, socket_form, headers={"user-agent": "tester"})
    host = Host.objects.get()
    assert answer.headers["Location"] == reverse("host-detail", args=[host.id])
    assert (host.name, host.url, host.state, host.has_credentials) == (
        "build-01",
        "unix:///run/build.sock",
        HostState.UNKNOWN,
        False,
    )
    event = AuditEvent.objects.get(action="host.add")
    assert (event.actor, event.outcome, event.object_id) == (alice, "succeeded", str(host.id))
    assert event.details == {"address": "unix:///run/build.sock", "engine": "docker", "tls": False}
    assert event.user_agent == "tester"


def test_tls_is_kept_encrypted_and_never_shown_again(alice: User, client_of: Sign, tls_form: dict[str, Any]) -> None:
    client = client_of(alice)
    client.post(URL, tls_form)
    host = Host.objects.get()
    assert host.endpoint.tls is not None
    assert host.endpoint.tls.key_pem == CLIENT.key
    assert host.certificate_expires_at is not None
    secret = CLIENT.key.splitlines()[1]
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT credentials FROM hosts_host")
        assert secret not in cursor.fetchone()[0]
    for name in ("host-detail", "host-edit", "host-remove"):
        assert secret not in client.get(reverse(name, args=[host.id])).content.decode()
    assert secret not in str(list(AuditEvent.objects.values()))


def test_the_three_may_come_as_files(alice: User, client_of: Sign, tls_form: dict[str, Any]) -> None:
    for name, text in (("ca", CA.certificate), ("certificate", CLIENT.certificate), ("key", CLIENT.key)):
        tls_form[f"{name}_pem"] = ""
        tls_form[f"{name}_file"] = SimpleUploadedFile("x.pem", text.encode())
    client_of(alice).post(URL, tls_form)
    assert Host.objects.get().has_credentials


def test_a_form_with_errors_names_them_and_does_not_send_the_key_back(
    alice: User, client_of: Sign, tls_form: dict[str, Any]
) -> None:
    answer = client_of(alice).post(URL, {**tls_form, "name": "-x", "key_pem": CA.key})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "build-01" in page
    assert "does not belong" in page
    assert 'value="tcp://127.0.0.1:2376"' in page, "what was typed is kept"
    for text in (CA.key, CA.certificate, CLIENT.certificate):
        assert text.splitlines()[1] not in page
    assert not Host.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field", "hint"),
    [
        ({"name": ""}, "name", "required"),
        ({"name": "a\nb"}, "name", "build-01"),
        ({"driver": "hyper-v"}, "driver", "valid choice"),
        ({"url": "http://10.0.0.5"}, "url", "tcp://"),
        ({"url": "tcp://10.0.0.5:2376"}, "url", "You chose a socket"),
        ({"security": "tls"}, "url", "You chose another machine"),
        ({"security": "plain", "url": "tcp://10.0.0.5:2375"}, "plain_confirmed", "Confirm it"),
        ({"security": "tls", "url": "tcp://10.0.0.5:2376"}, "key_pem", "all three"),
        (
            {"security": "tls", "url": "tcp://10.0.0.5:2376", "ca_file": SimpleUploadedFile("x", b"\xff\xfe")},
            "ca_pem",
            "not PEM text",
        ),
        (
            {"security": "tls", "url": "tcp://10.0.0.5:2376", "ca_file": SimpleUploadedFile("x", b"x" * 70_000)},
            "ca_pem",
            "64 KiB",
        ),
    ],
)
def test_bad_input_is_refused_at_its_field(
    alice: User, client_of: Sign, socket_form: dict[str, Any], changes: dict[str, Any], field: str, hint: str
) -> None:
    answer = client_of(alice).post(URL, {**socket_form, **changes})
    assert answer.status_code == 422
    assert hint in str(answer.context["form"].errors[field])
    assert not Host.objects.exists()


def test_plain_tcp_needs_a_confirmation(alice: User, client_of: Sign, socket_form: dict[str, Any]) -> None:
    form = {**socket_form, "security": "plain", "url": "tcp://10.0.0.5:2375"}
    client_of(alice).post(URL, {**form, "plain_confirmed": "on"})
    host = Host.objects.get()
    assert not host.has_credentials
    assert "Plain TCP" in client_of(alice).get(reverse("host-detail", args=[host.id])).content.decode()


def test_an_address_is_registered_once(alice: User, client_of: Sign, host: Host, socket_form: dict[str, Any]) -> None:
    answer = client_of(alice).post(URL, {**socket_form, "url": "unix:///nowhere/../nowhere/harbour.sock"})
    assert "harbour" in str(answer.context["form"].errors["url"])
    assert Host.objects.count() == 1


def test_a_name_is_given_once_whatever_its_case(
    alice: User, client_of: Sign, host: Host, socket_form: dict[str, Any]
) -> None:
    answer = client_of(alice).post(URL, {**socket_form, "name": "HARBOUR"})
    assert "name" in answer.context["form"].errors


@pytest.mark.parametrize(
    "values", [{"name": "Harbour", "url": "unix:///x"}, {"name": "x", "url": "unix:///nowhere/harbour.sock"}]
)
def test_the_database_holds_that_too(host: Host, values: dict[str, str]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Host.objects.create(**values)


def test_two_at_once_end_in_one_host_and_a_sentence(
    alice: User, client_of: Sign, socket_form: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client_of(alice).post(URL, socket_form)
    monkeypatch.setattr("console.hosts.forms.HostForm.clean_url", lambda form: form.cleaned_data["url"])
    answer = client_of(alice).post(URL, {**socket_form, "name": "second"})
    assert answer.status_code == 422
    assert "a moment ago" in answer.content.decode()
    assert Host.objects.count() == 1


def test_the_stranger_is_refused_and_it_is_recorded(
    charlie: User, client_of: Sign, socket_form: dict[str, Any]
) -> None:
    client = client_of(charlie)
    assert client.get(URL).status_code == 403
    assert client.post(URL, socket_form).status_code == 403
    assert not Host.objects.exists()
    assert set(AuditEvent.objects.values_list("action", "outcome")) == {("host.add", "denied")}


def test_without_the_mark_of_our_forms_nothing_happens(
    alice: User, client_of: Sign, socket_form: dict[str, Any]
) -> None:
    assert client_of(alice, enforce_csrf_checks=True).post(URL, socket_form).status_code == 403
    assert not Host.objects.exists()
