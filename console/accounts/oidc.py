"""Single sign-on by OpenID Connect: what goes over the wire, and what is believed of the answer.

django-allauth keeps the state, makes the challenge (PKCE) and the requests. It knows no nonce, and skips the signature
of an ID token that came straight from the provider, so every claim is verified here.
"""

from __future__ import annotations

import enum
import io
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any, Final, cast
from urllib.parse import urljoin

import jwt
import requests
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.internal import statekit
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.crypto import constant_time_compare

from console.accounts.identities import SUBJECT_LENGTH, Proof, cleaned_email, groups_in, text_in
from console.accounts.models import Source
from console.lib.text import one_line
from console.sign_in import OidcSettings, is_confidential

#: Seconds that one answer of the provider may take, and how large it may be.
ANSWER_TIMEOUT: Final = 8.0
ANSWER_BYTES: Final = 256 * 1024
_CONNECT_TIMEOUT: Final = 3.0
#: Seconds that the provider's clock may differ from ours.
_LEEWAY: Final = 30
#: Only those with a public key: with a shared secret, whoever knows the public key could sign.
_ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
_OAUTH_ERROR: Final = re.compile(r'"error"\s*:\s*"(\w{1,60})"')
#: What reading an answer of any shape raises.
_GARBLED: Final = (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)


class Failure(enum.Enum):
    """Why nobody is signed in."""

    #: It does not answer, or not in time.
    UNREACHABLE = "unreachable"
    #: It answers, and what it says makes no sense, or is a refusal.
    GARBLED = "garbled"
    #: The person, or the provider, said no.
    DECLINED = "declined"
    #: What comes back was not begun in this browser, or too long ago.
    STALE = "stale"
    #: What it says cannot be believed.
    UNTRUSTED = "untrusted"


class SignInFailed(Exception):
    """The provider did not prove who somebody is. The sentence is for the log and the audit, never for the page."""

    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(f"{failure.value}: {detail}")
        self.failure = failure
        self.detail = one_line(detail, limit=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """Somebody comes back from the provider."""

    proof: Proof
    #: Where they wanted to go.
    next_url: str
    #: The account that was signed in when they left to connect it; empty when they left to sign in.
    connects: str


class ProviderRequests(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """How django-allauth makes its requests."""

    def get_requests_session(self) -> requests.Session:
        """A session that waits, reads and follows no more than it should."""
        session = _BoundedSession()
        ca_file = settings.SIGN_IN.oidc.ca_file if settings.SIGN_IN.oidc else None
        # The authorities that this machine trusts, with those its operator added; not a list of requests' own.
        session.verify = str(ca_file or ssl.get_default_verify_paths().cafile or "") or True
        return session


class _BoundedSession(requests.Session):
    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        if not is_confidential(request.url or ""):
            raise requests.exceptions.InvalidURL("an address that is neither https nor of this machine")
        # Compressed, a small answer could be a large one.
        request.headers["Accept-Encoding"] = "identity"
        options |= {"timeout": (_CONNECT_TIMEOUT, ANSWER_TIMEOUT), "allow_redirects": False, "stream": True}
        deadline = time.monotonic() + ANSWER_TIMEOUT
        body = bytearray()
        with super().send(request, **options) as response:
            # A timeout of the socket starts anew with every byte; this one does not.
            while part := response.raw.read1(64 * 1024):
                body += part
                if len(body) > ANSWER_BYTES:
                    raise requests.exceptions.RequestException(f"an answer of more than {ANSWER_BYTES} bytes")
                if time.monotonic() > deadline:
                    raise requests.exceptions.Timeout(f"an answer that took more than {ANSWER_TIMEOUT:.0f} s")
        response.raw = io.BytesIO(body)
        return response


class _Provider(OpenIDConnectProvider):  # type: ignore[misc]
    """The one provider that the operator named."""

    def __init__(self, request: HttpRequest, *, oidc: OidcSettings) -> None:
        app = SocialApp(
            provider="openid_connect",
            # What the state, and a link to an account, is kept under: another issuer is another provider.
            provider_id=oidc.issuer,
            name=oidc.name,
            client_id=oidc.client_id,
            secret=oidc.client_secret,
            settings={"server_url": oidc.issuer.rstrip("/"), "oauth_pkce_enabled": True, "scope": list(oidc.scopes)},
        )
        super().__init__(request, app=app)

    def get_oauth2_adapter(self, request: HttpRequest) -> _Exchange:
        return _Exchange(request, provider=self)


class _Exchange(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """Where the provider is asked, and how."""

    def __init__(self, request: HttpRequest, *, provider: _Provider) -> None:
        self._provider = provider
        super().__init__(request, provider.app.provider_id)

    def get_provider(self) -> _Provider:
        return self._provider

    def get_callback_url(self, _request: HttpRequest, _app: SocialApp) -> str:
        """The address that is registered at the provider, whatever name the browser used."""
        return urljoin(settings.PUBLIC_URL, reverse("oidc-callback"))

    @property
    def openid_config(self) -> dict[str, Any]:
        """What the provider says of itself, which must be about itself."""
        config = super().openid_config
        if not isinstance(config, dict) or config.get("issuer") != self.provider_id:
            raise SignInFailed(Failure.UNTRUSTED, "the provider describes another issuer than the configured one")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not isinstance(config.get(name), str) or not is_confidential(config[name]):
                raise SignInFailed(Failure.UNTRUSTED, f"the provider's {name} is missing, or is not https")
        return config

    @property
    def basic_auth(self) -> bool:
        """How the secret is shown: in the body where the provider takes it, for names with a colon work there."""
        methods = self.openid_config.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return bool(self.get_provider().app.secret) and "client_secret_post" not in methods


@contextmanager
def _failures() -> Iterator[None]:
    """Turn whatever may go wrong between us and the provider into :class:`SignInFailed`."""
    try:
        yield
    except requests.JSONDecodeError as error:
        raise SignInFailed(Failure.GARBLED, "an answer that is not JSON") from error
    except requests.RequestException as error:
        raise SignInFailed(Failure.UNREACHABLE, f"{type(error).__name__}: {error}") from error
    except jwt.PyJWTError as error:
        raise SignInFailed(Failure.UNTRUSTED, f"ID token: {type(error).__name__}: {error}") from error
    except OAuth2Error as error:
        # The whole of what it quotes could hold a token.
        said = _OAUTH_ERROR.search(str(error))
        detail = f"the provider said {said[1]}" if said else "an answer without a token"
        raise SignInFailed(Failure.GARBLED, detail) from error
    except _GARBLED as error:
        raise SignInFailed(Failure.GARBLED, f"{type(error).__name__}: {error}") from error


def leave(request: HttpRequest, *, oidc: OidcSettings, next_url: str = "", connects: str = "") -> str:
    """Return the address at the provider to send the browser to. Raises :class:`SignInFailed`."""
    nonce = token_urlsafe(32)
    with _failures():
        answer = _Provider(request, oidc=oidc).redirect(
            request,
            process="connect" if connects else "login",
            next_url=next_url,
            data=connects,
            auth_params={"nonce": nonce},
            nonce=nonce,
        )
        return cast("str", answer.url)


def come_back(request: HttpRequest, *, oidc: OidcSettings) -> Return:
    """Return who came back from the provider, and why they went. Raises :class:`SignInFailed`."""
    provider = _Provider(request, oidc=oidc)
    state = statekit.unstash_state(request, provider_id=provider.sub_id, state_id=request.GET.get("state", ""))
    if state is None:
        raise SignInFailed(Failure.STALE, "the state is unknown to this session, used, or too old")
    said = request.GET.get("error", "")
    if said:
        refused = said in ("access_denied", "login_required", "interaction_required", "consent_required")
        raise SignInFailed(Failure.DECLINED if refused else Failure.GARBLED, f"the provider said {said}")
    # RFC 9207: an answer of another provider is not to be taken to this one.
    if request.GET.get("iss", oidc.issuer) != oidc.issuer:
        raise SignInFailed(Failure.UNTRUSTED, "the answer names another issuer")
    code = request.GET.get("code", "")
    if not code:
        raise SignInFailed(Failure.GARBLED, "an answer without a code")
    with _failures():
        exchange = provider.get_oauth2_adapter(request)
        client = exchange.get_client(request, provider.app)
        tokens = client.get_access_token(code, pkce_code_verifier=state["pkce_code_verifier"])
        claims = _verified(tokens["id_token"], exchange=exchange, oidc=oidc, nonce=state["nonce"])
        claims = {**_user_info(tokens["access_token"], exchange=exchange, subject=claims["sub"]), **claims}
    return Return(
        proof=_proof(claims, oidc=oidc), next_url=state.get("next") or "", connects=str(state.get("data") or "")
    )


def _get(url: str, *, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    with ProviderRequests().get_requests_session() as session:
        response = session.get(url, headers=headers)
    response.raise_for_status()
    answer = response.json()
    if not isinstance(answer, dict):
        raise SignInFailed(Failure.GARBLED, "an answer that is not an object")
    return answer


def _verified(token: str, *, exchange: _Exchange, oidc: OidcSettings, nonce: str) -> dict[str, Any]:
    """Return the claims of an ID token that the provider signed, for us, now, for this very sign-in."""
    header = jwt.get_unverified_header(token)
    algorithm = header.get("alg")
    if algorithm not in _ALGORITHMS:
        raise SignInFailed(Failure.UNTRUSTED, f"an ID token signed by {algorithm!r}")
    claims = _with_right_key(
        token,
        keys=_keys(_get(exchange.openid_config["jwks_uri"]), algorithm=algorithm, key_id=header.get("kid")),
        algorithm=algorithm,
        oidc=oidc,
    )
    if not isinstance(claims.get("nonce"), str) or not constant_time_compare(claims["nonce"], nonce):
        raise SignInFailed(Failure.UNTRUSTED, "an ID token without the nonce of this sign-in")
    # Of several audiences, one asked for the token: it must be us.
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if claims.get("azp", oidc.client_id) != oidc.client_id or (len(audiences) > 1 and "azp" not in claims):
        raise SignInFailed(Failure.UNTRUSTED, "an ID token that another client asked for")
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_LENGTH:
        raise SignInFailed(Failure.UNTRUSTED, "an ID token without a usable subject")
    return claims


def _keys(answer: dict[str, Any], *, algorithm: str, key_id: object) -> Iterator[jwt.PyJWK]:
    """Yield the keys of the provider that may have signed."""
    for key in answer["keys"]:
        if (
            key.get("use", "sig") != "sig"
            or key.get("alg", algorithm) != algorithm
            or (key_id is not None and key.get("kid") != key_id)
        ):
            continue
        try:
            yield jwt.PyJWK(key, algorithm=algorithm)
        except jwt.PyJWTError:
            continue  # a key for another algorithm


def _with_right_key(token: str, *, keys: Iterator[jwt.PyJWK], algorithm: str, oidc: OidcSettings) -> dict[str, Any]:
    for key in keys:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=oidc.issuer,
                audience=oidc.client_id,
                leeway=_LEEWAY,
                options={"require": ["iss", "aud", "exp", "iat", "sub"]},
            )
        except jwt.InvalidSignatureError:
            continue
    raise SignInFailed(Failure.UNTRUSTED, "an ID token that none of the provider's keys signed")


def _user_info(access_token: str, *, exchange: _Exchange, subject: str) -> dict[str, Any]:
    """Return what the provider tells beside the ID token; some tell groups only there."""
    url = exchange.openid_config.get("userinfo_endpoint")
    if url is None:
        return {}
    answer = _get(url, headers={"Authorization": f"Bearer {access_token}"})
    if answer.get("sub") != subject:
        raise SignInFailed(Failure.UNTRUSTED, "user information about somebody else")
    return answer


def _proof(claims: Mapping[str, Any], *, oidc: OidcSettings) -> Proof:
    # Only the truth itself: "false", as a text, would be true.
    is_verified = claims.get("email_verified") is True
    return Proof(
        source=Source.OIDC,
        provider=oidc.issuer,
        subject=claims["sub"],
        username=text_in(claims.get("preferred_username")),
        name=text_in(claims.get("name")),
        email=cleaned_email(claims.get("email")) if is_verified else "",
        groups=groups_in(claims.get(oidc.groups_claim)),
    )
