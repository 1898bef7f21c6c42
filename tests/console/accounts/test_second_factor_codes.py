"""One-time codes: each counts once, and only near its time."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from console.accounts import codes
from console.accounts.models import User
from tests.console.accounts.second_factors import NOW, App, Clock

STEP = codes.STEP


@pytest.fixture
def app(alice: User, clock: Clock) -> App:
    """Alice's app, set up long ago."""
    secret = codes.new_secret()
    codes.add_app(alice, secret=secret, counter=0)
    return App(secret)


@pytest.mark.parametrize("seconds", [-STEP, 0, STEP - 1, STEP])
def test_a_code_of_the_step_before_or_after_is_taken(seconds: int, app: App, alice: User) -> None:
    assert codes.spend_code(alice, app.code(NOW + seconds)).type == "totp"


@pytest.mark.parametrize(
    ("seconds", "minutes"), [(-2 * STEP, 1), (2 * STEP, 1), (-300, 5), (300, 5), (-3600, 60), (3600, 60)]
)
def test_a_code_of_further_away_is_refused_and_the_clocks_are_named(
    seconds: int, minutes: int, app: App, alice: User
) -> None:
    with pytest.raises(codes.OtherTime) as caught:
        codes.spend_code(alice, app.code(NOW + seconds))
    assert caught.value.minutes == minutes


@pytest.mark.parametrize("seconds", [-3600 - STEP, 3600 + STEP])
def test_beyond_an_hour_it_is_a_wrong_code(seconds: int, app: App, alice: User) -> None:
    with pytest.raises(codes.WrongCode) as caught:
        codes.spend_code(alice, app.code(NOW + seconds))
    assert type(caught.value) is codes.WrongCode


def test_a_code_is_taken_once_for_as_long_as_it_would_be_right(app: App, alice: User, clock: Clock) -> None:
    code = app.code(NOW + STEP)
    codes.spend_code(alice, code)
    for later in (0, 29, 31, 59, 89):
        clock.now = NOW + later
        with pytest.raises(codes.SpentCode):
            codes.spend_code(alice, code)


def test_the_next_code_is_another(app: App, alice: User, clock: Clock) -> None:
    codes.spend_code(alice, app.code())
    clock.now = NOW + STEP
    codes.spend_code(alice, app.code(NOW + STEP))


def test_a_code_that_was_found_to_be_of_the_future_is_worthless_then(app: App, alice: User, clock: Clock) -> None:
    code = app.code(NOW + 600)
    with pytest.raises(codes.OtherTime):
        codes.spend_code(alice, code)
    clock.now = NOW + 600
    with pytest.raises(codes.SpentCode):
        codes.spend_code(alice, code)


def test_a_clock_that_is_set_back_brings_no_code_back(app: App, alice: User, clock: Clock) -> None:
    codes.spend_code(alice, app.code())
    clock.now = NOW + 3600
    codes.spend_code(alice, app.code(NOW + 3600))
    clock.now = NOW
    with pytest.raises(codes.SpentCode):
        codes.spend_code(alice, app.code())


@pytest.mark.parametrize("written", ["{0}{1}", "{0} {1}", " {0}-{1} "])
def test_a_code_may_be_written_in_parts(written: str, app: App, alice: User) -> None:
    code = app.code()
    codes.spend_code(alice, written.format(code[:3], code[3:]))


@pytest.mark.parametrize("typed", ["", "1", "abcdef", "１２３４５６", "0" * 40, "\0" * 6])
def test_what_is_no_code_is_a_wrong_one(typed: str, app: App, alice: User) -> None:
    with pytest.raises(codes.WrongCode):
        codes.spend_code(alice, typed)


def test_another_persons_code_is_a_wrong_one(app: App, bob: User) -> None:
    with pytest.raises(codes.WrongCode):
        codes.spend_code(bob, app.code())


def test_a_recovery_code_is_taken_once(app: App, alice: User) -> None:
    first, second, *_others = codes.renew_recovery_codes(alice)
    assert codes.spend_code(alice, first).type == "recovery_codes"
    with pytest.raises(codes.WrongCode):
        codes.spend_code(alice, first)
    assert codes.count_recovery_codes(alice) == 9
    codes.spend_code(alice, second.replace(" ", ""))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_of_many_who_use_one_code_at_once_one_gets_in(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock.install(monkeypatch)
    person = User.objects.create_user("alice", "correct horse battery")
    secret = codes.new_secret()
    codes.add_app(person, secret=secret, counter=0)
    code = App(secret).code() if kind == "app" else codes.renew_recovery_codes(person)[0]
    start, taken = threading.Barrier(6), []

    def race() -> None:
        start.wait()
        try:
            taken.append(codes.spend_code(person, code).type)
        except codes.WrongCode:
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=race) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1
