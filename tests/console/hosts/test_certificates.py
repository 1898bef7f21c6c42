"""The three PEM texts are checked before they are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from console.hosts.certificates import SIZE_LIMIT, BadPem, read_bundle
from tests.console.hosts.conftest import CA, CLIENT, make_pair

_LATE = make_pair(ends=timedelta(seconds=-1))
_EARLY = make_pair(begins=timedelta(days=1))
_LATE_CA = make_pair(is_ca=True, ends=timedelta(seconds=-1))


def read(**texts: str) -> object:
    given = {"ca_pem": CA.certificate, "certificate_pem": CLIENT.certificate, "key_pem": CLIENT.key, **texts}
    return read_bundle(**given, now=datetime.now(UTC))


def test_a_good_bundle_is_taken_with_its_end() -> None:
    bundle = read_bundle(
        ca_pem=CA.certificate + CA.certificate,
        certificate_pem=CLIENT.certificate,
        key_pem=CLIENT.key,
        now=datetime.now(UTC),
    )
    assert timedelta(days=89) < bundle.expires_at - datetime.now(UTC) < timedelta(days=91)
    assert bundle.credentials["key_pem"] == CLIENT.key
    assert CLIENT.key.splitlines()[1] not in repr(bundle)


@pytest.mark.parametrize(
    ("texts", "field", "hint"),
    [
        ({"ca_pem": "hello"}, "ca_pem", "BEGIN CERTIFICATE"),
        ({"ca_pem": CLIENT.key}, "ca_pem", "private key"),
        ({"ca_pem": CLIENT.certificate}, "ca_pem", "no CA"),
        ({"ca_pem": _LATE_CA.certificate}, "ca_pem", "ended on"),
        ({"ca_pem": CA.certificate[:200]}, "ca_pem", "cut off"),
        ({"ca_pem": "x" * (SIZE_LIMIT + 1)}, "ca_pem", "64 KiB"),
        ({"certificate_pem": CLIENT.certificate + CLIENT.key}, "certificate_pem", "private key"),
        ({"certificate_pem": _LATE.certificate, "key_pem": _LATE.key}, "certificate_pem", "ended on"),
        ({"certificate_pem": _EARLY.certificate, "key_pem": _EARLY.key}, "certificate_pem", "not valid before"),
        ({"key_pem": CA.key}, "key_pem", "does not belong"),
        ({"key_pem": CLIENT.certificate}, "key_pem", "no PEM key"),
        ({"key_pem": CLIENT.locked_key}, "key_pem", "password"),
        ({"key_pem": CLIENT.key[:100]}, "key_pem", "cut off"),
    ],
)
def test_what_cannot_be_used_is_refused_at_its_field(texts: dict[str, str], field: str, hint: str) -> None:
    with pytest.raises(BadPem) as refusal:
        read(**texts)
    assert refusal.value.field == field
    assert hint in str(refusal.value.sentence)
    assert CLIENT.key.splitlines()[1] not in str(refusal.value.sentence), "nothing of a key is repeated"
