"""Secrets at rest, and signatures on what we write where others can write too."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class Undecryptable(Exception):
    """A stored secret cannot be read with the keys at hand: the key file was lost or replaced."""


@lru_cache(maxsize=1)
def _fernet() -> MultiFernet:
    keys = [base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()) for key in settings.ENCRYPTION_KEYS]
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(text: str) -> str:
    """Return ``text`` encrypted and authenticated with the newest key."""
    return _fernet().encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    """Return the text behind ``token``. Raises ``Undecryptable``."""
    try:
        return _fernet().decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise Undecryptable(
            "A stored secret cannot be read: restore keys/encryption from your backup, or enter the secret again."
        ) from error


def signature(*parts: str) -> str:
    """Return the HMAC-SHA-256 of ``parts`` in hex, for labels of ours on engine objects."""
    message = "\0".join(parts).encode()
    return hmac.new(settings.LABEL_KEY.encode(), message, hashlib.sha256).hexdigest()


def is_signed(signed: str, *parts: str) -> bool:
    """Whether ``signed`` is our signature of ``parts`` (compared in constant time)."""
    return hmac.compare_digest(signed.encode(), signature(*parts).encode())


if TYPE_CHECKING:
    _TextField = models.TextField[Any, Any]
else:
    _TextField = models.TextField


class EncryptedJSONField(_TextField):
    """A JSON value that the database only ever holds encrypted."""

    def from_db_value(self, value: str | None, _expression: object, _connection: object) -> Any:
        """Decrypt what the database holds."""
        return None if value is None else json.loads(decrypt(value))

    def get_prep_value(self, value: Any) -> str | None:
        """Encrypt for the database."""
        return None if value is None else encrypt(json.dumps(value, separators=(",", ":")))

    def to_python(self, value: Any) -> Any:
        """Values are plain Python in memory."""
        return value
