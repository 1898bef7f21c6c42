"""One way of logging for every process: structured, one event a line, without secrets.

Set up when Django starts (``LibConfig.ready``), so web, worker, scheduler, watch and commands log alike. Text for
people (coloured on a terminal) or JSON by ``PILOTHOUSE_LOG_FORMAT``. Logs go to stderr: stdout belongs to commands.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest
from structlog.typing import EventDict, Processor, WrappedLogger

from console.lib.bearer import TOKEN_IN_TEXT
from console.lib.origin import origin_of
from console.lib.text import one_line

#: No value in a log is longer; engines and browsers can send megabytes.
VALUE_LENGTH = 500

_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|authorization|cookie|credential|api_?key|private_?key|csrf|_pem$",
    re.IGNORECASE,
)
#: What must not be seen even inside other text: one-time links, API tokens, what a provider sends back, and passwords
#: within an address.
_SECRET_TEXT = (
    (TOKEN_IN_TEXT, r"\1***"),
    (re.compile(r"(/(?:first-admin|invitations)/)[^/\s?#\"']+"), r"\1***"),
    (re.compile(r"([?&](?:code|state)=)[^&\s\"']+"), r"\1***"),
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+@"), r"\1***@"),
)
MASK = "***"


def _without_secrets(text: str) -> str:
    for pattern, replacement in _SECRET_TEXT:
        text = pattern.sub(replacement, text)
    return text


def _clean(value: Any, *, depth: int = 0) -> Any:
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, dict) and depth < 3:
        return {
            one_line(str(name), limit=100): MASK if _SECRET_NAME.search(str(name)) else _clean(item, depth=depth + 1)
            for name, item in list(value.items())[:50]
        }
    if isinstance(value, list | tuple | set | frozenset) and depth < 3:
        return [_clean(item, depth=depth + 1) for item in list(value)[:50]]
    return one_line(_without_secrets(str(value)), limit=VALUE_LENGTH)


def clean(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask secrets, escape what could forge a line, and cut what is too long."""
    cleaned: EventDict = {}
    for name, value in event.items():
        if name in ("exception", "stack"):
            # Several lines on purpose; the indent tells each from an event of its own.
            lines = _without_secrets(str(value)).splitlines()
            cleaned[name] = "\n".join("    | " + one_line(line, limit=VALUE_LENGTH) for line in lines)
        elif name == "color_message":
            continue  # uvicorn says the same again, with colours
        elif name.startswith("_"):
            cleaned[name] = value  # structlog's own, taken out before rendering
        elif _SECRET_NAME.search(name):
            cleaned[one_line(name, limit=100)] = MASK
        else:
            cleaned[one_line(name, limit=100)] = _clean(value)
    return cleaned


def bind_address(request: HttpRequest, **_kwargs: object) -> None:
    """Let every event of a request tell where it came from."""
    structlog.contextvars.bind_contextvars(address=origin_of(request).address)


def _processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]


def formatter(log_format: str, *, colours: bool) -> logging.Formatter:
    """Return what turns each event, ours or a library's, into a line."""
    renderer: Processor
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=colours, pad_event_to=0)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_processors(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, clean, renderer],
    )


def configure() -> None:
    """Set up logging for this process; doing so twice changes nothing."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *_processors(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name("pilothouse")
    handler.setFormatter(formatter(settings.ENVIRONMENT.log_format, colours=sys.stderr.isatty()))
    root = logging.getLogger()
    root.handlers = [kept for kept in root.handlers if kept.get_name() != "pilothouse"] + [handler]
    root.setLevel(logging.INFO)
    # uvicorn sets up handlers of its own before it loads us; its lines go through ours instead.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    # Each request is logged once, by django_structlog, with its id, its person and its traceback.
    logging.getLogger("uvicorn.access").setLevel(logging.CRITICAL)
    logging.getLogger("django.request").setLevel(logging.CRITICAL)
    logging.getLogger("django.server").setLevel(logging.WARNING)
    # A traceback a second while Redis is away; what loses a signal by it says so itself, once a minute.
    logging.getLogger("channels_redis").setLevel(logging.CRITICAL)
    for name in ("asyncio", "aiohttp.access", "httpx", "kombu", "amqp"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # The sweep's message every few seconds is no news; an operation's own events are.
    for name in ("celery.beat", "celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)
