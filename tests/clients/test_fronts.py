"""The HTTP fronts by clients that know nothing of us: botocore's signer, curl, urllib, http.client, httpx."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from serving import PATIENCE, Server

PROJECT = """
name = "fronts"
[endpoints.mirror]
script = "inference/mirror.py"
[endpoints.object]
script = "inference/object.py"
route = "/object"
[endpoints.member]
script = "inference/mirror.py"
route = "/member"
front = { kind = "url", auth = "iam" }
[endpoints.songs]
script = "inference/mirror.py"
route = "/songs/{id}/{rest+}"
front = { kind = "http" }
[endpoints.metered]
script = "inference/mirror.py"
front = { auth = "key" }
[endpoints.tale]
script = "inference/tale.py"
front = { kind = "url", stream = true }
[endpoints.qa]
model = "starter:qa"
route = "/qa"
[endpoints.sentiment]
script = "inference/sentiment.py"
[endpoints.router]
script = "inference/router.py"
concurrency = 1
[endpoints.router.env]
AWS_ENDPOINT_URL_LAMBDA = "http://127.0.0.1:PORT"
AWS_ACCESS_KEY_ID = "x"
AWS_SECRET_ACCESS_KEY = "x"
functionARN1 = "arn:aws:lambda:us-east-1:000000000000:function:sentiment"
"""
SCRIPTS = {
    "mirror": """
import json

def handler(event, context):
    headers = {
        "x-request": context.aws_request_id,
        "x-function": context.invoked_function_arn,
        "x-version": context.function_version,
    }
    return {"statusCode": 200, "headers": headers, "body": json.dumps(event)}
""",
    "object": """
def handler(event, context):
    return {"statusCode": 200, "body": {"an": "object"}}
""",
    "tale": """
import os, time

def handler(event, context):
    def pieces():
        yield b"once "
        while not os.path.exists(event["queryStringParameters"]["until"]):
            time.sleep(0.01)
        yield b"upon"
    headers = {"content-type": "text/plain"}
    return {"statusCode": 202, "headers": headers, "cookies": ["a=1", "b=2"], "body": pieces()}
""",
    # As seed 001 has them, a classifier and the router before it.
    "sentiment": """
def handler(event, context):
    response = {
        "statusCode": 200,
        "body": {"label": "POSITIVE", "text": event['text']}
    }
    return response
""",
    "router": """
import json
import os
import boto3

html = "<html><form method=post></form></html>"

def get_response(text, functionARN):
    lambda_client = boto3.client('lambda', region_name='us-east-1')
    response = lambda_client.invoke(
        FunctionName=functionARN,
        InvocationType='RequestResponse',
        Payload=json.dumps({'text': text})
    )
    response_payload = response['Payload'].read().decode('utf-8')
    response_data = json.loads(response_payload)
    return {
        'message': 'Invocation successful',
        'responseFromLambda': response_data
    }

def handler(event, context):
    http_method = event.get('httpMethod')

    if http_method == 'GET':
        return {"statusCode": 200,
            "headers": {"content-type": "text/html"},
            "body": html}
    elif http_method == 'POST':
        body = json.loads(event['body'])
        text = body['text']
        functionARN = os.getenv("functionARN1")
        if "functionARN" in body:
            functionARN = body['functionARN']

        result = get_response(text, functionARN)
        return {"statusCode": 200, "body": json.dumps(result)}
""",
}
SERVICES = {"rest-api": "execute-api", "http-api": "execute-api", "lambda-url": "lambda"}


def keys(folder: Path, *words: str) -> Any:
    return said(folder, "keys", *words)


def said(folder: Path, *words: str) -> Any:
    """What a verb prints as JSON."""
    command = [sys.executable, "-m", "firstlight", *words, "--json"]
    env = {**os.environ, "FIRSTLIGHT_DATA_DIR": str(folder / "data")}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fronts")
    (folder / "inference").mkdir()
    for name, text in SCRIPTS.items():
        (folder / "inference" / f"{name}.py").write_text(text)
    return folder


@pytest.fixture(scope="module")
def fronts(folder: Path) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (folder / "firstlight.toml").write_text(PROJECT.replace("PORT", str(port)))
    with Server(folder, "--port", str(port)) as running:
        yield running


@pytest.fixture(scope="module")
def key(folder: Path) -> Credentials:
    made = keys(folder, "create", "laptop")
    return Credentials(made["id"], made["secret"])


def signed(url: str, service: str, key: Credentials, method: str = "GET", body: bytes = b"") -> AWSRequest:
    """A request that botocore has signed."""
    asked = AWSRequest(method, url, {"Content-Type": "application/json"}, body)
    SigV4Auth(key, service, "eu-central-1").add_auth(asked)
    return asked


def sent(asked: AWSRequest) -> tuple[int, dict[str, str], bytes]:
    """The same, sent as it is."""
    parts = urlsplit(asked.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE)
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(asked.method, path, asked.data or None, dict(asked.headers.items()))
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("front", SERVICES)
def test_botocores_signature_opens_every_front(fronts: Server, key: Credentials, front: str) -> None:
    url = f"{fronts.url}/{front}/member/a%20b//c/?x=1&y=%C3%A9&x=%2B"
    status, headers, body = sent(signed(url, SERVICES[front], key, "POST", b'{"q": 1}'))
    assert status == 200, body
    event = json.loads(body)
    assert event["body"] == '{"q": 1}'
    assert headers["x-request"] == event["requestContext"]["requestId"]
    if front == "rest-api":
        assert event["path"] == "/a%20b//c/"
        assert event["requestContext"]["identity"]["accessKey"] == key.access_key
    else:
        assert event["rawPath"] == ("/a b//c/" if front == "http-api" else "/a%20b//c/")
        iam = event["requestContext"]["authorizer"]["iam"]
        assert iam["userArn"] == "arn:aws:iam::000000000000:user/laptop"
    assert "uthorization" not in json.dumps(event["headers"])


@pytest.mark.parametrize("front", SERVICES)
def test_a_presigned_url_opens_every_front(fronts: Server, key: Credentials, front: str) -> None:
    asked = AWSRequest("GET", f"{fronts.url}/{front}/member/x?a=1")
    SigV4QueryAuth(key, SERVICES[front], "us-east-1", expires=60).add_auth(asked)
    with urllib.request.urlopen(asked.url, timeout=PATIENCE) as response:
        event = json.load(response)
    assert event["queryStringParameters"]["a"] == "1"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(asked.url.replace("a=1", "a=2"), timeout=PATIENCE)
    assert caught.value.code == 403
    caught.value.close()


def test_a_route_of_kind_url_asks_for_a_signature(fronts: Server, key: Credentials) -> None:
    status, _, body = sent(signed(f"{fronts.url}/member", "lambda", key))
    assert (status, json.loads(body)["rawPath"]) == (200, "/member")
    status, headers, body = sent(AWSRequest("GET", f"{fronts.url}/member"))
    assert status == 403
    assert json.loads(body)["Message"].startswith("Forbidden. For troubleshooting")
    assert headers["x-amzn-errortype"] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("front", "body"),
    [
        ("rest-api", {"message": "Missing Authentication Token"}),
        ("http-api", {"message": "Forbidden"}),
    ],
)
def test_who_has_not_signed(fronts: Server, front: str, body: Any) -> None:
    status, _, answered = fronts.ask("GET", f"/{front}/member/x")
    assert (status, json.loads(answered)) == (403, body)


def test_another_secret_and_another_key(fronts: Server, key: Credentials) -> None:
    url = f"{fronts.url}/rest-api/member/x"
    status, headers, body = sent(signed(url, "execute-api", Credentials(key.access_key, "wrong")))
    assert status == 403
    assert "The Canonical String for this request should have been" in json.loads(body)["message"]
    assert headers["x-amzn-errortype"] == "InvalidSignatureException"
    status, _, body = sent(signed(url, "execute-api", Credentials("AKIANOBODY", "wrong")))
    assert json.loads(body) == {"message": "The security token included in the request is invalid."}
    status, _, body = sent(signed(url, "lambda", key))
    assert "correct service: 'execute-api'" in json.loads(body)["message"]


def test_a_deleted_key_opens_nothing(fronts: Server, folder: Path) -> None:
    made = keys(folder, "create", "guest")
    guest = Credentials(made["id"], made["secret"])
    url = f"{fronts.url}/rest-api/member/x"
    assert sent(signed(url, "execute-api", guest))[0] == 200
    keys(folder, "delete", "guest")
    assert sent(signed(url, "execute-api", guest))[0] == 403


@pytest.mark.parametrize("front", SERVICES)
def test_curl_signs(fronts: Server, key: Credentials, front: str) -> None:
    words = ["curl", "--silent", "--aws-sigv4", f"aws:amz:us-east-1:{SERVICES[front]}"]
    words += [
        "--user",
        f"{key.access_key}:{key.secret_key}",
        f"{fronts.url}/{front}/member/x?a=1",
        "-d",
        '{"q": 1}',
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    event = json.loads(done.stdout)
    assert event["queryStringParameters"] == {"a": "1"}
    # curl says it is a form, which is text to a REST API alone.
    assert event["isBase64Encoded"] == (front != "rest-api")


@pytest.mark.parametrize("front", SERVICES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_every_method_goes_through(fronts: Server, front: str, method: str) -> None:
    response = httpx.request(method, f"{fronts.url}/{front}/mirror/x", timeout=PATIENCE)
    assert response.status_code == 200
    if method == "HEAD":
        assert response.content == b""
        return
    event = response.json()
    asked = event["httpMethod"] if front == "rest-api" else event["requestContext"]["http"]["method"]
    assert asked == method


@pytest.mark.parametrize(
    ("front", "status", "body"),
    [
        ("rest-api", 502, b'{"message":"Internal server error"}'),
        ("http-api", 500, b'{"message":"Internal Server Error"}'),
        ("lambda-url", 502, b"Internal Server Error"),
    ],
)
def test_an_object_as_body_breaks_as_on_aws_and_not_on_a_route(
    fronts: Server, front: str, status: int, body: bytes
) -> None:
    answered = fronts.ask("POST", f"/{front}/object/x", {})
    assert (answered[0], answered[2]) == (status, body)
    status, _, body = fronts.ask("POST", "/object", {})
    assert (status, json.loads(body)) == (200, {"an": "object"})


def test_a_route_with_names_in_it(fronts: Server) -> None:
    status, _, body = fronts.ask("GET", "/songs/a%20b/c/d%2Be")
    event = json.loads(body)
    assert (status, event["routeKey"]) == (200, "ANY /songs/{id}/{rest+}")
    assert event["pathParameters"] == {"id": "a b", "rest": "c/d+e"}
    assert fronts.ask("GET", "/songs/a")[0] == 404


def test_a_stream_is_read_as_it_is_made(fronts: Server, tmp_path: Path) -> None:
    until = tmp_path / "until"
    url = f"{fronts.url}/lambda-url/tale/?until={until}"
    with httpx.stream("GET", url, timeout=PATIENCE) as response:
        assert (response.status_code, response.headers["content-type"]) == (202, "text/plain")
        assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
        pieces = response.iter_bytes()
        assert next(pieces) == b"once "
        until.touch()
        assert b"".join(pieces) == b"upon"
    response = httpx.get(f"{fronts.url}/http-api/tale/?until={until}", timeout=PATIENCE)
    assert (response.status_code, response.content) == (202, b"once upon")
    assert response.headers["content-length"] == "9"


def test_the_host_may_name_the_endpoint(fronts: Server) -> None:
    host = f"mirror.lambda-url.localhost:{urlsplit(fronts.url).port}"
    status, _, body = fronts.ask("GET", "/v1/models?x=1", headers={"Host": host})
    event = json.loads(body)
    assert (status, event["rawPath"], event["requestContext"]["domainName"]) == (200, "/v1/models", host)


def test_api_keys_and_a_quota_that_survives_the_server(folder: Path) -> None:
    made = keys(folder, "create", "app", "--api", "--quota", "3/month")
    small = '[endpoints.metered]\nscript = "inference/mirror.py"\nfront = { auth = "key" }\n'
    apart = folder / "apart"
    (apart / "inference").mkdir(parents=True)
    (apart / "firstlight.toml").write_text(small)
    (apart / "inference" / "mirror.py").write_text(SCRIPTS["mirror"])
    (apart / "data").symlink_to(folder / "data")
    path, headers = "/rest-api/metered/x", {"x-api-key": made["secret"]}
    statuses = []
    for _ in range(2):
        with Server(apart) as running:
            statuses += [running.ask("GET", path, headers=headers)[0] for _ in range(2)]
            statuses.append(running.ask("GET", path)[0])
            last = running.ask("GET", path, headers=headers)
            statuses.append(last[0])
    assert statuses == [200, 200, 403, 200, 429, 429, 403, 429]
    assert json.loads(last[2]) == {"message": "Limit Exceeded"}


def test_too_fast(fronts: Server, folder: Path) -> None:
    made = keys(folder, "create", "hasty", "--api", "--rate", "0.001", "--burst", "2")
    headers = {"x-api-key": made["secret"]}
    answers = [fronts.ask("GET", "/rest-api/metered/x", headers=headers) for _ in range(3)]
    assert [status for status, _, _ in answers] == [200, 200, 429]
    assert json.loads(answers[-1][2]) == {"message": "Too Many Requests"}
    identity = json.loads(answers[0][2])["requestContext"]["identity"]
    assert (identity["apiKey"], identity["apiKeyId"]) == (made["secret"], made["id"])


@pytest.mark.parametrize("front", SERVICES)
def test_an_alias_is_asked_by_every_front(fronts: Server, folder: Path, front: str) -> None:
    published = said(folder, "publish", "mirror")
    said(folder, "alias", "set", "mirror", "live", "--version", published["version"])
    status, headers, _ = fronts.ask("GET", f"/{front}/mirror:live/x")
    assert (status, headers["x-function"].rpartition(":")[2]) == (200, "live")
    assert headers["x-version"] == published["version"]
    assert fronts.ask("GET", f"/{front}/mirror:nobody/x")[0] in (403, 404)


def test_seed_001_router_and_the_script_behind_it(fronts: Server) -> None:
    """GET is the form; POST with JSON invokes the function that is named, else the first."""
    status, headers, page = fronts.ask("GET", "/rest-api/router")
    assert (status, headers["content-type"]) == (200, "text/html")
    assert b"<form" in page
    status, _, body = fronts.ask("POST", "/rest-api/router/", {"text": "I love it"})
    assert status == 200
    assert json.loads(body) == {
        "message": "Invocation successful",
        "responseFromLambda": {"statusCode": 200, "body": {"label": "POSITIVE", "text": "I love it"}},
    }
    # Its inference scripts are for Invoke: behind API Gateway they find no 'text', and no string would be the body.
    assert fronts.ask("POST", "/rest-api/sentiment/", {"text": "x"})[0] == 502


@pytest.mark.parametrize(
    "path", ["/qa", "/rest-api/qa", "/rest-api/qa/ask", "/http-api/qa", "/lambda-url/qa"]
)
def test_seed_003_posts_a_question(fronts: Server, path: str) -> None:
    asked = {"question": "Who found it?", "context": "It was found by Clara."}
    status, headers, body = fronts.ask("POST", path, asked, {"content-type": "application/json"})
    assert (status, json.loads(body)["answer"]) == (200, "Clara")
    assert headers["content-type"] == "application/json"


def test_a_front_with_keys_does_not_ask_for_the_token_too(folder: Path, key: Credentials) -> None:
    text = '[endpoints.member]\nscript = "inference/mirror.py"\nroute = "/member"\nfront = { auth = "iam" }\n'
    apart = folder / "guarded"
    (apart / "inference").mkdir(parents=True)
    (apart / "firstlight.toml").write_text(text)
    (apart / "inference" / "mirror.py").write_text(SCRIPTS["mirror"])
    (apart / "data").symlink_to(folder / "data")
    with Server(apart, "--token", "s3cret") as running:
        for path in ("/rest-api/member/x", "/member"):
            assert sent(signed(running.url + path, "execute-api", key))[0] == 200
            assert running.ask("GET", path)[0] == 403
        assert running.ask("POST", "/models/member", {})[0] == 401
        assert running.ask("GET", "/rest-api/nobody/x")[0] == 401


def test_a_client_that_takes_a_job_never_meets_the_wall(fronts: Server) -> None:
    headers = {"prefer": "respond-async", "content-type": "application/json"}
    status, answered, _ = fronts.ask("POST", "/rest-api/mirror/later?x=1", {"q": 1}, headers)
    assert status == 202
    status, _, body = fronts.ask("GET", f"{answered['location']}/result", headers={"prefer": "wait=30"})
    deadline = 200
    while status != 200 and deadline:
        deadline -= 1
        status, _, body = fronts.ask("GET", f"{answered['location']}/result", headers={"prefer": "wait=30"})
    event = json.loads(body)
    assert (event["path"], event["queryStringParameters"], event["body"]) == (
        "/later",
        {"x": "1"},
        '{"q": 1}',
    )


@pytest.mark.parametrize("front", SERVICES)
def test_what_a_model_streams_is_answered_whole(talkative: Server, front: str) -> None:
    headers = {"content-type": "application/json"}
    asked = {"inputs": "abc", "stream": True}
    status, answered, body = talkative.ask("POST", f"/{front}/parrot/x", asked, headers)
    assert (status, answered["content-type"]) == (200, "text/event-stream")
    assert int(answered["content-length"]) == len(body)
    events = [json.loads(line[5:]) for line in body.decode().splitlines() if line]
    assert "".join(event["token"]["text"] for event in events[:3]) == "abc"
