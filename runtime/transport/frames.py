"""Taking apart the multiplexed stdout/stderr stream of containers without a TTY. Pure; does no I/O.

Format: https://docs.docker.com/reference/api/engine/ ("Stream format" of attach): 8 bytes of header, of which the first
is the channel and the last four the payload's size, big-endian; then the payload.
"""

from __future__ import annotations

from struct import Struct

from runtime.errors import EngineFailure, ProtocolError
from runtime.streams import Channel, Chunk

_HEADER_SIZE = 8
_unpack_header = Struct(">II").unpack_from
_CHANNELS = {int(channel) << 24: channel for channel in Channel}
# Not a container's output: the engine says what went wrong and ends the stream.
_SYSTEM_ERROR = 3 << 24


class FrameDecoder:
    """Incremental demultiplexer: feed it reads of any size, take whole payload runs out.

    Consecutive payloads of one channel in one read become one chunk. A payload is handed on as it arrives, so nothing
    but an incomplete header is ever kept.
    """

    __slots__ = ("_channel", "_header", "_remaining")

    def __init__(self) -> None:
        self._channel = Channel.STDOUT
        self._header = b""
        self._remaining = 0

    @property
    def complete(self) -> bool:
        """Whether the stream stands between two frames (so that ending here cuts nothing)."""
        return not self._header and not self._remaining

    def feed(self, data: bytes) -> list[Chunk]:
        """Return the chunks that ``data`` completes.

        Raises ``ProtocolError`` for a header no engine sends, ``EngineFailure`` for the engine's own error channel.
        """
        if self._header:
            data = self._header + data
            self._header = b""
        position = 0
        end = len(data)
        channel = self._channel
        chunks: list[Chunk] = []
        parts: list[bytes] = []
        if self._remaining and data:
            parts.append(data[: self._remaining])
            position = len(parts[0])
            self._remaining -= position
        while end - position >= _HEADER_SIZE:
            word, size = _unpack_header(data, position)
            position += _HEADER_SIZE
            found = _CHANNELS.get(word)
            if found is None:
                if word == _SYSTEM_ERROR:
                    raise EngineFailure(data[position : position + size].decode(errors="replace"))
                raise ProtocolError("the stream is not multiplexed as the Engine API promises")
            if found is not channel:
                if parts:
                    chunks.append(Chunk(channel, b"".join(parts)))
                    parts = []
                channel = found
            if not size:
                continue
            stop = position + size
            if stop > end:
                self._remaining = stop - end
                if position < end:
                    parts.append(data[position:])
                    position = end
                break
            parts.append(data[position:stop])
            position = stop
        if position < end:
            self._header = data[position:]
        self._channel = channel
        if parts:
            chunks.append(Chunk(channel, b"".join(parts)))
        return chunks
