"""An OpenID Connect provider on loopback, which misbehaves on demand."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID = "pilothouse"
CLIENT_SECRET = "a secret of the client's"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def new_key() -> rsa.RSAPrivateKey:
    """Return a key to sign with."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(slots=True, kw_only=True)
class _Code:
    """A code that was given out, and what it is good for."""

    challenge: str
    redirect_uri: str
    nonce: str


@dataclass(kw_only=True)
class Provider:
    """Who signs in next, and how the provider answers."""

    url: str
    #: What the next ID token says beside what must be there; a value of ``None`` leaves a claim out.
    claims: dict[str, Any] = field(default_factory=lambda: {"sub": "erin-at-acme", "preferred_username": "erin"})
    #: What the user information says; without it there is no such address.
    user_info: dict[str, Any] | None = None
    #: What the description of the provider says differently.
    description: dict[str, Any] = field(default_factory=dict)
    #: Instead of an ID token signed by RS256 with the key that is published.
    sign: Callable[[Provider, dict[str, Any]], str] | None = None
    #: Instead of the usual answer at a path: status and body.
    instead: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    #: How many bytes each answer has at the least, by spaces at its end.
    padding: int = 0
    #: Whom the answer of the browser's visit names, by RFC 9207.
    names_itself: bool = True
    #: What has been asked, in order: path and form.
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    codes: dict[str, _Code] = field(default_factory=dict)
    key_id: str = "one"

    @cached_property
    def key(self) -> rsa.RSAPrivateKey:
        return new_key()

    @property
    def public_pem(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def visit(self, url: str, *, error: str = "") -> str:
        """Do what a browser and its person do at the address they were sent to; return where they are sent back to."""
        parts = urlsplit(url)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.url}/authorize"
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        query = {"state": asked["state"], **({"iss": self.url} if self.names_itself else {})}
        if error:
            query["error"] = error
        else:
            query["code"] = secrets.token_urlsafe(16)
            self.codes[query["code"]] = _Code(
                challenge=asked["code_challenge"], redirect_uri=asked["redirect_uri"], nonce=asked["nonce"]
            )
        return asked["redirect_uri"] + "?" + "&".join(f"{name}={value}" for name, value in query.items())

    def signed(self, claims: dict[str, Any], *, key: Any = None, algorithm: str = "RS256", **header: Any) -> str:
        """Return claims as an ID token."""
        return jwt.encode(claims, key or self.key, algorithm=algorithm, headers={"kid": self.key_id, **header})

    def _describe(self) -> dict[str, Any]:
        found = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            **({"userinfo_endpoint": f"{self.url}/userinfo"} if self.user_info is not None else {}),
            **self.description,
        }
        return {name: value for name, value in found.items() if value is not None}

    def _keys(self) -> dict[str, Any]:
        numbers = self.key.public_key().public_numbers()
        width = (numbers.n.bit_length() + 7) // 8
        key = {
            "kty": "RSA",
            "use": "sig",
            "kid": self.key_id,
            "n": _b64(numbers.n.to_bytes(width, "big")),
            "e": _b64(numbers.e.to_bytes(3, "big")),
        }
        return {"keys": [{"kty": "oct", "kid": "noise", "k": _b64(b"x" * 32)}, key]}

    def _token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        code = self.codes.pop(form.get("code", ""), None)
        challenge = _b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            code is None
            or not hmac.compare_digest(challenge, code.challenge)
            or form.get("redirect_uri") != code.redirect_uri
            or form.get("client_secret") != CLIENT_SECRET
        ):
            return HTTPStatus.BAD_REQUEST, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 60, "nonce": code.nonce, **self.claims}
        claims = {name: value for name, value in claims.items() if value is not None}
        token = self.sign(self, claims) if self.sign else self.signed(claims)
        return HTTPStatus.OK, {"access_token": "for-user-info", "token_type": "Bearer", "id_token": token}

    def answer(self, path: str, *, form: dict[str, str], authorization: str) -> tuple[int, bytes]:
        """Answer one request."""
        self.asked.append((path, form))
        status, answer = HTTPStatus.OK.value, {}
        if path in self.instead:
            return self.instead[path]
        if path == "/.well-known/openid-configuration":
            answer = self._describe()
        elif path == "/keys":
            answer = self._keys()
        elif path == "/token":
            status, answer = self._token(form)
        elif path == "/userinfo" and authorization == "Bearer for-user-info":
            answer = self.user_info or {}
        else:
            status = HTTPStatus.NOT_FOUND
        return status, json.dumps(answer).encode().ljust(self.padding)


@contextlib.contextmanager
def running_provider() -> Iterator[Provider]:
    """Run a provider on a free port of loopback until the end of the block."""
    provider = Provider(url="")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            self._answer(dict(parse_qsl(self.rfile.read(length).decode())))

        def _answer(self, form: dict[str, str]) -> None:
            path = urlsplit(self.path).path
            # Where a redirect would lead, which nobody but a browser follows.
            location = f"{provider.url}/elsewhere"
            if path == "/authorize":
                status, body, location = HTTPStatus.FOUND.value, b"", provider.visit(f"{provider.url}{self.path}")
            else:
                authorization = self.headers.get("Authorization", "")
                status, body = provider.answer(path, form=form, authorization=authorization)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", location)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
