"""Signing in by a directory (LDAP): who is found there, and whether the password is theirs.

Needs python-ldap, which is installed only where a directory is set up; so this module is imported when it is used.
"""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import ldap
import structlog
from ldap.filter import escape_filter_chars

from console.accounts.identities import (
    MOST_GROUPS,
    SUBJECT_LENGTH,
    DirectoryFailed,
    Proof,
    cleaned_email,
    groups_in,
    text_in,
)
from console.accounts.models import Source
from console.sign_in import LdapSettings, normal_dn

logger = structlog.get_logger(__name__)

#: Seconds to connect, and that one answer may take.
_CONNECT_TIMEOUT: Final = 3
_ANSWER_TIMEOUT: Final = 5

Attributes = Mapping[str, list[bytes]]


def prove(username: str, password: str, *, directory: LdapSettings) -> Proof | None:
    """Return who has these credentials there; ``None`` when nobody has. Raises ``DirectoryFailed``."""
    # A bind with a name and no password succeeds, as nobody: it proves nothing (RFC 4513, 5.1.2).
    if not username.strip() or not password:
        return None
    try:
        with _connected(directory) as ours:
            if directory.bind_dn:
                ours.simple_bind_s(directory.bind_dn, directory.bind_password)
            found = _find(username, connection=ours, directory=directory)
            if found is None:
                return None
            dn, attributes = found
            with _connected(directory) as theirs:
                try:
                    theirs.simple_bind_s(dn, password)
                except (ldap.INVALID_CREDENTIALS, ldap.UNWILLING_TO_PERFORM, ldap.INAPPROPRIATE_AUTH) as refused:
                    # Besides a wrong password: an account that is locked, or has none.
                    logger.info("directory_refused", dn=dn, reason=type(refused).__name__)
                    return None
            groups = _groups(dn, attributes, connection=ours, directory=directory)
    except ldap.LDAPError as error:
        raise DirectoryFailed(f"{type(error).__name__}: {error}") from error
    return _proof(dn, attributes, groups=groups, directory=directory)


@contextmanager
def _connected(directory: LdapSettings) -> Iterator[Any]:
    connection = ldap.initialize(directory.url, bytes_mode=False)
    options = {
        ldap.OPT_PROTOCOL_VERSION: ldap.VERSION3,
        ldap.OPT_NETWORK_TIMEOUT: _CONNECT_TIMEOUT,
        ldap.OPT_TIMEOUT: _ANSWER_TIMEOUT,
        # A referral would take the password to a server that nobody named.
        ldap.OPT_REFERRALS: ldap.OPT_OFF,
        # Said here, so that no file of the machine can say otherwise.
        ldap.OPT_X_TLS_REQUIRE_CERT: ldap.OPT_X_TLS_DEMAND,
        ldap.OPT_X_TLS_PROTOCOL_MIN: ldap.OPT_X_TLS_PROTOCOL_TLS1_2,
    }
    authorities = directory.ca_file or ssl.get_default_verify_paths().cafile
    if authorities:
        options[ldap.OPT_X_TLS_CACERTFILE] = str(authorities)
    for option, value in options.items():
        connection.set_option(option, value)
    # Takes the options above into use, so it comes last.
    connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    try:
        if directory.start_tls:
            connection.start_tls_s()
        yield connection
    finally:
        connection.unbind_s()


def _find(username: str, *, connection: Any, directory: LdapSettings) -> tuple[str, Attributes] | None:
    """Return the one entry with this name, and what we read of it."""
    wanted = [
        directory.username_attribute,
        directory.name_attribute,
        directory.email_attribute,
        directory.groups_attribute,
    ]
    if directory.id_attribute != "dn":
        wanted.append(directory.id_attribute)
    query = directory.filter.replace("{name}", escape_filter_chars(username))
    found = _search(directory.base, query, wanted, connection=connection, limit=2)
    if len(found) > 1:
        logger.warning("directory_ambiguous", entries=[dn for dn, _attributes in found])
    return found[0] if len(found) == 1 else None


def _search(
    base: str, query: str, attributes: list[str], *, connection: Any, limit: int
) -> list[tuple[str, Attributes]]:
    try:
        answer = connection.search_ext_s(
            base, ldap.SCOPE_SUBTREE, query, attributes, timeout=_ANSWER_TIMEOUT, sizelimit=limit
        )
    except ldap.NO_SUCH_OBJECT:
        return []
    except ldap.SIZELIMIT_EXCEEDED as error:
        raise DirectoryFailed(f"more than {limit} entries below {base}") from error
    # What has no name is a referral to somewhere else. Names of attributes come in whatever case the server likes.
    return [(dn, {name.casefold(): values for name, values in found.items()}) for dn, found in answer if dn]


def _groups(dn: str, attributes: Attributes, *, connection: Any, directory: LdapSettings) -> frozenset[str]:
    """Return the names of the groups that somebody is in, each as two writings of one name compare."""
    if directory.group_base:
        query = directory.group_filter.replace("{dn}", escape_filter_chars(dn))
        # 1.1 asks for no attribute: the name is what counts.
        found = _search(directory.group_base, query, ["1.1"], connection=connection, limit=MOST_GROUPS)
        names = [name for name, _attributes in found]
    else:
        names = [_text(value) for value in attributes.get(directory.groups_attribute.casefold(), [])]
    return groups_in([normal_dn(name) for name in names])


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _first(attributes: Attributes, name: str) -> str:
    values = attributes.get(name.casefold(), [])
    return _text(values[0]) if values else ""


def _proof(dn: str, attributes: Attributes, *, groups: frozenset[str], directory: LdapSettings) -> Proof:
    subject = _subject(dn, attributes, directory=directory)
    if not 0 < len(subject) <= SUBJECT_LENGTH:
        raise DirectoryFailed(f"{dn} has no usable {directory.id_attribute}")
    return Proof(
        source=Source.LDAP,
        provider=Source.LDAP.value,
        subject=subject,
        username=text_in(_first(attributes, directory.username_attribute)),
        name=text_in(_first(attributes, directory.name_attribute)),
        email=cleaned_email(_first(attributes, directory.email_attribute)),
        groups=groups,
    )


def _subject(dn: str, attributes: Attributes, *, directory: LdapSettings) -> str:
    """Return what stays when somebody is renamed or moved."""
    if directory.id_attribute == "dn":
        return normal_dn(dn)
    values = attributes.get(directory.id_attribute.casefold(), [])
    if len(values) != 1:
        return ""
    # Active Directory's objectGUID is 16 bytes; what others have is text.
    if directory.id_attribute.casefold() == "objectguid" and len(values[0]) == 16:
        return str(uuid.UUID(bytes_le=values[0]))
    return _text(values[0])
