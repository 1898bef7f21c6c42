"""The file that says how people sign in: read whole, or refused with the name of what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from console.accounts.identities import MOST_GROUPS, groups_in
from console.sign_in import OidcSettings, Roles, SignIn, read

SMALLEST = 'issuer = "https://id.example.com"\nclient_id = "pilothouse"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sign-in.toml"


def test_the_smallest_file(path: Path) -> None:
    path.write_text(f"[oidc]\n{SMALLEST}")
    assert read(path) == SignIn(oidc=OidcSettings(issuer="https://id.example.com", client_id="pilothouse"))
    assert read(path).is_configured


def test_an_empty_file_sets_nothing_up(path: Path) -> None:
    path.write_text("")
    assert not read(path).is_configured


def test_every_setting(path: Path) -> None:
    (path.parent / "secret").write_text("a secret\n")
    (path.parent / "ca.pem").write_text("…")
    path.write_text(
        f"""[oidc]
        {SMALLEST}
        name = "Acme"
        client_secret_file = "secret"
        scopes = ["openid", "groups"]
        groups_claim = "roles"
        admin_groups = ["captains"]
        auditor_groups = ["lookouts", "cn=guests, dc=example"]
        ca_file = "{path.parent / "ca.pem"}"
        """
    )
    assert read(path).oidc == OidcSettings(
        issuer="https://id.example.com",
        client_id="pilothouse",
        client_secret="a secret",
        name="Acme",
        scopes=("openid", "groups"),
        groups_claim="roles",
        roles=Roles(
            admin_groups=frozenset({"captains"}), auditor_groups=frozenset({"lookouts", "cn=guests, dc=example"})
        ),
        ca_file=path.parent / "ca.pem",
    )
    assert "a secret" not in repr(read(path))


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:8080", "http://localhost/realms/a", "http://[::1]"])
def test_a_provider_on_this_machine_needs_no_tls(path: Path, issuer: str) -> None:
    path.write_text(f'[oidc]\nissuer = "{issuer}"\nclient_id = "x"')
    assert read(path).is_configured


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[oidc", "is not TOML"),
        ("[odic]\n", "odic"),
        ("oidc = 1", "oidc"),
        ("[oidc]\nclient_id = 'x'", "oidc.issuer"),
        ("[oidc]\nissuer = 'http://id.example.com'\nclient_id = 'x'", "oidc.issuer"),
        ("[oidc]\nissuer = 'http://127.0.0.1.example.com'\nclient_id = 'x'", "oidc.issuer"),
        ("[oidc]\nissuer = 'https://'\nclient_id = 'x'", "oidc.issuer"),
        ("[oidc]\nissuer = 'https://[/'\nclient_id = 'x'", "oidc.issuer"),
        ("[oidc]\nissuer = 'id.example.com'\nclient_id = 'x'", "oidc.issuer"),
        ("[oidc]\nissuer = 'https://id.example.com'", "oidc.client_id"),
        (f"[oidc]\n{SMALLEST}name = ''", "oidc.name"),
        (f"[oidc]\n{SMALLEST}name = 1", "oidc.name"),
        (f'[oidc]\n{SMALLEST}name = "a\\nb"', "oidc.name"),
        (f"[oidc]\n{SMALLEST}admin_groups = 'captains'", "oidc.admin_groups"),
        (f"[oidc]\n{SMALLEST}admin_groups = [1]", "oidc.admin_groups"),
        (f"[oidc]\n{SMALLEST}scopes = ['profile']", "oidc.scopes"),
        (f"[oidc]\n{SMALLEST}client_secret = 'in the open'", "oidc.client_secret"),
        (f"[oidc]\n{SMALLEST}client_secret_file = 'not-there'", "not-there"),
        (f"[oidc]\n{SMALLEST}client_secret_file = 'empty'", "empty"),
        (f"[oidc]\n{SMALLEST}ca_file = 'not-there'", "oidc.ca_file"),
        (f"[oidc]\n{SMALLEST}admin_group = ['captains']", "oidc.admin_group"),
    ],
)
def test_a_mistake_is_named(path: Path, text: str, named: str) -> None:
    (path.parent / "empty").write_text("\n")
    path.write_text(text)
    with pytest.raises(ImproperlyConfigured, match=named) as raised:
        read(path)
    assert str(path.parent) in str(raised.value)


def test_a_file_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="PILOTHOUSE_SIGN_IN_FILE"):
        read(path)


@pytest.mark.parametrize(
    ("claim", "groups"),
    [
        (None, set()),
        ("sailors", {"sailors"}),
        (["sailors", "cooks", "sailors"], {"sailors", "cooks"}),
        (["sailors", 1, None, ["cooks"], "", "x" * 256], {"sailors"}),
        ({"sailors": True}, set()),
        (7, set()),
    ],
)
def test_groups_are_taken_from_a_claim_of_any_shape(claim: object, groups: set[str]) -> None:
    assert groups_in(claim) == groups


@pytest.mark.parametrize("count", [MOST_GROUPS, MOST_GROUPS + 1, MOST_GROUPS * 100])
def test_of_endless_groups_only_so_many_are_looked_at(count: int) -> None:
    assert len(groups_in([str(number) for number in range(count)])) == MOST_GROUPS
