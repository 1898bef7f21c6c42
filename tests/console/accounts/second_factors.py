"""An authenticator app and a security key, in software, for the tests of the second factor."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from django.test import Client
from fido2 import cbor
from fido2.cose import ES256

PASSWORD = "correct horse battery"
#: When these tests take place; a step begins with it.
NOW = 1_800_000_000


@dataclass
class Clock:
    """The time that the console sees."""

    now: float = NOW

    def time(self) -> float:
        return float(self.now)

    @classmethod
    def install(cls, monkeypatch: pytest.MonkeyPatch) -> Clock:
        clock = cls()
        for module in ("codes", "confirmation", "keys"):
            monkeypatch.setattr(f"console.accounts.{module}.time", clock)
        return clock


@dataclass
class App:
    """What an authenticator app keeps."""

    secret: str

    def code(self, at: float = NOW) -> str:
        return str(format_hotp_value(hotp_value(self.secret, int(at) // 30)))


def set_up_app(client: Client, *, at: float = NOW) -> tuple[App, list[str]]:
    """Set up an app as a person does, and return it with the recovery codes that are shown, if any."""
    page = client.get("/settings/second-factor/app/").content.decode()
    app = App(shown_secret(page))
    answer = client.post("/settings/second-factor/app/", {"sealed": sealed(page), "code": app.code(at)})
    assert answer.status_code in (200, 302), answer.content.decode()
    return app, shown_codes(answer.content.decode())


def shown_secret(page: str) -> str:
    found = re.search(r'id="app-secret">([A-Z2-7 ]+)<', page)
    assert found, page
    return found[1].replace(" ", "")


def sealed(page: str) -> str:
    found = re.search(r'name="sealed" value="([^"]+)"', page)
    assert found, page
    return found[1]


def shown_codes(page: str) -> list[str]:
    return re.findall(r"<li>(\d{5} \d{5})</li>", page)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class SoftKey:
    """A security key for one site."""

    origin: str = "http://localhost"
    counter: int = 0
    counts: bool = True
    id: bytes = field(default_factory=lambda: os.urandom(32))
    private: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def _client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def _authenticator_data(self, rp_id: str, *, flags: int, more: bytes = b"") -> bytes:
        self.counter += self.counts
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4, "big") + more

    def _answer(self, response: dict[str, bytes]) -> str:
        return json.dumps(
            {
                "id": _text(self.id),
                "rawId": _text(self.id),
                "type": "public-key",
                "response": {name: _text(value) for name, value in response.items()},
                "clientExtensionResults": {},
            }
        )

    def create(self, options: dict[str, Any]) -> str:
        """Answer what a page asks of a new key."""
        wanted = options["publicKey"]
        public = ES256.from_cryptography_key(self.private.public_key())  # type: ignore[no-untyped-call]
        more = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor.encode(dict(public))
        data = self._authenticator_data(wanted["rp"]["id"], flags=0x41, more=more)
        return self._answer(
            {
                "clientDataJSON": self._client_data("webauthn.create", wanted["challenge"]),
                "attestationObject": cbor.encode({"fmt": "none", "attStmt": {}, "authData": data}),
            }
        )

    def get(self, options: dict[str, Any]) -> str:
        """Answer what a page asks of a known key."""
        wanted = options["publicKey"]
        data = self._authenticator_data(wanted["rpId"], flags=0x01)
        said = self._client_data("webauthn.get", wanted["challenge"])
        signature = self.private.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(SHA256()))
        return self._answer({"clientDataJSON": said, "authenticatorData": data, "signature": signature})


def add_key(client: Client, key: SoftKey, *, name: str = "blue key") -> Any:
    """Add a key as a person does, and return the answer."""
    options = client.post("/settings/second-factor/keys/options/", HTTP_HOST="localhost").json()
    return client.post(
        "/settings/second-factor/keys/add/",
        {"name": name, "credential": key.create(options)},
        HTTP_HOST="localhost",
    )


def first_step(client: Client, name: str = "alice", **extra: Any) -> Any:
    """Give the right password."""
    return client.post("/accounts/login/", {"login": name, "password": PASSWORD}, **extra)


SignIn = Callable[..., Client]
