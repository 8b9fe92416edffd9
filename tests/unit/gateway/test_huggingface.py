from __future__ import annotations

from typing import Any

import pytest

from firstlight.invoke.types import REQUEST_LIMIT, Reply, Throttled
from gateways import Client, TableInvoker, failed, report

SCORES = [{"label": "a", "score": 0.75}, {"label": "b", "score": 0.25}]


async def test_labels_are_nested_and_all_of_them_asked_for(client: Client, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = SCORES
    response = await client("POST", "/models/sentiment", {"inputs": "x"})
    assert response.json() == [SCORES]
    assert invoker.event == {"inputs": "x", "parameters": {"top_k": None}}
    assert invoker.seen[0].wire == "huggingface"


async def test_a_batch_has_a_list_for_each_input(client: Client, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = [SCORES[0], SCORES[1]]
    response = await client("POST", "/models/sentiment", {"inputs": ["x", "y"], "parameters": {"top_k": 1}})
    assert response.json() == [[SCORES[0]], [SCORES[1]]]


async def test_entities_are_grouped_unless_asked_otherwise(client: Client, invoker: TableInvoker) -> None:
    invoker.table["ner"] = []
    await client("POST", "/models/ner", {"inputs": "x"})
    assert invoker.event["parameters"] == {"aggregation_strategy": "simple"}
    await client("POST", "/models/ner", {"inputs": "x", "parameters": {"aggregation_strategy": "none"}})
    assert invoker.event["parameters"] == {"aggregation_strategy": "none"}


@pytest.mark.parametrize(
    ("agent", "old"),
    [
        ("unknown/None; hf_hub/2.4.0; python/3.11", False),
        ("unknown/None; hf_hub/1.1.7; python/3.11", False),
        ("unknown/None; hf_hub/1.1.1; python/3.11", True),
        ("unknown/None; hf_hub/0.36.0; python/3.9", True),
        ("hf_hub/0.36.0.dev0", True),
        ("curl/8", False),
        ("", False),
    ],
)
async def test_zero_shot_has_the_shape_of_the_clients_version(
    client: Client, invoker: TableInvoker, agent: str, old: bool
) -> None:
    answer = {"sequence": "t", "labels": ["a", "b"], "scores": [0.75, 0.25]}
    invoker.table["zero"] = answer
    body = {"inputs": "t", "parameters": {"candidate_labels": ["a", "b"]}}
    response = await client("POST", "/models/zero", body, {"user-agent": agent})
    assert response.json() == (answer if old else SCORES)


async def test_parameters_of_the_query_fill_in_for_the_body(client: Client, invoker: TableInvoker) -> None:
    invoker.table["qa"] = {}
    path = "/models/qa?top_k=3&max_answer_len=9&align_to_words=false&name=text"
    await client(
        "POST", path, {"inputs": {}, "parameters": {"max_answer_len": 5}, "options": {"use_cache": True}}
    )
    assert invoker.event["parameters"] == {
        "top_k": 3,
        "max_answer_len": 5,
        "align_to_words": False,
        "name": "text",
    }


async def test_flags_beside_the_inputs_are_parameters(client: Client, invoker: TableInvoker) -> None:
    invoker.table["embeddings"] = [[0.5]]
    body = {"inputs": "t", "normalize": True, "truncate": None}
    response = await client("POST", "/models/embeddings/pipeline/feature-extraction", body)
    assert response.json() == [[0.5]]
    assert invoker.event == {"inputs": "t", "parameters": {"normalize": True}}


async def test_another_task_of_the_path_is_named_in_the_event(client: Client, invoker: TableInvoker) -> None:
    invoker.table["embeddings"] = [0.5]
    body = {"inputs": {"source_sentence": "a", "sentences": ["b"]}}
    await client("POST", "/models/embeddings/pipeline/sentence-similarity", body)
    assert invoker.event == {**body, "task": "sentence-similarity"}


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/models/qa", "qa"),
        ("/models/acme/qa-model", "qa"),
        ("/models/ACME/QA-model@main", "qa"),
        ("/models/acme%2Fqa-model", "qa"),
        ("/pipeline/question-answering", "qa"),
        ("/pipeline/question-answering/qa", "qa"),
        ("/models/qa/pipeline/question-answering", "qa"),
        ("/pipeline/sentiment-analysis", "sentiment"),
        ("/pipeline/ner", "ner"),
        ("/", "sentiment"),
    ],
)
async def test_ways_to_an_endpoint(client: Client, invoker: TableInvoker, path: str, endpoint: str) -> None:
    invoker.table[endpoint] = []
    assert (await client("POST", path, {"inputs": "x"})).status == 200
    assert invoker.seen[0].endpoint == endpoint


async def test_a_script_gets_the_body_and_the_text_by_the_name_it_reads(
    client: Client, invoker: TableInvoker
) -> None:
    invoker.table["hello"] = {"statusCode": 200, "body": {"label": "x"}}
    response = await client("POST", "/models/hello", {"inputs": "t", "more": 1})
    assert response.json() == {"label": "x"}
    assert invoker.event == {"inputs": "t", "text": "t", "more": 1}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"statusCode": 200, "body": '{"a": 1}'}, {"a": 1}),
        ({"statusCode": 200, "body": "plain"}, "plain"),
        ({"statusCode": 200, "body": ["plain"]}, ["plain"]),
        ({"statusCode": 200}, {"statusCode": 200}),
        (["statusCode"], ["statusCode"]),
    ],
)
async def test_a_scripts_envelope_is_opened(
    client: Client, invoker: TableInvoker, body: Any, expected: Any
) -> None:
    invoker.table["hello"] = body
    assert (await client("POST", "/models/hello", {"inputs": "t"})).json() == expected


async def test_a_scripts_http_error_keeps_its_status(client: Client, invoker: TableInvoker) -> None:
    invoker.table["hello"] = {"statusCode": 422, "body": {"error": "too short"}}
    response = await client("POST", "/models/hello", {"inputs": "t"})
    assert response.status == 422
    assert response.json() == {"error": "too short"}


@pytest.mark.parametrize(
    ("path", "body", "status", "expected"),
    [
        ("/models/nope", b'{"inputs": 1}', 404, "there is no endpoint 'nope'"),
        ("/models/sentimnt", b'{"inputs": 1}', 404, "did you mean 'sentiment'?"),
        ("/pipeline/text-to-image", b'{"inputs": 1}', 400, "there is no task 'text-to-image'"),
        ("/pipeline/fill-mask", b'{"inputs": 1}', 404, "tasks here"),
        ("/models/qa", b"{", 400, "the body is not JSON"),
        ("/models/qa", b"[]", 400, "not a JSON object"),
        ("/models/qa", b"{}", 400, "no 'inputs'"),
        ("/models/qa", b'{"inputs": 1, "parameters": []}', 400, "'parameters' is not an object"),
        ("/models/qa", b'{"inputs": 1, "task": 7}', 400, "'task' is not text"),
        ("/predict", b"nope", 400, "the body is not JSON"),
        ("/models/qa", b'"' + b"x" * REQUEST_LIMIT + b'"', 413, "the limit is 6291456"),
    ],
)
async def test_bad_requests(
    client: Client, invoker: TableInvoker, path: str, body: bytes, status: int, expected: str
) -> None:
    response = await client("POST", path, body)
    assert response.status == status
    assert expected in response.json()["error"]
    assert invoker.seen == []


async def test_other_media_are_refused(client: Client) -> None:
    response = await client("POST", "/models/qa", b"x", {"content-type": "image/png"})
    assert response.status == 415


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (failed("InvalidInput", "no 'context'", status=400, hint="add it"), 400),
        (failed("ValueError", "boom"), 500),
        (failed("Sandbox.Timedout", "Task timed out"), 504),
        (failed("Odd", "x", status=200), 500),
        (failed("Odd", "x", status=True), 500),
        (Throttled("busy", reason="x", retry_after=7), 429),
    ],
)
async def test_what_a_function_does_wrong_has_a_status(
    client: Client, invoker: TableInvoker, answer: Any, status: int
) -> None:
    invoker.table["qa"] = answer
    response = await client("POST", "/models/qa", {"inputs": {}})
    assert response.status == status
    assert response.json()["error"]
    assert response.headers.get("retry-after") == ("7" if status == 429 else None)


async def test_the_hint_and_the_kind_are_told(client: Client, invoker: TableInvoker) -> None:
    invoker.table["qa"] = failed("InvalidInput", "no 'context'", status=400, hint="add it")
    response = await client("POST", "/models/qa", {"inputs": {}})
    assert response.json() == {"error": "no 'context' (add it)", "error_type": "InvalidInput"}
    assert response.headers["x-request-id"] == invoker.seen[0].request_id


async def test_figures_and_ids_are_in_the_headers(client: Client, invoker: TableInvoker) -> None:
    warnings = ["the text was cut to 512 tokens"]
    figures = report(queue_ms=30.4, warnings=warnings, cold=True, init_ms=28.0)
    invoker.table["qa"] = lambda sent: Reply(sent.request_id, b"{}", report=figures)
    response = await client("POST", "/models/qa", {"inputs": {}}, {"x-amzn-trace-id": "abc"})
    assert response.headers["x-queue-time"] == "30"
    assert response.headers["x-inference-time"] == "4"
    assert response.headers["x-compute-time"] == "4"
    assert response.headers["x-amzn-trace-id"] == "abc"
    assert response.headers["x-firstlight-warnings"] == '["the text was cut to 512 tokens"]'
    assert response.headers["server-timing"].startswith("cold, queue;dur=30.40, init;dur=28.00")


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/endpoints/sentiment/invocations"])
async def test_containers_conventions_pass_the_body_on(
    client: Client, invoker: TableInvoker, path: str
) -> None:
    invoker.table["sentiment"] = {"predictions": [1]}
    response = await client("POST", path, {"instances": ["x"]})
    assert response.json() == {"predictions": [1]}
    assert invoker.event == {"instances": ["x"]}


async def test_sagemaker_asks_whether_we_live(client: Client) -> None:
    assert (await client("GET", "/ping")).status == 200


async def test_sentences_and_labels_find_their_task_without_its_name(
    client: Client, invoker: TableInvoker
) -> None:
    invoker.table["embeddings"] = []
    entry = client.app.state.gateway.catalogue.entries["embeddings"]
    assert entry.tasks == ("feature-extraction",)
    await client("POST", "/models/embeddings", {"inputs": {"source_sentence": "a", "sentences": ["b"]}})
    assert "task" not in invoker.event
