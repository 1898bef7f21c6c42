"""What happens to people and their sessions, told to the floors above without knowing them."""

from __future__ import annotations

from django.dispatch import Signal

#: What people do with accounts without asking for a right: all that is sent below, joining by a link, and using a
#: token for what no token is for.
ACCOUNT_ACTIONS = frozenset(
    {
        "account.accept_invitation",
        "account.confirm",
        "account.create",
        "account.create_first_admin",
        "account.sign_in",
        "account.sign_out",
        "connection.add",
        "connection.remove",
        "password.change",
        "profile.edit",
        "second_factor.add_app",
        "second_factor.add_key",
        "second_factor.remove_app",
        "second_factor.remove_key",
        "second_factor.rename_key",
        "second_factor.renew_codes",
        "second_factor.turn_off",
        "session.end",
        "token.create",
        "token.revoke",
        "token.use",
    }
)

#: Somebody did something with an account. Sent within the transaction of the change, so a receiver that fails undoes
#: it. Keywords: action, outcome, actor (User or None), object_id, object_name, origin, details.
account_acted = Signal()

#: A provider told in which groups somebody is, by the sign-in at hand. Sent within its transaction. Keywords: person,
#: source, groups, origin.
groups_told = Signal()
