"""Amazon ECR: tokens for its registries. The only place of the build, with ``ecr_layers``, that speaks to AWS."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from firstlight.build.registry.credentials import Credentials
from firstlight.runtime.errors import FirstlightError, Forbidden, MissingExtra, ProjectError

_HOST = re.compile(
    r"(\d{12})\.dkr(?:\.ecr|-ecr)(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.(?:aws|amazonwebservices\.com\.cn))"
)
_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized")
_UNKNOWN = (
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "ExpiredTokenException",
    "ExpiredToken",
)


def account(host: str) -> str:
    """The account a registry belongs to; empty where it is not ECR."""
    found = _HOST.fullmatch(host)
    return found[1] if found else ""


def region(host: str) -> str:
    """The region of a registry; empty where it is not ECR."""
    found = _HOST.fullmatch(host)
    return found[2] if found else ""


def client(host: str, session: Any = None) -> Any:
    """boto3's client of ECR for a registry.

    Args:
        session: gives clients of the registry's region (``client(name)``); None takes what boto3 finds.

    Raises:
        MissingExtra: boto3 is not installed.
        ProjectError: no credentials, or a profile that is not there.
    """
    try:
        import boto3
    except ImportError as error:
        raise MissingExtra(f"{host} wants a token from AWS", "pip install 'firstlight[aws]'") from error
    with explained(host):
        if session is not None:
            return session.client("ecr")
        return boto3.Session().client("ecr", region_name=region(host) or None)


def credentials(host: str, session: Any = None) -> Credentials:
    """A token of twelve hours for an ECR registry (``ecr:GetAuthorizationToken``).

    Raises:
        MissingExtra: boto3 is not installed.
        Forbidden: the user may not ask for tokens.
        ProjectError: no credentials of AWS, or it cannot be reached.
    """
    asked = client(host, session)
    with explained(host):
        said = asked.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(said).decode().partition(":")
    return Credentials(user, password, source="AWS")


@contextmanager
def explained(host: str) -> Iterator[None]:
    """What boto3 raises inside, in words."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _refused(error, host) from error
    except BotoCoreError as error:
        said = " ".join(str(error).split())
        hint = (
            "aws configure sso, aws configure, or AWS_PROFILE; then check with: aws sts get-caller-identity"
        )
        raise ProjectError(f"AWS cannot be asked about {host}: {said}", hint) from error


def _refused(error: Any, host: str) -> FirstlightError:
    code, said = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    action = f"ecr:{error.operation_name}"
    if code in _DENIED:
        hint = "firstlight deploy --print-policy shows what the deploying user needs"
        return Forbidden(f"{host} does not allow {action}: {said}", hint)
    if code in _UNKNOWN:
        return ProjectError(f"AWS does not take the key it was sent: {said}", "log in to AWS again")
    if code == "RepositoryNotFoundException":
        return ProjectError(f"{host}: {said}", "firstlight deploy makes the repository")
    return ProjectError(f"{action} on {host} failed: {code}: {said}", "")
