"""A file out of a container, or into one: which way it goes, its record, its bounds.

Web processes only read from engines, and a worker runs every change. An upload is the exception, beside typing into a
shell, and for the same reason: it *is* what a shell could do, as the same person with the same rights, and its bytes
come from a browser as they are taken. A worker could only do it with a copy of the file on our disk, where nothing of
anybody's containers is ever kept. So the view is an adapter: it asks the same rights, before and every few seconds
while bytes go through; what happened is on record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar
from uuid import UUID
from weakref import WeakSet

import structlog
from django.utils.translation import gettext as _

from console.accounts.models import User
from console.audit.models import Outcome
from console.audit.services import record
from console.gateway import (
    ArchiveFiles,
    BackendError,
    ContainerEngine,
    ContainerState,
    ExecFiles,
    Files,
    FileStream,
    PathStat,
    Unsupported,
    find_place,
)
from console.lib.origin import Origin
from console.rbac.access import Refused
from console.terminals.file_access import FilePlace

logger = structlog.get_logger(__name__)
Result = TypeVar("Result")

#: Files of one person that may be on their way through one web process.
MOST_AT_ONCE: Final = 4
#: Bytes of one download.
DOWNLOAD_LIMIT: Final = 64 * 1024**3
#: What another way than the container's shell may help with.
_NO_WAY: Final = ("no_shell", "no_tar")


class TooLarge(Exception):
    """More came out of the container than one download may carry."""


class TooMany(Exception):
    """The person has as many files on their way as one may."""


class Passage:
    """One of the files that a person has on their way; it ends with what holds it."""

    _open: Final[dict[UUID, WeakSet[Passage]]] = defaultdict(WeakSet)

    def __init__(self, person_id: UUID) -> None:
        if len(self._open[person_id]) >= MOST_AT_ONCE:
            raise TooMany
        self._person_id = person_id
        self._open[person_id].add(self)

    def end(self) -> None:
        """Make room for another one. Idempotent."""
        mine = self._open.get(self._person_id)
        if mine is not None:
            mine.discard(self)
            if not mine:
                self._open.pop(self._person_id, None)


class Ways:
    """How the files of a container are reached: by its own shell where one runs, else by the engine."""

    def __init__(self, place: FilePlace, engine: ContainerEngine, *, action: str) -> None:
        self._place = place
        self._engine = engine
        self._action = action

    async def stat(self, path: str) -> PathStat:
        """Say what is there. Raises ``BackendError``, ``Refused``."""
        return await self._by_any(lambda files: files.stat(path))

    async def read(self, path: str) -> FileStream:
        """Open a file, or a folder as a tar; the caller closes it. Raises ``BackendError``, ``Refused``."""
        return await self._by_any(lambda files: files.read(path))

    async def write(
        self, folder: str, name: str, *, size_bytes: int, data: AsyncIterator[bytes], overwrite: bool
    ) -> None:
        """Put a file into a folder. Raises ``BackendError``, ``Refused``, and what ``data`` raises."""
        is_begun = False

        async def counted() -> AsyncIterator[bytes]:
            nonlocal is_begun
            is_begun = True
            async for part in data:
                yield part

        await self._by_any(
            lambda files: files.write(folder, name, size_bytes=size_bytes, data=counted(), overwrite=overwrite),
            may_retry=lambda: not is_begun,
        )

    async def _by_any(
        self, act: Callable[[Files], Awaitable[Result]], *, may_retry: Callable[[], bool] = lambda: True
    ) -> Result:
        container = self._place.container
        detail = await self._engine.inspect_container(container.container_id)
        if detail.container.state is ContainerState.RUNNING:
            try:
                return await act(ExecFiles(self._engine, container.container_id, user=self._place.user))
            except Unsupported as error:
                if error.reason not in _NO_WAY or not may_retry() or not self._may_ask_engine():
                    raise
        elif not self._may_ask_engine():
            raise Refused(
                self._action,
                message=_(
                    "The container does not run, and the engine of %(host)s is too old to reach its files safely: "
                    "Docker before 29.5.1 can be led astray by a container. Start the container first."
                )
                % {"host": container.host.name},
                code="policy.old_engine",
                host=container.host,
                object_id=container.container_id,
                object_name=container.name,
            )
        return await act(self._by_engine())

    def _by_engine(self) -> ArchiveFiles:
        user, _colon, group = self._place.user.partition(":")
        uid = int(user) if user.isdigit() else 0 if user == "root" else None
        gid = int(group) if group.isdigit() else uid
        return ArchiveFiles(self._engine, self._place.container.container_id, uid=uid, gid=gid)

    def _may_ask_engine(self) -> bool:
        return self._place.container.host.has_safe_archives or self._place.trusts_engine


async def place_of(place: FilePlace, engine: ContainerEngine) -> str:
    """Return where the terminal's shell stands; where it does not say, where the container's programs start."""
    container_id = place.container.container_id
    detail = await engine.inspect_container(container_id)
    if place.session is not None and detail.container.state is ContainerState.RUNNING:
        try:
            found = await find_place(engine, container_id, marker=place.session.marker, user=place.user)
        except BackendError as error:
            logger.info("no place found", session=str(place.session.pk), error=error.message)
            found = None
        if found is not None:
            return found
    return detail.working_directory if detail.working_directory.startswith("/") else "/"


def record_file(
    place: FilePlace,
    *,
    actor: User,
    action: str,
    outcome: Outcome,
    path: str,
    origin: Origin,
    **details: Any,
) -> None:
    """Append a row about a file of the container."""
    container = place.container
    record(
        actor=actor,
        action=action,
        outcome=outcome,
        host=container.host,
        object_id=container.container_id,
        object_name=container.name,
        origin=origin,
        details={
            "path": path,
            **({"session": str(place.session.pk)} if place.session is not None else {}),
            **({"user": place.user} if place.user else {}),
            **details,
        },
    )
