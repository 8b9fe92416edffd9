"""Places for jobs, one fixture for every adapter."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from firstlight.jobs.dynamodb.calls import new_client
from job_stores import CREDENTIALS, DynamoPlace, SqlitePlace, SqsPlace, dynamodb_server


@pytest.fixture(scope="session")
def dynamodb() -> Iterator[tuple[str, object]]:
    with dynamodb_server() as url:
        client = new_client(endpoint_url=url, **CREDENTIALS)
        yield url, client
        client.close()


@pytest.fixture
def dynamo_place(dynamodb) -> Iterator[DynamoPlace]:
    place = DynamoPlace(*dynamodb)
    yield place
    place.close()


@pytest.fixture
def sqs_place(dynamodb) -> Iterator[SqsPlace]:
    place = SqsPlace(*dynamodb)
    yield place
    place.close()


@pytest.fixture(params=["sqlite", "dynamodb", *(["sqs"] if "FIRSTLIGHT_TEST_SQS" in os.environ else [])])
def place(request, tmp_path) -> Iterator[SqlitePlace | DynamoPlace]:
    """The last one is the second with messages besides, which is asked for by a variable (tests/aws)."""
    if request.param != "sqlite":
        yield request.getfixturevalue("dynamo_place" if request.param == "dynamodb" else "sqs_place")
        return
    opened = SqlitePlace(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def store(place):
    return place.open()
