import io

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from firstlight.gateway.lambda_api import eventstream

texts = st.text(min_size=1, max_size=20).filter(lambda text: len(text.encode()) < 128)
sent = st.lists(st.tuples(st.dictionaries(texts, texts, max_size=4), st.binary(max_size=200)), max_size=5)


@given(sent)
def test_what_was_written_is_read(messages):
    wire = b"".join(eventstream.frame(headers, payload) for headers, payload in messages)
    assert list(eventstream.messages(io.BytesIO(wire).read)) == messages


@given(sent)
def test_as_botocore_reads_it(messages):
    buffer = EventStreamBuffer()
    buffer.add_data(b"".join(eventstream.frame(headers, payload) for headers, payload in messages))
    found = [(event.headers, event.payload) for event in buffer]
    assert found == messages


@given(st.binary(max_size=60), st.integers(0, 10_000), st.integers(1, 255))
def test_damage_is_noticed(payload, place, change):
    wire = bytearray(eventstream.payload_chunk(payload))
    wire[place % len(wire)] ^= change
    with pytest.raises(ValueError, match="event stream"):
        list(eventstream.messages(io.BytesIO(bytes(wire)).read))


@given(st.integers(1, 200))
def test_an_early_end_is_noticed(kept):
    wire = eventstream.payload_chunk(b"x" * 300)
    with pytest.raises(ValueError, match="event stream"):
        list(eventstream.messages(io.BytesIO(wire[:kept]).read))
