"""Where an act came from: as our own server saw it."""

from __future__ import annotations

from console.lib.origin import Origin, origin_of, origin_of_scope

__all__ = ["Origin", "origin_of", "origin_of_scope"]
