"""Invocations of Lambda functions against a server that answers as Lambda does."""

from __future__ import annotations

import asyncio
import base64
import http.server
import json
import threading

import pytest

from firstlight.gateway.lambda_api import eventstream
from firstlight.invoke.aws import AwsInvoker
from firstlight.invoke.lambda_reports import reported
from firstlight.invoke.types import REQUEST_LIMIT, Invocation, Throttled
from firstlight.runtime.aws.calling import Api
from firstlight.runtime.errors import EndpointNotFound, PayloadTooLarge, WorkerFailed

REPORT = (
    b"START RequestId: a Version: 7\nEND RequestId: a\nREPORT RequestId: a\tDuration: 12.50 ms\t"
    b"Billed Duration: 13 ms\tMemory Size: 1769 MB\tMax Memory Used: 90 MB\tInit Duration: 210.10 ms\t\n"
)
ENV = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}


class Lambda(http.server.ThreadingHTTPServer):
    """Answers each request with the next of ``answers``: a status, headers, and pieces; an Event is waited for."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked, self.broken = [], [], threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.thread.start()

    def handle_error(self, *_):
        """Callers who leave are what some tests are about."""

    def streams(self, *pieces, kind="application/json", **more):
        headers = {
            "x-amzn-remapped-content-type": kind,
            "x-amzn-requestid": "r-1",
            "x-amz-executed-version": "7",
            "transfer-encoding": "chunked",
        }
        self.answers.append((200, {**headers, **more}, pieces))

    def refuses(self, status, code, **told):
        more = {"retry-after": "3"} if status == 429 else {}
        headers = {"x-amzn-errortype": f"{code}:http://internal", **more}
        self.answers.append((status, headers, [json.dumps(told).encode()]))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.append((self.path, dict(self.headers.items()), body))
        status, headers, pieces = self.server.answers.pop(0)
        chunked = "transfer-encoding" in headers
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if not chunked:
            self.send_header("content-length", str(sum(map(len, pieces))))
        self.end_headers()
        try:
            for piece in pieces:
                if isinstance(piece, threading.Event):
                    assert piece.wait(20)
                elif piece is None:
                    self.close_connection = True
                    return
                else:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True
            self.server.broken.set()

    def log_message(self, *_):
        pass


@pytest.fixture
def aws():
    server = Lambda()
    yield server
    server.shutdown()
    server.thread.join()
    server.server_close()


@pytest.fixture
async def invoker(aws):
    paused = []
    service = Api("lambda", {**ENV, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{aws.server_port}"})
    made = AwsInvoker({"mood": "lyrics-prod-mood"}, service, clock=lambda: sum(paused), pause=paused.append)
    made.paused = paused
    yield made
    await made.close()


chunk = eventstream.payload_chunk


def complete(**told):
    return eventstream.invoke_complete(json.dumps(told).encode())


def asked(payload=b"{}", **more):
    return Invocation("mood", payload, **more)


async def test_json_comes_whole_with_what_the_log_tells(aws, invoker):
    aws.streams(chunk(b'{"a":'), chunk(b"1}"), complete(LogResult=base64.b64encode(REPORT).decode()))
    reply = await invoker.invoke(asked(b'{"x":1}', client_context='{"custom": {}}', trace_id="Root=1"))
    assert (reply.payload, reply.stream, reply.function_error, reply.outcome) == (
        b'{"a":1}',
        None,
        None,
        "ok",
    )
    assert (reply.request_id, reply.executed_version, reply.log) == ("r-1", "7", REPORT)
    assert (reply.report.duration_ms, reply.report.init_ms, reply.report.cold) == (12.5, 210.1, True)
    assert (reply.report.billed_ms, reply.report.max_memory_mb, reply.report.memory_mb) == (13, 90, 1769)
    path, headers, body = aws.asked[0]
    assert path == "/2021-11-15/functions/lyrics-prod-mood/response-streaming-invocations?Qualifier=live"
    assert (body, headers["x-amz-log-type"], headers["x-amzn-trace-id"]) == (b'{"x":1}', "Tail", "Root=1")
    assert base64.b64decode(headers["x-amz-client-context"]) == b'{"custom": {}}'
    assert "/us-east-1/lambda/aws4_request" in headers["authorization"]


async def test_any_other_answer_streams_as_it_is_made(aws, invoker):
    first_read = threading.Event()
    aws.streams(chunk(b"one"), first_read, chunk(b"two"), complete(), kind="text/event-stream; charset=utf-8")
    reply = await invoker.invoke(asked())
    assert reply.content_type == "text/event-stream; charset=utf-8"
    assert await anext(reply.stream) == b"one"
    first_read.set()
    assert [piece async for piece in reply.stream] == [b"two"]
    assert reply.outcome == "ok"
    await reply.stream.aclose()
    assert reply.outcome == "ok"


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (b"data:{}\n\n", "text/event-stream"),
        (b'{"statusCode": 200}' + bytes(8), "application/vnd.awslambda.http-integration-response"),
        (b'{"a": 1}', "application/json"),
        (b"", "application/json"),
    ],
)
async def test_an_answer_whose_type_is_not_said_is_told_by_its_beginning(aws, invoker, first, kind):
    aws.streams(chunk(first), chunk(b"rest"), complete(), kind="")
    reply = await invoker.invoke(asked())
    assert reply.content_type == kind
    found = [piece async for piece in reply.stream] if reply.stream else [reply.payload]
    assert b"".join(found) == first + b"rest"


async def test_a_connection_is_used_again(aws, invoker):
    for _ in range(3):
        aws.streams(chunk(b"1"), complete())
        await invoker.invoke(asked())
    assert len(invoker._api._free) == 1


async def test_a_function_error_is_a_reply(aws, invoker):
    told = '{"errorMessage": "boom", "errorType": "ValueError"}'
    aws.streams(complete(ErrorCode="Unhandled", ErrorDetails=told))
    reply = await invoker.invoke(asked())
    assert (reply.function_error, reply.payload, reply.outcome) == ("Unhandled", told.encode(), "error")
    aws.streams(
        chunk(b"one"),
        complete(ErrorCode="Unhandled", ErrorDetails="Task timed out after 3.00 seconds"),
        kind="text/plain",
    )
    reply = await invoker.invoke(asked())
    assert [piece async for piece in reply.stream] == [b"one"]
    assert (reply.function_error, reply.outcome) == ("Unhandled", "timeout")
    assert json.loads(reply.payload)["errorMessage"] == "Task timed out after 3.00 seconds"


async def test_an_answer_that_ends_too_soon_is_a_crash(aws, invoker):
    for end in ((), (None,), (chunk(b"x")[:-3],)):
        aws.streams(chunk(b"one"), *end, kind="text/plain")
        reply = await invoker.invoke(asked())
        assert [piece async for piece in reply.stream] == [b"one"]
        assert (reply.function_error, reply.outcome) == ("Unhandled", "crash")


async def test_a_reader_that_leaves_lets_go_of_the_connection(aws, invoker):
    aws.streams(chunk(b"one"), *[chunk(b"x" * 65536)] * 2000, kind="text/plain")
    reply = await invoker.invoke(asked())
    assert await anext(reply.stream) == b"one"
    reading = asyncio.ensure_future(anext(reply.stream))
    await reply.stream.aclose()
    await asyncio.gather(reading, return_exceptions=True)
    assert reply.outcome == "cancelled"
    assert await asyncio.to_thread(aws.broken.wait, 20)


async def test_a_caller_who_leaves_before_the_answer_begins_leaves_nothing(aws, invoker):
    begin = threading.Event()
    aws.answers.append(
        (200, {"x-amzn-remapped-content-type": "", "transfer-encoding": "chunked"}, [begin, chunk(b"1")])
    )
    for refusal in (False, True):
        asking = asyncio.ensure_future(invoker.invoke(asked()))
        while len(aws.asked) < 1 + refusal:
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        if not refusal:
            aws.refuses(404, "ResourceNotFoundException", Message="no")
    begin.set()
    await asyncio.to_thread(invoker._threads.shutdown)
    await asyncio.sleep(0)  # what is done on the loop when a thread has ended


async def test_a_caller_who_leaves_within_an_answer_lets_go_of_the_connection(aws, invoker):
    aws.streams(chunk(b"["), *[chunk(b"1," * 30_000)] * 2000)
    asking = asyncio.ensure_future(invoker.invoke(asked()))
    while not aws.asked:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await asyncio.to_thread(aws.broken.wait, 20)


async def test_a_function_that_is_being_made_ready_is_asked_again(aws, invoker):
    aws.refuses(409, "CodeArtifactUserPendingException", Message="pending")
    aws.refuses(409, "ResourceConflictException", Message="pending")
    aws.streams(chunk(b"1"), complete())
    assert (await invoker.invoke(asked())).payload == b"1"
    assert invoker.paused == [0.5, 1.0]
    for _ in range(40):
        aws.refuses(502, "ResourceNotReadyException", Message="not yet")
    with pytest.raises(WorkerFailed, match="not ready within a minute"):
        await invoker.invoke(asked())
    assert sum(invoker.paused) <= 1.5 + 60


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (404, "ResourceNotFoundException", EndpointNotFound),
        (413, "RequestTooLargeException", PayloadTooLarge),
        (403, "AccessDeniedException", WorkerFailed),
        (500, "ServiceException", WorkerFailed),
    ],
)
async def test_a_refusal_is_told(aws, invoker, status, code, error):
    aws.refuses(status, code, Message="no")
    with pytest.raises(error) as caught:
        await invoker.invoke(asked())
    assert caught.value.hint
    assert len(aws.asked) == 1


async def test_a_throttle_says_why_and_how_long(aws, invoker):
    aws.refuses(429, "TooManyRequestsException", Reason="ReservedFunctionConcurrentInvocationLimitExceeded")
    with pytest.raises(Throttled) as caught:
        await invoker.invoke(asked())
    assert caught.value.reason == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert caught.value.retry_after == 3


async def test_what_cannot_be_sent_is_not(aws, invoker):
    with pytest.raises(EndpointNotFound):
        await invoker.invoke(Invocation("other", b"{}"))
    with pytest.raises(PayloadTooLarge):
        await invoker.invoke(asked(b"x" * (REQUEST_LIMIT + 1)))
    assert aws.asked == []


async def test_a_function_that_answered_is_awake_for_a_while(aws, invoker):
    assert invoker.status() == {"mood": {"idle": 0}}
    aws.streams(chunk(b"1"), complete())
    await invoker.invoke(asked())
    assert invoker.status() == {"mood": {"idle": 1}}
    invoker.paused.append(301.0)
    assert invoker.status() == {"mood": {"idle": 0}}


def test_a_report_in_json_is_read_too():
    metrics = {"durationMs": 3.5, "billedDurationMs": 4, "restoreDurationMs": 99.5, "memorySizeMB": 512}
    event = {"time": "t", "type": "platform.report", "record": {"requestId": "a", "metrics": metrics}}
    found = reported(b"noise\n" + json.dumps(event).encode() + b"\n", 10.0)
    assert (found.duration_ms, found.restore_ms, found.cold, found.queue_ms) == (3.5, 99.5, True, 6.5)


@pytest.mark.parametrize("log", [b"", b"\xff", b'{"type":"platform.report"}', b"REPORT RequestId: x\n"])
def test_a_log_without_figures_leaves_what_was_seen(log):
    found = reported(log, 10.0)
    assert (found.duration_ms, found.queue_ms, found.cold) == (10.0, 0.0, False)
