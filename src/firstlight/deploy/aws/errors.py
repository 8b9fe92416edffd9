"""What AWS refuses, in words: botocore's errors become the project's, each with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from firstlight.runtime.errors import FirstlightError

POLICY = "`firstlight deploy --print-policy` prints all that deploying needs"
_RIGHTS = {
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "Forbidden",
    "403",
    "NotAuthorized",
}
_ENDED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_UNKNOWN = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "AuthFailure",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
}
_BUSY = {"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}
_NOT_SIGNED_UP = {"OptInRequired", "SubscriptionRequiredException", "NotSignedUp"}
_MAY_NOT = re.compile(
    r"(?:User: )?(?P<who>arn:\S+)?\s*is not authorized to perform:? (?P<action>[\w-]+:\w+)"
    r"(?: on (?:the )?resource:? \"?(?P<what>[^\s\",)]+))?"
)
_OTHER_ACTIONS = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:HeadObject": "s3:GetObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:DeleteObjects": "s3:DeleteObject",
}
"""Operations whose right has another name (service authorization reference)."""


class AwsError(FirstlightError):
    """AWS refused a call, or could not be asked.

    Args:
        reason: AWS's own code, such as ``ValidationError``; empty where no answer came.
        operation: what was asked for, ``service:Operation``.
    """

    code = "aws"
    status = 502

    def __init__(self, message: str, hint: str = "", *, reason: str = "", operation: str = "") -> None:
        super().__init__(message, hint)
        self.reason = reason
        self.operation = operation


class NoCredentials(AwsError):
    """There are no credentials, they are not known to AWS, or their time is over."""

    code = "aws-credentials"
    status = 401


class MayNot(AwsError):
    """The credentials lack a right."""

    code = "aws-rights"
    status = 403


class Unreached(AwsError):
    """No answer came: no network, no such region, or the connection was lost."""

    code = "aws-unreached"


@dataclass(frozen=True, slots=True)
class Right:
    """A right that was missing.

    Attributes:
        who: the ARN that lacks it; empty where AWS does not say.
        action: ``service:Action``.
        resource: what it is wanted on; empty where AWS does not say.
    """

    who: str
    action: str
    resource: str

    @property
    def sentence(self) -> str:
        """What is missing, half a sentence."""
        who = self.who.split(":", 5)[-1] if self.who else "these credentials"
        return f"{who} may not {self.action}" + (f" on {self.resource}" if self.resource else "")


def missing_right(text: str) -> Right | None:
    """The right that a message of AWS says is missing, as its services and CloudFormation's events write it."""
    found = _MAY_NOT.search(text)
    if found is None:
        return None
    resource = (found["what"] or "").rstrip(".")
    return Right(found["who"] or "", found["action"], "" if resource == "*" else resource)


@contextmanager
def explained(operation: str, region: str = "") -> Iterator[None]:
    """What botocore raises inside is raised as an AwsError.

    Args:
        operation: ``service:Operation``, the right that is named where AWS names none.
        region: for what is said of the network.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise of_answer(error.response, operation, region) from error
    except Boto3Error as error:
        cause = error.__context__
        if isinstance(cause, ClientError):
            raise of_answer(cause.response, operation, region) from error
        raise Unreached(f"{operation}: {error}", _NETWORK, operation=operation) from error
    except BotoCoreError as error:
        raise of_trouble(error, operation, region) from error


def of_answer(response: Any, operation: str, region: str = "") -> AwsError:
    """The error that an answer of AWS is.

    Args:
        response: of botocore's ClientError: ``{"Error": {"Code", "Message"}, ...}``.
    """
    about = response.get("Error", {})
    reason, said = str(about.get("Code", "")), str(about.get("Message", "")).strip()
    facts = {"reason": reason, "operation": operation}
    if reason in _ENDED:
        hint = "renew them (`aws sso login`, or a new session token) and run the same again"
        return NoCredentials("the time of these AWS credentials is over", hint, **facts)
    if "Signature expired" in said or "Signature not yet current" in said or reason == "RequestTimeTooSkewed":
        hint = "set the clock of this machine; AWS takes requests that are at most five minutes off"
        return NoCredentials("this machine's clock is too far off for AWS", hint, **facts)
    if reason in _UNKNOWN:
        hint = f"check the keys; a region that is not switched on for the account says the same{_of(region)}"
        return NoCredentials(f"AWS does not know these credentials ({reason})", hint, **facts)
    if reason in _RIGHTS:
        right = missing_right(said) or Right("", _OTHER_ACTIONS.get(operation, operation), "")
        return MayNot(right.sentence + _denied(said), f"have it allowed; {POLICY}", **facts)
    if reason in _NOT_SIGNED_UP:
        hint = "finish the registration of the account in AWS's console"
        return AwsError(
            f"this account is not signed up for {operation.split(':', maxsplit=1)[0]}", hint, **facts
        )
    hint = "wait a minute and run the same again" if reason in _BUSY else ""
    return AwsError(f"AWS refused {operation}: {said or reason}", hint, **facts)


_NETWORK = "check the network and the proxy, then run the same again: what is done stays done"


def of_trouble(error: Exception, operation: str, region: str = "") -> AwsError:
    """The error that one of botocore's own is: no credentials, no region, no network."""
    name = type(error).__name__
    if name in _BY_NAME:
        kind, message, hint = _BY_NAME[name]
        return kind(message.format(error=error, region=region), hint, operation=operation)
    if "SSO" in name or "Token" in name or "Credential" in name or "Login" in name:
        hint = "`aws sso login` or `aws configure` renews them"
        return NoCredentials(f"AWS credentials cannot be had: {error}", hint, operation=operation)
    if name == "EndpointConnectionError":
        return Unreached(f"{operation}: {error}", _region_hint(region) or _NETWORK, operation=operation)
    if any(word in name for word in ("Connect", "Timeout", "SSL", "Proxy", "HTTP", "IncompleteRead")):
        return Unreached(
            f"the connection to AWS was lost ({operation}: {error})", _NETWORK, operation=operation
        )
    return AwsError(f"{operation}: {error}", "", operation=operation)


_BY_NAME: dict[str, tuple[type[AwsError], str, str]] = {
    "NoCredentialsError": (
        NoCredentials,
        "there are no AWS credentials",
        "`aws configure` or `aws sso login` sets them up; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
        "--profile NAME, name them",
    ),
    "PartialCredentialsError": (
        NoCredentials,
        "half of the AWS credentials is missing: {error}",
        "set both keys",
    ),
    "ProfileNotFound": (NoCredentials, "{error}", "`aws configure list-profiles` lists those there are"),
    "NoRegionError": (
        AwsError,
        "no AWS region is named",
        "give --region, or `region` in [deploy] of firstlight.toml, for example eu-central-1",
    ),
    "InvalidRegionError": (AwsError, "{region!r} is not an AWS region", "for example eu-central-1"),
}


def _region_hint(region: str) -> str:
    """Whether the region may be the mistake: AWS's known ones, as far as this botocore knows them."""
    from difflib import get_close_matches

    import boto3

    known = sorted(
        {
            name
            for partition in ("aws", "aws-cn", "aws-us-gov")
            for name in boto3.Session().get_available_regions("lambda", partition)
        }
    )
    if not region or region in known:
        return ""
    near = get_close_matches(region, known, n=1)
    return f"{region} is no region that is known here" + (f". Did you mean {near[0]!r}?" if near else "")


def _of(region: str) -> str:
    return f" (here {region})" if region else ""


def _denied(said: str) -> str:
    """Where AWS says that something forbids it, rather than that nothing allows it."""
    found = re.search(r"explicit deny in an? ([\w -]+?)(?: policy|$|[:.,])", said)
    return f": {found[1].strip()} policies of the account forbid it" if found else ""
