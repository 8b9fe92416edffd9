from __future__ import annotations

import pytest

from firstlight.gateway import patience
from firstlight.gateway.asgi import Call
from firstlight.gateway.patience import Patience, Way


def call_with(**headers: str) -> Call:
    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Call({"type": "http", "headers": pairs}, receive)


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        ("", Patience(Way.WHOLE)),
        ("respond-async", Patience(Way.JOB)),
        ("Respond-Async, wait=10", Patience(Way.JOB, 10)),
        ("return=minimal, wait=5", Patience(Way.WHOLE, 5)),
        ('wait="7"', Patience(Way.WHOLE, 7)),
        ("wait=soon", Patience(Way.WHOLE)),
        ("wait=99999999999", Patience(Way.WHOLE)),
        ("handling=lenient; wait=3", Patience(Way.WHOLE)),
    ],
)
def test_what_a_client_prefers(prefer: str, expected: Patience) -> None:
    assert patience.of(call_with(prefer=prefer)) == expected


def test_who_takes_a_job_gets_one_also_for_a_stream() -> None:
    assert patience.of(call_with(prefer="respond-async, wait=5"), asked=True) == Patience(Way.JOB, 5)
    assert patience.of(call_with(prefer="wait=5"), asked=True) == Patience(Way.STREAM)


def test_preferences_may_come_in_several_headers() -> None:
    scope = {"type": "http", "headers": [(b"prefer", b"respond-async"), (b"prefer", b"wait=9")]}
    assert patience.of(Call(scope, None)) == Patience(Way.JOB, 9)  # type: ignore[arg-type]


def test_the_accept_header_asks_only_where_it_may() -> None:
    call = call_with(accept="text/event-stream; q=1")
    assert patience.of(call).way is Way.WHOLE
    assert patience.of(call, by_header=True).way is Way.STREAM
    assert patience.of(call_with(accept="*/*"), by_header=True).way is Way.WHOLE


def test_who_takes_a_job() -> None:
    assert patience.takes_job(call_with(prefer="respond-async"))
    assert not patience.takes_job(call_with(prefer="wait=5"))
    assert not patience.takes_job(call_with())
