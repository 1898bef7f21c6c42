"""Open, type, kill the web process, come back, close, for as long as wanted: flat memory, descriptors and processes."""

from __future__ import annotations

import json
import os
import secrets
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.console import console
from bench.idle import memory_of
from bench.streams import Socket, StreamEnded, read_frame
from bench.table import Figure, show
from bench.terminal import Site, prepare_site, processes_of, web_process

_TERMINALS: Final = 20
_RENEWED: Final = 4
_KILL_EVERY: Final = 30.0
_PAUSE: Final = 0.5
#: What the first rounds load, everybody shares afterwards.
_WARM_UP: Final = 0.2
_ECHO: Final = "sh -c 'stty raw -echo; printf ready; exec cat'"


@dataclass
class Member:
    """A terminal that comes back after every loss, and knows byte by byte what has to come."""

    site: Site
    viewer: str = field(default_factory=lambda: secrets.token_hex(8))
    session: str = ""
    read: int = 0
    typed: int = 0
    socket: Socket | None = None

    def open(self) -> Member:
        """Open it, or come back to it."""
        form = {"host": self.site.host_id, "container": self.site.container_id, "kind": "exec", "command": _ECHO}
        is_new = not self.session
        answer = self.site.browser.post("/terminals/tickets/", form if is_new else {"session": self.session})
        if answer.status != 200:
            raise RuntimeError(f"no ticket: {answer.status} {answer.text[:300]}")
        said = json.loads(answer.body)
        self.session = said["session"]
        self.socket = Socket(self.site.browser, "/ws/terminal/").accepted()
        first = {"type": "open", "viewer": self.viewer, "columns": 80, "rows": 24, "ticket": said["ticket"]}
        self.socket.send_control(first if is_new else {**first, "from": self.read, "typed": self.typed})
        opened = self._control("opened")
        if (opened["offset"], opened["taken"]) != (self.read, self.typed):
            raise RuntimeError(f"came back to another place than it left: {opened}, {self.read}, {self.typed}")
        if is_new:
            self._take(b"ready")
        return self

    def _control(self, kind: str) -> dict[str, int]:
        while True:
            frame, _data = read_frame(self._socket(), 30)
            if frame is not None and frame["type"] == kind:
                found: dict[str, int] = frame
                return found

    def _socket(self) -> Socket:
        if self.socket is None:
            raise StreamEnded
        return self.socket

    def _take(self, wanted: bytes) -> None:
        got = b""
        while len(got) < len(wanted):
            frame, data = read_frame(self._socket(), 30)
            if frame is None:
                got += data
        if got != wanted:
            raise RuntimeError(f"{got[:50]!r} came where {wanted[:50]!r} was due")
        self.read += len(got)
        self._socket().send_control({"type": "ack", "offset": self.read})

    def echo(self) -> None:
        """Type something that nothing else types, and take exactly that."""
        piece = secrets.token_hex(100).encode()
        self._socket().send_frame(2, piece)
        self.typed += len(piece)
        self._take(piece)

    def lose(self) -> None:
        """The network, or the web process, is gone."""
        self._socket().close()
        self.socket = None

    def close(self) -> None:
        """End it."""
        self._socket().send_control({"type": "close"})
        self._control("exit")
        self._socket().close()


@dataclass(frozen=True)
class Sample:
    """How things stand at a moment: seconds since the beginning; memory in MB."""

    at: float
    hub: float
    descriptors: int


def main(*, minutes: float) -> int:
    """Run and print; 1 when over budget."""
    with console() as running:
        site = prepare_site(running)
        base = processes_of(site)
        figures = _soak(site, minutes * 60, base)
    return show(f"bench soak: {minutes:g} minutes of opening, typing, killing web, coming back and closing", figures)


def _soak(site: Site, seconds: float, base: int) -> list[Figure]:
    members = [Member(site).open() for _number in range(_TERMINALS)]
    begun = time.monotonic()
    killed_at = begun
    rounds = kills = lost = 0
    samples: list[Sample] = []
    while (now := time.monotonic()) - begun < seconds:
        for member in members:
            member.echo()
        for _number in range(_RENEWED):
            members.pop(0).close()
            members.append(Member(site).open())
        if now - killed_at >= _KILL_EVERY:
            killed_at = now
            os.kill(web_process(site.running), signal.SIGKILL)
            kills += 1
            lost += _come_back(site, members)
        rounds += 1
        samples.append(_sample(site, now - begun))
        if rounds % 20 == 0:
            newest = samples[-1]
            state = f"hub {newest.hub:.1f} MB, {newest.descriptors} descriptors, {kills} kills"
            print(f"  {newest.at:6.0f} s: {state}", flush=True)
        time.sleep(_PAUSE)
    for member in members:
        member.close()
    limit = time.monotonic() + 60
    while (left := processes_of(site) - base) > 0 and time.monotonic() < limit:
        time.sleep(0.5)
    settled = [sample for sample in samples if sample.at >= seconds * _WARM_UP]
    return [
        Figure(name=f"terminals lost, in {rounds} rounds with {kills} kills of web", value=lost, unit="", budget=0),
        Figure(name="processes left in the container", value=left, unit="", budget=0),
        Figure(name="growth of the hub, after the first fifth", value=_slope(settled), unit="MB/h", budget=12),
        Figure(
            name="growth of the hub's descriptors, after the first fifth",
            value=max(s.descriptors for s in settled) - max(s.descriptors for s in settled[: len(settled) // 4]),
            unit="",
            budget=10,
        ),
    ]


def _come_back(site: Site, members: list[Member]) -> int:
    """Wait for the next web process, then let everybody come back; return how many could not."""
    for member in members:
        member.lose()
    limit = time.monotonic() + 30
    while True:
        try:
            if site.browser.get("/healthz").status:
                break
        except OSError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)
    lost = 0
    for place, member in enumerate(members):
        try:
            member.open()
        except (OSError, RuntimeError, StreamEnded) as error:
            print(f"  lost: {error}", flush=True)
            lost += 1
            members[place] = Member(site).open()
    return lost


def _hub_process(site: Site) -> int:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it ended while we looked
            if b"runtime.hub" in words and str(site.running.data_dir).encode() in words:
                return int(entry.name)
    raise RuntimeError("no hub was found")


def _sample(site: Site, at: float) -> Sample:
    pid = _hub_process(site)
    memory = sum(size for name, size in memory_of(pid) if "runtime.hub" in name)
    return Sample(at=at, hub=memory, descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())))


def _slope(samples: list[Sample]) -> float:
    """MB an hour, by least squares."""
    if len(samples) < 2:
        return 0.0
    mean_at = sum(s.at for s in samples) / len(samples)
    mean = sum(s.hub for s in samples) / len(samples)
    spread = sum((s.at - mean_at) ** 2 for s in samples)
    return 3600 * sum((s.at - mean_at) * (s.hub - mean) for s in samples) / spread
