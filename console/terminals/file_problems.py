"""What can go wrong with a file, in words: cause and next step."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.gateway import (
    AccessDenied,
    BackendError,
    Conflict,
    Invalid,
    NotFound,
    TimedOut,
    Unsupported,
)
from console.lib.problems import Problem
from console.operations.errors import explain

Text = str | Promise

_FULL: Final = gettext_lazy("Make room there, or choose a folder on another disk.")
_OTHER_PATH: Final = gettext_lazy("Correct the path; “ls” in the terminal shows what is there.")

#: By cause: the status, what is wrong, what to do next. "%(path)s" is the path in question.
_BY_REASON: Final[Mapping[str, tuple[HTTPStatus, Text, Text]]] = {
    "path_missing": (HTTPStatus.NOT_FOUND, gettext_lazy("There is no %(path)s in this container."), _OTHER_PATH),
    "path_denied": (
        HTTPStatus.CONFLICT,
        gettext_lazy("The terminal's user may not do this with %(path)s."),
        gettext_lazy("Choose another place, or open a terminal as a user who may."),
    ),
    "path_exists": (
        HTTPStatus.CONFLICT,
        gettext_lazy("%(path)s exists already."),
        gettext_lazy("Replace it, or give the file another name."),
    ),
    "is_folder": (
        HTTPStatus.CONFLICT,
        gettext_lazy("%(path)s is a folder, and no file takes its place."),
        gettext_lazy("Give the file another name."),
    ),
    "not_folder": (HTTPStatus.CONFLICT, gettext_lazy("%(path)s is no folder."), _OTHER_PATH),
    "not_regular": (
        HTTPStatus.CONFLICT,
        gettext_lazy("%(path)s is neither a file nor a folder, but a device, a pipe or a socket."),
        _OTHER_PATH,
    ),
    "whole_system": (
        HTTPStatus.CONFLICT,
        gettext_lazy("%(path)s is the whole system, or what the kernel shows of it, and has no end."),
        gettext_lazy("Choose a folder in it."),
    ),
    "no_space": (HTTPStatus.INSUFFICIENT_STORAGE, gettext_lazy("The disk behind %(path)s is full."), _FULL),
    "read_only": (
        HTTPStatus.CONFLICT,
        gettext_lazy("%(path)s is read-only in this container."),
        gettext_lazy("Choose a folder that can be written to: a volume, or memory."),
    ),
    "file_changed": (
        HTTPStatus.CONFLICT,
        gettext_lazy("%(path)s changed while it was copied, or did not come whole; nothing was kept of it."),
        gettext_lazy("Try again."),
    ),
    "no_shell": (
        HTTPStatus.CONFLICT,
        gettext_lazy("This container has no shell that could copy."),
        gettext_lazy("Ask an admin, or use an image that has sh, cat, wc and mv."),
    ),
    "no_tar": (
        HTTPStatus.CONFLICT,
        gettext_lazy("This container has no tar, without which no folder can be packed."),
        gettext_lazy("Download its files one by one."),
    ),
    "bad_path": (HTTPStatus.UNPROCESSABLE_ENTITY, gettext_lazy("%(path)s is no whole path."), _OTHER_PATH),
}
_BY_CLASS: Final[tuple[tuple[type[BackendError], HTTPStatus], ...]] = (
    (NotFound, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (Invalid, HTTPStatus.UNPROCESSABLE_ENTITY),
    (TimedOut, HTTPStatus.GATEWAY_TIMEOUT),
    (Unsupported, HTTPStatus.NOT_IMPLEMENTED),
    (AccessDenied, HTTPStatus.BAD_GATEWAY),
    (BackendError, HTTPStatus.BAD_GATEWAY),
)


def file_problem(error: BackendError, *, path: str, name: str, host: str) -> Problem:
    """Return ``error`` in words, in the language that is active."""
    found = _BY_REASON.get(error.reason)
    if found is not None:
        # What the container's own program said adds nothing to that, in another language.
        status, sentence, step = found
        return _problem(status, error.reason, str(sentence) % {"path": path}, str(step))
    reason = explain(error, name=name, host=host)
    status = next(status for kind, status in _BY_CLASS if isinstance(error, kind))
    return _problem(status, reason.code, reason.sentence, reason.next_step)


def too_large(size: str) -> Problem:
    """The file is larger than what may be put into a container."""
    return _problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        _("The file is too large: at most %(size)s may be put into a container at once.") % {"size": size},
        _("Split it, or have the container fetch it by itself."),
    )


def no_length() -> Problem:
    """Nobody said how long the file is."""
    return _problem(
        HTTPStatus.LENGTH_REQUIRED,
        "no_length",
        _("The request does not say how large the file is, so nothing was done."),
        _("Send it with a Content-Length."),
    )


def too_many(limit: int) -> Problem:
    """The person has enough files on their way."""
    return _problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too_many",
        _("%(number)s files of yours are on their way already.") % {"number": limit},
        _("Wait until one of them has arrived."),
    )


def _problem(status: HTTPStatus, code: str, message: str, next_step: str) -> Problem:
    return Problem(status=status, code=code, title=_("The file was not copied"), message=message, next_step=next_step)
