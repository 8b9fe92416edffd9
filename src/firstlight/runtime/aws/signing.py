"""Signature version 4 of a request (IAM user guide, "Create a signed AWS API request").

Paths are encoded once more in the canonical request than on the wire, as every service but S3 wants it.
"""

from __future__ import annotations

import hashlib
import hmac
from time import gmtime, strftime
from urllib.parse import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.runtime.aws.credentials import Credentials

_ALGORITHM = "AWS4-HMAC-SHA256"


class Scope:
    """What a signature is good for.

    Args:
        region: such as ``eu-central-1``.
        service: its signing name: ``dynamodb``, ``lambda``.
    """

    __slots__ = ("_day", "_key", "region", "service")

    def __init__(self, region: str, service: str) -> None:
        self.region = region
        self.service = service
        self._day: tuple[str, str] = ("", "")
        self._key = b""

    def text(self, day: str) -> str:
        """As the string to sign has it."""
        return f"{day}/{self.region}/{self.service}/aws4_request"

    def key(self, secret: str, day: str) -> bytes:
        """The signing key of a day; derived once."""
        if self._day != (secret, day):
            key = b"AWS4" + secret.encode()
            for part in (day, self.region, self.service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._day, self._key = (secret, day), key
        return self._key


def signed(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    credentials: Credentials,
    scope: Scope,
    now: float,
) -> dict[str, str]:
    """The headers of a request with its signature.

    Args:
        path: as it is on the wire, percent-encoded.
        query: as on the wire: names in order, percent-encoded; empty for none.
        headers: all of them are signed; ``host`` has to be among them. Names lower case.
        now: seconds since the epoch.
    """
    moment = strftime("%Y%m%dT%H%M%SZ", gmtime(now))
    day = moment[:8]
    signing = {**headers, "x-amz-date": moment}
    if credentials.token:
        signing["x-amz-security-token"] = credentials.token
    names = sorted(signing)
    listed = ";".join(names)
    canonical = "\n".join(
        (
            method,
            quote(path, safe="/-_.~"),
            query,
            *(f"{name}:{' '.join(signing[name].split())}" for name in names),
            "",
            listed,
            hashlib.sha256(body).hexdigest(),
        )
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{_ALGORITHM}\n{moment}\n{scope.text(day)}\n{digest}"
    signature = hmac.digest(scope.key(credentials.secret, day), text.encode(), "sha256").hex()
    signing["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.key_id}/{scope.text(day)}, SignedHeaders={listed}, Signature={signature}"
    )
    return signing
