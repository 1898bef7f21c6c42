"""Logs: one event a line, no secret in any, no line that somebody else wrote."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from console.lib import logs
from console.lib.text import one_line


def written(log_format: str, emit: Callable[[logging.Logger], None]) -> str:
    """Return the line that ``emit`` writes through our formatter."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    logger = logging.getLogger("test.logs")
    handler = Keep()
    handler.setFormatter(logs.formatter(log_format, colours=False))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        emit(logger)
    finally:
        logger.removeHandler(handler)
    return "\n".join(lines)


def ours(**values: object) -> Callable[[logging.Logger], None]:
    return lambda _logger: structlog.stdlib.get_logger("test.logs").info("something_happened", **values)


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(
    "name",
    ["password", "new_password", "passphrase", "token", "csrf_token", "Authorization", "cookie", "api_key", "key_pem",
     "client_secret", "credentials"],
)  # fmt: skip
def test_a_value_with_a_secrets_name_is_masked(log_format: str, name: str) -> None:
    line = written(log_format, ours(**{name: "hunter2", "nested": {name: "hunter2", "list": [{name: "hunter2"}]}}))
    assert "something_happened" in line
    assert "hunter2" not in line


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_secrets_inside_text_are_masked(log_format: str) -> None:
    line = written(
        log_format,
        ours(
            request="GET /accounts/first-admin/s3cr3t-token/?next=/",
            joined="POST /invitations/s3cr3t-token/",
            returned="GET /accounts/oidc/callback/?state=s3cr3t-state&code=s3cr3t-code",
            broker="redis://:hunter2@127.0.0.1:6379/0",
        ),
    )
    assert "s3cr3t" not in line
    assert "hunter2" not in line
    assert "127.0.0.1:6379" in line


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("hostile", ["a\r\n2026-01-01 [info] forged", "a\u2028forged", "a\x1b[31mred", "a\x85forged"])
def test_nobody_forges_a_line(log_format: str, hostile: str) -> None:
    for emit in (
        ours(name=hostile),
        ours(**{hostile: "x"}),
        lambda logger: logger.info("library says %s", hostile),
        lambda logger: logger.info(hostile),
    ):
        line = written(log_format, emit)
        assert len(line.splitlines()) == 1
        assert "\x1b" not in line


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_cannot_pass_for_an_event(log_format: str) -> None:
    def fail(logger: logging.Logger) -> None:
        try:
            raise RuntimeError("first\n2026-01-01T00:00:00Z [info     ] forged /first-admin/s3cr3t/")
        except RuntimeError:
            logger.exception("it_failed")

    line = written(log_format, fail)
    assert "RuntimeError" in line
    assert "s3cr3t" not in line
    if log_format == "text":
        assert all(one.startswith("    | ") for one in line.splitlines()[1:])
    else:
        assert len(line.splitlines()) == 1


def test_values_are_cut() -> None:
    assert len(written("json", ours(value="x" * 1_000_000))) < 1000


def test_json_is_one_object_a_line() -> None:
    event = json.loads(written("json", ours(count=3, name="한글")))
    assert (event["event"], event["level"], event["count"], event["name"]) == ("something_happened", "info", 3, "한글")
    assert event["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("plain 글 text", 50, "plain 글 text"),
        ("x" * 10, 5, "xxxx…"),
        ("a\nb", 50, "a\\nb"),
        ("\u202eevil", 50, "\\u202eevil"),
        ("\ud800", 50, "\\ud800"),
        ("", 5, ""),
    ],
)
def test_text_from_outside_becomes_one_line(text: str, limit: int, expected: str) -> None:
    assert one_line(text, limit=limit) == expected


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_command_keeps_stdout_for_itself(log_format: str, data_dir: Path) -> None:
    script = (
        "import django, structlog, logging, os; django.setup(); print('result');"
        "structlog.get_logger('x').info('ours', password='hunter2'); logging.getLogger('lib').warning('theirs')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={
            "PATH": "/usr/bin:/bin",
            "DJANGO_SETTINGS_MODULE": "console.settings",
            "PILOTHOUSE_DATA_DIR": str(data_dir),
            "PILOTHOUSE_LOG_FORMAT": log_format,
        },
        cwd=Path(logs.__file__).parent.parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "result\n"
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert "ours" in lines[0]
    assert "theirs" in lines[1]
    assert "hunter2" not in done.stderr
    assert "\x1b" not in done.stderr
    if log_format == "json":
        assert [json.loads(line)["event"] for line in lines] == ["ours", "theirs"]
