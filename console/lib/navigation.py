"""The entries of the sidebar: one line each. Phones show the first ones in a bar at the bottom."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Audience(enum.Enum):
    """Who is shown an entry."""

    EVERYBODY = enum.auto()
    #: Admins and auditors.
    OVERSEERS = enum.auto()
    #: Those who look after everything, and those who are in a team: others find nothing there.
    INVOLVED = enum.auto()
    #: Everybody else who is in a team.
    TEAMMATES = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One place to go."""

    name: str  # of the URL
    label: str | Promise
    icon: str
    below_line: bool = False
    on_phone: bool = False
    by_host: bool = False  # its address takes the host to narrow it to
    audience: Audience = Audience.EVERYBODY


ENTRIES = (
    Entry(name="overview", label=_("Overview"), icon="layout-dashboard", on_phone=True, by_host=True),
    Entry(
        name="container-list",
        label=_("Containers"),
        icon="box",
        on_phone=True,
        by_host=True,
        audience=Audience.INVOLVED,
    ),
    Entry(name="terminal-list", label=_("Terminals"), icon="square-terminal", audience=Audience.INVOLVED),
    Entry(
        name="image-list", label=_("Images"), icon="layers", on_phone=True, by_host=True, audience=Audience.OVERSEERS
    ),
    Entry(name="volume-list", label=_("Volumes"), icon="hard-drive", by_host=True, audience=Audience.INVOLVED),
    Entry(name="network-list", label=_("Networks"), icon="network", by_host=True, audience=Audience.INVOLVED),
    Entry(name="kept-log-list", label=_("Kept logs"), icon="file-clock", by_host=True, audience=Audience.INVOLVED),
    Entry(name="host-list", label=_("Hosts"), icon="server", audience=Audience.OVERSEERS),
    Entry(
        name="activity",
        label=_("Activity"),
        icon="activity",
        on_phone=True,
        by_host=True,
        audience=Audience.INVOLVED,
    ),
    Entry(
        name="recording-list", label=_("Recordings"), icon="square-play", below_line=True, audience=Audience.INVOLVED
    ),
    Entry(name="people-list", label=_("People & teams"), icon="users", below_line=True, audience=Audience.OVERSEERS),
    Entry(name="team-list", label=_("Teams"), icon="users", below_line=True, audience=Audience.TEAMMATES),
    Entry(name="audit-list", label=_("Audit"), icon="scroll-text", below_line=True, audience=Audience.OVERSEERS),
    Entry(name="settings", label=_("Settings"), icon="settings", below_line=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An entry on one page: where it leads and whether the page is below it."""

    entry: Entry
    url: str
    is_current: bool


def links(path: str, *, audiences: frozenset[Audience]) -> list[Link]:
    """Return the entries for the page at ``path``; the entry with the longest matching address is current."""
    addresses = {entry: reverse(entry.name) for entry in ENTRIES if entry.audience in audiences}
    home = reverse("overview")
    below = [url for url in addresses.values() if path == url or (url != home and path.startswith(url))]
    current = max(below, key=len, default="")
    return [Link(entry=entry, url=url, is_current=url == current) for entry, url in addresses.items()]
