"""Whether a request is signed by somebody who is known: Signature Version 4, in headers or in the query.

The words are AWS's own (recorded from API Gateway and other services). Any region will do: the endpoint is here.
A body is always a part of the signature; ``UNSIGNED-PAYLOAD`` is for S3 alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from calendar import timegm
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import gmtime, strftime, strptime
from urllib.parse import unquote

from firstlight.gateway.fronts import canonical
from firstlight.gateway.fronts.canonical import ALGORITHM, Message, Scope

SKEW_S = 300
"""Seconds by which the clocks of a client and of AWS may differ."""
WEEK_S = 604_800
"""Seconds for which a query may be signed at most."""

_STAMP = "%Y%m%dT%H%M%SZ"
_PARAMETERS = ("Algorithm", "Credential", "Signature", "SignedHeaders", "Date", "Expires")
_INVALID = "InvalidSignatureException"
_INCOMPLETE = "IncompleteSignatureException"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


class Unsigned(Exception):
    """A signature that is not there, cannot be read, or is not right.

    Args:
        kind: AWS's name for it, the value of ``x-amzn-ErrorType``.
        text: its message.
        detail: what the signature should have been made of, for whoever debugs a signer.
    """

    def __init__(self, kind: str, text: str, detail: str = "") -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.detail = detail


@dataclass(frozen=True, slots=True)
class _Claim:
    """What the signer says: which key, for what, when, which headers, and the signature.

    Args:
        lasts: seconds for which a signed query is good; None for a signature in headers.
    """

    key: str
    scope: Scope
    time: str
    signed: tuple[str, ...]
    signature: str
    lasts: int | None = None


def verified(message: Message, signed_for: str, secret_of: Callable[[str], str | None], now: float) -> str:
    """The access key id that signed a request.

    Args:
        signed_for: what it has to be signed for, ``execute-api`` or ``lambda``.
        secret_of: the secret of an access key id; None where there is no such key.
        now: seconds since the epoch.

    Raises:
        Unsigned: by nobody who is known here.
    """
    claim = _claimed(message)
    signed_at = _time(claim.time)
    _check_scope(claim, signed_for)
    _check_time(claim, signed_at, now)
    if "host" not in claim.signed:
        raise Unsigned(_INVALID, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    secret = secret_of(claim.key)
    if secret is None or message.header("x-amz-security-token") is not None:
        raise Unsigned(
            "UnrecognizedClientException", "The security token included in the request is invalid."
        )
    request = canonical.request(message, claim.signed)
    text = canonical.string_to_sign(request, claim.time, claim.scope)
    wanted = canonical.signature(secret, claim.scope, text)
    if not hmac.compare_digest(wanted.encode(), claim.signature.encode("utf-8", "surrogateescape")):
        detail = (
            f"\n\nThe Canonical String for this request should have been\n'{request}'"
            f"\n\nThe String-to-Sign should have been\n'{text}'\n"
        )
        raise Unsigned(_INVALID, MISMATCH, detail)
    return claim.key


def _claimed(message: Message) -> _Claim:
    header = message.header("authorization")
    if header is not None:
        return _of_header(header, message)
    query = {
        unquote(name): unquote(value)
        for name, _, value in (part.partition("=") for part in message.query.split("&"))
        if name.startswith("X-Amz-")
    }
    if not query.keys() & {"X-Amz-Algorithm", "X-Amz-Signature", "X-Amz-Credential"}:
        raise Unsigned("MissingAuthenticationTokenException", "Missing Authentication Token")
    return _of_query(query)


def _of_header(header: str, message: Message) -> _Claim:
    algorithm, _, rest = header.partition(" ")
    parts: dict[str, str] = {}
    for part in (rest or algorithm).replace(",", " ").split():
        name, equals, value = part.partition("=")
        if not equals:
            raise Unsigned(
                _INCOMPLETE,
                "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded "
                f"with Base64): '{_hashed(part)}'.",
            )
        parts[name] = value
    missing = [
        f"Authorization header requires '{name}' parameter. "
        for name in ("Credential", "Signature", "SignedHeaders")
        if not parts.get(name)
    ]
    stamp = message.header("x-amz-date") or _of_date(message.header("date"))
    if not stamp:
        missing.append(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
        )
    if missing or algorithm != ALGORITHM:
        told = "".join(missing) or "Unsupported AWS 'algorithm'. "
        where = f"(Hashed with SHA-256 and encoded with Base64) Authorization={_hashed(header)}"
        raise Unsigned(_INCOMPLETE, told + where)
    signed = tuple(parts["SignedHeaders"].lower().split(";"))
    return _Claim(*_credential(parts["Credential"]), stamp, signed, parts["Signature"])


def _of_query(query: Mapping[str, str]) -> _Claim:
    missing = [f"X-Amz-{name}" for name in _PARAMETERS if not query.get(f"X-Amz-{name}")]
    if missing:
        told = (
            f"AWS query-string parameters must include '{name}'. Re-examine the query-string parameters."
            for name in missing
        )
        raise Unsigned(_INCOMPLETE, " ".join(told))
    if query["X-Amz-Algorithm"] != ALGORITHM:
        raise Unsigned(_INCOMPLETE, f"Unsupported AWS 'algorithm': '{query['X-Amz-Algorithm'][:100]}'.")
    if "X-Amz-Security-Token" in query:
        raise Unsigned(
            "UnrecognizedClientException", "The security token included in the request is invalid."
        )
    lasts = query["X-Amz-Expires"]
    if not lasts.isascii() or not lasts.isdigit() or len(lasts) > 9 or not 0 < int(lasts) <= WEEK_S:
        raise Unsigned(
            _INCOMPLETE,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            f"{WEEK_S} seconds",
        )
    signed = tuple(query["X-Amz-SignedHeaders"].lower().split(";"))
    credential = _credential(query["X-Amz-Credential"])
    return _Claim(*credential, query["X-Amz-Date"], signed, query["X-Amz-Signature"], int(lasts))


def _credential(text: str) -> tuple[str, Scope]:
    parts = text.split("/")
    if len(parts) != 5:
        raise Unsigned(
            _INCOMPLETE,
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got "
            f"'{text[:200]}'",
        )
    return parts[0], Scope(*parts[1:])


def _check_scope(claim: _Claim, signed_for: str) -> None:
    scope, wrong = claim.scope, []
    if scope.product != signed_for:
        wrong.append(f"Credential should be scoped to correct service: '{signed_for}'. ")
    if scope.terminator != "aws4_request":
        wrong.append(
            "Credential should be scoped with a valid terminator: 'aws4_request', not "
            f"'{scope.terminator[:100]}'. "
        )
    if scope.date != claim.time[:8]:
        wrong.append(
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{scope.date[:100]}' != '{claim.time[:8]}', from '{claim.time}'."
        )
    if wrong:
        raise Unsigned(_INVALID, "".join(wrong))


def _check_time(claim: _Claim, signed_at: float, now: float) -> None:
    lasts = SKEW_S if claim.lasts is None else claim.lasts
    if signed_at + lasts < now:
        early = strftime(_STAMP, gmtime(now - lasts))
        raise Unsigned(
            _INVALID,
            f"Signature expired: {claim.time} is now earlier than {early} ({_stamp(now)} - {lasts // 60} min.)",
        )
    if signed_at > now + SKEW_S:
        raise Unsigned(
            _INVALID,
            f"Signature not yet current: {claim.time} is still later than {_stamp(now + SKEW_S)} "
            f"({_stamp(now)} + {SKEW_S // 60} min.)",
        )


def _time(stamp: str) -> float:
    try:
        return timegm(strptime(stamp, _STAMP))
    except ValueError:
        raise Unsigned(
            _INCOMPLETE,
            f"Date must be in ISO-8601 'basic format'. Got '{stamp[:100]}'. See "
            "http://en.wikipedia.org/wiki/ISO_8601",
        ) from None


def _stamp(seconds: float) -> str:
    return strftime(_STAMP, gmtime(seconds))


def _of_date(date: str | None) -> str:
    """The Date header in the form of X-Amz-Date; empty where there is none that can be read."""
    try:
        return _stamp(parsedate_to_datetime(date).timestamp()) if date else ""
    except (ValueError, OverflowError, OSError):
        return ""


def _hashed(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return base64.b64encode(digest).decode()
