import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.gateway.events import NotEvents, events


async def pieces(wire: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(wire), size):
        yield wire[at : at + size]


@given(st.lists(st.dictionaries(st.text(), st.text()), max_size=6), st.integers(1, 40))
async def test_events_wherever_they_are_cut(sent: list[dict[str, str]], size: int) -> None:
    wire = b"".join(f"data:{json.dumps(event)}\n\n".encode() for event in sent)
    assert [event async for event in events(pieces(wire, size))] == sent


@pytest.mark.parametrize(
    "wire", [b"hello\n\n", b"data:{\n\n", b"data:[]\n\n", b'data:{"a": 1}', b"data:\xff\n\n"]
)
async def test_what_is_no_event(wire: bytes) -> None:
    with pytest.raises(NotEvents):
        [event async for event in events(pieces(wire, 100))]
