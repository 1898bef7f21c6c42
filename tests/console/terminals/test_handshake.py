"""Who may open a socket at all: pages of ours, in a browser where somebody is signed in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.conf import settings

from console.accounts.models import User
from console.lib import websocket
from console.lib.websocket import in_database
from runtime.testing import FakeEngine
from tests.console.terminals.conftest import ORIGIN, Closed, Viewer, headers_of, untouched
from tests.console.tokens import issue

pytestmark = pytest.mark.django_db(transaction=True)
PATHS = ("/ws/terminal/", "/ws/logs/", "/ws/stats/")
SignIn = Callable[[User], str]


async def refused(path: str, headers: list[tuple[bytes, bytes]]) -> None:
    viewer = Viewer(path, headers=headers)
    with pytest.raises(Closed):
        await viewer.accepted()
    await viewer.task


async def opens(path: str, headers: list[tuple[bytes, bytes]]) -> None:
    viewer = Viewer(path, headers=headers)
    await viewer.accepted()
    viewer.leave()
    await viewer.task


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_of_ours_opens_one(path: str, alice: User, signed_in: SignIn) -> None:
    await opens(path, headers_of(await in_database(lambda: signed_in(alice))))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "origins",
    [
        [],
        [b"null"],
        [b""],
        [b"https://evil.example"],
        [b"http://testserver.evil.example"],
        [b"http://evil.testserver"],
        [b"https://testserver"],
        [b"http://testserver:8080"],
        [b"http://testserver/"],
        [b"http://testserver."],
        [b"HTTP://TESTSERVER"],
        [b"http://Testserver"],
        [b" http://testserver"],
        [b"http://testserver\x0b"],
        [b"http://user@testserver"],
        [ORIGIN, ORIGIN],
        [ORIGIN, b"https://evil.example"],
        [b"https://evil.example", ORIGIN],
        [ORIGIN + b", https://evil.example"],
        ["http://téstserver".encode()],
    ],
)
async def test_any_other_origin_is_refused(
    path: str, origins: list[bytes], alice: User, signed_in: SignIn, engine: FakeEngine
) -> None:
    key = await in_database(lambda: signed_in(alice))
    cookie = [header for header in headers_of(key) if header[0] == b"cookie"]
    with untouched(engine):
        await refused(path, [*((b"origin", origin) for origin in origins), *cookie])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "cookie", [b"", b"pilothouse_session=", b"pilothouse_session=nobodys", b"other=1", b"\xff=;;==", b"a=b; " * 500]
)
async def test_nobody_signed_in_is_refused(path: str, cookie: bytes, alice: User, engine: FakeEngine) -> None:
    with untouched(engine):
        await refused(path, [(b"origin", ORIGIN), (b"cookie", cookie)])


@pytest.mark.parametrize("path", [*PATHS, "/ws/live/"])
async def test_a_token_opens_none_not_even_beside_a_session(
    path: str, alice: User, signed_in: SignIn, engine: FakeEngine
) -> None:
    issued = await in_database(lambda: issue(alice))
    bearer = (b"authorization", f"Bearer {issued.text}".encode())
    mine = headers_of(await in_database(lambda: signed_in(alice)))
    with untouched(engine):
        await refused(path, [(b"origin", ORIGIN), bearer])
        await refused(path, [*mine, bearer])
        await refused(f"{path}?token={issued.text}", mine)
    await opens(path, mine)


async def test_somebody_deactivated_is_refused(alice: User, signed_in: SignIn) -> None:
    key = await in_database(lambda: signed_in(alice))
    await in_database(lambda: User.objects.filter(pk=alice.pk).update(is_active=False))
    await refused("/ws/terminal/", headers_of(key))


async def test_a_session_from_before_a_new_password_is_refused(alice: User, signed_in: SignIn) -> None:
    key = await in_database(lambda: signed_in(alice))

    def change() -> None:
        alice.set_password("another horse battery")
        alice.save()

    await in_database(change)
    await refused("/ws/logs/", headers_of(key))


@pytest.mark.parametrize("path", ["/ws/none/", "/ws/logs", "/", "/containers/"])
async def test_a_path_without_a_socket_is_refused(path: str, alice: User, signed_in: SignIn) -> None:
    await refused(path, headers_of(await in_database(lambda: signed_in(alice))))


async def test_one_person_cannot_take_every_socket(
    alice: User, bob: User, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "MOST_SOCKETS", 2)
    mine = headers_of(await in_database(lambda: signed_in(alice)))
    first, second = Viewer("/ws/logs/", headers=mine), Viewer("/ws/logs/", headers=mine)
    await first.accepted()
    await second.accepted()
    await refused("/ws/logs/", mine)
    await opens("/ws/logs/", headers_of(await in_database(lambda: signed_in(bob))))
    first.leave()
    await first.task
    await opens("/ws/logs/", mine)
    second.leave()
    await second.task


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ([], "A log opens with what to read."),
        ([(b"accept-language", b"ko-KR,ko;q=0.9")], "로그를 열려면 무엇을 읽을지 정해야 합니다."),
        ([(b"cookie", f"{settings.LANGUAGE_COOKIE_NAME}=ko".encode())], "로그를 열려면 무엇을 읽을지 정해야 합니다."),
    ],
)
async def test_it_speaks_the_language_of_the_pages(
    header: list[tuple[bytes, bytes]], words: str, alice: User, signed_in: SignIn
) -> None:
    viewer = Viewer("/ws/logs/", headers=[*headers_of(await in_database(lambda: signed_in(alice))), *header])
    await viewer.accepted()
    viewer.send({"type": "close"})
    _code, error = await viewer.ending()
    assert error is not None
    assert error["message"] == words
    await viewer.task
