"""Calls of a service: where it is, what its refusals are, connections that were closed meanwhile."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager

import pytest

from firstlight.runtime.aws.calling import Api, endpoint, refusal
from firstlight.runtime.aws.errors import CallFailed

ENV = {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"did": 1}'


def refused(body):
    return b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@contextmanager
def server(*connections):
    """Answers each connection in turn with its parts, one for each request, then hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen = []

    def serve():
        for parts in connections:
            sock, _ = listener.accept()
            with sock:
                for part in parts:
                    request = sock.recv(65536)
                    while not request.endswith(b"}"):
                        request += sock.recv(65536)
                    seen.append(request)
                    sock.sendall(part)

    thread = threading.Thread(target=serve)
    thread.start()
    with listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
        thread.join(10)


def test_a_connection_is_kept_and_replaced_when_the_other_side_has_closed_it():
    with server([OK, OK], [OK]) as (url, seen):
        service = Api("dynamodb", {**ENV, "AWS_ENDPOINT_URL_DYNAMODB": url})
        assert [service.call("T.Op", {"a": 1}) for _ in range(3)] == [{"did": 1}] * 3
        service.close()
    assert len(seen) == 3
    assert all(b"x-amz-target: T.Op" in request and b"AWS4-HMAC-SHA256" in request for request in seen)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refused(b'{"__type":"com.amazonaws#AccessDeniedException"}'), "AccessDeniedException"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<no>", "NoAnswer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "NoAnswer"),
        (b"nonsense\r\n\r\n", "NoAnswer"),
    ],
)
def test_what_is_no_answer_is_an_error(answer, code):
    with server([answer]) as (url, _):
        service = Api("dynamodb", {**ENV, "AWS_ENDPOINT_URL": url})
        with pytest.raises(CallFailed) as caught:
            service.call("T.Op", {})
        service.close()
    assert caught.value.code == code


def test_a_server_that_is_not_there_was_sent_nothing():
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    with pytest.raises(CallFailed) as caught:
        Api("dynamodb", {**ENV, "AWS_ENDPOINT_URL": url}).call("T.Op", {})
    assert not caught.value.sent


@pytest.mark.parametrize(
    ("env", "url"),
    [
        ({"AWS_REGION": "eu-central-1"}, "https://sqs.eu-central-1.amazonaws.com"),
        ({"AWS_DEFAULT_REGION": "cn-north-1"}, "https://sqs.cn-north-1.amazonaws.com.cn"),
        ({}, "https://sqs.us-east-1.amazonaws.com"),
        ({"AWS_ENDPOINT_URL": "http://a/"}, "http://a"),
        ({"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_SQS": "http://b"}, "http://b"),
    ],
)
def test_where_a_service_is(env, url):
    assert endpoint("sqs", env) == url


def test_a_refusal_is_named_by_header_or_body():
    named = refusal(
        409, "ResourceConflictException:http://internal", b'{"Message": "pending", "Reason": "x"}'
    )
    assert (named.code, named.message, named.status, named.reason) == (
        "ResourceConflictException",
        "pending",
        409,
        "x",
    )
    assert refusal(500, "", b"<html>").code == "HTTP500"
