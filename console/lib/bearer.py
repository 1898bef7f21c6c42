"""API tokens on their way: what one of ours looks like, and where a request carries it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_plus

#: A beginning that is no secret, and the secret: easily found by who searches for tokens where none should be.
TOKEN: Final = re.compile(r"(ph_[0-9a-f]{12})_[0-9a-f]{64}")
#: The same where it may be cut off: enough of the secret follows to be one.
TOKEN_IN_TEXT: Final = re.compile(r"(ph_[0-9a-f]{12}_)[0-9a-f]+")


def bearer_of(headers: Mapping[str, str]) -> str | None:
    """Return what an ``Authorization: Bearer`` header carries; ``None`` without one."""
    scheme, _space, value = headers.get("Authorization", "").strip().partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def has_token(query: str) -> bool:
    """Whether an address's query holds what looks like a token of ours, in whatever parameter."""
    return TOKEN_IN_TEXT.search(unquote_plus(query)) is not None
