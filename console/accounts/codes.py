"""One-time codes: those of an authenticator app, and the recovery codes for the day when it is gone.

A code counts once. django-allauth's own check would not do: it remembers a code for 30 seconds, while with a step of
skew either way it is right for 90; and it says nothing to somebody whose clock is wrong.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from allauth.core.internal.cryptokit import normalize_user_code
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import format_hotp_value, generate_totp_secret, hotp_value
from django.db import transaction
from django.utils.crypto import constant_time_compare

from console.accounts.models import User
from console.lib.crypto import decrypt, encrypt

#: Seconds for which an app shows a code.
STEP: Final = 30
#: Steps that clocks may differ, either way.
SKEW: Final = 1
#: Steps, an hour either way, within which a code is recognised and told from a wrong one, but not taken.
_LOOK_AROUND: Final = 120
_SPENT_KEPT: Final = 100


class WrongCode(Exception):
    """The code is none of this person's."""


class SpentCode(WrongCode):
    """The code was right once."""


class OtherTime(WrongCode):
    """The code is right for another time: one of the two clocks is wrong by about ``minutes``."""

    def __init__(self, minutes: int) -> None:
        super().__init__(minutes)
        self.minutes = minutes


@dataclass(frozen=True, slots=True)
class _Match:
    #: The number of the step that the code belongs to.
    counter: int
    #: How many steps that is from now.
    distance: int

    def check(self) -> None:
        """Raise ``OtherTime`` when the clocks differ by more than is borne with."""
        if abs(self.distance) > SKEW:
            raise OtherTime(max(1, round(abs(self.distance) * STEP / 60)))


def new_secret() -> str:
    """Return a secret for an app to keep, in base 32."""
    secret: str = generate_totp_secret()
    return secret


def _match(secret: str, code: str) -> _Match | None:
    now = int(time.time()) // STEP
    for distance in sorted(range(-_LOOK_AROUND, _LOOK_AROUND + 1), key=abs):
        if constant_time_compare(code, format_hotp_value(hotp_value(secret, now + distance))):
            return _Match(now + distance, distance)
    return None


def check_new_app(secret: str, typed: str) -> int:
    """Return the step of a code that an app shows for ``secret``; it is spent by that. Raises ``WrongCode``."""
    match = _match(secret, normalize_user_code(typed))
    if match is None:
        raise WrongCode
    match.check()
    return match.counter


def add_app(user: User, *, secret: str, counter: int) -> Authenticator:
    """Keep the secret of an app, whose code of step ``counter`` has proved that it has it."""
    return Authenticator.objects.create(
        user=user, type=Authenticator.Type.TOTP, data={"secret": encrypt(secret), "spent": [counter]}
    )


def spend_code(user: User, typed: str) -> Authenticator:
    """Take a code of ``user``'s app or a recovery code, for the first and last time. Raises ``WrongCode``."""
    code = normalize_user_code(typed)
    with transaction.atomic():
        app = Authenticator.objects.select_for_update().filter(user=user, type=Authenticator.Type.TOTP).first()
        match = _match(decrypt(app.data["secret"]), code) if app is not None else None
        is_spent = False
        if app is not None and match is not None:
            spent: list[int] = app.data.get("spent", [])
            is_spent = match.counter in spent
            # A code of another time is spent as well: whoever was told that it is right must not wait for that time.
            app.data["spent"] = [*spent, match.counter][-_SPENT_KEPT:]
            app.save(update_fields=["data"])
    if match is not None:
        if is_spent:
            raise SpentCode
        match.check()
        return app
    recovery = Authenticator.objects.filter(user=user, type=Authenticator.Type.RECOVERY_CODES).first()
    if recovery is None or not RecoveryCodes(recovery).validate_code(code):
        raise WrongCode
    return recovery


def renew_recovery_codes(user: User) -> list[str]:
    """Replace the recovery codes of ``user`` and return the new ones, seen here once."""
    Authenticator.objects.filter(user=user, type=Authenticator.Type.RECOVERY_CODES).delete()
    codes: list[str] = RecoveryCodes.activate(user).generate_codes()
    return [f"{code[: len(code) // 2]} {code[len(code) // 2 :]}" for code in codes]


def count_recovery_codes(user: User) -> int | None:
    """Return how many recovery codes are left; ``None`` when there never were any."""
    row = Authenticator.objects.filter(user=user, type=Authenticator.Type.RECOVERY_CODES).first()
    return len(RecoveryCodes(row).get_unused_codes()) if row is not None else None
