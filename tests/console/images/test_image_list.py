"""The list of images."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.models import User
from console.containers import image_queries
from console.hosts.models import Host, HostState
from console.inventory.models import ObservedImage

SignIn = Callable[..., Client]
URL = "/images/"


def _image(host: Host, name: str, *, number: int = 0, **fields: Any) -> ObservedImage:
    values = {
        "image_id": f"sha256:{number:064x}",
        "tags": [name] if name else [],
        "name": name,
        "size_bytes": 1000 + number,
        "created_at": timezone.now(),
        "search_text": name.lower(),
        "observed_at": timezone.now(),
    }
    return ObservedImage.objects.create(host=host, **{**values, **fields})


def _names(client: Client, query: str) -> list[str]:
    return [row.name for row in client.get(URL + query).context["page"].rows]


def test_images_are_listed_with_what_uses_them(used: ObservedImage, alice: User, client_of: SignIn) -> None:
    answer = client_of(alice).get(URL)
    (row,) = answer.context["page"].rows
    assert (row.name, row.host, row.used_by) == ("starter:latest", "harbour", 1)
    assert "1 container" in answer.content.decode()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["alpha:1", "beta:2", "gamma:3"]),
        ("?sort=-name", ["gamma:3", "beta:2", "alpha:1"]),
        ("?sort=-size", ["gamma:3", "beta:2", "alpha:1"]),
        ("?q=BETA", ["beta:2"]),
        ("?q=a%3A1", ["alpha:1"]),
        ("?q=nothing", []),
        ("?sort=nonsense&use=nonsense&host=nonsense&page=-1", ["alpha:1", "beta:2", "gamma:3"]),
    ],
)
def test_search_and_order(host: Host, alice: User, client_of: SignIn, query: str, names: list[str]) -> None:
    for number, name in enumerate(["alpha:1", "beta:2", "gamma:3"]):
        _image(host, name, number=number)
    assert _names(client_of(alice), query) == names


def test_by_use(used: ObservedImage, host: Host, alice: User, client_of: SignIn) -> None:
    _image(host, "idle:1", number=1)
    _image(host, "", number=2)
    client = client_of(alice)
    assert _names(client, "?use=used") == ["starter:latest"]
    assert set(_names(client, "?use=unused")) == {"idle:1", "000000000000"}
    assert _names(client, "?use=untagged") == ["000000000000"]
    counts = {choice.label: choice.count for choice in client.get(URL).context["facets"][0].choices}
    assert counts == {"Used by containers": 1, "Unused": 2, "Without a name": 1}


def test_the_same_image_on_another_host_is_not_used_there(used: ObservedImage, alice: User, client_of: SignIn) -> None:
    other = Host.objects.create(name="other", url="unix:///nowhere/other.sock")
    _image(other, "starter:latest", image_id=used.image_id)
    rows = {row.host: row.used_by for row in client_of(alice).get(URL).context["page"].rows}
    assert rows == {"harbour": 1, "other": 0}
    assert [row.host for row in client_of(alice).get(URL + "?use=unused").context["page"].rows] == ["other"]


def test_pages_do_not_overlap(host: Host, alice: User, client_of: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_queries, "PAGE", 2)
    for number in range(5):
        _image(host, "same:name", number=number, search_text=str(number))
    client = client_of(alice)
    ids = [row.short_id for page in (1, 2, 3) for row in client.get(f"{URL}?page={page}").context["page"].rows]
    assert len(ids) == 5
    assert client.get(URL + "?page=3").context["page"].next == ""


def test_a_page_costs_the_same_for_many_rows(
    host: Host, alice: User, client_of: SignIn, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    for number in range(60):
        _image(host, f"image:{number}", number=number)
    client = client_of(alice)
    client.get(URL)
    with django_assert_max_num_queries(16):
        client.get(URL)


def test_a_failing_host_is_named_and_its_images_stay(host: Host, alice: User, client_of: SignIn) -> None:
    _image(host, "alpha:1")
    Host.objects.update(state=HostState.UNREACHABLE)
    answer = client_of(alice).get(URL)
    assert "harbour does not answer" in answer.content.decode()
    assert answer.context["page"].rows[0].is_stale


def test_an_image_without_a_date_shows_none(host: Host, alice: User, client_of: SignIn) -> None:
    _image(host, "reproducible:1", created_at=datetime(1, 1, 1, tzinfo=UTC))
    assert client_of(alice).get(URL).context["page"].rows[0].created_at is None


def test_hostile_names_are_text(host: Host, alice: User, client_of: SignIn) -> None:
    _image(host, "<img src=x onerror=alert(1)>")
    assert b"<img src=x" not in client_of(alice).get(URL).content


def test_an_empty_list_says_what_to_do_first(host: Host, alice: User, client_of: SignIn) -> None:
    assert "No images yet" in client_of(alice).get(URL).content.decode()
    Host.objects.all().delete()
    assert "No host yet" in client_of(alice).get(URL).content.decode()


def test_a_stranger_is_refused(image: ObservedImage, charlie: User, client_of: SignIn) -> None:
    answer = client_of(charlie).get(URL)
    assert answer.status_code == 403
    assert b"starter" not in answer.content


def test_nothing_changes_by_a_post(alice: User, client_of: SignIn) -> None:
    assert client_of(alice).post(URL).status_code == 405
