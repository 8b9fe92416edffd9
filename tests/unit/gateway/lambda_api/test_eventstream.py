from __future__ import annotations

from collections.abc import AsyncIterator

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from firstlight.gateway.lambda_api import eventstream


def messages(data: bytes) -> list[tuple[dict[str, str], bytes]]:
    """What botocore, which checks both checksums, reads."""
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(message.headers, message.payload) for message in buffer]


@given(
    st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=50), max_size=5),
    st.binary(max_size=2000),
)
def test_botocore_reads_what_is_written(headers: dict[str, str], payload: bytes) -> None:
    assert messages(eventstream.frame(headers, payload)) == [(headers, payload)]


async def test_pieces_over_the_limit_are_cut() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a" * (eventstream.CHUNK + 5)
        yield b""
        yield b"b"

    framed = b"".join([piece async for piece in eventstream.chunks(pieces())])
    payloads = [payload for _, payload in messages(framed)]
    assert [len(payload) for payload in payloads] == [eventstream.CHUNK, 5, 1]
