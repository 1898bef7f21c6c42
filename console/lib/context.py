"""What every page needs for its frame, worked out only when a template asks."""

from __future__ import annotations

from functools import cached_property

from django.conf import settings
from django.http import HttpRequest

from console.lib.navigation import Audience, Link, links

THEMES = ("system", "light", "dark")
THEME_COOKIE = "pilothouse_theme"
SIDEBAR_COOKIE = "pilothouse_sidebar"


class Frame:
    """Navigation and looks around a page. Fragments pay nothing for it."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @cached_property
    def links(self) -> list[Link]:
        """The sidebar's entries, with the current one marked."""
        return links(self._request.path, audiences=self._audiences())

    def _audiences(self) -> frozenset[Audience]:
        user = getattr(self._request, "user", None)
        if getattr(user, "oversees", False):
            return frozenset({Audience.EVERYBODY, Audience.INVOLVED, Audience.OVERSEERS})
        if getattr(user, "is_in_team", False):
            return frozenset({Audience.EVERYBODY, Audience.INVOLVED, Audience.TEAMMATES})
        return frozenset({Audience.EVERYBODY})

    @property
    def main_links(self) -> list[Link]:
        """The entries above the line."""
        return [link for link in self.links if not link.entry.below_line]

    @property
    def lower_links(self) -> list[Link]:
        """The entries below the line."""
        return [link for link in self.links if link.entry.below_line]

    @property
    def phone_links(self) -> list[Link]:
        """What fits into a phone's bar."""
        return [link for link in self.links if link.entry.on_phone]

    @property
    def more_links(self) -> list[Link]:
        """What a phone shows behind "More"."""
        return [link for link in self.links if not link.entry.on_phone]

    @cached_property
    def theme(self) -> str:
        """What the person chose; before sign-in what this browser chose."""
        # A request may be refused before anybody asked who sent it.
        user = getattr(self._request, "user", None)
        chosen = getattr(user, "theme", "") or self._request.COOKIES.get(THEME_COOKIE, "")
        return chosen if chosen in THEMES else "system"

    @property
    def is_collapsed(self) -> bool:
        """Whether the sidebar shows icons only."""
        return self._request.COOKIES.get(SIDEBAR_COOKIE) == "collapsed"

    @property
    def version(self) -> str:
        """The console's version."""
        return settings.VERSION

    @property
    def languages(self) -> list[tuple[str, str]]:
        """Codes and names of the languages, each in itself."""
        return [("en", "English"), ("ko", "한국어")]


def frame(request: HttpRequest) -> dict[str, Frame]:
    """Put the frame into a template's context."""
    return {"frame": Frame(request)}
