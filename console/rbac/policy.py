"""Who may do what: the one check behind pages, sockets and workers.

An action's name is the operation kind and the audit action too: ``container.start``. Until teams exist, an active
admin may do everything and everybody else nothing.
"""

from __future__ import annotations

from console.accounts.models import User

#: Every action there is. A name that is not here is refused, so a misspelt check denies.
ACTIONS = frozenset(
    {
        "host.view",
        "host.add",
        "host.test",
        "host.edit",
        "host.remove",
        "container.view",
        "container.logs",
        "container.stats",
        "container.inspect",
        "container.terminal",
        "container.attach",
        "container.create",
        "container.start",
        "container.stop",
        "container.restart",
        "container.kill",
        "container.pause",
        "container.unpause",
        "container.rename",
        "container.remove",
        "image.view",
        "image.pull",
        "image.tag",
        "image.remove",
        "operation.view",
        "operation.cancel",
        "operation.retry",
        "audit.view",
    }
)


def allowed(user: User, action: str) -> bool:
    """Whether ``user`` may do ``action`` now."""
    return action in ACTIONS and user.is_authenticated and user.is_admin
