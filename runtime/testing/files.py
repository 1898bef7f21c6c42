"""The files of a fake container: a tree of bytes that both ways of ``runtime.files`` reach."""

from __future__ import annotations

import base64
import io
import json
import posixpath
import stat
import tarfile
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from runtime.containers import PathStat
from runtime.drivers.docker import parse
from runtime.errors import BackendError, Conflict, EngineFailure, Invalid, NotFound

_PART: Final = 64 * 1024
_GO_BITS: Final = {"folder": 1 << 31, "link": 1 << 27, "other": 1 << 26, "file": 0}
_FOLDERS: Final = ("/", "/bin", "/dev", "/etc", "/home", "/home/user", "/proc", "/root", "/sys", "/tmp")  # noqa: S108
_PASSWD: Final = b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n"


@dataclass(slots=True)
class Node:
    """What is at a path. ``kind`` as in ``PathKind``."""

    kind: str = "file"
    data: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    target: str = ""
    changed_at: float = field(default_factory=time.time)


class FakeFiles:
    """A tree by whole paths. ``read_only`` and ``free_bytes`` are how tests make it refuse."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {
            path: Node(kind="folder", mode=0o755)
            for path in (
                "/",
                *(f"/{name}" for name in ["bin", "dev", "etc", "home", "home/user", "proc", "root", "sys", "tmp"]),
            )
        }
        self.nodes["/etc/passwd"] = Node(data=_PASSWD)
        self.nodes["/dev/null"] = Node(kind="other")
        self.read_only = False
        self.free_bytes = 1024**4
        #: What the shell's place is found to be.
        self.place = ""
        #: Paths that the shell's user may not read, nor write into.
        self.denied: set[str] = set()

    def add(self, path: str, data: bytes = b"", *, kind: str = "file", target: str = "") -> None:
        """Make something be there."""
        self.nodes[path] = Node(kind=kind, data=data, target=target)

    def resolve(self, path: str) -> str:
        """Follow links. Raises ``NotFound``."""
        path = posixpath.normpath(path)
        for _link in range(8):
            whole = "/"
            for part in [part for part in path.split("/") if part]:
                whole = posixpath.join(whole, part)
                node = self.nodes.get(whole)
                if node is not None and node.kind == "link":
                    rest = path[len(whole) :].lstrip("/")
                    target = posixpath.join(posixpath.dirname(whole), node.target, rest)
                    path = posixpath.normpath(target)
                    break
            else:
                if path not in self.nodes:
                    raise NotFound(f"Could not find the file {path} in container", reason="path_missing")
                return path
        raise NotFound("Too many levels of symbolic links", reason="path_missing")

    # As the engine reaches them

    def stat(self, path: str) -> PathStat:
        """Say what is there, by way of the engine's own header; a link is not followed."""
        folder, name = posixpath.split(posixpath.normpath(path))
        whole = posixpath.join(self.resolve(folder), name)
        node = self.nodes.get(whole)
        if node is None:
            raise NotFound(f"Could not find the file {path} in container", reason="path_missing")
        header = {
            "name": name or "/",
            "size": len(node.data),
            "mode": _GO_BITS[node.kind] | node.mode,
            "mtime": datetime.fromtimestamp(node.changed_at, UTC).isoformat(),
            "linkTarget": posixpath.normpath(posixpath.join(folder, node.target)) if node.kind == "link" else "",
        }
        return parse.path_stat(base64.b64encode(json.dumps(header).encode()).decode())

    async def tar(self, path: str) -> AsyncGenerator[bytes, None]:
        """Yield a tar of what is there."""
        folder, name = posixpath.split(posixpath.normpath(path))
        whole = posixpath.join(self.resolve(folder), name)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for where in sorted(found for found in self.nodes if found == whole or found.startswith(f"{whole}/")):
                node = self.nodes[where]
                entry = tarfile.TarInfo(name + where[len(whole) :])
                entry.mode, entry.uid, entry.gid = node.mode, node.uid, node.gid
                match node.kind:
                    case "folder":
                        entry.type = tarfile.DIRTYPE
                    case "link":
                        entry.type, entry.linkname = tarfile.SYMTYPE, node.target
                    case "other":
                        entry.type = tarfile.CHRTYPE
                    case _:
                        entry.size = len(node.data)
                archive.addfile(entry, io.BytesIO(node.data))
        text = buffer.getvalue()
        for start in range(0, len(text), _PART):
            yield text[start : start + _PART]

    def check_folder(self, path: str) -> str:
        """Return where a folder really is. Raises ``NotFound``, ``Conflict``."""
        whole = self.resolve(path)
        if self.nodes[whole].kind != "folder":
            raise Conflict("extraction point is not a directory", reason="not_folder")
        if self.read_only:
            raise Conflict("container rootfs is marked read-only", reason="read_only")
        return whole

    def unpack(self, path: str, text: bytes, *, keep_kinds: bool) -> None:
        """Unpack a tar into a folder. Raises ``NotFound``, ``Conflict``, ``Invalid``, ``EngineFailure``."""
        whole = self.check_folder(path)
        try:
            with tarfile.open(fileobj=io.BytesIO(text), mode="r:") as archive:
                entries = [(entry, archive.extractfile(entry) if entry.isreg() else None) for entry in archive]
                contents = [(entry, content.read() if content is not None else b"") for entry, content in entries]
        except tarfile.TarError as error:
            raise Invalid("archive/tar: invalid tar header") from error
        for entry, data in contents:
            where = posixpath.normpath(posixpath.join(whole, posixpath.join("/", entry.name)[1:]))
            there = self.nodes.get(where)
            if keep_kinds and there is not None and (there.kind == "folder") != entry.isdir():
                raise Conflict("cannot overwrite directory with non-directory", reason="is_folder")
            self._fits(data)
            kind = "folder" if entry.isdir() else "link" if entry.issym() else "file"
            self.nodes[where] = Node(
                kind, data, stat.S_IMODE(entry.mode), entry.uid, entry.gid, entry.linkname, entry.mtime
            )

    def _fits(self, data: bytes) -> None:
        if len(data) > self.free_bytes:
            raise EngineFailure("write /file: no space left on device", reason="no_space")

    # As a shell in the container reaches them

    def about(self, path: str) -> tuple[str, str, Node | None]:
        """Return what ``READ_SCRIPT`` prints first, on which of its outputs, and what it found."""
        try:
            whole = self.resolve(path)
        except BackendError:
            return "missing", f"ls: {path}: No such file or directory", None
        node = self.nodes[whole]
        if whole in self.denied:
            return "denied", f"{path}: Permission denied", None
        if node.kind == "folder" and f"{whole}/".startswith(("//", "/proc/", "/sys/", "/dev/")):
            return "whole", "", node
        return f"{node.kind} {len(node.data)} {node.mode:o} {int(node.changed_at)}", "", node

    def room_for(self, folder: str, name: str, *, overwrite: bool) -> tuple[str, str, str]:
        """Return what ``WRITE_SCRIPT`` prints first, what on standard error, and where the file goes."""
        try:
            whole = self.resolve(folder)
        except BackendError:
            return "missing", f"ls: {folder}: No such file or directory", ""
        if self.nodes[whole].kind != "folder":
            return "notfolder", "", ""
        target = posixpath.join(whole, name)
        there = self.nodes.get(target)
        if there is not None and there.kind == "folder":
            return "folder", "", ""
        if there is not None and not overwrite:
            return "exists", "", ""
        if whole in self.denied:
            return "", f"sh: can't create {name}: Permission denied", ""
        if self.read_only:
            return "", f"sh: can't create {name}: Read-only file system", ""
        return "ready", "", target


def owner(user: str) -> Mapping[str, Any]:
    """Return the ids of a fake container's user."""
    uid = {"": 0, "root": 0, "user": 1000}.get(user.partition(":")[0])
    number = uid if uid is not None else int(user.partition(":")[0])
    return {"uid": number, "gid": number}
