"""Which command a terminal runs: a shell that is there, or what the person chose."""

from __future__ import annotations

from typing import Any, Final

#: One exec finds bash or falls back to sh: probing first would double the time until the prompt is there.
_FIND_SHELL: Final = ("/bin/sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash; exec sh")

#: What a person may choose from when there is no /bin/sh, likeliest first.
CHOICES: Final = (
    "/bin/bash",
    "/bin/ash",
    "/bin/dash",
    "/bin/zsh",
    "/busybox/sh",
    "/usr/bin/pwsh",
    "python3",
    "node",
)

#: How an engine says that the command could not be run: by an error, or by an exit code after a line of its own.
NOT_RUN_REASONS: Final = ("command_missing", "command_denied")
NOT_RUN: Final = (126, 127)
#: More output than this came from a program that did run.
LONGEST_REFUSAL: Final = 600

MARKER_VARIABLE: Final = "PILOTHOUSE_TERMINAL"


def exec_spec(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return what the hub has the engine run: fields of an ``ExecSpec``; the hub adds the size and its mark."""
    command = parameters.get("command")
    return {
        "command": command or list(_FIND_SHELL),
        "user": parameters.get("user", ""),
        "environment": [("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("LANG", "C.UTF-8")],
    }
