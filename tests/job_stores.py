"""Empty stores of jobs: a SQLite file, a table of a DynamoDB-compatible server."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from firstlight.jobs.dynamodb import DynamoJobs, create_table
from firstlight.jobs.dynamodb.calls import new_client
from firstlight.jobs.dynamodb.plain import PlainClient
from firstlight.jobs.sqlite import SqliteJobs
from firstlight.jobs.sqs import SqsJobs
from firstlight.runtime.aws.calling import Api

SERVER = "FIRSTLIGHT_TEST_DYNAMODB"
"""The variable that names another server than the one started here, ``http://127.0.0.1:4566`` for example."""
CREDENTIALS = {
    "region_name": "us-east-1",
    "aws_access_key_id": "test",
    "aws_secret_access_key": "test",
}
ENVIRONMENT = {
    "AWS_REGION": CREDENTIALS["region_name"],
    "AWS_ACCESS_KEY_ID": CREDENTIALS["aws_access_key_id"],
    "AWS_SECRET_ACCESS_KEY": CREDENTIALS["aws_secret_access_key"],
}
"""The same for what reads the environment."""


class SqlitePlace:
    """A file for jobs. ``open`` gives one more object on it, ``fresh`` goes on to a new file."""

    def __init__(self, folder: Path) -> None:
        self._files = (folder / f"jobs-{number}.sqlite" for number in itertools.count())
        self._opened: list[SqliteJobs] = []
        self.fresh()

    def fresh(self) -> None:
        self.close()
        self.path = next(self._files)
        self.arguments = ["sqlite", str(self.path)]

    def open(self) -> SqliteJobs:
        self._opened.append(SqliteJobs(self.path))
        return self._opened[-1]

    def close(self) -> None:
        while self._opened:
            self._opened.pop().close()


class DynamoPlace:
    """A table for jobs. ``open`` gives one more object on it, ``fresh`` goes on to a new table."""

    def __init__(self, url: str, client: Any) -> None:
        self.url, self.client = url, client
        self.fresh()

    def fresh(self) -> None:
        self.table = f"jobs-{uuid.uuid4()}"
        create_table(self.client, self.table)
        self.arguments = ["dynamodb", self.url, self.table]

    def open(self) -> DynamoJobs:
        return DynamoJobs(self.table, self.client)

    def close(self) -> None:
        self.client.delete_table(TableName=self.table)


class SqsPlace(DynamoPlace):
    """The same with a queue of SQS on the same server, which says what waits; without boto3 on the store's side."""

    def __init__(self, url: str, client: Any) -> None:
        env = {**ENVIRONMENT, "AWS_ENDPOINT_URL": url}
        self.sqs, self.plain = Api("sqs", env), PlainClient(Api("dynamodb", env))
        super().__init__(url, client)

    def fresh(self) -> None:
        super().fresh()
        self.queue = self.sqs.call("AmazonSQS.CreateQueue", {"QueueName": self.table})["QueueUrl"]

    def open(self) -> SqsJobs:
        return SqsJobs(self.table, self.queue, self.plain, self.sqs)

    def close(self) -> None:
        super().close()
        self.sqs.call("AmazonSQS.DeleteQueue", {"QueueUrl": self.queue})
        self.sqs.close()
        self.plain.close()


def reopened(arguments: list[str]) -> SqliteJobs | DynamoJobs:
    """A store in another process, by the ``arguments`` of its place."""
    kind, *rest = arguments
    if kind == "sqlite":
        return SqliteJobs(Path(rest[0]))
    return DynamoJobs(rest[1], new_client(endpoint_url=rest[0], **CREDENTIALS))


@contextmanager
def dynamodb_server() -> Iterator[str]:
    """The URL of a server that speaks DynamoDB: what the variable names, or moto on a free port."""
    if url := os.environ.get(SERVER):
        yield url
        return
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = DomainDispatcherApplication(create_backend_app)
    turn = threading.Lock()

    def one_at_a_time(*call: Any) -> Any:
        # DynamoDB checks a condition and writes as one step; moto does only when nobody else is there.
        with turn:
            return application(*call)

    server = make_server("127.0.0.1", 0, one_at_a_time, threaded=True, request_handler=WSGIRequestHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
