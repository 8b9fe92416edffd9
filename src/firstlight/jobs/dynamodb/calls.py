"""The calls to DynamoDB that the adapter makes, on one table; the one place where botocore's errors are met."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from firstlight.jobs.dynamodb.schema import PK, SK
from firstlight.runtime.errors import JobError, MissingExtra

Item = dict[str, Any]
"""An item as DynamoDB's wire has it: ``{"pk": {"S": "JOB#1"}, ...}``."""

_CONDITION = "ConditionalCheckFailed"
_PASSING = {"TransactionConflict", "TransactionConflictException", "TransactionInProgressException"}
"""Refused because another write was under way: the same call will do."""
_TRIES = 8
_FIRST_PAUSE_SECONDS = 0.02
_GET_AT_ONCE, _WRITE_AT_ONCE = 100, 25
_HINTS = {
    "ResourceNotFoundException": "make the table: firstlight.jobs.dynamodb.create_table",
    "AccessDeniedException": "docs/jobs-store.md lists the actions that are needed",
    "UnrecognizedClientException": "set the credentials of an AWS account",
    "ProvisionedThroughputExceededException": "raise the table's capacity, or make it on-demand",
    "ThrottlingException": "raise the table's capacity, or make it on-demand",
    "RequestLimitExceeded": "ask AWS to raise the account's limit",
}


class Refused(Exception):
    """A condition of a write does not hold; ``item`` is what is there instead, empty where nothing is."""

    def __init__(self, item: Item) -> None:
        super().__init__("the condition does not hold")
        self.item = item


def new_client(**options: Any) -> Any:
    """A boto3 client of DynamoDB.

    Args:
        options: of ``boto3.client``: ``region_name``, ``endpoint_url``, ...

    Raises:
        MissingExtra: boto3 is not installed.
        JobError: no client can be made, for want of a region for example.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise MissingExtra("jobs in DynamoDB need boto3", "pip install 'firstlight[aws]'") from error
    config = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=3, read_timeout=15)
    try:
        return boto3.client("dynamodb", config=config, **options)
    except (BotoCoreError, ValueError) as error:
        raise JobError(f"DynamoDB cannot be reached: {error}", "set AWS_REGION and credentials") from error


class Table:
    """One table. Every method raises JobError when DynamoDB cannot be reached or refuses.

    Args:
        client: a boto3 client of DynamoDB, or a ``plain.PlainClient``; any number of threads may use it.
    """

    def __init__(self, client: Any, name: str) -> None:
        self.name = name
        self._client = client
        errors: tuple[type[Any], type[Any]] = getattr(client, "errors", None) or _botocore_errors()
        self._refusal, self._trouble = errors

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """One call about this table, repeated while another write of the same item is under way.

        Raises:
            Refused: its condition does not hold.
        """
        return self._patiently(lambda: self._once(operation, {"TableName": self.name, **arguments}))

    def get(self, key: Item, **arguments: Any) -> Item | None:
        """The newest state of an item, None where there is none."""
        found: Item | None = self.call("get_item", Key=key, ConsistentRead=True, **arguments).get("Item")
        return found

    def query(self, **arguments: Any) -> Iterator[Item]:
        """What a query finds, page by page as they are asked for."""
        while True:
            page = self.call("query", **arguments)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def get_all(self, keys: Sequence[Item], **arguments: Any) -> list[Item]:
        """The newest states of items, in the order of their keys; those that are missing are left out."""
        found: dict[tuple[str, str], Item] = {}
        for start in range(0, len(keys), _GET_AT_ONCE):
            left = {
                self.name: {"Keys": keys[start : start + _GET_AT_ONCE], "ConsistentRead": True, **arguments}
            }
            for pause in _pauses():
                answer = self._once("batch_get_item", {"RequestItems": left})
                found.update((_place(item), item) for item in answer["Responses"].get(self.name, ()))
                left = answer.get("UnprocessedKeys") or {}
                if not left:
                    break
                time.sleep(pause)
            else:
                raise JobError(
                    f"DynamoDB is too busy to read from {self.name}", _HINTS["ThrottlingException"]
                )
        return [found[_place(key)] for key in keys if _place(key) in found]

    def write_all(self, puts: Iterable[Item] = (), deletes: Iterable[Item] = ()) -> None:
        """Put and delete items, each for itself."""
        requests = [{"PutRequest": {"Item": item}} for item in puts]
        requests += [{"DeleteRequest": {"Key": key}} for key in deletes]
        for start in range(0, len(requests), _WRITE_AT_ONCE):
            left = {self.name: requests[start : start + _WRITE_AT_ONCE]}
            for pause in _pauses():
                left = self._once("batch_write_item", {"RequestItems": left}).get("UnprocessedItems") or {}
                if not left:
                    break
                time.sleep(pause)
            else:
                raise JobError(f"DynamoDB is too busy to write to {self.name}", _HINTS["ThrottlingException"])

    def transact(self, *actions: tuple[str, Mapping[str, Any]]) -> None:
        """Several writes, all or none.

        Args:
            actions: ``Put``, ``Update`` or ``Delete`` with its arguments.

        Raises:
            Refused: a condition does not hold.
        """
        items = [{kind: {"TableName": self.name, **arguments}} for kind, arguments in actions]
        token = secrets.token_hex(16)  # made once: DynamoDB knows a repetition by it
        self._patiently(
            lambda: self._once("transact_write_items", {"TransactItems": items, "ClientRequestToken": token})
        )

    def create(self, **arguments: Any) -> bool:
        """Make the table and wait until it is there; False where it was."""
        try:
            self._client.create_table(TableName=self.name, **arguments)
        except self._refusal as error:
            if error.response["Error"]["Code"] != "ResourceInUseException":
                raise self._translated(error) from error
            return False
        except self._trouble as error:
            raise self._translated(error) from error
        try:
            self._client.get_waiter("table_exists").wait(TableName=self.name, WaiterConfig={"Delay": 1})
        except (self._refusal, self._trouble) as error:
            raise self._translated(error) from error
        return True

    def _once(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
        except self._refusal as error:
            if (refused := _refused(error.response)) is not None:
                raise refused from error
            raise self._translated(error) from error
        except self._trouble as error:
            raise self._translated(error) from error
        return answer

    def _patiently(self, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        for pause in _pauses():
            try:
                return act()
            except JobError as error:
                if not (_codes(getattr(error.__cause__, "response", {})) & _PASSING):
                    raise
            time.sleep(pause)
        return act()

    def _translated(self, error: Exception) -> JobError:
        code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
        hint = _HINTS.get(code, "" if code else "check the region, the credentials and the network")
        return JobError(f"jobs cannot be kept in the table {self.name}: {error}", hint)


def _botocore_errors() -> tuple[type[Any], type[Any]]:
    from botocore.exceptions import BotoCoreError, ClientError

    return ClientError, BotoCoreError


def _pauses() -> Iterator[float]:
    for turn in range(_TRIES):
        yield _FIRST_PAUSE_SECONDS * 2**turn * (0.5 + random.random() / 2)  # noqa: S311 - no secret


def _codes(response: Mapping[str, Any]) -> set[str]:
    reasons = {reason.get("Code", "") for reason in response.get("CancellationReasons", ())}
    return reasons | {response.get("Error", {}).get("Code", "")}


def _refused(response: Mapping[str, Any]) -> Refused | None:
    """The refusal where a condition does not hold, with what is there instead."""
    if response["Error"]["Code"] == "ConditionalCheckFailedException":
        return Refused(response.get("Item", {}))
    for reason in response.get("CancellationReasons", ()):
        if reason.get("Code") == _CONDITION:
            return Refused(reason.get("Item", {}))
    return None


def _place(item: Item) -> tuple[str, str]:
    return item[PK]["S"], item[SK]["S"]
