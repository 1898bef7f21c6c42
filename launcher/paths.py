"""Where things lie: the clone, its Python, and the data directory."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from launcher.say import Trouble

ROOT = Path(__file__).resolve().parent.parent
#: The kernel allows the path of a unix socket 107 bytes, containerd 104.
_SOCKET_PATH_BYTES = 104


def venv() -> Path:
    """The virtual environment that holds Python's packages."""
    return Path(os.environ.get("PILOTHOUSE_VENV") or ROOT / ".venv").absolute()


def python() -> Path:
    """The Python of the virtual environment."""
    return venv() / "bin" / "python"


def from_user(path: str) -> Path:
    """Read a path as the person wrote it, relative to the folder they called us from."""
    return Path(os.environ.get("PILOTHOUSE_CALLED_FROM", "."), path).expanduser().absolute()


@dataclass(frozen=True, slots=True)
class DataDir:
    """The one folder that holds the state of an installation."""

    path: Path

    @classmethod
    def open(cls, path: Path) -> DataDir:
        """Make the folder if need be, for us alone. Raises :class:`Trouble` when it cannot be written."""
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as cause:
            raise Trouble(
                f"The data directory {path} cannot be made: {cause.strerror}. Choose another by --data-dir."
            ) from cause
        if not os.access(path, os.W_OK | os.X_OK):
            raise Trouble(f"The data directory {path} cannot be written. Choose another by --data-dir.")
        return cls(path.resolve())

    def folder(self, name: str) -> Path:
        """A folder inside, made on first use, for us alone."""
        folder = self.path / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def run_folder(self, name: str, *, longest: str) -> Path:
        """A folder for sockets: inside when the longest path below it fits, else a private one in the temporary folder.

        Raises :class:`Trouble` when somebody else owns the latter.
        """
        inside = self.folder(name)
        if len(os.fsencode(inside / longest)) <= _SOCKET_PATH_BYTES:
            return inside
        short = Path(tempfile.gettempdir()) / f"pilothouse-{os.getuid()}-{self.tag}-{name}"
        with suppress(FileExistsError):
            short.mkdir(mode=0o700)
        found = short.lstat()
        # Somebody else could have laid a folder or a link there before us.
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise Trouble(f"{short} exists and is not ours alone. Remove it, or choose a shorter --data-dir.")
        return short

    @property
    def tag(self) -> str:
        """Six characters that tell this data directory from any other on this machine."""
        return hashlib.sha256(os.fsencode(self.path)).hexdigest()[:6]
