"""Signatures, made by botocore's own signer and checked by ours."""

from __future__ import annotations

import hashlib
import time
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from firstlight.gateway.fronts import canonical, signing
from firstlight.gateway.fronts.canonical import Message
from firstlight.gateway.fronts.signing import Unsigned

KEY, SECRET = "AKIAEXAMPLE", "a secret/with+signs"
HOST = "http://127.0.0.1:8400"
AUTHORIZATION = "authorization"


def secret_of(access_key: str) -> str | None:
    return SECRET if access_key == KEY else None


def signed(
    method: str = "POST",
    path: str = "/rest-api/qa/x",
    query: str = "",
    body: bytes = b"{}",
    headers: dict[str, str] | None = None,
    signer: Any = SigV4Auth,
    signed_for: str = "execute-api",
    key: str = KEY,
    secret: str = SECRET,
    token: str | None = None,
) -> Message:
    """A request as botocore signs it and as the server gets it."""
    url = HOST + path + (f"?{query}" if query else "")
    asked = AWSRequest(method, url, headers or {}, body)
    signer(Credentials(key, secret, token), signed_for, "eu-west-1").add_auth(asked)
    parts = urlsplit(asked.url)
    sent = [("host", parts.netloc), *((name.lower(), value) for name, value in asked.headers.items())]
    return Message(method, parts.path, parts.query, sent, hashlib.sha256(body).hexdigest())


def check(message: Message, signed_for: str = "execute-api", later: float = 0.0) -> str:
    return signing.verified(message, signed_for, secret_of, time.time() + later)


def changed(message: Message, **fields: Any) -> Message:
    from dataclasses import replace

    return replace(message, **fields)


segments = st.lists(st.text(max_size=6) | st.sampled_from(["", ".", "..", "a b", "%", "~", "é"]), max_size=4)
pairs = st.lists(st.tuples(st.text(min_size=1, max_size=4), st.text(max_size=4)), max_size=4)
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)


def encoded(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="-_.~")


@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    segments,
    pairs,
    st.binary(max_size=8),
    st.dictionaries(st.sampled_from(["X-One", "X-Amz-Meta", "Content-Type"]), values, max_size=3),
    st.sampled_from([SigV4Auth, SigV4QueryAuth]),
)
def test_whatever_botocore_signs_is_accepted(
    method: str,
    parts: list[str],
    query: list[tuple[str, str]],
    body: bytes,
    headers: dict[str, str],
    signer: Any,
) -> None:
    path = "/" + "/".join(encoded(part) for part in parts)
    text = "&".join(f"{encoded(name)}={encoded(value)}" for name, value in query)
    if signer is SigV4QueryAuth:  # it reads the query into a dict, and takes no body
        body = b""
        text = "&".join(f"{encoded(name)}={encoded(value)}" for name, value in dict(query).items() if value)
    message = signed(method, path, text, body, headers, signer)
    assert check(message) == KEY
    with pytest.raises(Unsigned):
        check(changed(message, method="PATCH"))
    with pytest.raises(Unsigned):
        check(changed(message, digest=hashlib.sha256(body + b"x").hexdigest()))
    with pytest.raises(Unsigned):
        check(changed(message, path=message.path + "x"))
    with pytest.raises(Unsigned):
        check(changed(message, query=message.query + "&more=1"))


def refused(message: Message, **more: Any) -> tuple[str, str]:
    with pytest.raises(Unsigned) as caught:
        check(message, **more)
    return caught.value.kind, caught.value.text


def with_header(message: Message, name: str, value: str | None) -> Message:
    kept = [(key, text) for key, text in message.headers if key != name]
    return changed(message, headers=[*kept, (name, value)] if value is not None else kept)


def test_a_header_that_was_changed() -> None:
    message = signed(headers={"X-One": "1"})
    assert refused(with_header(message, "x-one", "2")) == ("InvalidSignatureException", signing.MISMATCH)
    assert check(with_header(message, "x-two", "not signed")) == KEY


def test_what_the_signature_should_have_been_made_of_is_told() -> None:
    message = with_header(signed(), "x-amz-date", None)
    stamp = signed().header("x-amz-date")
    with pytest.raises(Unsigned) as caught:
        check(changed(with_header(message, "x-amz-date", stamp), method="GET"))
    assert (
        "The Canonical String for this request should have been\n'GET\n/rest-api/qa/x\n"
        in caught.value.detail
    )
    assert "The String-to-Sign should have been\n'AWS4-HMAC-SHA256\n" in caught.value.detail


def test_nobody_signed() -> None:
    message = with_header(signed(), AUTHORIZATION, None)
    assert refused(message) == ("MissingAuthenticationTokenException", "Missing Authentication Token")


def test_keys_that_nobody_has() -> None:
    told = ("UnrecognizedClientException", "The security token included in the request is invalid.")
    assert refused(signed(key="AKIANOBODY")) == told
    assert refused(signed(token="a session")) == told
    assert refused(signed(signer=SigV4QueryAuth, token="a session")) == told


def test_another_secret() -> None:
    assert refused(signed(secret="wrong"))[1] == signing.MISMATCH


def test_a_signature_for_another_part_of_aws() -> None:
    kind, text = refused(signed(signed_for="lambda"))
    assert (kind, text) == (
        "InvalidSignatureException",
        "Credential should be scoped to correct service: 'execute-api'. ",
    )
    assert check(signed(signed_for="lambda"), signed_for="lambda") == KEY


def test_clocks_that_differ() -> None:
    message = signed()
    assert check(message, later=290) == KEY
    assert check(message, later=-290) == KEY
    kind, text = refused(message, later=310)
    assert kind == "InvalidSignatureException"
    assert text.startswith(f"Signature expired: {message.header('x-amz-date')} is now earlier than ")
    assert text.endswith(" - 5 min.)")
    text = refused(message, later=-310)[1]
    assert text.startswith("Signature not yet current: ")
    assert text.endswith(" + 5 min.)")


def test_a_signed_query_lasts_as_long_as_it_says() -> None:
    message = signed("GET", body=b"", signer=SigV4QueryAuth)
    assert check(message, later=3590) == KEY
    kind, text = refused(message, later=3610)
    assert (kind, text[:18]) == ("InvalidSignatureException", "Signature expired:")


def test_a_date_header_will_do() -> None:
    message = signed(headers={"Date": "now"})
    assert message.header("x-amz-date") is None
    assert check(message) == KEY


def test_an_unsigned_body_is_for_s3_alone() -> None:
    message = signed(headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    assert refused(message)[1] == signing.MISMATCH


def test_a_path_is_encoded_once_more() -> None:
    assert canonical.path("/a%20b//./c/../d/") == "/a%2520b/d/"
    assert canonical.query("b=2&a=x%20y&a=1&X-Amz-Signature=z&c") == "a=1&a=x%20y&b=2&c="


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (
            "Bearer abc",
            "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and",
        ),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d/e", "Authorization header requires 'Signature' parameter. "),
        ("AWS4-HMAC-SHA1 Credential=a, SignedHeaders=b, Signature=c", "Unsupported AWS 'algorithm'"),
        (
            "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=b, Signature=c",
            "Credential must have exactly 5 slash",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=b, Signature=c",
            "Credential should be scoped to correct",
        ),
    ],
)
def test_headers_that_are_none(value: str, told: str) -> None:
    kind, text = refused(with_header(signed(), AUTHORIZATION, value))
    assert told in text
    assert "abc" not in text
    assert kind in ("IncompleteSignatureException", "InvalidSignatureException")


def test_a_header_without_a_date() -> None:
    assert "'X-Amz-Date' or a 'Date' header" in refused(with_header(signed(), "x-amz-date", None))[1]
    assert "basic format" in refused(with_header(signed(), "x-amz-date", "yesterday"))[1]


def test_the_host_has_to_be_signed() -> None:
    message = signed()
    header = message.header(AUTHORIZATION).replace("SignedHeaders=host;", "SignedHeaders=")
    assert "'Host'" in refused(with_header(message, AUTHORIZATION, header))[1]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("X-Amz-Expires", "0", "less than a week"),
        ("X-Amz-Expires", "604801", "less than a week"),
        ("X-Amz-Expires", "", "must include 'X-Amz-Expires'"),
        ("X-Amz-Signature", "", "must include 'X-Amz-Signature'"),
        ("X-Amz-Algorithm", "AWS2", "Unsupported AWS 'algorithm': 'AWS2'"),
    ],
)
def test_queries_that_are_none(name: str, value: str, told: str) -> None:
    message = signed("GET", body=b"", signer=SigV4QueryAuth)
    parts = [part for part in message.query.split("&") if not part.startswith(name)]
    assert told in refused(changed(message, query="&".join([*parts, f"{name}={value}"])))[1]


words = st.text(st.sampled_from("Ab0=/,;%& \xe9"), max_size=12)
known = st.sampled_from(
    [
        "AWS4-HMAC-SHA256 ",
        "Credential=",
        "Signature=",
        "SignedHeaders=host",
        "a/20261121/x/execute-api/aws4_request",
        ",",
    ]
)


@given(
    st.lists(words | known, max_size=6), words, st.sampled_from(["20261121T000000Z", "x", "99999999T999999Z"])
)
def test_nothing_but_a_signature_lets_anybody_in(parts: list[str], query: str, stamp: str) -> None:
    headers = [("host", "x"), ("x-amz-date", stamp), (AUTHORIZATION, "".join(parts))]
    prefixed = "&".join(f"X-Amz-{part}" for part in query.split("&"))
    for asked in (headers, headers[:2]):
        with pytest.raises(Unsigned):
            check(Message("GET", "/", prefixed, asked, ""))
