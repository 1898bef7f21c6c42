"""How people sign in beside passwords of ours: what an operator writes into one file, read once, failing loudly.

The file is TOML, because names of groups in a directory hold commas and quotes. It names files with secrets and holds
none itself.
"""

from __future__ import annotations

import ipaddress
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

#: Where links to accounts are kept by issuer; longer ones do not fit.
_LONGEST_ISSUER = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Groups whose people get a role in the whole console."""

    admin_groups: frozenset[str] = frozenset()
    auditor_groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """A provider that speaks OpenID Connect."""

    issuer: str
    client_id: str
    #: Empty for a public client, which proves itself by PKCE alone.
    client_secret: str = field(default="", repr=False)
    #: What people call it: "Sign in with …".
    name: str = "single sign-on"
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    groups_claim: str = "groups"
    roles: Roles = Roles()
    #: Whom to trust instead of the authorities that this machine trusts.
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """Every way to sign in that is not a password of ours."""

    oidc: OidcSettings | None = None

    @property
    def is_configured(self) -> bool:
        """Whether there is any."""
        return self.oidc is not None

    def roles_of(self, source: str) -> Roles:
        """Which groups of a source give a role in the console."""
        provider = {"oidc": self.oidc}.get(source)
        return provider.roles if provider else Roles()


def is_loopback(host: str) -> bool:
    """Whether what is sent to ``host`` stays on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_confidential(url: str) -> bool:
    """Whether nobody on the way can read or change what is sent to ``url``."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (
            parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        )
    except ValueError:
        return False


def read(path: Path) -> SignIn:
    """Read the file. Raises ``ImproperlyConfigured`` with the file and the name of what is wrong."""
    try:
        values = tomllib.loads(path.read_text())
    except OSError as cause:
        raise ImproperlyConfigured(
            f"PILOTHOUSE_SIGN_IN_FILE names {path}, which cannot be read: {cause.strerror}."
        ) from cause
    except ValueError as cause:
        raise ImproperlyConfigured(f"{path} is not TOML: {cause}.") from cause
    top = _Table(values, path=path, name="")
    oidc = top.table("oidc")
    top.end()
    return SignIn(oidc=_oidc(oidc) if oidc else None)


def _oidc(table: _Table) -> OidcSettings:
    issuer = table.text("issuer")
    if not is_confidential(issuer) or len(issuer) > _LONGEST_ISSUER or "?" in issuer or "#" in issuer:
        raise table.wrong(
            "issuer", "write the address as the provider does, with https://, as in https://id.example.com"
        )
    found = OidcSettings(
        issuer=issuer,
        client_id=table.text("client_id"),
        client_secret=table.secret("client_secret_file"),
        name=table.text("name", default="single sign-on"),
        scopes=table.texts("scopes", default=("openid", "profile", "email")),
        groups_claim=table.text("groups_claim", default="groups"),
        roles=_roles(table),
        ca_file=table.file("ca_file"),
    )
    if "openid" not in found.scopes:
        raise table.wrong("scopes", "one of them must be openid")
    table.end()
    return found


def _roles(table: _Table) -> Roles:
    return Roles(
        admin_groups=frozenset(table.texts("admin_groups")),
        auditor_groups=frozenset(table.texts("auditor_groups")),
    )


class _Table:
    """A table of the file whose keys are taken one by one; what is left at the end is a mistake."""

    def __init__(self, values: dict[str, Any], *, path: Path, name: str) -> None:
        self._values = dict(values)
        self._path = path
        self._name = name

    def wrong(self, key: str, what: str) -> ImproperlyConfigured:
        """Say what is wrong with a key."""
        return ImproperlyConfigured(f"{self._path}: {f'{self._name}.{key}' if self._name else key}: {what}.")

    def table(self, key: str) -> _Table | None:
        """Take a table, if it is there."""
        value = self._values.pop(key, None)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(key, f"write it as a table, [{key}]")
        return _Table(value, path=self._path, name=key)

    def text(self, key: str, *, default: str | None = None) -> str:
        """Take a text that is not empty."""
        value = self._values.pop(key, default)
        if value is None:
            raise self.wrong(key, "is missing")
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise self.wrong(key, "write one line of text in quotes")
        return value.strip()

    def texts(self, key: str, *, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Take a list of texts."""
        values = self._values.pop(key, default)
        if not isinstance(values, list | tuple) or not all(isinstance(value, str) and value for value in values):
            raise self.wrong(key, 'write a list of texts, as in ["one", "two"]')
        return tuple(values)

    def file(self, key: str) -> Path | None:
        """Take the name of a file, relative to this one's folder."""
        if key not in self._values:
            return None
        path = self._path.parent / self.text(key)
        if not path.is_file():
            raise self.wrong(key, f"there is no file {path}")
        return path

    def secret(self, key: str) -> str:
        """Take what a file holds; empty when none is named."""
        path = self.file(key)
        if path is None:
            return ""
        try:
            secret = path.read_text().strip()
        except (OSError, ValueError) as cause:
            raise self.wrong(key, f"{path} cannot be read: {cause}") from cause
        if not secret:
            raise self.wrong(key, f"{path} is empty")
        return secret

    def end(self) -> None:
        """Refuse what nobody took: a misspelt key must not be a setting that is silently missing."""
        for key in self._values:
            raise self.wrong(key, "there is no such setting")
