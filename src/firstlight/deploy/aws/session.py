"""A session with one account and region of AWS: its clients, and what the account allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from firstlight.deploy.aws.errors import AwsError, explained
from firstlight.deploy.types import Account
from firstlight.runtime.errors import MissingExtra

_TRIES = 6
"""Of one call, where AWS is busy or the connection is lost (botocore's ``standard`` retries)."""
_CONNECT_SECONDS, _READ_SECONDS = 10, 70


class Session:
    """One account and region, for one user.

    Args:
        region: None takes the one that the AWS configuration of the user names.
        profile: of the AWS configuration; None takes its default, or the environment's keys.

    Raises:
        MissingExtra: boto3 is not installed.
        AwsError: there is no such profile, or no region is named anywhere.
    """

    def __init__(self, region: str | None = None, profile: str | None = None) -> None:
        try:
            import boto3
        except ImportError as error:
            raise MissingExtra("AWS needs boto3", "pip install 'firstlight[aws]'") from error
        with explained("aws:Session", region or ""):
            self.boto = boto3.Session(region_name=region, profile_name=profile)
            """boto3's own session, for what brings its own words for boto3's errors."""
        if not self.boto.region_name:
            hint = "give --region, or `region` in [deploy] of firstlight.toml, for example eu-central-1"
            raise AwsError("no AWS region is named", hint)
        self.region: str = self.boto.region_name
        self.caller = ""
        """Who the credentials belong to, an ARN; known once ``account`` was asked."""
        self._clients: dict[tuple[str, float], Client] = {}

    def client(self, name: str, patience: float = 0.0) -> Client:
        """A client of one of AWS's services, the same one every time. Threads may share it.

        Args:
            name: as boto3 has it: ``lambda``.
            patience: seconds to wait for one answer, which is then asked for once only; 0 for the usual wait and
                retries. For calls that run long and must not run twice, such as an invocation.

        Raises:
            AwsError: it cannot be made.
        """
        if (name, patience) not in self._clients:
            from botocore.config import Config

            retries = {"mode": "standard", "total_max_attempts": 1 if patience else _TRIES}
            config = Config(
                retries=retries, connect_timeout=_CONNECT_SECONDS, read_timeout=patience or _READ_SECONDS
            )
            with explained(f"{name}:Client", self.region):
                try:
                    made = self.boto.client(name, config=config)
                except ValueError as error:
                    hint = "check --region, AWS_REGION and AWS_ENDPOINT_URL"
                    raise AwsError(f"AWS cannot be asked: {error}", hint) from error
            self._clients[name, patience] = Client(made, self.region)
        return self._clients[name, patience]

    def account(self) -> Account:
        """Who this is, and how many workers its account may have.

        Raises:
            AwsError: no credentials, no right to ask, or no answer.
        """
        who = self.client("sts").get_caller_identity()
        self.caller = str(who["Arn"])
        limits = self.client("lambda").get_account_settings()["AccountLimit"]
        return Account(
            id=str(who["Account"]),
            region=self.region,
            concurrency=int(limits["ConcurrentExecutions"]),
            unreserved=int(limits.get("UnreservedConcurrentExecutions", limits["ConcurrentExecutions"])),
            partition=self.caller.split(":")[1],
        )


class Client:
    """A boto3 client whose calls raise AwsError instead of botocore's errors.

    Args:
        client: boto3's.
        region: for what is said where it cannot be reached.
    """

    def __init__(self, client: Any, region: str = "") -> None:
        self.boto = client
        self.region = region
        self._service = str(client.meta.service_model.signing_name)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self.boto, name)
        operation = self._operation(name)

        def asked(*places: Any, **arguments: Any) -> Any:
            with explained(operation, self.region):
                return call(*places, **arguments)

        return asked

    def pages(self, operation: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """All pages of an answer, each asked for when it is needed.

        Args:
            operation: as boto3 has it: ``list_stacks``.
        """
        with explained(self._operation(operation), self.region):
            yield from self.boto.get_paginator(operation).paginate(**arguments)

    @property
    def url(self) -> str:
        """Where it asks."""
        return str(self.boto.meta.endpoint_url)

    def _operation(self, name: str) -> str:
        words = self.boto.meta.method_to_api_mapping.get(name)
        return f"{self._service}:{words or ''.join(part.title() for part in name.split('_'))}"
