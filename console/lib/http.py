"""uvicorn's HTTP, with a bound on how long a request may take to arrive.

uvicorn itself waits for ever: a connection that says nothing, or a byte now and then, would keep its place without
anybody having signed in.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Seconds from the connection, or from a request's first byte, to the end of its head.
HEAD_TIMEOUT: Final = 10.0
#: Seconds from there to the end of its body.
BODY_TIMEOUT: Final = 60.0


class BoundedHttp(HttpToolsProtocol):
    """One connection; it is cut when what it announces does not arrive."""

    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Expect a request."""
        super().connection_made(transport)
        self._expect(HEAD_TIMEOUT)

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._expect(None)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Expect the head's end."""
        super().on_message_begin()
        self._expect(HEAD_TIMEOUT)

    def on_headers_complete(self) -> None:
        """Expect the body's end; a WebSocket has limits of its own."""
        super().on_headers_complete()
        self._expect(None if self.parser.should_upgrade() else BODY_TIMEOUT)

    def on_message_complete(self) -> None:
        """Expect nothing until the next request begins: between two, uvicorn's keep-alive counts."""
        self._expect(None)
        super().on_message_complete()

    def _expect(self, timeout: float | None) -> None:
        if self._limit is not None:
            self._limit.cancel()
        self._limit = self.loop.call_later(timeout, self.transport.abort) if timeout is not None else None
