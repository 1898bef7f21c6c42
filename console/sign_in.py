"""How people sign in beside passwords of ours: what an operator writes into one file, read once, failing loudly.

The file is TOML, because names of groups in a directory hold commas and quotes. It names files with secrets and holds
none itself.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import re
import tomllib
from collections.abc import Callable
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
class LdapSettings:
    """A directory whose people sign in here with the password they have there."""

    url: str
    #: Below which entry people are.
    base: str
    start_tls: bool = False
    ca_file: Path | None = None
    #: As whom people are looked for; empty for a directory that lets anybody look.
    bind_dn: str = ""
    bind_password: str = field(default="", repr=False)
    #: What people call it.
    name: str = "the directory"
    filter: str = "(uid={name})"
    #: What stays when somebody is renamed or moved.
    id_attribute: str = "entryUUID"
    username_attribute: str = "uid"
    name_attribute: str = "cn"
    email_attribute: str = "mail"
    groups_attribute: str = "memberOf"
    #: Below which entry groups are looked for; empty where people's own entries name theirs.
    group_base: str = ""
    group_filter: str = "(member={dn})"
    roles: Roles = Roles()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """Every way to sign in that is not a password of ours."""

    oidc: OidcSettings | None = None
    ldap: LdapSettings | None = None

    @property
    def is_configured(self) -> bool:
        """Whether there is any."""
        return self.oidc is not None or self.ldap is not None

    def roles_of(self, source: str) -> Roles:
        """Which groups of a source give a role in the console."""
        provider = {"oidc": self.oidc, "ldap": self.ldap}.get(source)
        return provider.roles if provider else Roles()


def normal_dn(name: str) -> str:
    """Return the name of an entry so that two writings of it compare; spaces that are part of a value stay."""
    return re.sub(r"\s*(?<!\\)([,=+])\s*", r"\1", name.strip()).casefold()


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
    oidc, ldap = top.table("oidc"), top.table("ldap")
    top.end()
    return SignIn(oidc=_oidc(oidc) if oidc else None, ldap=_ldap(ldap) if ldap else None)


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


def _ldap(table: _Table) -> LdapSettings:
    url, start_tls = table.text("url"), table.boolean("start_tls", default=False)
    host = _ldap_host(url)
    if not host:
        raise table.wrong("url", "write the server's address, as in ldaps://ldap.example.com")
    if url.startswith("ldap:") and not start_tls and not is_loopback(host):
        raise table.wrong("url", "passwords would be sent in the open; write ldaps://, or set start_tls = true")
    if url.startswith("ldaps:") and start_tls:
        raise table.wrong("start_tls", "ldaps:// is encrypted from the start; write ldap://, or leave start_tls out")
    found = LdapSettings(
        url=url,
        start_tls=start_tls,
        base=table.text("base"),
        ca_file=table.file("ca_file"),
        bind_dn=table.optional("bind_dn"),
        bind_password=table.secret("bind_password_file"),
        name=table.text("name", default="the directory"),
        filter=table.text("filter", default="(uid={name})"),
        id_attribute=table.text("id_attribute", default="entryUUID"),
        username_attribute=table.text("username_attribute", default="uid"),
        name_attribute=table.text("name_attribute", default="cn"),
        email_attribute=table.text("email_attribute", default="mail"),
        groups_attribute=table.text("groups_attribute", default="memberOf"),
        group_base=table.optional("group_base"),
        group_filter=table.text("group_filter", default="(member={dn})"),
        roles=_roles(table, normal=normal_dn),
    )
    # A name without a password binds as nobody, a password without a name as nobody too.
    if bool(found.bind_dn) != bool(found.bind_password):
        raise table.wrong("bind_dn", "write it together with bind_password_file, or neither")
    for key, text, mark in (("filter", found.filter, "{name}"), ("group_filter", found.group_filter, "{dn}")):
        if mark not in text or not text.startswith("(") or not text.endswith(")"):
            raise table.wrong(key, f"write a filter in brackets that holds {mark}")
    table.end()
    if importlib.util.find_spec("ldap") is None:
        raise ImproperlyConfigured(
            "A directory needs python-ldap, which is not installed here: ./pilothouse up installs it, or, with a "
            "compiler, libldap-dev and libsasl2-dev, pip install --require-hashes -r requirements/ldap.txt."
        )
    return found


def _ldap_host(url: str) -> str:
    """Return the machine that an address of a directory names; empty when it is none."""
    try:
        parts = urlsplit(url)
        _port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("ldap", "ldaps") or parts.path.strip("/") or parts.query or parts.username:
        return ""
    return parts.hostname or ""


def _roles(table: _Table, *, normal: Callable[[str], str] = str) -> Roles:
    """Take the groups that give roles, each as two writings of one name compare."""
    return Roles(
        admin_groups=frozenset(map(normal, table.texts("admin_groups"))),
        auditor_groups=frozenset(map(normal, table.texts("auditor_groups"))),
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

    def optional(self, key: str) -> str:
        """Take a text, if it is there."""
        return self.text(key) if key in self._values else ""

    def boolean(self, key: str, *, default: bool) -> bool:
        """Take true or false."""
        value = self._values.pop(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "write true or false")
        return value

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
