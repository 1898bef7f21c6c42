"""What a sign-in asks for after the password."""

from __future__ import annotations

from allauth.account.stages import LoginStage
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.crypto import constant_time_compare

from console.accounts import second_factor
from console.accounts.models import User


class SecondStep(LoginStage):  # type: ignore[misc]
    """A code, a recovery code or a security key."""

    key = "second_factor"
    urlname = "second-step"

    def handle(self) -> tuple[HttpResponse | None, bool]:
        """Lead to the second step, if this person has set one up."""
        if not second_factor.is_set_up(self.login.user):
            return None, True
        self.state["password"] = self.login.user.get_session_auth_hash()
        return HttpResponseRedirect(reverse(self.urlname)), True

    @property
    def user(self) -> User:
        """Who gave the right password."""
        user: User = self.login.user
        return user

    def is_still_good(self) -> bool:
        """Whether the first step still counts: the person may be suspended or have another password meanwhile."""
        user = self.login.user
        return (
            user is not None
            and user.is_active
            and second_factor.is_set_up(user)
            and constant_time_compare(self.state.get("password", ""), user.get_session_auth_hash())
        )
