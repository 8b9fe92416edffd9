"""Functions, versions, aliases and settings over a real registry."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import botocore.session
import pytest

from firstlight.gateway.app import create_app
from firstlight.gateway.lambda_api.errors import EXCEPTIONS
from firstlight.invoke.provisioning import provisioned
from firstlight.invoke.types import Invocation, Reply, WorkerSpec
from firstlight.jobs.types import Job, Kind
from firstlight.project import Project
from firstlight.project.types import Asynchronous
from firstlight.versions.registry import Registry
from gateways import Client, TableInvoker

ONE = "/2015-03-31/functions/hello"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:hello"
RESERVED = "/2017-10-31/functions/hello/concurrency"
PROVISIONED = "/2019-09-30/functions/hello/provisioned-concurrency"
EVENTS = "/2019-09-25/functions/hello/event-invoke-config"


class Desk:
    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}

    async def submit(self, job: Job) -> tuple[Job, bool]:
        new = job.id not in self.jobs
        self.jobs.setdefault(job.id, job)
        return job, new


class Invoker(TableInvoker):
    def provisioned(self, name: str) -> Any:
        return provisioned(2, [True, True], "") if name == "hello:1" else provisioned(0, [], "")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    script = tmp_path / "inference" / "hello.py"
    script.parent.mkdir()
    script.write_text("def handler(event, context):\n    return 1\n")
    return script


@pytest.fixture
def registry(script: Path, tmp_path: Path) -> Registry:
    def specs() -> dict[str, WorkerSpec]:
        return {name: WorkerSpec(name, script=script) for name in ("hello", "qa", "sentiment")}

    said = {"qa": Asynchronous(retries=0), "hello": Asynchronous()}
    return Registry(tmp_path / "data", specs, lambda: said, chance=lambda: 0.5)


@pytest.fixture
def invoker() -> Invoker:
    return Invoker()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def client(project: Project, invoker: Invoker, registry: Registry, desk: Desk) -> Client:
    return Client(create_app(project, invoker, functions=registry, jobs=desk))  # type: ignore[arg-type]


async def ask(
    client: Client, method: str, path: str, body: Any = b"", status: int = 200, error: str = ""
) -> Any:
    response = await client(method, path, body)
    assert response.status == status, response.text
    assert response.headers.get("x-amzn-errortype", "") == error
    assert response.headers["x-amzn-requestid"]
    return response.json() if response.body else None


async def published(client: Client, script: Path, count: int = 1) -> None:
    for number in range(count):
        script.write_text(f"def handler(event, context):\n    return {number}\n")
        await ask(client, "POST", f"{ONE}/versions", {"Description": f"the {number}"}, 201)


async def test_a_version_is_published_once(client: Client, script: Path) -> None:
    latest = await ask(client, "GET", f"{ONE}/configuration")
    wanted = {"CodeSha256": latest["CodeSha256"], "RevisionId": latest["RevisionId"], "Description": "d"}
    made = await ask(client, "POST", f"{ONE}/versions", wanted, 201)
    assert (made["Version"], made["FunctionArn"], made["Description"]) == ("1", f"{ARN}:1", "d")
    assert (made["State"], made["CodeSha256"]) == ("Active", latest["CodeSha256"])
    assert (await ask(client, "POST", f"{ONE}/versions", b"", 201))["Version"] == "1"
    script.write_text("def handler(event, context):\n    return 2\n")
    assert (await ask(client, "POST", f"{ONE}/versions", b"", 201))["Version"] == "2"
    for body, status, error in (
        ({"CodeSha256": "other"}, 400, "InvalidParameterValueException"),
        ({"RevisionId": "other"}, 412, "PreconditionFailedException"),
        ({"Description": "x" * 257}, 400, "ValidationException"),
        ({"Description": 1}, 400, "SerializationException"),
        ([], 400, "SerializationException"),
        (b"{", 400, "SerializationException"),
    ):
        await ask(client, "POST", f"{ONE}/versions", body, status, error)
    missing = "/2015-03-31/functions/nope/versions"
    await ask(client, "POST", missing, b"", 404, "ResourceNotFoundException")


async def test_functions_are_described_by_any_qualifier(client: Client, script: Path) -> None:
    await published(client, script, 2)
    await ask(client, "POST", f"{ONE}/aliases", {"Name": "live", "FunctionVersion": "2"}, 201)
    for qualifier, version, arn in (
        (None, "$LATEST", ARN),
        ("$LATEST", "$LATEST", f"{ARN}:$LATEST"),
        ("1", "1", f"{ARN}:1"),
        ("live", "2", f"{ARN}:live"),
        ("$LATEST.PUBLISHED", "2", f"{ARN}:$LATEST.PUBLISHED"),
    ):
        query = f"?Qualifier={quote(qualifier)}" if qualifier else ""
        one = await ask(client, "GET", f"{ONE}/configuration{query}")
        assert (one["Version"], one["FunctionArn"]) == (version, arn)
        assert (await ask(client, "GET", f"{ONE}{query}"))["Configuration"] == one
    for path in (f"{ONE}?Qualifier=3", f"{ONE}?Qualifier=test", f"{ONE}/configuration?Qualifier=9"):
        await ask(client, "GET", path, b"", 404, "ResourceNotFoundException")


async def test_the_newest_version_answers(client: Client, invoker: Invoker, desk: Desk, script: Path) -> None:
    await published(client, script, 2)
    invoker.table["hello"] = 1
    path = f"{ONE}/invocations?Qualifier=$LATEST.PUBLISHED"
    assert (await client("POST", path, "{}")).status == 200
    assert (invoker.seen[-1].qualifier, invoker.seen[-1].version) == ("2", "2")
    assert (await client("POST", path, "{}", {"x-amz-invocation-type": "Event"})).status == 202
    assert [job.qualifier for job in desk.jobs.values()] == ["2"]


async def test_the_newest_version_of_none(client: Client) -> None:
    path = f"{ONE}/invocations?Qualifier=$LATEST.PUBLISHED"
    await ask(client, "POST", path, b"", 400, "NoPublishedVersionException")


async def test_versions_are_listed_and_deleted(client: Client, script: Path) -> None:
    await published(client, script, 3)
    found = await ask(client, "GET", f"{ONE}/versions?MaxItems=3")
    assert [one["Version"] for one in found["Versions"]] == ["$LATEST", "1", "2"]
    assert [one["FunctionArn"] for one in found["Versions"]] == [f"{ARN}:$LATEST", f"{ARN}:1", f"{ARN}:2"]
    assert "State" not in found["Versions"][0]
    more = await ask(client, "GET", f"{ONE}/versions?Marker={found['NextMarker']}")
    assert [one["Version"] for one in more["Versions"]] == ["3"]
    everything = await ask(client, "GET", "/2015-03-31/functions?FunctionVersion=ALL")
    arns = [one["FunctionArn"] for one in everything["Functions"] if one["FunctionName"] == "hello"]
    assert arns == [f"{ARN}:{version}" for version in ("$LATEST", "1", "2", "3")]
    await ask(client, "GET", "/2015-03-31/functions?FunctionVersion=x", b"", 400, error="ValidationException")
    await ask(client, "DELETE", f"{ONE}?Qualifier=2", b"", 204)
    await ask(client, "POST", f"{ONE}/aliases", {"Name": "live", "FunctionVersion": "3"}, 201)
    for query, status, error in (
        ("?Qualifier=2", 404, "ResourceNotFoundException"),
        ("?Qualifier=3", 409, "ResourceConflictException"),
        ("?Qualifier=$LATEST", 400, "InvalidParameterValueException"),
        ("?Qualifier=live", 400, "InvalidParameterValueException"),
        ("", 501, "ServiceException"),
    ):
        await ask(client, "DELETE", f"{ONE}{query}", b"", status, error)
    await published(client, script, 4)
    assert (await ask(client, "GET", f"{ONE}/versions"))["Versions"][-1]["Version"] > "3"


async def test_an_alias_from_its_birth_to_its_end(client: Client, script: Path) -> None:
    await published(client, script, 2)
    wanted = {
        "Name": "live",
        "FunctionVersion": "1",
        "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.25}},
    }
    made = await ask(client, "POST", f"{ONE}/aliases", wanted, 201)
    assert made["AliasArn"] == f"{ARN}:live"
    assert made["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.25}}
    assert await ask(client, "GET", f"{ONE}/aliases/live") == made
    assert (await ask(client, "GET", f"{ONE}/aliases?FunctionVersion=2"))["Aliases"] == [made]
    changed = await ask(
        client, "PUT", f"{ONE}/aliases/live", {"Description": "d", "RevisionId": made["RevisionId"]}
    )
    assert (changed["Description"], changed["RoutingConfig"]) == ("d", made["RoutingConfig"])
    await ask(
        client,
        "PUT",
        f"{ONE}/aliases/live",
        {"RevisionId": made["RevisionId"]},
        412,
        "PreconditionFailedException",
    )
    moved = await ask(client, "PUT", f"{ONE}/aliases/live", {"FunctionVersion": "2", "RoutingConfig": {}})
    assert (moved["FunctionVersion"], "RoutingConfig" in moved) == ("2", False)
    await ask(client, "DELETE", f"{ONE}/aliases/live", b"", 204)
    await ask(client, "DELETE", f"{ONE}/aliases/live", b"", 204)
    error = await ask(client, "GET", f"{ONE}/aliases/live", b"", 404, "ResourceNotFoundException")
    assert error["Message"] == f"Cannot find alias arn: {ARN}:live"


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"Name": "live", "FunctionVersion": "1"}, 409, "ResourceConflictException"),
        ({"Name": "12", "FunctionVersion": "1"}, 400, "ValidationException"),
        ({"FunctionVersion": "1"}, 400, "ValidationException"),
        ({"Name": "a", "FunctionVersion": "9"}, 404, "ResourceNotFoundException"),
        ({"Name": "a", "FunctionVersion": "x"}, 400, "ValidationException"),
        ({"Name": "a", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 1.5}}},
         400, "ValidationException"),
        ({"Name": "a", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"a": 0.5}}},
         400, "ValidationException"),
        ({"Name": "a", "FunctionVersion": "$LATEST", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}},
         400, "InvalidParameterValueException"),
        ({"Name": "a", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}},
         400, "InvalidParameterValueException"),
        ({"Name": "a", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"1": "x"}}},
         400, "SerializationException"),
        ({"Name": "a", "FunctionVersion": "1", "RoutingConfig": []}, 201, ""),
        ({"Name": "a", "FunctionVersion": "1", "RoutingConfig": 5}, 400, "SerializationException"),
    ],
)  # fmt: skip
async def test_aliases_that_cannot_be(
    client: Client, script: Path, body: Any, status: int, error: str
) -> None:
    await published(client, script)
    await ask(client, "POST", f"{ONE}/aliases", {"Name": "live", "FunctionVersion": "1"}, 201)
    await ask(client, "POST", f"{ONE}/aliases", body, status, error)


async def test_an_invocation_goes_where_its_qualifier_leads(
    client: Client, invoker: Invoker, script: Path
) -> None:
    await published(client, script, 2)
    weights = {"AdditionalVersionWeights": {"2": 0.9}}
    await ask(
        client,
        "POST",
        f"{ONE}/aliases",
        {"Name": "live", "FunctionVersion": "1", "RoutingConfig": weights},
        201,
    )

    def answer(sent: Invocation) -> Reply:
        return Reply(sent.request_id, b"1", executed_version=sent.version)

    invoker.table["hello"] = answer
    for qualifier, version in (("1", "1"), ("live", "2"), ("$LATEST", "$LATEST")):
        response = await client("POST", f"{ONE}/invocations?Qualifier={qualifier}", "{}")
        assert response.headers["x-amz-executed-version"] == version
        assert (invoker.seen[-1].qualifier, invoker.seen[-1].version) == (qualifier, version)
    for headers in ({}, {"x-amz-invocation-type": "DryRun"}, {"x-amz-invocation-type": "Event"}):
        response = await client("POST", f"{ONE}/invocations?Qualifier=7", "{}", headers)
        assert response.json()["Message"] == f"Function not found: {ARN}:7"


async def test_an_event_is_kept_once_for_all_attempts_of_a_call(
    client: Client, desk: Desk, script: Path
) -> None:
    headers = {"x-amz-invocation-type": "Event", "amz-sdk-invocation-id": "one"}
    first = await client("POST", f"{ONE}/invocations", '{"a": 1}', headers)
    retry = await client("POST", f"{ONE}/invocations", '{"a": 1}', headers)
    assert (first.status, first.body, retry.status) == (202, b"", 202)
    assert first.headers["x-amzn-requestid"] == retry.headers["x-amzn-requestid"]
    (job,) = desk.jobs.values()
    assert (job.kind, job.endpoint, job.payload) == (Kind.EVENT, "hello", b'{"a": 1}')
    assert job.id == first.headers["x-amzn-requestid"]
    await client("POST", f"{ONE}/invocations", '{"a": 2}', headers)
    assert len(desk.jobs) == 2
    older = await client("POST", "/2014-11-13/functions/hello/invoke-async", "{}")
    assert older.status == 202
    assert len(desk.jobs) == 3


def text(size: int) -> bytes:
    return b'"' + b"x" * (size - 2) + b'"'


@pytest.mark.parametrize(
    ("path", "size", "limit"),
    [
        (f"{ONE}/invocations", 1_048_576, "Event invocation type (limit 1048576 bytes)"),
        ("/2014-11-13/functions/hello/invoke-async", 262_144, "Event invocation type (limit 262144 bytes)"),
    ],
)
async def test_how_large_an_event_may_be(
    client: Client, desk: Desk, path: str, size: int, limit: str
) -> None:
    headers = {"x-amz-invocation-type": "Event"}
    assert (await client("POST", path, text(size), headers)).status == 202
    refused = await client("POST", path, text(size + 1), headers)
    assert refused.status == 413
    assert limit in refused.text
    assert len(desk.jobs) == 1


async def test_reserved_concurrency(client: Client, script: Path) -> None:
    assert await ask(client, "GET", RESERVED.replace("2017-10-31", "2019-09-30")) == {}
    wanted = {"ReservedConcurrentExecutions": 3}
    assert await ask(client, "PUT", RESERVED, wanted) == wanted
    assert await ask(client, "GET", RESERVED.replace("2017-10-31", "2019-09-30")) == wanted
    assert (await ask(client, "GET", ONE))["Concurrency"] == wanted
    limit = (await ask(client, "GET", "/2016-08-19/account-settings"))["AccountLimit"]
    assert limit["UnreservedConcurrentExecutions"] == limit["ConcurrentExecutions"] - 3
    await published(client, script)
    await ask(client, "PUT", f"{PROVISIONED}?Qualifier=1", {"ProvisionedConcurrentExecutions": 2}, 202)
    for body, error in (
        ({"ReservedConcurrentExecutions": -1}, "ValidationException"),
        ({"ReservedConcurrentExecutions": 1}, "InvalidParameterValueException"),
        ({}, "ValidationException"),
        ({"ReservedConcurrentExecutions": True}, "SerializationException"),
    ):
        await ask(client, "PUT", RESERVED, body, 400, error)
    await ask(client, "DELETE", RESERVED, b"", 204)
    assert "Concurrency" not in await ask(client, "GET", ONE)


async def test_provisioned_concurrency(client: Client, script: Path) -> None:
    await published(client, script, 2)
    one, two = f"{PROVISIONED}?Qualifier=1", f"{PROVISIONED}?Qualifier=2"
    not_there = "ProvisionedConcurrencyConfigNotFoundException"
    await ask(client, "GET", one, b"", 404, not_there)
    made = await ask(client, "PUT", one, {"ProvisionedConcurrentExecutions": 2}, 202)
    assert (made["Status"], made["RequestedProvisionedConcurrentExecutions"]) == ("IN_PROGRESS", 2)
    ready = await ask(client, "GET", one)
    assert (ready["Status"], ready["AvailableProvisionedConcurrentExecutions"]) == ("READY", 2)
    await ask(client, "PUT", two, {"ProvisionedConcurrentExecutions": 1}, 202)
    assert (await ask(client, "GET", two))["Status"] == "IN_PROGRESS"
    found = (await ask(client, "GET", f"{PROVISIONED}?List=ALL"))["ProvisionedConcurrencyConfigs"]
    assert [item["FunctionArn"] for item in found] == [f"{ARN}:1", f"{ARN}:2"]
    for query, body, status, error in (
        ("", {"ProvisionedConcurrentExecutions": 1}, 400, "InvalidParameterValueException"),
        ("?Qualifier=1", {"ProvisionedConcurrentExecutions": 0}, 400, "ValidationException"),
        ("?Qualifier=9", {"ProvisionedConcurrentExecutions": 1}, 404, "ResourceNotFoundException"),
    ):
        await ask(client, "PUT", PROVISIONED + query, body, status, error)
    error = await ask(client, "GET", f"{PROVISIONED}?Qualifier=x", b"", 404, "ResourceNotFoundException")
    assert error["Message"] == f"Cannot find alias arn: {ARN}:x"
    await ask(client, "DELETE", one, b"", 204)
    await ask(client, "GET", one, b"", 404, not_there)


async def test_what_becomes_of_events(client: Client, registry: Registry, script: Path) -> None:
    await ask(client, "GET", EVENTS, b"", 404, "ResourceNotFoundException")
    there = "arn:aws:lambda:us-east-1:000000000000:function:qa"
    wanted = {"MaximumRetryAttempts": 1, "DestinationConfig": {"OnFailure": {"Destination": there}}}
    made = await ask(client, "PUT", EVENTS, wanted)
    assert made["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {"Destination": there}}
    assert (made["MaximumRetryAttempts"], made["MaximumEventAgeInSeconds"]) == (1, 21600)
    assert made["FunctionArn"] == f"{ARN}:$LATEST"
    assert registry.asynchronous("hello", "$LATEST") == Asynchronous(retries=1, on_failure="endpoint:qa")
    await ask(client, "POST", EVENTS, {"MaximumEventAgeInSeconds": 60})
    assert registry.asynchronous("hello", "$LATEST") == Asynchronous(
        retries=1, max_age=60.0, on_failure="endpoint:qa"
    )
    await published(client, script)
    await ask(client, "PUT", f"{EVENTS}?Qualifier=1", {"MaximumRetryAttempts": 0})
    found = (await ask(client, "GET", f"{EVENTS}/list"))["FunctionEventInvokeConfigs"]
    assert [item["FunctionArn"] for item in found] == [f"{ARN}:$LATEST", f"{ARN}:1"]
    await ask(client, "DELETE", EVENTS, b"", 204)
    assert registry.asynchronous("hello", "$LATEST") == Asynchronous()
    own = await ask(client, "GET", EVENTS.replace("hello", "qa"))
    assert own["MaximumRetryAttempts"] == 0


async def test_an_event_config_leaves_alone_what_lambda_has_no_member_for(
    client: Client, registry: Registry
) -> None:
    own = Asynchronous(retries=0, backoff=1.0, dead_letter="file:dead.jsonl", on_success="endpoint:qa")
    registry.set_asynchronous("hello", "$LATEST", own)
    await ask(client, "PUT", EVENTS, {"MaximumEventAgeInSeconds": 60})
    found = registry.asynchronous("hello", "$LATEST")
    assert found == Asynchronous(max_age=60.0, backoff=1.0, dead_letter="file:dead.jsonl")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "InvalidParameterValueException"),
        ({"MaximumRetryAttempts": 3}, "ValidationException"),
        ({"MaximumEventAgeInSeconds": 59}, "ValidationException"),
        ({"DestinationConfig": {"OnSuccess": {"Destination": "arn:aws:sqs:us-east-1:000000000000:q"}}},
         "InvalidParameterValueException"),
        ({"DestinationConfig": {"OnSuccess": {"Destination": ARN}}}, "InvalidParameterValueException"),
        ({"DestinationConfig": {"OnSuccess": {"Destination": ARN.replace("hello", "nope")}}},
         "InvalidParameterValueException"),
    ],
)  # fmt: skip
async def test_event_configs_that_cannot_be(client: Client, body: Any, error: str) -> None:
    await ask(client, "PUT", EVENTS, body, 400, error)


async def test_an_event_config_of_what_is_not_there(client: Client) -> None:
    body = {"MaximumRetryAttempts": 1}
    for method in ("PUT", "POST", "GET", "DELETE"):
        path = f"{EVENTS}?Qualifier=7"
        await ask(client, method, path, body, 404, "ResourceNotFoundException")


async def test_what_tools_ask_for_besides(client: Client) -> None:
    error = await ask(client, "GET", f"{ONE}/policy", b"", 404, "ResourceNotFoundException")
    assert error["Message"] == "The resource you requested does not exist."
    url = await ask(client, "GET", "/2021-10-31/functions/hello/url")
    assert url["FunctionUrl"] == "http://127.0.0.1:8400/lambda-url/hello/"
    assert (url["AuthType"], url["InvokeMode"]) == ("NONE", "BUFFERED")
    assert (await ask(client, "GET", "/2021-10-31/functions/hello/urls"))["FunctionUrlConfigs"] == [url]
    bad = "/2021-10-31/functions/hello/url?Qualifier=1"
    await ask(client, "GET", bad, b"", 400, "ValidationException")
    await ask(client, "GET", bad.replace("=1", "=x"), b"", 404, "ResourceNotFoundException")
    tags = f"/2017-03-31/tags/{quote(ARN, safe='')}"
    assert await ask(client, "GET", tags) == {"Tags": {}}
    await ask(client, "GET", "/2017-03-31/tags/hello", b"", 400, "ValidationException")
    assert await ask(client, "GET", "/2020-06-30/functions/hello/code-signing-config") == {}
    recursion = await ask(client, "GET", "/2024-08-31/functions/hello/recursion-config")
    assert recursion == {"RecursiveLoop": "Terminate"}
    management = await ask(client, "GET", "/2021-07-20/functions/hello/runtime-management-config")
    assert management == {"UpdateRuntimeOn": "Auto", "FunctionArn": f"{ARN}:$LATEST"}
    assert await ask(client, "GET", "/2015-03-31/event-source-mappings/") == {"EventSourceMappings": []}
    assert await ask(client, "GET", "/2018-10-31/layers") == {"Layers": []}
    settings = await ask(client, "GET", "/2016-08-19/account-settings/")
    assert settings["AccountUsage"]["FunctionCount"] == 6


@pytest.mark.parametrize("query", ["MaxItems=0", "MaxItems=x", "MaxItems=10001"])
async def test_pages_of_no_size(client: Client, query: str) -> None:
    await ask(client, "GET", f"{ONE}/versions?{query}", b"", 400, "ValidationException")


async def test_without_a_registry_there_is_only_the_latest(project: Project, invoker: Invoker) -> None:
    client = Client(create_app(project, invoker))
    assert [one["Version"] for one in (await ask(client, "GET", f"{ONE}/versions"))["Versions"]] == [
        "$LATEST"
    ]
    await ask(client, "POST", f"{ONE}/versions", b"", 501, "ServiceException")
    assert json.loads((await client("GET", ONE)).body)["Code"]["RepositoryType"] == "ECR"


async def test_every_operation_of_the_model_has_an_answer(client: Client) -> None:
    """What is not spoken is refused by name, in the shape that SDKs read."""
    model = botocore.session.get_session().get_service_model("lambda")
    spoken = set()
    for name in model.operation_names:
        http = model.operation_model(name).http
        path = re.sub(r"\{Resource\}", quote(ARN, safe=""), http["requestUri"])
        path = re.sub(r"\{FunctionName\}", "hello", path)
        response = await client(http["method"], re.sub(r"\{\w+\}", "x", path), "{}")
        assert response.headers["x-amzn-requestid"], name
        if response.status >= 400:
            assert response.headers["x-amzn-errortype"] in EXCEPTIONS, name
        if response.status != 501:
            spoken.add(name)
    assert {name for name in spoken if not re.search(rf"\b{name}\b", DOCUMENTED)} == set()
    assert len(spoken) >= 35


DOCUMENTED = (Path(__file__).resolve().parents[4] / "docs" / "lambda-api.md").read_text()
