"""Strings from engines are text on every page: nothing in them becomes markup or an attribute."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from django.test import Client

from console.accounts.models import User
from console.inventory.models import ObservedContainer, ObservedLabel
from tests.console.containers.conftest import url_of

pytestmark = pytest.mark.django_db

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</script><script>alert(1)</script>",
    "javascript:alert(1)",
    "{{7*7}}{% load x %}&#x3c;",
    "hx-get=/ hx-on::load=alert(1)",
    "\u202egnp.exe",
    "a\nb\tc",
]
PARTS = (
    "",
    "header/",
    "row/",
    "look/",
    "menu/",
    "live/",
    "configuration/",
    "inspect/",
    "activity/",
    "remove/",
    "kill/",
)


class Markup(HTMLParser):
    """Collects the tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag, its attributes and where it leads."""
        self.tags.append(tag)
        self.names |= {name for name, _value in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action", "hx-get", "hx-post")]


def markup_of(page: str) -> Markup:
    found = Markup()
    found.feed(page)
    return found


@pytest.mark.parametrize("text", HOSTILE)
def test_every_page_shows_them_as_text(
    alice: User,
    client_of: Callable[[User], Client],
    make_container: Callable[..., ObservedContainer],
    text: str,
) -> None:
    client = client_of(alice)
    container = make_container(
        "web-1", environment=(("LOG", text),), labels=(("note", text), (text.replace("\n", " "), "x")), user=text
    )
    calm = make_container("calm-1", environment=(("LOG", "x"),), labels=(("note", "x"), ("y", "x")), user="x")
    ObservedContainer.objects.filter(pk=container.pk).update(
        name=text,
        image=text,
        command=text,
        status=text,
        networks=[text],
        mounts=[{"kind": "volume", "source": text, "target": text, "read_only": False}],
        ports=[{"container_port": 80, "protocol": text, "host_ip": text, "host_port": 1}],
    )
    ObservedContainer.objects.filter(pk=calm.pk).update(
        networks=["x"],
        mounts=[{"kind": "volume", "source": "x", "target": "x", "read_only": False}],
        ports=[{"container_port": 80, "protocol": "x", "host_ip": "x", "host_port": 1}],
    )
    ObservedLabel.objects.create(container=container, key=text, value=text)

    pages = {part: (url_of(container, part), url_of(calm, part)) for part in PARTS}
    pages["list"] = ("/containers/", "/containers/?q=calm")
    pages["facets"] = ("/containers/facets/", "/containers/facets/")
    pages["form"] = (f"/containers/create/?from={container.host_id}/{container.container_id}",) * 2
    for part, (url, quiet) in pages.items():
        headers = {"HX-Request": "true"} if part else None
        page = client.get(url, headers=headers).content.decode()
        found, expected = markup_of(page), markup_of(client.get(quiet, headers=headers).content.decode())
        assert not {name for name in found.names if name.startswith("on")}, part
        assert not {name for name in found.names - expected.names if name.startswith(("hx-", "data-hx"))}, part
        assert "img" not in found.tags, part
        assert found.tags.count("script") == expected.tags.count("script"), part
        assert not [link for link in found.links if link.startswith("javascript:")], part
