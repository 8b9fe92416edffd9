"""The loop of one worker: load the handler, then ask for invocations and answer them one at a time.

Speaks the Lambda Runtime API and nothing else, so the same file runs under the local pool, in a Lambda container and
under AWS's Runtime Interface Emulator. Besides AWS's own variables and those of ``entry`` it reads
``FIRSTLIGHT_STARTED_NS``, the ``time.perf_counter_ns()`` at which the process was started.

A handler that ends the process (``sys.exit``) ends the worker, as on Lambda: no answer is posted, and whoever started
the worker reports ``Runtime.ExitError``.
"""

from __future__ import annotations

import gc
import os
import sys
from time import perf_counter_ns, process_time_ns

from firstlight.runtime import deadline, entry, faults, jsons, logs, marshal, notes, streaming
from firstlight.runtime.context import LambdaContext
from firstlight.runtime.faults import Fault
from firstlight.runtime.runtime_client import ERROR_BODY, ERROR_TYPE, NOTES, RuntimeApiError, RuntimeClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, MutableMapping

    from firstlight.runtime.runtime_client import Invocation
    from firstlight.runtime.types import Handler

_IDLE_SLICES = 5
_SLICE = 0.05
"""Seconds. A worker is idle after five slices in which nothing came. Lambda freezes a process that waits; a slice in
which that happened lasts too long and does not count, or thawing would look like idleness just as an event arrives."""

_SET_PDEATHSIG, _SIGKILL = 1, 9

_TOO_LARGE = "Response payload size exceeded maximum allowed payload size (6291556 bytes)."


def main(start_ns: int | None = None) -> None:
    """Run a worker from the environment until the Runtime API goes away; exit with 1 when it cannot go on.

    Args:
        start_ns: ``perf_counter_ns()`` at which the interpreter was ready; now when it is not known.
    """
    start_ns = start_ns or perf_counter_ns()
    started = os.environ.get("FIRSTLIGHT_STARTED_NS", "")
    interpreter_ns = start_ns - int(started) if started.isdecimal() else process_time_ns()
    address = os.environ.get("AWS_LAMBDA_RUNTIME_API")
    if not address:
        sys.exit("error: a worker is started by a Runtime API, and AWS_LAMBDA_RUNTIME_API does not name one")
    logs.set_up(os.environ)
    client = _client(address)
    try:
        if address.startswith("unix:"):
            _end_with_parent()
            # Only the local pool hangs up on purpose; elsewhere a connection may be dropped for being idle.
            deadline.watch(client.connection.ended)
        client.connection.open()
    except ConnectionError as error:
        sys.exit(f"error: {error}")
    try:
        handler, figures = _init(client, start_ns)
        figures["interpreter"] = interpreter_ns / 1e6
        if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
            from firstlight.runtime import snapshot

            snapshot.take(client, handler)
        run(handler, client, os.environ, _notes(figures))
    except RuntimeApiError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except ConnectionError:
        return  # whoever started this worker has closed its end: nothing is left to answer
    finally:
        logs.flush()


def _client(address: str) -> RuntimeClient:
    # The router is told the table too, and may only read it: the endpoints' functions leave the records.
    told = "FIRSTLIGHT_RECORDS_TABLE" in os.environ and "FIRSTLIGHT_ROUTER" not in os.environ
    if told or "FIRSTLIGHT_METRICS" in os.environ:
        from firstlight.runtime.afterwards import ReportingClient

        return ReportingClient(address, os.environ)
    return RuntimeClient(address)


def _end_with_parent() -> None:
    """Have the system kill this process when the server that started it is gone, in the middle of an invocation too.

    Only for the local pool, which is what listens on a unix socket: elsewhere the parent is not ours to judge (the
    signal is sent when the parent's *thread* ends). ``prctl(2)``, PR_SET_PDEATHSIG. Asked of ``_ctypes`` itself: all of
    ctypes takes ten milliseconds to import, and a worker without a model has no other use for it.
    """
    if sys.platform == "linux":
        try:
            import _ctypes

            _ctypes.call_function(_ctypes.dlsym(_ctypes.dlopen("", 0), "prctl"), (_SET_PDEATHSIG, _SIGKILL))
        except (ImportError, AttributeError, OSError):
            pass  # an interpreter without it: a worker then ends when it next speaks to the server


def run(
    handler: Handler, client: RuntimeClient, env: MutableMapping[str, str], first_notes: str = ""
) -> None:
    """Answer invocations for as long as there is a Runtime API.

    Args:
        handler: ``handler(event, context)``; its ``settle()``, if it has one, is called once when idle.
        env: where ``_X_AMZN_TRACE_ID`` is set for each invocation.
        first_notes: sent with the first request; later ones carry the notes of an answer that nobody took.

    Raises:
        ConnectionError: the Runtime API is gone.
        RuntimeApiError: it answered with what a worker cannot go on from.
    """
    settle = getattr(handler, "settle", None)
    said = first_notes
    while True:
        client.ask(said)
        if settle is not None and _idle(client):
            _settle(handler)
            settle = None
        invocation = client.next()
        try:
            said = _answer(client, handler, invocation, env)
        except (SystemExit, KeyboardInterrupt) as error:
            said = "the handler ended the worker"
            logs.error({"errorType": type(error).__name__, "errorMessage": said, "stackTrace": []})
            raise


def _init(client: RuntimeClient, start_ns: int) -> tuple[Handler, dict[str, float]]:
    before_ns = perf_counter_ns()
    notes.clear()
    try:
        handler = entry.load(os.environ)
    except Exception as error:
        described = faults.describe(error)
        logs.error(described)
        logs.flush()
        client.init_error(described, faults.kind(error))
        sys.exit(1)
    gc.freeze()  # what was loaded stays: no collection needs to look at it
    gc.enable()
    figures = dict(notes.timings)
    loading = (perf_counter_ns() - before_ns) / 1e6
    figures["load"] = max(loading - figures.get("import", 0.0), 0.0)
    figures["import"] = figures.get("import", 0.0) + (before_ns - start_ns) / 1e6
    return handler, figures


def _idle(client: RuntimeClient) -> bool:
    quiet = 0
    while quiet < _IDLE_SLICES:
        before = perf_counter_ns()
        if client.connection.wait(_SLICE):
            return False
        quiet = quiet + 1 if perf_counter_ns() - before < 2 * _SLICE * 1e9 else 0
    return True


def _settle(handler: Handler) -> None:
    try:
        handler.settle()  # type: ignore[attr-defined]
    except Exception as error:  # what works unsettled must not end because of it
        logs.error(faults.describe(error))


def _answer(
    client: RuntimeClient, handler: Handler, invocation: Invocation, env: MutableMapping[str, str]
) -> str:
    """Answer one invocation; return the notes that could not be sent with the answer."""
    _begin(invocation, env)
    pieces = None
    try:
        event = marshal.event(invocation.payload, invocation.content_type)
        result = handler(event, LambdaContext(invocation.headers, env))
        pieces = streaming.stream(result)
        if pieces is None:
            body, content_type = marshal.body(result)
        else:
            content_type, body = pieces[0], next(pieces[1], b"")  # an error before the first is a plain one
    except Exception as error:
        return _fail(client, invocation, error)
    logs.flush()
    if pieces is not None:
        return _stream(client, invocation, content_type, body, pieces[1])
    said = _notes(notes.timings)
    if client.respond_and_ask(invocation, body, content_type, said):
        return ""
    status = client.respond(invocation, body, content_type, said)
    if status == 413:
        # Whoever refused it has ended the invocation and its log; some still take the error.
        fault = Fault("Function.ResponseSizeTooLarge", _TOO_LARGE)
        client.fail(invocation, faults.describe(fault, invocation.request_id), fault.kind)
    return said if status == 403 else ""


def _begin(invocation: Invocation, env: MutableMapping[str, str]) -> None:
    notes.clear()
    deadline.begin(invocation.deadline_ms)
    logs.begin(invocation.request_id, invocation.headers.get("lambda-runtime-aws-tenant-id"))
    trace = invocation.headers.get("lambda-runtime-trace-id")
    if trace is None:
        env.pop("_X_AMZN_TRACE_ID", None)
    else:
        env["_X_AMZN_TRACE_ID"] = trace


def _fail(client: RuntimeClient, invocation: Invocation, error: Exception) -> str:
    described = faults.describe(error, invocation.request_id)
    logs.error(described)
    logs.flush()
    cause = faults.xray_cause(error) if "lambda-runtime-trace-id" in invocation.headers else ""
    said = _notes(notes.timings)
    return said if client.fail(invocation, described, faults.kind(error), said, cause) == 403 else ""


def _stream(
    client: RuntimeClient, invocation: Invocation, content_type: str, first: bytes, rest: Generator[bytes]
) -> str:
    trailers: dict[str, str] = {}
    try:
        client.open_stream(invocation, content_type)
        client.send_chunk(first)
        while True:
            try:
                chunk = next(rest)
            except StopIteration:
                break
            except Exception as error:
                trailers = _error_trailers(error, invocation.request_id)
                break
            client.send_chunk(chunk)
        logs.flush()
        client.end_stream({**trailers, NOTES: _notes(notes.timings)})
    except ConnectionError:
        # Whoever was reading has left. The next invocation comes over a new connection, if there is one.
        client.connection.close()
        _end(rest)
        logs.flush()
        return _notes(notes.timings)
    finally:
        _end(rest)
    return ""


def _end(pieces: Generator[bytes]) -> None:
    try:
        pieces.close()
    except Exception as error:  # of a user's generator, which nobody is left to be told about
        logs.error(faults.describe(error))


def _error_trailers(error: Exception, request_id: str) -> dict[str, str]:
    from binascii import b2a_base64

    described = faults.describe(error, request_id)
    logs.error(described)
    body = b2a_base64(jsons.dumps(described).encode(), newline=False).decode()
    return {ERROR_TYPE: faults.kind(error), ERROR_BODY: body}


def _notes(timings: dict[str, float]) -> str:
    rounded = {name: round(value, 3) for name, value in timings.items()}
    said = {"timings": rounded, "warnings": notes.warnings}
    return jsons.dumps({**said, "counts": notes.counts} if notes.counts else said)
