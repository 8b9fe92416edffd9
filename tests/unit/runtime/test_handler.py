"""A model behind each of the triggers Lambda has, with the events their documentation shows."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.runtime import handler, notes, streaming
from firstlight.runtime.errors import EngineError, FirstlightError, InvalidInput

REST_V1 = {
    "resource": "/go",
    "path": "/go",
    "httpMethod": "POST",
    "headers": {"Content-Type": "application/json", "Host": "x.execute-api.us-east-1.amazonaws.com"},
    "multiValueHeaders": {"Content-Type": ["application/json"]},
    "queryStringParameters": None,
    "multiValueQueryStringParameters": None,
    "pathParameters": None,
    "stageVariables": None,
    "requestContext": {"resourcePath": "/go", "httpMethod": "POST", "stage": "prod", "identity": {}},
    "body": None,
    "isBase64Encoded": False,
}
URL_V2 = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/",
    "rawQueryString": "",
    "headers": {"content-type": "application/json"},
    "requestContext": {
        "http": {"method": "POST", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "1.2.3.4"}
    },
    "isBase64Encoded": False,
}
ALB = {
    "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/x/y"}},
    "httpMethod": "GET",
    "path": "/",
    "queryStringParameters": {},
    "headers": {"accept": "*/*"},
    "body": "",
    "isBase64Encoded": False,
}


class Model:
    """Answers with what it was asked; some inputs go wrong."""

    def __init__(self) -> None:
        self.calls = 0
        self.settled = 0

    def __call__(self, inputs: object, parameters: dict) -> object:
        self.calls += 1
        if inputs == "bad":
            raise InvalidInput("inputs is bad: é", "send good ones")
        if inputs == "broken":
            raise EngineError("the engine broke")
        if inputs == "bug":
            raise ZeroDivisionError
        if inputs == "long":
            notes.warn("cut at 512 tokens, é")
        return [inputs, parameters]

    def settle(self) -> None:
        self.settled += 1


@pytest.fixture
def model() -> Model:
    return Model()


def ask(model: Model, event: object) -> object:
    return handler.make(model)(event, None)


def http(model: Model, event: dict) -> tuple[int, object]:
    """Status and parsed body of a proxy response that has the form API Gateway asks for."""
    response = ask(model, event)
    assert set(response) == {"statusCode", "headers", "body", "isBase64Encoded"}
    assert response["headers"]["content-type"] == "application/json"
    assert response["isBase64Encoded"] is False
    assert isinstance(response["body"], str)
    json.dumps(response)
    return response["statusCode"], json.loads(response["body"])


def test_the_invoke_api(model: Model) -> None:
    assert ask(model, {"inputs": "a", "parameters": {"k": 1}}) == ["a", {"k": 1}]
    assert ask(model, {"text": "a"}) == ["a", {}]
    assert ask(model, {"instances": ["a"]}) == {"predictions": [["a"], {}]}
    with pytest.raises(InvalidInput, match="inputs is bad"):
        ask(model, {"inputs": "bad"})


@pytest.mark.parametrize("base", [REST_V1, URL_V2, {}, ALB], ids=["rest", "url", "bare", "alb"])
@pytest.mark.parametrize("encoded", [False, True])
def test_json_by_http(model: Model, base: dict, encoded: bool) -> None:
    body = '{"inputs": "é", "parameters": {"k": 1}}'
    if encoded:
        body = base64.b64encode(body.encode()).decode()
    assert http(model, {**base, "body": body, "isBase64Encoded": encoded}) == (200, ["é", {"k": 1}])


def test_a_body_that_is_an_object_already(model: Model) -> None:
    assert http(model, {"body": {"inputs": "a"}}) == (200, ["a", {}])


@pytest.mark.parametrize("base", [REST_V1, URL_V2], ids=["rest", "url"])
def test_get_with_a_query(model: Model, base: dict) -> None:
    query = {
        "question": "who?",
        "context": "me, 5",
        "top_k": "2",
        "flag": "true",
        "word": "so",
        "list": "[1]",
    }
    status, answer = http(model, {**base, "queryStringParameters": query})
    assert status == 200
    assert answer == [
        {"question": "who?", "context": "me, 5"},
        {"top_k": 2, "flag": True, "word": "so", "list": [1]},
    ]


def test_texts_of_a_query_stay_texts(model: Model) -> None:
    assert http(model, {**URL_V2, "queryStringParameters": {"inputs": "5"}}) == (200, ["5", {}])


def test_a_query_beside_a_body_gives_parameters(model: Model) -> None:
    event = {**URL_V2, "queryStringParameters": {"top_k": "2"}}
    assert http(model, {**event, "body": '{"inputs": "a"}'}) == (200, ["a", {"top_k": 2}])
    assert http(model, {**event, "body": '{"inputs": "a", "parameters": {"k": 1}}'}) == (200, ["a", {"k": 1}])


def test_a_load_balancer_leaves_queries_encoded(model: Model) -> None:
    query = {"inputs": "what+a%20day%21", "top%5Fk": "3"}
    assert http(model, {**ALB, "queryStringParameters": query}) == (200, ["what a day!", {"top_k": 3}])


def test_a_load_balancer_with_multi_value_headers(model: Model) -> None:
    event = {name: value for name, value in ALB.items() if name not in ("headers", "queryStringParameters")}
    event |= {
        "multiValueHeaders": {"Accept": ["*/*"]},
        "multiValueQueryStringParameters": {"inputs": ["a", "b"]},
    }
    response = ask(model, event)
    assert response["multiValueHeaders"] == {"content-type": ["application/json"]}
    assert "headers" not in response
    assert json.loads(response["body"]) == ["b", {}]


@pytest.mark.parametrize(
    ("content_type", "body", "inputs"),
    [
        ("text/plain", "what a day", "what a day"),
        ("text/plain; charset=utf-8", "5", "5"),
        ("application/x-www-form-urlencoded", "inputs=what+a+day%21", "what a day!"),
        ("application/x-www-form-urlencoded", ' {"inputs": "what a day!"}', "what a day!"),
        ("APPLICATION/JSON; charset=utf-8", '{"inputs": "a"}', "a"),
        ("application/vnd.api+json", '{"inputs": "a"}', "a"),
        ("", '{"inputs": "a"}', "a"),
    ],
)
def test_media_types(model: Model, content_type: str, body: str, inputs: str) -> None:
    event = {**REST_V1, "headers": {"CONTENT-type": content_type}, "body": body}
    assert http(model, event) == (200, [inputs, {}])


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"body": "{no"}, 400, "the body cannot be read as application/json: Expecting property name"),
        ({"body": "[" * 100_000}, 400, "the body cannot be read as application/json: maximum recursion"),
        (
            {"body": "/w==", "isBase64Encoded": True},
            400,
            "the body cannot be read as application/json: 'utf-8' codec",
        ),
        ({"body": "é", "isBase64Encoded": True}, 400, "the body is not base64"),
        ({"body": "AAAAA", "isBase64Encoded": True}, 400, "the body is not base64"),
        ({}, 400, 'the request has no "inputs"'),
        ({"body": '"text"'}, 400, "a request is a JSON object, not a string"),
        ({"body": '{"inputs": "bad"}'}, 400, "inputs is bad: é"),
        (
            {"body": "x", "headers": {"content-type": "image/png"}},
            415,
            "a body of type image/png is not taken",
        ),
        ({"body": '{"inputs": "broken"}'}, 500, "the engine broke"),
    ],
)
def test_errors_by_http(model: Model, capsys, changes: dict, status: int, message: str) -> None:
    seen, told = http(model, {**URL_V2, **changes})
    assert seen == status
    assert told["error"].startswith(message)
    assert set(told) == ({"error"} if status == 500 else {"error", "hint"} if "hint" in told else {"error"})
    assert ("EngineError" in capsys.readouterr().out) == (status == 500), "what is our fault goes to the log"


def test_a_bug_fails_the_function_whatever_the_trigger(model: Model) -> None:
    for event in ({"inputs": "bug"}, {**URL_V2, "body": '{"inputs": "bug"}'}):
        with pytest.raises(ZeroDivisionError):
            ask(model, event)


def test_warnings_go_into_a_header_and_do_not_stay(model: Model) -> None:
    answer = handler.make(model)
    response = answer({**URL_V2, "body": '{"inputs": "long"}'}, None)
    assert json.loads(response["headers"]["firstlight-warnings"]) == ["cut at 512 tokens, é"]
    assert response["headers"]["firstlight-warnings"].isascii()
    assert "firstlight-warnings" not in answer({**URL_V2, "body": '{"inputs": "a"}'}, None)["headers"]


@pytest.mark.parametrize(
    "event",
    [
        {
            "version": "0",
            "source": "aws.events",
            "detail-type": "Scheduled Event",
            "detail": {},
            "resources": [],
        },
        {"source": "aws.scheduler"},
        {"source": "serverless-plugin-warmup"},
    ],
)
def test_a_ping_packs_and_does_not_run(model: Model, event: dict) -> None:
    answer = handler.make(model)
    assert answer(event, None) == answer(event, None) == {"warm": True}
    assert (model.calls, model.settled) == (0, 1)


def test_an_event_of_a_bus_carries_the_request(model: Model) -> None:
    event = {"version": "0", "source": "my.shop", "detail-type": "review", "detail": {"text": "a"}}
    assert ask(model, event) == ["a", {}]


def test_records_are_refused(model: Model) -> None:
    with pytest.raises(FirstlightError, match="Records") as caught:
        ask(model, {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]})
    assert caught.value.status == 501


def test_a_model_that_cannot_settle() -> None:
    answer = handler.make(lambda inputs, parameters: inputs)
    answer.settle()
    assert answer({"inputs": 1}, None) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    [*REST_V1, *URL_V2, "source", "detail-type", "detail", "Records", "inputs", "parameters"]
)


@given(st.dictionaries(FIELDS, JSON, max_size=5), st.sampled_from([{}, REST_V1, URL_V2, ALB]))
def test_no_event_breaks_the_handler(changes: dict, base: dict) -> None:
    try:
        answer = handler.make(lambda inputs, parameters: "answered")({**base, **changes}, None)
    except FirstlightError:
        return
    json.dumps(answer)


class Speaker(Model):
    """Answers a word at a time."""

    closed = False

    def stream(self, inputs: str, parameters: dict, task: str | None = None) -> object:
        if inputs == "bad":
            raise InvalidInput("inputs is bad")
        try:
            yield from ({"index": index, "word": word} for index, word in enumerate(inputs.split(), 1))
        finally:
            self.closed = True


def test_a_stream_is_server_sent_events() -> None:
    pieces = ask(Speaker(), {"inputs": "first light", "stream": True})
    kind, stream = streaming.stream(pieces)
    assert kind == "text/event-stream"
    assert list(stream) == [
        b'data:{"index": 1, "word": "first"}\n\n',
        b'data:{"index": 2, "word": "light"}\n\n',
    ]


@pytest.mark.parametrize(
    "event",
    [
        {**URL_V2, "body": '{"inputs": "first light", "stream": true}'},
        {**URL_V2, "body": '{"inputs": "first light"}', "headers": {"accept": "text/event-stream"}},
        {**ALB, "queryStringParameters": {"inputs": "first%20light", "stream": "true"}},
    ],
)
def test_over_http_they_follow_a_prelude(event: dict) -> None:
    kind, stream = streaming.stream(ask(Speaker(), event))
    assert kind == streaming.HTTP_INTEGRATION
    prelude, _, first = next(stream).partition(bytes(8))
    assert json.loads(prelude)["headers"]["content-type"] == "text/event-stream"
    assert first.startswith(b'data:{"index": 1')


def test_what_fails_before_the_first_event_is_a_plain_error() -> None:
    with pytest.raises(InvalidInput):
        ask(Speaker(), {"inputs": "bad", "stream": True})
    response = ask(Speaker(), {**URL_V2, "body": '{"inputs": "bad", "stream": true}'})
    assert response["statusCode"] == 400


def test_a_reader_that_leaves_ends_the_work() -> None:
    model = Speaker()
    _, stream = streaming.stream(ask(model, {"inputs": "first light", "stream": True}))
    next(stream)
    assert not model.closed
    stream.close()
    assert model.closed
    assert list(stream) == []
