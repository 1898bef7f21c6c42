"""The starter image: a static busybox, so that the first container needs no registry."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path
from urllib.parse import urlencode

from launcher import engine_api

REFERENCE = "pilothouse/starter:latest"

_FOLDERS = {"bin": 0o755, "etc": 0o755, "home": 0o755, "home/sailor": 0o755, "root": 0o700, "tmp": 0o1777, "www": 0o755}
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nsailor:x:1000:1000:Sailor:/home/sailor:/bin/sh\n",
    "etc/group": "root:x:0:\nsailor:x:1000:\n",
    "etc/profile": "export PATH=/bin PS1='\\u@\\h:\\w\\$ '\nalias ll='ls -l'\n",
    "etc/motd": "Pilothouse starter: a small Linux made of busybox. Type `busybox` to see its commands.\n",
    "etc/os-release": 'NAME="Pilothouse starter"\nID=starter\nPRETTY_NAME="Pilothouse starter (busybox)"\n',
    "www/index.html": "<!doctype html>\n<title>Starter</title>\n<h1>It works</h1>\n<p>Your container says so.</p>\n",
}
#: What the image runs when nothing else is asked for: a page on port 80 and a line in the log now and then.
_STARTER = """#!/bin/sh
trap 'echo "Asked to stop: goodbye."; exit 0' TERM INT
echo "Hello from your first container, $(hostname)."
if [ "$(id -u)" -eq 0 ] && httpd -p 80 -h /www; then echo "A page is served on port 80."; fi
lines=0
while :; do
    lines=$((lines + 1))
    echo "$(date -u +%H:%M:%S) line $lines: still afloat"
    sleep 5 &
    wait $!
done
"""


def find_busybox() -> Path | None:
    """Return a busybox that needs no libraries, if this machine has one."""
    found = shutil.which("busybox")
    if found is None:
        return None
    # A program that needs libraries names the loader near its beginning.
    with Path(found).open("rb") as file:
        return None if b"/ld-" in file.read(4096) else Path(found)


def build(busybox: Path) -> bytes:
    """Return the image's file system as a tar archive."""
    listed = subprocess.run([str(busybox), "--list"], capture_output=True, text=True, check=True)
    applets = sorted(set(listed.stdout.split()) - {"busybox"})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:

        def add(name: str, content: bytes, *, mode: int) -> None:
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = mode, len(content)
            archive.addfile(entry, io.BytesIO(content))

        for name, mode in _FOLDERS.items():
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            if name == "home/sailor":
                folder.uid = folder.gid = 1000
            archive.addfile(folder)
        add("bin/busybox", busybox.read_bytes(), mode=0o755)
        for applet in applets:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        for name, text in _FILES.items():
            add(name, text.encode(), mode=0o644)
        add("bin/starter", _STARTER.encode(), mode=0o755)
    return buffer.getvalue()


def load(url: str, *, busybox: Path) -> bool:
    """Give the engine the starter image unless it has it. Returns whether it was missing."""
    if engine_api.has_image(url, REFERENCE):
        return False
    repository, _, tag = REFERENCE.partition(":")
    changes = ['CMD ["/bin/starter"]', "ENV PATH=/bin", "ENV ENV=/etc/profile", "EXPOSE 80"]
    query = urlencode({"fromSrc": "-", "repo": repository, "tag": tag, "changes": changes}, doseq=True)
    engine_api.import_image(url, path=f"/images/create?{query}", body=build(busybox))
    return True
