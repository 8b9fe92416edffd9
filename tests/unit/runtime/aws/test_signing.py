"""Signatures against botocore's own, and the credentials they are made with."""

from __future__ import annotations

import http.server
import json
import threading
from types import SimpleNamespace
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Theirs
from hypothesis import given, settings
from hypothesis import strategies as st

from firstlight.runtime.aws.credentials import Credentials, Source
from firstlight.runtime.aws.errors import CallFailed
from firstlight.runtime.aws.signing import Scope, signed

NOW = 1_795_300_000.0
WORDS = st.text("aB3-_~:/+é$ ", min_size=1, max_size=12)


@settings(max_examples=40)
@given(
    name=WORDS,
    qualifier=WORDS,
    value=WORDS,
    body=st.binary(max_size=40),
    token=st.sampled_from(["", "tok/en+="]),
)
def test_a_signature_is_the_one_that_botocore_makes(name, qualifier, value, body, token):
    path, query = (
        f"/2021-11-15/functions/{quote(name, safe='')}/x",
        f"Qualifier={quote(qualifier, safe='-_.~')}",
    )
    headers = {
        "host": "lambda.eu-central-1.amazonaws.com",
        "x-amz-log-type": value.encode().decode("latin-1"),
    }
    ours = signed(
        "POST",
        path,
        query,
        headers,
        body,
        Credentials("KEY", "secret", token),
        Scope("eu-central-1", "lambda"),
        NOW,
    )
    request = AWSRequest("POST", f"https://{headers['host']}{path}?{query}", headers, body)
    request.context["timestamp"] = ours["x-amz-date"]
    theirs = botocore.auth.SigV4Auth(Theirs("KEY", "secret", token or None), "lambda", "eu-central-1")
    if token:
        request.headers["X-Amz-Security-Token"] = token
    request.headers["X-Amz-Date"] = ours["x-amz-date"]
    wanted = theirs.signature(theirs.string_to_sign(request, theirs.canonical_request(request)), request)
    assert ours["authorization"].rpartition("Signature=")[2] == wanted


def test_a_key_is_derived_once_a_day():
    scope = Scope("us-east-1", "dynamodb")
    assert scope.key("s", "20261121") is scope.key("s", "20261121")
    assert scope.key("s", "20261121") != scope.key("s", "20261122")
    assert scope.key("s", "20261121") != scope.key("t", "20261121")


@pytest.fixture
def giver():
    """What gives out credentials to containers; a fixture, as each test looks at what it was asked."""
    asked = []

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Authorization")))
            told = {"AccessKeyId": f"KEY{len(asked)}", "SecretAccessKey": "s", "Token": "t"}
            body = json.dumps({**told, "Expiration": "2026-11-22T00:00:00Z"}).encode()
            self.send_response(200 if self.path == "/role" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}", asked=asked)
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_restored_snapshot_asks_for_its_credentials_and_asks_again_before_they_end(giver, tmp_path):
    (tmp_path / "token").write_text("word\n")
    env = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{giver.url}/role",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token"),
    }
    end = 1_795_305_600.0  # 2026-11-22T00:00:00Z
    moment = [end - 3600]
    source = Source(env, lambda: moment[0])
    first = source.get()
    assert (first.key_id, first.secret, first.token, first.until) == ("KEY1", "s", "t", end)
    assert source.get() is first
    moment[0] = end - 200
    assert source.get().key_id == "KEY2"
    assert giver.asked == [("/role", "word")] * 2


@pytest.mark.parametrize("env", [{}, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "URL/nothing"}])
def test_no_credentials_are_said(giver, env):
    env = {name: value.replace("URL", giver.url) for name, value in env.items()}
    with pytest.raises(CallFailed, match="NoCredentials"):
        Source(env, lambda: NOW).get()


def test_those_of_the_environment_are_taken_first():
    env = {"AWS_ACCESS_KEY_ID": "K", "AWS_SECRET_ACCESS_KEY": "S", "AWS_SESSION_TOKEN": "T"}
    found = Source(env, lambda: NOW).get()
    assert (found.key_id, found.secret, found.token) == ("K", "S", "T")
