"""The file that says how people sign in: read whole, or refused with the name of what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from console.accounts.identities import MOST_GROUPS, groups_in
from console.sign_in import LdapSettings, OidcSettings, Roles, SignIn, normal_dn, read

LDAP = 'url = "ldaps://ldap.example.com"\nbase = "dc=example"\n'
SMALLEST = 'issuer = "https://id.example.com"\nclient_id = "pilothouse"\n'


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the file is, on a machine that could ask a directory."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: "there")
    return tmp_path / "sign-in.toml"


def test_the_smallest_file(path: Path) -> None:
    path.write_text(f"[oidc]\n{SMALLEST}")
    assert read(path) == SignIn(oidc=OidcSettings(issuer="https://id.example.com", client_id="pilothouse"))
    assert read(path).is_configured


def test_what_the_readme_shows_is_read(path: Path) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    shown = [block.partition("```")[0] for block in readme.split("```toml\n")[1:]]
    path.write_text("\n".join(shown))
    for name in ("oidc-secret", "ldap-password", "ca.pem"):
        (path.parent / name).write_text("…")
    found = read(path)
    assert found.oidc is not None
    assert found.ldap is not None


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


def test_the_smallest_directory(path: Path) -> None:
    path.write_text(f"[ldap]\n{LDAP}")
    assert read(path) == SignIn(ldap=LdapSettings(url="ldaps://ldap.example.com", base="dc=example"))


def test_every_setting_of_a_directory(path: Path) -> None:
    (path.parent / "secret").write_text("a secret\n")
    path.write_text(
        """[ldap]
        url = "ldap://ldap.example.com:3389"
        start_tls = true
        base = "ou=people,dc=example"
        bind_dn = "cn=pilothouse,dc=example"
        bind_password_file = "secret"
        name = "Acme"
        filter = "(&(objectClass=user)(sAMAccountName={name}))"
        id_attribute = "objectGUID"
        username_attribute = "sAMAccountName"
        name_attribute = "displayName"
        email_attribute = "userPrincipalName"
        group_base = "ou=groups,dc=example"
        group_filter = "(uniqueMember={dn})"
        admin_groups = ["CN=Admins, OU=groups, DC=example"]
        """
    )
    found = read(path).ldap
    assert found == LdapSettings(
        url="ldap://ldap.example.com:3389",
        start_tls=True,
        base="ou=people,dc=example",
        bind_dn="cn=pilothouse,dc=example",
        bind_password="a secret",
        name="Acme",
        filter="(&(objectClass=user)(sAMAccountName={name}))",
        id_attribute="objectGUID",
        username_attribute="sAMAccountName",
        name_attribute="displayName",
        email_attribute="userPrincipalName",
        group_base="ou=groups,dc=example",
        group_filter="(uniqueMember={dn})",
        roles=Roles(admin_groups=frozenset({"cn=admins,ou=groups,dc=example"})),
    )
    assert "a secret" not in repr(found)


def test_a_directory_on_this_machine_needs_no_tls(path: Path) -> None:
    path.write_text('[ldap]\nurl = "ldap://127.0.0.1:389"\nbase = "dc=example"')
    assert read(path).is_configured


def test_without_the_library_a_directory_says_what_to_install(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    path.write_text(f"[ldap]\n{LDAP}")
    with pytest.raises(ImproperlyConfigured, match=r"python-ldap.*requirements/ldap.txt"):
        read(path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("base = 'dc=example'", "ldap.url"),
        ("url = 'ldaps://ldap.example.com'", "ldap.base"),
        ("url = 'ldap://ldap.example.com'\nbase = 'dc=example'", "ldap.url: passwords would be sent in the open"),
        ("url = 'ldap://ldap.example.com'\nbase = 'x'\nstart_tls = false", "ldap.url"),
        ("url = 'http://127.0.0.1'\nbase = 'x'", "ldap.url"),
        ("url = 'ldaps://'\nbase = 'x'", "ldap.url"),
        ("url = 'ldaps://a:b'\nbase = 'x'", "ldap.url"),
        ("url = 'ldap://127.0.0.1 ldap://elsewhere.example'\nbase = 'x'", "ldap.url"),
        ("url = 'ldaps://ldap.example.com/dc=example??sub'\nbase = 'x'", "ldap.url"),
        (f"{LDAP}start_tls = true", "ldap.start_tls"),
        (f"{LDAP}start_tls = 'yes'", "ldap.start_tls"),
        (f"{LDAP}bind_dn = 'cn=x'", "ldap.bind_dn"),
        (f"{LDAP}bind_password_file = 'secret'", "ldap.bind_dn"),
        (f"{LDAP}bind_password = 'in the open'", "ldap.bind_password"),
        (f"{LDAP}filter = '(uid=*)'", "ldap.filter"),
        (f"{LDAP}filter = 'uid={{name}}'", "ldap.filter"),
        (f"{LDAP}group_filter = '(member={{name}})'", "ldap.group_filter"),
    ],
)
def test_a_mistake_about_a_directory_is_named(path: Path, text: str, named: str) -> None:
    (path.parent / "secret").write_text("a secret\n")
    path.write_text(f"[ldap]\n{text}")
    with pytest.raises(ImproperlyConfigured, match=named):
        read(path)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("CN=Sailors, OU=Groups", "cn=sailors,ou=groups", True),
        ("cn = sailors , ou = groups", "cn=sailors,ou=groups", True),
        ("cn=a\\, b,ou=groups", "cn=a\\,b,ou=groups", False),
        ("cn=sea men,ou=groups", "cn=seamen,ou=groups", False),
    ],
)
def test_two_writings_of_one_name_compare(one: str, other: str, same: bool) -> None:
    assert (normal_dn(one) == normal_dn(other)) is same


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
