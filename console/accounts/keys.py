"""Security keys and passkeys (WebAuthn), as a second factor.

A browser makes a key for one host name, and hands its answer to whichever port of it asks. So the origin is compared as
a whole: another port of this machine is another site.
"""

from __future__ import annotations

import ipaddress
import json
import struct
import time
from typing import Any, Final
from urllib.parse import urlsplit

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.http.request import split_domain_port
from django.utils.translation import gettext as _
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from console.accounts.models import User

#: Keys that one person may have.
MOST: Final = 20
NAME_LENGTH: Final = 60
#: Characters of an answer; a browser's has two or three thousand.
ANSWER_LENGTH: Final = 32 * 1024
#: Seconds within which a challenge has to be answered.
_PATIENCE: Final = 300
_CHALLENGE: Final = "security_key_challenge"

#: What hostile answers make the parsers raise.
_MALFORMED: Final = (ValueError, TypeError, LookupError, AttributeError, AssertionError, RecursionError, struct.error)


class BadAnswer(Exception):
    """The key's answer is malformed, late, for another site, or not one of this person's keys'."""


def _host(request: HttpRequest) -> str:
    return split_domain_port(request.get_host())[0]


def why_not(request: HttpRequest) -> str:
    """Return why browsers use no security keys at this address; empty when they do."""
    name = _host(request)
    try:
        is_number = bool(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        is_number = False
    if is_number and "localhost" in settings.ALLOWED_HOSTS:
        port = request.get_port()
        return _("Browsers use security keys only where the address has a name. Open this console as %(url)s.") % {
            "url": f"{request.scheme}://localhost:{port}"
        }
    if is_number or (request.scheme != "https" and name != "localhost"):
        return _("Browsers use security keys only over HTTPS, at an address that has a name.")
    return ""


def _server(request: HttpRequest) -> Fido2Server:
    name = _host(request)

    def is_ours(origin: str) -> bool:
        return origin in settings.ALLOWED_ORIGINS and urlsplit(origin).hostname == name

    return Fido2Server(PublicKeyCredentialRpEntity(name="Pilothouse", id=name), verify_origin=is_ours)


def keys_of(user: User) -> list[Authenticator]:
    """Return the keys of ``user``, oldest first."""
    return list(Authenticator.objects.filter(user=user, type=Authenticator.Type.WEBAUTHN).order_by("pk"))


def _credential(key: Authenticator) -> AttestedCredentialData:
    made = RegistrationResponse.from_dict(key.data["credential"]).response.attestation_object
    found: AttestedCredentialData | None = made.auth_data.credential_data
    if found is None:
        raise BadAnswer
    return found


def _challenge(session: SessionBase, state: Any) -> None:
    session[_CHALLENGE] = {"state": state, "at": time.time()}


def _answered(session: SessionBase) -> Any:
    """Return the challenge and forget it: each counts once, however it is answered."""
    kept = session.pop(_CHALLENGE, None)
    if not isinstance(kept, dict) or not 0 <= time.time() - kept["at"] < _PATIENCE:
        raise BadAnswer
    return kept["state"]


def _parse(answer: str) -> dict[str, Any]:
    if len(answer) > ANSWER_LENGTH:
        raise BadAnswer
    try:
        parsed = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise BadAnswer from error
    if not isinstance(parsed, dict):
        raise BadAnswer
    return parsed


def begin_adding(request: HttpRequest, user: User) -> dict[str, Any]:
    """Return what the browser needs to make a key of ``user``'s ours, and remember the challenge."""
    options, state = _server(request).register_begin(
        PublicKeyCredentialUserEntity(name=user.username, id=user.pk.bytes, display_name=user.get_short_name()),
        credentials=[_credential(key) for key in keys_of(user)],
        resident_key_requirement=ResidentKeyRequirement.DISCOURAGED,
        user_verification=UserVerificationRequirement.DISCOURAGED,
    )
    _challenge(request.session, state)
    return dict(options)


def finish_adding(request: HttpRequest, answer: str) -> dict[str, Any]:
    """Return what is kept of a new key. Raises ``BadAnswer``."""
    state, parsed = _answered(request.session), _parse(answer)
    try:
        credential = {
            "id": parsed["id"],
            "rawId": parsed["rawId"],
            "type": "public-key",
            "response": {
                "clientDataJSON": parsed["response"]["clientDataJSON"],
                "attestationObject": parsed["response"]["attestationObject"],
            },
            "clientExtensionResults": {},
        }
        made = _server(request).register_complete(state, credential)
    except _MALFORMED as error:
        raise BadAnswer from error
    return {"credential": credential, "counter": made.counter}


def begin_asking(request: HttpRequest, user: User) -> dict[str, Any]:
    """Return what the browser needs to ask one of ``user``'s keys, and remember the challenge."""
    options, state = _server(request).authenticate_begin(
        [_credential(key) for key in keys_of(user)], user_verification=UserVerificationRequirement.DISCOURAGED
    )
    _challenge(request.session, state)
    return dict(options)


def finish_asking(request: HttpRequest, user: User, answer: str) -> Authenticator:
    """Return the key of ``user``'s that answered. Raises ``BadAnswer``."""
    state, parsed = _answered(request.session), _parse(answer)
    try:
        keys = [(key, _credential(key)) for key in keys_of(user)]
        known = _server(request).authenticate_complete(state, [credential for _key, credential in keys], parsed)
        counter = AuthenticationResponse.from_dict(parsed).response.authenticator_data.counter
    except _MALFORMED as error:
        raise BadAnswer from error
    key = next(key for key, credential in keys if credential.credential_id == known.credential_id)
    # A key that counts and has not counted on is a copy. Most passkeys do not count: they say 0.
    if counter <= key.data.get("counter", 0) != 0:
        raise BadAnswer
    key.data["counter"] = counter
    key.save(update_fields=["data"])
    return key
