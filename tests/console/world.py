"""A small world with everybody and one of everything: what tests go through that ask who may do what.

Alice, bob and charlie are too few for that: here are a person of every kind, and each thing three times over: the team
red's, the team blue's and nobody's.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.db import connection, transaction
from django.http.response import HttpResponseBase
from django.test import Client
from django.test.utils import override_settings
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from console import gateway
from console.accounts.models import GroupMapping, Membership, Role, Source, Team, TeamRole, User
from console.accounts.services import issue_bootstrap_link
from console.containers.network_services import assign_network
from console.containers.services import assign_container, start_container
from console.containers.volume_services import assign_volume
from console.gateway import ContainerSpec, NetworkSpec, VolumeSpec
from console.hosts.models import Host, HostState
from console.inventory.models import ObservedContainer, ObservedImage, ObservedNetwork, ObservedVolume
from console.inventory.services import observe_container, observe_images, observe_networks, observe_volumes
from console.lib.origin import Origin
from console.logs.models import KeptLog
from console.operations.models import OperationState
from console.people.invitation_services import invite
from console.policies.rules import Rules
from console.policies.services import save_policy
from console.rbac.models import HostGrant
from console.recordings.models import Recording, RecordingState
from console.terminals.models import ShellApproval, TerminalSession, TerminalShare
from runtime.testing import FakeEngine
from tests.console.terminals.oversight import open_terminal
from tests.console.tokens import issue

ANONYMOUS: Final = "anonymous"
#: Roles are meant towards the team red. The stranger owns the team blue; the suspended signed in before.
PEOPLE: Final = (ANONYMOUS, "stranger", "viewer", "member", "owner", "auditor", "admin", "suspended")
#: Whose things: asked with the red ones, the stranger is a stranger.
WHOSE: Final = ("red", "blue", "nobody")
PASSWORD: Final = "correct horse battery"

#: What every signed-in visit may write: who was seen when, and how often somebody tried.
BOOKKEEPING: Final = frozenset({"django_session", "usersessions_usersession", "cache"})
RECORD: Final = frozenset({"audit_auditevent", "audit_audittext"})
#: What a web process may ask of an engine.
READS: Final = re.compile(r"ping|info|logs|stats|(list|inspect)_\w+")

#: What it may ask beside, where bytes go straight through.
PASSES: Final = re.compile(rf"{READS.pattern}|open_exec|run_exec|kill_execs|(stat|get|put)_archive")

_WRITE: Final = re.compile(r'\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM|REPLACE INTO)\s+"?(\w+)', re.IGNORECASE)
_PER_ANSWER: Final = (
    # The request's id.
    re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    re.compile(rb'name="csrfmiddlewaretoken" value="\w+"'),
    re.compile(rb'name="csrf-token" content="\w+"'),
    re.compile(rb"nonce[-=]\"?[\w+/=-]+"),
)


#: Did what it is there for: 2xx or 3xx.
OK: Final = "ok"
#: 404, the same in every byte as for something that never was.
HIDE: Final = "hide"
#: 403, and a row of the record says so.
DENY: Final = "deny"
#: 400: makes no sense at this address, whoever asks.
BAD: Final = "400"
#: Led to the sign-in, or 401.
LOGIN: Final = "login"


@dataclass(frozen=True, slots=True)
class Row:
    """What everybody is answered, and what to ask with: ids stand in braces."""

    answers: Mapping[str, str]
    form: Mapping[str, str]
    url: Mapping[str, str]
    hidden_as: int
    of: tuple[str, ...]
    query: Mapping[str, str]
    passes: bool


def row(
    *answers: str,
    form: Mapping[str, str] | None = None,
    hidden_as: int = 404,
    of: tuple[str, ...] = WHOSE,
    query: Mapping[str, str] | None = None,
    passes: bool = False,
    **url: str,
) -> Row:
    """The answers for everybody in the order of PEOPLE about a thing of red's, what to send, and parts of the address.

    About blue's and nobody's things the answers follow from these. ``of`` leaves some out: where the role is asked
    before the thing. ``hidden_as`` is for what was chosen from a list: the list itself then says that it is not there.
    With a ``query`` what is posted is no form, but bytes. ``passes``: they go straight through, as for a terminal.
    """
    return Row(dict(zip(PEOPLE, answers, strict=True)), form or {}, url, hidden_as, of, query or {}, passes)


def expected(answers: Mapping[str, str], who: str, *, whose: str) -> str:
    """What ``who`` is answered about a thing of ``whose``, when these are the answers about red's."""
    if whose == "red" or who in (ANONYMOUS, "auditor", "admin", "suspended"):
        return answers[who]
    return answers["owner" if whose == "blue" and who == "stranger" else "stranger"]


@dataclass(slots=True)
class World:
    """Everybody's sessions, and the ids of everything."""

    engine: FakeEngine
    people: dict[str, User] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    things: dict[str, dict[str, str]] = field(default_factory=dict)
    #: Ids of the same shapes, of things that never were.
    never: dict[str, str] = field(default_factory=dict)

    def browser(self, who: str, **options: Any) -> Client:
        """A browser in which somebody has signed in."""
        client = Client(**options)
        if who != ANONYMOUS:
            client.cookies[settings.SESSION_COOKIE_NAME] = self.sessions[who]
        return client


@dataclass(slots=True)
class Witness:
    """What was written to the database and asked of the engine while somebody looked."""

    engine: FakeEngine
    tables: set[str] = field(default_factory=set)

    @property
    def calls(self) -> list[str]:
        """What the engine was asked."""
        return list(self.engine.calls)

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        """See a statement pass by."""
        if found := _WRITE.match(sql):
            self.tables.add(found[1])
        return execute(sql, params, many, context)


@contextmanager
def undone(world: World) -> Iterator[Witness]:
    """Look at what happens, and let none of it have happened."""
    world.engine.calls.clear()
    witness = Witness(world.engine)
    with transaction.atomic(), connection.execute_wrapper(witness):
        yield witness
        transaction.set_rollback(True)


def build(engine: FakeEngine) -> World:
    """Make the world, in the transaction at hand."""
    world = World(engine)
    # Before there is an admin, or there would be none to give.
    link = issue_bootstrap_link()
    assert link is not None
    host = Host.objects.create(
        name="harbour", url="unix:///nowhere/harbour.sock", state=HostState.REACHABLE, seen_at=timezone.now()
    )
    teams = {name: Team.objects.create(name=name) for name in ("red", "blue", "green")}
    for name in ("red", "blue"):
        HostGrant.objects.create(team=teams[name], host=host)
        teams[f"{name}-empty"] = Team.objects.create(name=f"{name}-empty")
    spare = Host.objects.create(name="pier", url="unix:///nowhere/pier.sock")
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        _make_people(world, teams)
    for name in ("red", "blue"):
        save_policy(actor=world.people["admin"], team=teams[name], rules=Rules(images=("*",)), note="", based_on=0)
    _fill_host(world, host, teams, spare_host_id=str(spare.pk), first_admin_token=link.token)
    # On a host that there is: the stranger knows it.
    world.never = {
        name: value if name.startswith("host_") else _another(value) for name, value in world.things["red"].items()
    }
    engine.calls.clear()
    return world


def _make_people(world: World, teams: Mapping[str, Team]) -> None:
    places = {
        "stranger": ("blue", TeamRole.OWNER),
        "suspended": ("red", TeamRole.OWNER),
        **{role.value: ("red", role) for role in TeamRole},
    }
    roles = {"admin": Role.ADMIN, "auditor": Role.AUDITOR}
    # Somebody to do things to, beside those who do them.
    others = {"another-red": ("red", TeamRole.OWNER), "another-blue": ("blue", TeamRole.OWNER), "bystander": None}
    for name in (*PEOPLE[1:], *others):
        person = User.objects.create_user(name, PASSWORD, role=roles.get(name, Role.USER))
        place = places.get(name) or others.get(name)
        if place:
            for team in (teams[place[0]], teams[f"{place[0]}-empty"]):
                Membership.objects.create(person=person, team=team, role=place[1])
        client = Client()
        client.force_login(person)
        client.get(reverse("javascript-catalog"))  # so that the session is in the list of sessions
        world.people[name] = person
        world.sessions[name] = client.cookies[settings.SESSION_COOKIE_NAME].value
    # Not by our own service, which would end the session too: here the session is all that is left.
    User.objects.filter(username="suspended").update(is_active=False)


def _fill_host(world: World, host: Host, teams: Mapping[str, Team], **more: str) -> None:
    admin = world.people["admin"]
    # Long enough to be found in a page.
    session_id = 1_000_000_007
    UserSession.objects.filter(session_key=world.sessions["owner"]).update(id=session_id)
    owner = world.people["owner"]
    token = issue(owner)
    # Somebody's who asks for nothing: whoever has one is asked for it instead of the password.
    key = Authenticator(user=world.people["bystander"], type=Authenticator.Type.WEBAUTHN, data={"name": "blue key"})
    connection = SocialAccount(user=owner, provider="https://id.example", uid="owner-there")
    mapping = GroupMapping(source=Source.OIDC, group="sailors", team=teams["green"])
    for found in (key, connection, mapping):
        found.id = session_id
        found.save()
    observe_images(host)
    image_id = ObservedImage.objects.get().image_id.removeprefix("sha256:")
    for whose in WHOSE:
        team = teams.get(whose)
        container = _make_container(host, f"{whose}-1")
        if team is not None:
            assign_container(actor=admin, container=container, team=team)
        operation = start_container(actor=admin, container=container)
        ended = start_container(actor=admin, container=container)
        type(ended).objects.filter(pk=ended.pk).update(state=OperationState.FAILED, ended_at=timezone.now())
        invited = invite(actor=admin, origin=Origin(), team=team, note=f"for {whose}")
        joined = invite(actor=admin, origin=Origin(), team=teams["green"])
        person = world.people.get(f"another-{whose}", world.people["bystander"])
        volume_name, network_id = _make_belongings(host, whose, team=team, admin=admin)
        holder = world.people["member" if whose == "red" else "bystander"]
        terminal, approval = _make_terminal(container, holder, guest=person, team=team or teams["green"])
        recording = _make_recording(host, container, team=team, person=world.people["bystander"])
        world.things[whose] = {
            "host_id": str(host.pk),
            "host_name": host.name,
            "container_id": container.container_id,
            "container_name": container.name,
            "image_id": image_id,
            "terminal_id": str(terminal.pk),
            "approval_id": str(approval.pk),
            "volume_name": volume_name,
            "network_id": network_id,
            "network_name": f"{whose}-network",
            "key_id": str(key.pk),
            "connection_id": str(connection.pk),
            "mapping_id": str(mapping.pk),
            "operation_id": str(operation.pk),
            "recording_id": str(recording.pk),
            "ended_operation_id": str(ended.pk),
            "person_id": str(person.pk),
            "session_id": str(session_id),
            "token_id": str(token.token.pk),
            "log_id": str(_make_log(container, team).pk),
            "invitation_id": str(invited.invitation.pk),
            "invitation_token": joined.token,
            **more,
        }
        if team is not None:
            empty = teams[f"{whose}-empty"]
            world.things[whose] |= {
                "team_id": str(team.pk),
                "empty_team_id": str(empty.pk),
                "empty_team_name": empty.name,
            }


def _make_belongings(host: Host, whose: str, *, team: Team | None, admin: User) -> tuple[str, str]:
    """Make a volume and a network, and give them to ``team``; return the name and the id."""

    async def make(engine: gateway.ContainerEngine) -> str:
        await engine.create_volume(VolumeSpec(name=f"{whose}-volume"))
        return await engine.create_network(NetworkSpec(name=f"{whose}-network"))

    network_id = gateway.call(host.endpoint, make)
    observe_volumes(host)
    observe_networks(host)
    volume = ObservedVolume.objects.select_related("host").get(name=f"{whose}-volume")
    if team is not None:
        assign_volume(actor=admin, volume=volume, team=team)
        network = ObservedNetwork.objects.select_related("host").get(network_id=network_id)
        assign_network(actor=admin, network=network, team=team)
    return volume.name, network_id


def _make_terminal(
    container: ObservedContainer, holder: User, *, guest: User, team: Team
) -> tuple[TerminalSession, ShellApproval]:
    """Have ``holder`` be at a terminal, shared with ``guest``, and ask to be let into another."""
    where: dict[str, Any] = {
        "person": holder,
        "host": container.host,
        "container_id": container.container_id,
        "container_name": container.name,
    }
    terminal = open_terminal(holder, container)
    TerminalShare.objects.create(session=terminal, person=guest, by=holder)
    return terminal, ShellApproval.objects.create(team=team, reason="repair", minutes=30, **where)


def _make_log(container: ObservedContainer, team: Team | None) -> KeptLog:
    """A kept log without lines."""
    return KeptLog.objects.create(
        host_id=container.host_id,
        host_name=container.host.name,
        container_id=container.container_id,
        container_name=container.name,
        image=container.image,
        lineage=f"name {container.name}",
        team=team,
        team_name=team.name if team is not None else "",
        created_at=container.created_at,
        days=7,
    )


def _make_recording(host: Host, container: ObservedContainer, *, team: Team | None, person: User) -> Recording:
    """Make a recording of somebody who is asked for nothing, with a file that is not whole."""
    recording = Recording.objects.create(
        session_id=uuid.uuid4(),
        person=person,
        person_name=person.username,
        team=team,
        team_name=team.name if team else "",
        host=host,
        host_name=host.name,
        container_id=container.container_id,
        container_name=container.name,
        path=f"{container.container_id}.cast",
        state=RecordingState.INCOMPLETE,
        started_at=timezone.now(),
        keep_days=30,
    )
    recording.file.parent.mkdir(exist_ok=True)
    recording.file.write_text('{"version": 2, "width": 80, "height": 24}\n[0.1, "o", "hello"]\n')
    return recording


def _make_container(host: Host, name: str) -> ObservedContainer:
    spec = ContainerSpec(
        name=name, image="starter:latest", command=("sleep", "1000"), environment=(("API_TOKEN", "sesame"),)
    )

    async def make(engine: gateway.ContainerEngine) -> str:
        container_id = await engine.create_container(spec)
        await engine.start_container(container_id)
        return container_id

    container_id = gateway.call(host.endpoint, make)
    observe_container(host, container_id)
    return ObservedContainer.objects.select_related("host").get(container_id=container_id)


def _another(value: str) -> str:
    """Something of the same shape, and length, that nobody has."""
    if re.fullmatch(r"[0-9a-f]{64}", value):
        return secrets.token_hex(32)
    if re.fullmatch(r"[0-9a-f-]{36}", value):
        return str(uuid.uuid4())
    if value.isdigit():
        return str(int(value) + 1)
    return secrets.token_urlsafe(len(value))[: len(value)]


@contextmanager
def one_engine() -> Iterator[FakeEngine]:
    """Whatever opens an engine, and from wherever, gets this one."""
    engine = FakeEngine()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gateway, "connect", lambda _endpoint: engine)
        patch.setattr(gateway, "_engines", {})
        patch.setattr(gateway, "ask_hub", lambda _order: {"terminals": []})
        yield engine
        gateway.submit(engine.shut_down).result()


def routes() -> dict[str, tuple[str, ...]]:
    """Every address of the console by its name, and the parameters in it. Fails for one without a name."""
    found: dict[str, tuple[str, ...]] = {}

    def walk(patterns: list[URLPattern | URLResolver], *, above: tuple[str, ...], path: str) -> None:
        for pattern in patterns:
            here, parameters = f"{path}{pattern.pattern}", (*above, *pattern.pattern.converters)
            if isinstance(pattern, URLResolver):
                walk(pattern.url_patterns, above=parameters, path=here)
                continue
            assert pattern.name, f"{here} has no name: give it one, and say in the access matrix who may do what there"
            assert pattern.name not in found, f"two addresses are called {pattern.name}"
            found[pattern.name] = parameters

    walk(get_resolver().url_patterns, above=(), path="/")
    return found


def alike(answer: HttpResponseBase, *, things: Mapping[str, str], never: Mapping[str, str]) -> tuple[Any, ...]:
    """What an answer says, without what is of one request only, and with the ids that were asked for taken out."""

    def plain(text: bytes) -> bytes:
        for name, value in sorted(never.items(), key=lambda item: -len(item[1])):
            for known in (things.get(name), value):
                text = text.replace(known.encode(), f"<{name}>".encode()) if known and len(known) > 5 else text
        for pattern in _PER_ANSWER:
            text = pattern.sub(b"<one answer's>", text)
        return text

    headers = {
        name: plain(value.encode()) for name, value in answer.headers.items() if name not in ("Content-Length", "Date")
    }
    return answer.status_code, headers, plain(getattr(answer, "content", b"")), sorted(answer.cookies)
