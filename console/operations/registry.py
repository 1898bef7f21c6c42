"""The kinds of operation there are, and the handler of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from console.operations.context import OperationContext
from console.rbac.policy import ACTIONS

if TYPE_CHECKING:
    from console.operations.models import Operation

__all__ = ["Handler", "Kind", "OperationContext", "find", "kinds", "register", "title_of"]

Handler = Callable[[OperationContext], Awaitable[None]]
#: Looks at an operation in the transaction that accepts it: may change its arguments, may raise and so refuse it.
Accept = Callable[["Operation"], None]

_kinds: dict[str, Kind] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of change. ``name`` is the permission and the audit action too; ``timeout`` is in seconds."""

    name: str
    title: Promise | str
    handler: Handler
    retries: bool = True
    cancellable: bool = False
    timeout: int = 60
    secrets: tuple[str, ...] = ()
    accept: Accept | None = None

    def has_secrets(self, arguments: Mapping[str, Any]) -> bool:
        """Whether ``arguments`` hold what is not to be kept."""
        return any(arguments.get(name) is not None for name in self.secrets)

    def without_secrets(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``arguments`` with ``None`` in the place of each secret."""
        return {name: None if name in self.secrets else value for name, value in arguments.items()}

    def misses_secrets(self, arguments: Mapping[str, Any]) -> bool:
        """Whether ``arguments`` held secrets once."""
        return any(name in arguments and arguments[name] is None for name in self.secrets)


def register(
    name: str,
    *,
    title: Promise | str,
    retries: bool = True,
    cancellable: bool = False,
    timeout: int = 60,
    secrets: tuple[str, ...] = (),
    accept: Accept | None = None,
) -> Callable[[Handler], Handler]:
    """Make the decorated coroutine function the handler of ``name``.

    It runs again after a crash, so each of its steps must bear being done twice. A cancellable one is cancelled as an
    asyncio task; what it does then to clean up has a minute. ``title`` may hold ``%(name)s``. The arguments named in
    ``secrets`` are forgotten once nothing needs them any more: at its success, or a while after another end. ``accept``
    is called within the transaction in which somebody asks for one.
    """
    if name not in ACTIONS:
        raise ValueError(f"{name} is no action of console.rbac.policy")
    if name in _kinds:
        raise ValueError(f"{name} is registered twice")

    def decorate(handler: Handler) -> Handler:
        _kinds[name] = Kind(
            name=name,
            title=title,
            handler=handler,
            retries=retries,
            cancellable=cancellable,
            timeout=timeout,
            secrets=secrets,
            accept=accept,
        )
        return handler

    return decorate


def find(name: str) -> Kind | None:
    """Return the kind called ``name``, if there is one."""
    return _kinds.get(name)


def kinds() -> list[Kind]:
    """Return every kind, by name."""
    return sorted(_kinds.values(), key=lambda kind: kind.name)


def title_of(kind: str, *, object_name: str) -> str:
    """Return what an operation does, in words: "Start web"."""
    found = _kinds.get(kind)
    name = object_name or _("(unnamed)")
    return str(found.title) % {"name": name} if found else f"{kind} {name}"
