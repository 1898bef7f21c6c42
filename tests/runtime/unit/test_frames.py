"""Taking apart stdout and stderr."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import Channel, Chunk, EngineFailure, ProtocolError
from runtime.transport.frames import FrameDecoder

frames = st.lists(st.tuples(st.sampled_from([Channel.STDOUT, Channel.STDERR]), st.binary(max_size=300)), max_size=30)


def encode(channel: int, data: bytes) -> bytes:
    return struct.pack(">BxxxI", channel, len(data)) + data


def joined(chunks: list[Chunk]) -> list[tuple[Channel, bytes]]:
    found: list[tuple[Channel, bytes]] = []
    for chunk in chunks:
        if found and found[-1][0] is chunk.channel:
            found[-1] = (chunk.channel, found[-1][1] + chunk.data)
        else:
            found.append((chunk.channel, chunk.data))
    return found


@settings(deadline=None)
@given(frames, st.lists(st.integers(1, 400), max_size=60))
def test_however_it_is_cut_the_same_comes_out(parts: list[tuple[Channel, bytes]], cuts: list[int]) -> None:
    stream = b"".join(encode(channel, data) for channel, data in parts)
    decoder = FrameDecoder()
    chunks: list[Chunk] = []
    position = 0
    for cut in [*cuts, len(stream) or 1]:
        chunks += decoder.feed(stream[position : position + cut])
        position += cut
    assert joined(chunks) == joined([Chunk(channel, data) for channel, data in parts if data])
    assert all(chunk.data for chunk in chunks)
    assert decoder.complete


@settings(deadline=None)
@given(frames)
def test_byte_by_byte_is_the_same(parts: list[tuple[Channel, bytes]]) -> None:
    stream = b"".join(encode(channel, data) for channel, data in parts)
    decoder = FrameDecoder()
    chunks = [chunk for byte in stream for chunk in decoder.feed(bytes([byte]))]
    assert joined(chunks) == joined([Chunk(channel, data) for channel, data in parts if data])


def test_an_empty_payload_is_nothing() -> None:
    assert FrameDecoder().feed(encode(1, b"") + encode(2, b"") + encode(1, b"a")) == [Chunk(Channel.STDOUT, b"a")]


def test_a_header_alone_is_nothing_yet() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(encode(1, b"x")[:8]) == []
    assert decoder.feed(b"x") == [Chunk(Channel.STDOUT, b"x")]


def test_neighbours_of_one_channel_become_one_chunk() -> None:
    stream = encode(1, b"a") + encode(1, b"b") + encode(2, b"c") + encode(1, b"d")
    assert FrameDecoder().feed(stream) == [
        Chunk(Channel.STDOUT, b"ab"),
        Chunk(Channel.STDERR, b"c"),
        Chunk(Channel.STDOUT, b"d"),
    ]


def test_a_payload_is_handed_on_before_it_is_whole() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(encode(1, b"x" * 100)[:50]) == [Chunk(Channel.STDOUT, b"x" * 42)]
    assert not decoder.complete


def test_a_header_no_engine_sends_is_refused() -> None:
    for garbage in (b"HTTP/1.1 200", b"\x01\x00\x01\x00\x00\x00\x00\x00", b"\x07" + bytes(7)):
        with pytest.raises(ProtocolError):
            FrameDecoder().feed(garbage)


def test_the_engines_own_complaint_is_an_error() -> None:
    with pytest.raises(EngineFailure, match="log driver is broken"):
        FrameDecoder().feed(encode(3, b"log driver is broken"))
