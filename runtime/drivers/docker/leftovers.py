"""Ending every process of a terminal, however deep it hid: found by a mark in the environment, which children inherit.

An engine cannot signal an exec, and an exec outlives its client. So a tiny script runs in the container (as root, then
as each user whose processes root may not look into: containers lack CAP_SYS_PTRACE). Where the container has no shell
and the engine is on this machine, the same is done from outside.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path
from typing import Final

#: The variable that marks a terminal's processes. ``ExecSpec.environment`` may set it; else the driver does.
MARKER_VARIABLE: Final = "PILOTHOUSE_TERMINAL"

#: Users whose processes are looked into, beside root.
MOST_USERS: Final = 16

#: For dash, bash and busybox; needs no other program (busybox's grep stops at the first NUL, their read skips NULs).
#: Prints "hidden UID" for users whose processes it may not look into and "left PID" for marked processes that survived.
#: Children that threw the mark away are found by their parent or session. Process 1 is the container: never touched.
SCRIPT: Final = r"""
marker=$1
known=
carries() {
  while read -r line || [ -n "$line" ]; do
    case $line in *"$marker"*) return 0 ;; esac
  done 2>/dev/null <"$1"
  return 1
}
scan() {
  found=
  [ -n "$full" ] && hidden=
  for directory in /proc/[0-9]*; do
    pid=${directory#/proc/}
    [ "$pid" = 1 ] && continue
    [ "$pid" = $$ ] && continue
    line=
    { read -r line; } 2>/dev/null <"$directory/stat"
    [ -n "$line" ] || continue
    set -- ${line##*) }
    case $1 in Z | X) continue ;; esac
    hit=
    case " $known $found " in *" $pid "* | *" $2 "* | *" $4 "*) hit=yes ;; esac
    if [ -z "$hit" ] && [ -n "$full" ]; then
      carries "$directory/environ" && hit=yes
    fi
    if [ -n "$hit" ]; then
      found="$found $pid"
    elif [ -n "$full" ] && ! { true; } 2>/dev/null <"$directory/environ"; then
      while read -r name uid rest; do
        [ "$name" = Uid: ] && hidden="$hidden $uid"
      done 2>/dev/null <"$directory/status"
    fi
  done
}
round=0
# Looking into every environment is slow, byte by byte: first and last only; in between, what is known is watched.
full=yes
while :; do
  scan
  if [ -z "$found" ]; then
    [ -n "$full" ] && break
    full=yes
    continue
  fi
  full=
  [ "$round" -ge 40 ] && break
  known="$known $found"
  if [ "$round" = 0 ]; then
    kill -HUP $found 2>/dev/null
    kill -CONT $found 2>/dev/null
  elif [ "$round" -ge 8 ]; then
    kill -KILL $found 2>/dev/null
  fi
  round=$((round + 1))
  sleep 0.05 2>/dev/null || sleep 1 2>/dev/null
done
for uid in $hidden; do echo "hidden $uid"; done
for pid in $found; do echo "left $pid"; done
echo done
"""


def command(marker: str) -> tuple[str, ...]:
    """Return the argument vector of the script. It names the mark as an argument, so it never finds itself."""
    return ("sh", "-c", SCRIPT, "sh", marker)


def read_report(text: bytes) -> tuple[bool, frozenset[int]] | None:
    """Return whether nothing marked is left, and the users the script may not look into; ``None`` if it did not run.

    The container's own shell says so, which may be anything: what is no user's number is passed over, and so are users
    beyond ``MOST_USERS``, each of whom would cost another exec.
    """
    lines = text.decode(errors="replace").split("\n")
    if "done" not in lines:
        return None
    found = (re.fullmatch(r"hidden ([0-9]{1,10})", line) for line in lines)
    hidden = sorted({int(match[1]) for match in found if match})
    return not any(line.startswith("left ") for line in lines), frozenset(hidden[:MOST_USERS])


def _carriers(marker: bytes) -> dict[int, int]:
    """Return this machine's processes with the mark in their environment, each with a pidfd (the caller's to close)."""
    found: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in (1, os.getpid()):
            continue
        pid = int(entry.name)
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            continue  # it ended while we looked
        try:
            # Read after the pidfd is open: what we signal is what we looked into, never a successor of its number.
            marked = marker in (entry / "environ").read_bytes()
        except OSError:
            marked = False
        if marked:
            found[pid] = descriptor
        else:
            os.close(descriptor)
    return found


def _signal_carriers(marker: bytes, signal_number: signal.Signals) -> int:
    found = _carriers(marker)
    for descriptor in found.values():
        try:
            signal.pidfd_send_signal(descriptor, signal_number)
        except ProcessLookupError:
            pass  # it ended by itself, which is what we want
        finally:
            os.close(descriptor)
    return len(found)


async def end_from_outside(marker: str) -> bool:
    """End marked processes of a container on this machine, from the host; ``True`` when some were found and all ended.

    Needs root and a shared process table; what it cannot see it does not claim to have ended.
    """
    text = marker.encode()
    if not await asyncio.to_thread(_signal_carriers, text, signal.SIGHUP):
        return False
    for round_number in range(40):
        await asyncio.sleep(0.05)
        number = signal.SIGKILL if round_number >= 6 else signal.SIGCONT
        if not await asyncio.to_thread(_signal_carriers, text, number):
            return True
    return False
