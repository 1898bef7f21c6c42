"""Asking an address step by step whether an engine is there that we may use.

Says cause and next step of the first thing that fails. What the address answers is never shown: an admin may have any
address asked, and must not read other people's services that way.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from console import gateway
from console.gateway import BackendError, Endpoint, Timeouts
from console.hosts.causes import Explanation, cause_of, detail_of, explain
from console.lib.text import one_line

#: Seconds. Apart from those of ordinary engines: a test opens connections of its own and closes them again.
_TIMEOUTS: Final = Timeouts(connect=3.0, read=6.0)
_WHOLE: Final = 20.0

_TLS_CAUSES: Final = ("tls_untrusted", "tls_rejected", "tls_failed", "tls_needed")

OK: Final = "ok"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One question and its answer. ``detail`` is our own system's words about the connection."""

    label: str | Promise
    outcome: str
    sentence: str | Promise = ""
    next_step: str | Promise = ""
    detail: str = ""


@dataclass(slots=True)
class Report:
    """The steps of one test. ``cause`` is the code of what failed, ``""`` when nothing did."""

    steps: list[Step] = field(default_factory=list)
    cause: str = ""
    engine_id: str = ""

    @property
    def passed(self) -> bool:
        """Whether the engine can be used."""
        return not self.cause

    def passes(self, label: str | Promise, sentence: str | Promise) -> None:
        """Add a step that went well."""
        self.steps.append(Step(label=label, outcome=OK, sentence=sentence))

    def fails(self, label: str | Promise, cause: str, *, detail: str = "") -> None:
        """Add the step that failed, and keep its cause."""
        why: Explanation = explain(cause)
        self.cause = cause
        self.steps.append(
            Step(label=label, outcome=FAILED, sentence=why.sentence, next_step=why.next_step, detail=detail)
        )


_ADDRESS = _("Address")
_CONNECTION = _("Connection")
_IDENTITY = _("TLS identity")
_VERSION = _("Engine and version")
_PERMISSIONS = _("Permissions")


async def probe(endpoint: Endpoint) -> Report:
    """Ask every question in turn until one fails; the rest is then skipped. Takes at most 20 seconds."""
    endpoint = replace(endpoint, timeouts=_TIMEOUTS)
    report = Report()
    questions: list[tuple[str | Promise, Callable[[Endpoint, Report], Awaitable[None]]]] = [
        (_ADDRESS, _resolve),
        (_CONNECTION, _connect),
        (_IDENTITY, _identify),
        (_VERSION, _ask_version),
        (_PERMISSIONS, _ask_permissions),
    ]
    label: str | Promise = _ADDRESS
    try:
        async with asyncio.timeout(_WHOLE):
            for label, ask in questions:
                if not report.cause:
                    await ask(endpoint, report)
                elif all(step.label != label for step in report.steps):
                    report.steps.append(Step(label=label, outcome=SKIPPED, sentence=_("Not asked.")))
    except TimeoutError:
        report.fails(label, "timed_out")
    finally:
        await gateway.close_engine(endpoint)
    return report


async def _resolve(endpoint: Endpoint, report: Report) -> None:
    path = endpoint.socket_path
    if path is not None:
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116  a local path; nothing is read
        except PermissionError as error:
            report.fails(_ADDRESS, "no_permission", detail=error.strerror or "")
        except OSError as error:
            report.fails(_ADDRESS, "no_socket", detail=error.strerror or "")
        else:
            if stat.S_ISSOCK(mode):
                report.passes(_ADDRESS, _("There is a socket at this path."))
            else:
                report.fails(_ADDRESS, "not_a_socket")
        return
    host, port = endpoint.address or ("", 0)
    try:
        async with asyncio.timeout(_TIMEOUTS.connect):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError, TimeoutError) as error:
        report.fails(_ADDRESS, "name_unknown", detail=one_line(getattr(error, "strerror", None) or "", limit=200))
        return
    addresses = ", ".join(dict.fromkeys(str(entry[4][0]) for entry in found[:8]))
    report.passes(_ADDRESS, _("The name stands for %(addresses)s.") % {"addresses": addresses})


async def _connect(endpoint: Endpoint, report: Report) -> None:
    try:
        async with asyncio.timeout(_TIMEOUTS.connect):
            if endpoint.socket_path is not None:
                _reader, writer = await asyncio.open_unix_connection(endpoint.socket_path)
            else:
                _reader, writer = await asyncio.open_connection(*(endpoint.address or ("", 0)))
    except TimeoutError:
        report.fails(_CONNECTION, "no_route")
    except OSError as error:
        wrapped = gateway.Unreachable(error.strerror or "no connection")
        wrapped.__cause__ = error
        report.fails(_CONNECTION, cause_of(wrapped), detail=error.strerror or "")
    else:
        writer.close()
        report.passes(_CONNECTION, _("Something accepts connections."))


async def _identify(endpoint: Endpoint, report: Report) -> None:
    try:
        await gateway.open_engine(endpoint).ping()
    except BackendError as error:
        cause = cause_of(error)
        label = _IDENTITY if cause in _TLS_CAUSES else _VERSION
        if label is _VERSION:
            _pass_identity(endpoint, report)
        report.fails(label, cause, detail=detail_of(error))
    else:
        _pass_identity(endpoint, report)


def _pass_identity(endpoint: Endpoint, report: Report) -> None:
    if endpoint.tls is not None:
        report.passes(_IDENTITY, _("The CA vouches for the engine, and the engine accepts our certificate."))
    elif endpoint.socket_path is not None:
        report.passes(_IDENTITY, _("Not needed: the socket is on this machine."))
    else:
        report.passes(_IDENTITY, _("None: plain TCP. Nobody's identity is checked."))


async def _ask_version(endpoint: Endpoint, report: Report) -> None:
    engine = gateway.open_engine(endpoint)
    try:
        api_version = await engine.ping()
        info = await engine.info()
    except BackendError as error:
        cause = cause_of(error)
        report.fails(_PERMISSIONS if cause == "access_denied" else _VERSION, cause, detail=detail_of(error))
        return
    report.engine_id = info.engine_id
    report.passes(
        _VERSION,
        _("%(product)s %(version)s, API %(api)s, on %(system)s.")
        % {
            "product": one_line(info.product, limit=60),
            "version": one_line(info.version, limit=60),
            "api": one_line(api_version, limit=20),
            "system": one_line(info.operating_system or info.architecture, limit=100),
        },
    )


async def _ask_permissions(endpoint: Endpoint, report: Report) -> None:
    engine = gateway.open_engine(endpoint)
    try:
        containers = await engine.list_containers()
        await engine.list_images()
    except BackendError as error:
        report.fails(_PERMISSIONS, cause_of(error), detail=detail_of(error))
        return
    report.passes(_PERMISSIONS, _("We may list its containers (%(count)s) and images.") % {"count": len(containers)})
