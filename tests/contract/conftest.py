"""Places for jobs, one fixture for every adapter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from firstlight.jobs.dynamodb.calls import new_client
from job_stores import CREDENTIALS, DynamoPlace, SqlitePlace, dynamodb_server


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


@pytest.fixture(params=["sqlite", "dynamodb"])
def place(request, tmp_path) -> Iterator[SqlitePlace | DynamoPlace]:
    if request.param == "dynamodb":
        yield request.getfixturevalue("dynamo_place")
        return
    opened = SqlitePlace(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def store(place):
    return place.open()
