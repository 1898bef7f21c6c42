"""Why a terminal is not, or no longer, recorded."""

from __future__ import annotations

import errno
from enum import StrEnum


class FailureCode(StrEnum):
    """What went wrong. The code is stable: whoever shows it has the words."""

    #: No space, or no share of it, is left.
    DISK_FULL = "disk_full"
    #: The file has reached its largest size.
    TOO_LARGE = "too_large"
    #: More came than could be written.
    TOO_SLOW = "too_slow"
    #: There is no folder for it, or it may not be written.
    NO_FOLDER = "no_folder"
    #: Any other trouble with the disk.
    DISK = "disk"
    #: The recorder itself could not go on.
    BROKEN = "broken"


_CODES = {
    errno.ENOSPC: FailureCode.DISK_FULL,
    errno.EDQUOT: FailureCode.DISK_FULL,
    errno.EFBIG: FailureCode.TOO_LARGE,
    errno.ENOENT: FailureCode.NO_FOLDER,
    errno.ENOTDIR: FailureCode.NO_FOLDER,
    errno.EACCES: FailureCode.NO_FOLDER,
    errno.EROFS: FailureCode.NO_FOLDER,
}


def code_of(error: OSError) -> FailureCode:
    """Return what the operating system's ``error`` means for a recording."""
    return _CODES.get(error.errno or 0, FailureCode.DISK)


class RecordingFailure(Exception):
    """A recording could not begin."""

    def __init__(self, code: FailureCode, *, reason: str = "") -> None:
        super().__init__(f"{code}: {reason}" if reason else code.value)
        self.code = code
