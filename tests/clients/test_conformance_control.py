"""The control plane by boto3: what tools read first, versions, aliases, concurrency, Event settings, waiters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients.conforming import client_of, invoke, rewrite
from serving import Server

ARN = "arn:aws:lambda:us-east-1:000000000000:function:versioned"


@pytest.fixture(scope="module")
def client(conforming_server: Server) -> Iterator[Any]:
    made = client_of(conforming_server.url)
    yield made
    made.close()


@pytest.fixture(scope="module")
def versions(client: Any, conforming_server: Server) -> list[str]:
    """Two versions of ``versioned``, which answer 1 and 2; what is not published answers 3."""
    made = []
    for number in (1, 2):
        rewrite(client, conforming_server.folder, "versioned", number)
        made.append(
            client.publish_version(FunctionName="versioned", Description=f"answers {number}")["Version"]
        )
    rewrite(client, conforming_server.folder, "versioned", 3)
    return made


def error_of(ask: Any) -> str:
    with pytest.raises(ClientError) as raised:
        ask()
    code: str = raised.value.response["Error"]["Code"]
    return code


def test_functions_are_listed(client: Any, versions: list[str]) -> None:
    pages = client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 3})
    names = [found["FunctionName"] for page in pages for found in page["Functions"]]
    assert len(names) == len(set(names)) >= 8
    pages = client.get_paginator("list_functions").paginate(FunctionVersion="ALL")
    arns = [found["FunctionArn"] for page in pages for found in page["Functions"]]
    assert {f"{ARN}:{version}" for version in ("$LATEST", *versions)} <= set(arns)


def test_a_function_is_described(client: Any) -> None:
    found = client.get_function(FunctionName="versioned")
    assert found["Code"]["RepositoryType"] == "ECR"
    described = found["Configuration"]
    assert described == {
        name: value
        for name, value in client.get_function_configuration(FunctionName="versioned").items()
        if name != "ResponseMetadata"
    }
    assert (described["State"], described["LastUpdateStatus"]) == ("Active", "Successful")
    assert (described["PackageType"], described["Version"]) == ("Image", "$LATEST")
    assert (described["MemorySize"], described["Timeout"]) == (1769, 30)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", described["LastModified"])
    assert re.fullmatch(r"[A-Za-z0-9+/]{43}=", described["CodeSha256"])
    model = client.meta.service_model.shape_for("FunctionConfiguration")
    assert set(described) <= set(model.members)


@pytest.mark.parametrize(
    "waiter", ["function_active", "function_active_v2", "function_exists", "function_updated"]
)
def test_waiters(client: Any, waiter: str) -> None:
    client.get_waiter(waiter).wait(FunctionName="versioned", WaiterConfig={"MaxAttempts": 1})


def test_a_published_version(client: Any, versions: list[str]) -> None:
    client.get_waiter("published_version_active").wait(
        FunctionName="versioned", Qualifier=versions[0], WaiterConfig={"MaxAttempts": 1}
    )
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName="versioned")
    found = [version for page in pages for version in page["Versions"]]
    assert [version["Version"] for version in found][:3] == ["$LATEST", *versions]
    for number, version in enumerate(versions, 1):
        invoked = invoke(client, "versioned", {}, Qualifier=version)
        assert invoked.payload == {"number": number, "version": version}
        assert invoked.reply["ExecutedVersion"] == version
        assert invoked.lines[0] == f"START RequestId: {invoked.request_id} Version: {version}"
    assert invoke(client, f"{ARN}:{versions[1]}", {}).payload["number"] == 2
    newest = invoke(client, "versioned", {}, Qualifier="$LATEST.PUBLISHED")
    assert int(newest.reply["ExecutedVersion"]) >= int(versions[1])


def test_publishing_what_has_not_changed(client: Any, conforming_server: Server) -> None:
    first = client.publish_version(FunctionName="changing")
    assert client.publish_version(FunctionName="changing")["Version"] == first["Version"]
    latest = client.get_function_configuration(FunctionName="changing")
    assert first["CodeSha256"] == latest["CodeSha256"]
    checked = client.publish_version(
        FunctionName="changing", CodeSha256=latest["CodeSha256"], RevisionId=latest["RevisionId"]
    )
    assert checked["Version"] == first["Version"]
    assert (
        error_of(lambda: client.publish_version(FunctionName="changing", CodeSha256="x"))
        == "InvalidParameterValueException"
    )
    assert (
        error_of(lambda: client.publish_version(FunctionName="changing", RevisionId="x"))
        == "PreconditionFailedException"
    )
    rewrite(client, conforming_server.folder, "changing", 2)
    second = client.publish_version(FunctionName="changing")["Version"]
    assert int(second) == int(first["Version"]) + 1
    client.create_alias(FunctionName="changing", Name="keeps", FunctionVersion=second)

    def delete() -> None:
        client.delete_function(FunctionName="changing", Qualifier=second)

    assert error_of(delete) == "ResourceConflictException"
    client.delete_alias(FunctionName="changing", Name="keeps")
    delete()
    assert error_of(delete) == "ResourceNotFoundException"
    assert error_of(lambda: invoke(client, "changing", {}, Qualifier=second)) == "ResourceNotFoundException"
    assert error_of(lambda: client.delete_function(FunctionName="changing")) == "ServiceException"


def test_an_alias_with_weights(client: Any, versions: list[str]) -> None:
    one, two = versions
    made = client.create_alias(
        FunctionName="versioned",
        Name="live",
        FunctionVersion=one,
        Description="d",
        RoutingConfig={"AdditionalVersionWeights": {two: 0.5}},
    )
    try:
        assert made["AliasArn"] == f"{ARN}:live"
        found = client.get_alias(FunctionName="versioned", Name="live")
        assert {name: found[name] for name in made if name != "ResponseMetadata"} == {
            name: value for name, value in made.items() if name != "ResponseMetadata"
        }
        seen = Counter(
            invoke(client, "versioned", {}, Qualifier="live").reply["ExecutedVersion"] for _ in range(60)
        )
        assert set(seen) == {one, two}
        assert min(seen.values()) > 5
        pages = client.get_paginator("list_aliases").paginate(FunctionName="versioned", FunctionVersion=one)
        assert [alias["Name"] for page in pages for alias in page["Aliases"]] == ["live"]
        moved = client.update_alias(
            FunctionName="versioned",
            Name="live",
            FunctionVersion=two,
            RoutingConfig={"AdditionalVersionWeights": {}},
            RevisionId=made["RevisionId"],
        )
        assert "RoutingConfig" not in moved
        assert (
            error_of(
                lambda: client.update_alias(
                    FunctionName="versioned", Name="live", RevisionId=made["RevisionId"]
                )
            )
            == "PreconditionFailedException"
        )
        assert invoke(client, "versioned:live", {}).payload["number"] == 2
        described = client.get_function(FunctionName="versioned", Qualifier="live")["Configuration"]
        assert (described["Version"], described["FunctionArn"]) == (two, f"{ARN}:live")
        again = {"FunctionName": "versioned", "Name": "live", "FunctionVersion": one}
        assert error_of(lambda: client.create_alias(**again)) == "ResourceConflictException"
    finally:
        client.delete_alias(FunctionName="versioned", Name="live")
    assert (
        error_of(lambda: client.get_alias(FunctionName="versioned", Name="live"))
        == "ResourceNotFoundException"
    )


def test_reserved_concurrency(client: Any) -> None:
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName="echo")
    before = client.get_account_settings()["AccountLimit"]
    client.put_function_concurrency(FunctionName="echo", ReservedConcurrentExecutions=3)
    try:
        found = client.get_function_concurrency(FunctionName="echo")
        assert found["ReservedConcurrentExecutions"] == 3
        assert client.get_function(FunctionName="echo")["Concurrency"]["ReservedConcurrentExecutions"] == 3
        after = client.get_account_settings()["AccountLimit"]
        assert after["UnreservedConcurrentExecutions"] == before["UnreservedConcurrentExecutions"] - 3
    finally:
        client.delete_function_concurrency(FunctionName="echo")
    assert "Concurrency" not in client.get_function(FunctionName="echo")


def test_provisioned_concurrency(client: Any, versions: list[str]) -> None:
    one = {"FunctionName": "versioned", "Qualifier": versions[0]}

    def get() -> Any:
        return client.get_provisioned_concurrency_config(**one)

    assert error_of(get) == "ProvisionedConcurrencyConfigNotFoundException"
    made = client.put_provisioned_concurrency_config(**one, ProvisionedConcurrentExecutions=2)
    assert (made["Status"], made["RequestedProvisionedConcurrentExecutions"]) == ("IN_PROGRESS", 2)
    try:
        while (found := get())["Status"] == "IN_PROGRESS":
            pass
        assert found["Status"] == "READY"
        assert found["AvailableProvisionedConcurrentExecutions"] == 2
        assert "Init Duration" not in invoke(client, "versioned", {}, Qualifier=versions[0]).report
        pages = client.get_paginator("list_provisioned_concurrency_configs").paginate(
            FunctionName="versioned"
        )
        listed = [config for page in pages for config in page["ProvisionedConcurrencyConfigs"]]
        assert [config["FunctionArn"] for config in listed] == [f"{ARN}:{versions[0]}"]
        more = {"FunctionName": "versioned", "ReservedConcurrentExecutions": 1}
        assert error_of(lambda: client.put_function_concurrency(**more)) == "InvalidParameterValueException"
    finally:
        client.delete_provisioned_concurrency_config(**one)
    assert error_of(get) == "ProvisionedConcurrencyConfigNotFoundException"


def test_what_becomes_of_events(client: Any, versions: list[str]) -> None:
    def get() -> Any:
        return client.get_function_event_invoke_config(FunctionName="versioned")

    assert error_of(get) == "ResourceNotFoundException"
    there = "arn:aws:lambda:us-east-1:000000000000:function:echo"
    made = client.put_function_event_invoke_config(
        FunctionName="versioned",
        MaximumRetryAttempts=0,
        DestinationConfig={"OnSuccess": {"Destination": there}},
    )
    assert made["FunctionArn"] == f"{ARN}:$LATEST"
    assert made["LastModified"].year > 2000
    assert made["DestinationConfig"]["OnSuccess"] == {"Destination": there}
    client.update_function_event_invoke_config(FunctionName="versioned", MaximumEventAgeInSeconds=60)
    assert (get()["MaximumRetryAttempts"], get()["MaximumEventAgeInSeconds"]) == (0, 60)
    pages = client.get_paginator("list_function_event_invoke_configs").paginate(FunctionName="versioned")
    assert len([config for page in pages for config in page["FunctionEventInvokeConfigs"]]) == 1
    sqs = {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:queue"}}
    assert (
        error_of(
            lambda: client.put_function_event_invoke_config(FunctionName="versioned", DestinationConfig=sqs)
        )
        == "InvalidParameterValueException"
    )
    client.delete_function_event_invoke_config(FunctionName="versioned")
    assert error_of(get) == "ResourceNotFoundException"


def test_what_tools_ask_for_besides(client: Any, conforming_server: Server) -> None:
    url = client.get_function_url_config(FunctionName="echo")
    assert url["FunctionUrl"] == f"{conforming_server.url}/lambda-url/echo/"
    pages = client.get_paginator("list_function_url_configs").paginate(FunctionName="echo")
    assert [config["FunctionArn"] for page in pages for config in page["FunctionUrlConfigs"]] == [
        url["FunctionArn"]
    ]
    assert error_of(lambda: client.get_policy(FunctionName="echo")) == "ResourceNotFoundException"
    assert client.list_tags(Resource=ARN)["Tags"] == {}
    assert client.list_event_source_mappings()["EventSourceMappings"] == []
    assert client.list_layers()["Layers"] == []
    assert client.get_function_recursion_config(FunctionName="echo")["RecursiveLoop"] == "Terminate"
    assert client.get_runtime_management_config(FunctionName="echo")["UpdateRuntimeOn"] == "Auto"
    client.get_function_code_signing_config(FunctionName="echo")
    assert client.get_account_settings()["AccountUsage"]["FunctionCount"] >= 8
