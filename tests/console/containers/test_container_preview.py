"""What the create form says while it is filled in."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.models import User
from console.containers.masking import MASK
from console.gateway import PublishedPort
from console.hosts.models import Host, HostState
from console.inventory.models import ObservedContainer, ObservedImage, ObservedVolume
from console.operations.models import Operation
from runtime.testing import FakeEngine

pytestmark = pytest.mark.django_db


@pytest.fixture
def preview(alice: User, client_of: Callable[[User], Client], host: Host) -> Callable[..., str]:
    client = client_of(alice)

    def preview_(**fields: Any) -> str:
        form = {"host": str(host.pk), "image": "nginx:1.27", "name": "web-1", **fields}
        answer = client.post("/containers/create/preview/", form)
        assert answer.status_code == 200
        return unescape(answer.content.decode())

    return preview_


def test_it_says_in_words_what_will_happen(preview: Callable[..., str], engine: FakeEngine) -> None:
    page = preview(
        command="nginx -g 'daemon off;'",
        port_host="8080",
        port_container="80",
        port_protocol="tcp",
        volume_name="data",
        volume_target="/data",
        volume_mode="rw",
        memory="256 MB",
        restart_policy="unless-stopped",
    )

    for sentence in (
        "Runs nginx:1.27 on harbour, named web-1.",
        "Pulls the image first: the host does not have it.",
        "Reachable at port 8080 of the host (port 80/tcp inside).",
        "http://testserver:8080/",
        "Keeps /data in the new volume data.",
        "Gets at most 256 MB of memory.",
        "Is restarted until somebody stops it.",
    ):
        assert sentence in page, sentence
    assert '<code class="chip mono">daemon off;</code>' in page
    assert engine.calls == []
    assert not Operation.objects.exists()


def test_the_command_line_does_the_same_and_tells_no_secret(preview: Callable[..., str]) -> None:
    page = preview(env_name=["DB_PASSWORD", "LOG"], env_value=["canary-7f3", "info"], env_kept=["", ""])

    assert "--env DB_PASSWORD \\" in page
    assert "--env LOG=info \\" in page
    assert "      DB_PASSWORD: null\n" in page
    assert '      LOG: "info"\n' in page
    assert "canary-7f3" not in page


def test_a_value_that_is_taken_over_is_left_to_the_shell_as_well(preview: Callable[..., str]) -> None:
    page = preview(
        env_name="DATABASE_URL", env_value="", env_kept="1", label_name="url", label_value="", label_kept="1"
    )

    assert "--env DATABASE_URL \\" in page
    assert "      DATABASE_URL: null\n" in page
    assert f"--label 'url={MASK}' \\" in page
    assert f'      url: "{MASK}"\n' in page


def test_which_text_is_looked_at_is_no_field_of_the_form(preview: Callable[..., str]) -> None:
    assert "The form has no field" not in preview(twin="compose")


def test_it_knows_what_the_host_has(preview: Callable[..., str], host: Host) -> None:
    now = timezone.now()
    ObservedImage.objects.create(
        host=host, image_id="sha256:1", tags=["nginx:1.27"], size_bytes=1, created_at=now, observed_at=now
    )
    ObservedVolume.objects.create(host=host, name="data", driver="local", observed_at=now)

    page = preview(volume_name="data", volume_target="/data", volume_mode="rw")

    assert "The host has the image already." in page
    assert "Keeps /data in the volume data." in page


def test_it_warns_of_what_may_surprise(
    preview: Callable[..., str], make_container: Callable[..., ObservedContainer], host: Host
) -> None:
    make_container("other", ports=(PublishedPort(container_port=80, host_port=8080),))
    host.state = HostState.UNREACHABLE
    host.save()

    page = preview(port_host="8080", port_container="80", port_protocol="tcp", pull="never")

    assert "Port 8080 is in use by other." in page
    assert "harbour does not answer" in page
    assert "creating will fail" in page


def test_errors_are_told_while_typing(preview: Callable[..., str]) -> None:
    assert "Which unit?" in preview(memory="5")
    assert "quotation mark" in preview(command="'open")


def test_an_empty_form_asks_for_host_and_image(preview: Callable[..., str]) -> None:
    assert "Choose a host and an image" in preview(image="")
    assert "Choose a host and an image" in preview(host="")
