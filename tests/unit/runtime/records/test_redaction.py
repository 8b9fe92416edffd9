from __future__ import annotations

import ipaddress
import json
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.runtime.records import redaction
from firstlight.runtime.records.digits import IBAN_LENGTHS, luhn
from firstlight.runtime.records.redaction import redact, redact_payload

ALNUM = string.ascii_letters + string.digits
WORDS = st.lists(
    st.sampled_from(["the", "order", "of", "Ann", "was", "late;", "call", "her", "it,", "please!"]),
    max_size=6,
).map(" ".join)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("write to ann.b+x@mail.example.co.uk.", "write to [email]."),
        ("<o'brien@example.com>, 日本@例え.jp", "<[email]>, [email]"),
        ("call +1 (555) 123-4567 now", "call [phone] now"),
        ("call (555) 123-4567 or 555-123-4567x12", "call [phone] or [phone]x12"),
        ("06 12 34 56 78, 06.12.34.56.78, 0612345678", "[phone], [phone], [phone]"),
        ("+33612345678 and 555-1234", "[phone] and [phone]"),
        ("card 4111 1111 1111 1111 12/26", "card [card] 12/26"),
        ("4111111111111111 or 3782-822463-10005", "[card] or [card]"),
        ("IBAN DE89 3704 0044 0532 0130 00 AND MORE", "IBAN [iban] AND MORE"),
        ("AB12 gb82west12345698765432", "AB12 [iban]"),
        ("from 192.168.1.1:80 and [2001:db8::1], ::1.", "from [ip]:80 and [[ip]], [ip]."),
        ("AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "[key] [key]"),
        ("hf_abcdefghijklmnopqrstuvwxyz1234567", "[key]"),
        ("sk-proj-abc_DEF-0123456789abcdef", "[key]"),
        ("Authorization: Bearer abc.def-ghi_jkl", "Authorization: [key] [key]"),
        ("curl -H 'bearer 0123456789'", "curl -H 'bearer [key]'"),
        ('password = "hunter2", api_key: x9', 'password = "[key]", api_key: [key]'),
        ("ghp_0123456789abcdefABCDEF0123456789abcd", "[key]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "[key]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4\nabc\n-----END RSA PRIVATE KEY-----!", "[key]!"),
    ],
)
def test_what_is_found(text, redacted):
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "what a lovely day",
        "on 2026-11-20 at 12:30:45, or 20/11/2026",
        "2026-11-20 12:30 and 2026-11-20T12:30:00Z",
        "pi is 3.14159265358979 and e is 2.71828",
        "1 2 3 4 5 6 7 8 9 10 11 12",
        "1,234,567.89 dollars, 100000 people, in 1999",
        "version 1.26.4, chapter 3.2.1",
        "4111 1111 1111 1112",
        "commit 0123456789abcdef0123456789abcdef01234567",
        "the secretary: Bob; a secret is a secret",
        "a@b, @home, me@localhost",
        "DE88 3704 0044 0532 0130 00",
        "ratio 16:9, std::vector, ::",
    ],
)
def test_what_is_left_alone(text):
    assert redact(text) == text


def card(digits: str) -> str:
    return next(digits + last for last in string.digits if luhn(digits + last))


@given(
    WORDS, st.text(string.digits, min_size=12, max_size=18).map(card), st.sampled_from(["", " ", "-"]), WORDS
)
def test_every_card_number_is_found(before, number, separator, after):
    shown = separator.join(number[place : place + 4] for place in range(0, len(number), 4))
    assert redact(f"{before} {shown} {after}") == f"{before} [card] {after}"


@given(WORDS, st.ip_addresses(), WORDS)
def test_every_ip_address_is_found(before, address, after):
    shown = str(address)
    expected = shown if len(shown) <= 2 else "[ip]"
    assert redact(f"{before} {shown} {after}") == f"{before} {expected} {after}"
    assert ipaddress.ip_address(shown)


@given(
    st.sampled_from(sorted(IBAN_LENGTHS)),
    st.text(string.digits + string.ascii_uppercase, min_size=29, max_size=29),
)
def test_every_iban_is_found(country, letters):
    body = letters[: IBAN_LENGTHS[country] - 4]
    number = int("".join(str(int(character, 36)) for character in f"{body}{country}00"))
    iban = f"{country}{98 - number % 97:02d}{body}"
    spaced = " ".join(iban[place : place + 4] for place in range(0, len(iban), 4))
    assert redact(f"to {iban}, or {spaced}!") == "to [iban], or [iban]!"


@given(
    WORDS,
    st.text(ALNUM + "._+-", min_size=1, max_size=70),
    st.from_regex(r"([a-z0-9]{1,20}\.){1,3}[a-z]{2,9}", fullmatch=True),
)
def test_every_email_address_is_found(before, local, domain):
    assert redact(f"{before} {local}@{domain}") == f"{before} [email]"


@given(
    st.sampled_from(["hf_", "sk-", "ghp_", "xoxb-", "AKIA"]),
    st.text(string.ascii_uppercase, min_size=36, max_size=50),
)
def test_every_token_is_found(prefix, rest):
    assert redact(f"use {prefix}{rest}.") == "use [key]."


@given(st.text(max_size=300))
def test_any_text_can_be_redacted(text):
    assert isinstance(redact(text), str)


@given(st.binary(max_size=200))
def test_any_bytes_can_be_redacted(payload):
    assert isinstance(redact_payload(payload), str)


def test_json_is_redacted_string_by_string():
    event = {
        "inputs": ["mail \x61@b.example", {"q": 4111111111111111, "n": 12, "f": 1.5, "b": True}],
        "password": "correct horse",
        "token": 1012,
        "a@b.example": None,
    }
    escaped = json.dumps(event).replace("@", "\\u0040").encode()
    assert json.loads(redact_payload(escaped)) == {
        "inputs": ["mail [email]", {"q": "[card]", "n": 12, "f": 1.5, "b": True}],
        "password": "[key]",
        "token": 1012,
        "[email]": None,
    }


def test_what_is_not_json_is_redacted_as_text():
    assert redact_payload(b"{a@b.example \xff") == "{[email] �"
    assert redact_payload(b"[" * 100_000 + b"a@b.example") == "[" * 100_000 + "[email]"


HOSTILE = [
    *(
        "a",
        "1",
        "1 ",
        "1-",
        "a.",
        "a@",
        "@",
        "a@a.",
        ":",
        "1.",
        "1.1.1.1",
        "::",
        "AB12",
        "AB12 ",
        "(",
        "+1",
        "eyJ",
    ),
    *(
        "password",
        "password ",
        "password=",
        "bearer ",
        "sk-",
        "-",
        "-----BEGIN PRIVATE KEY-----",
        "hf_",
        "/" * 3,
    ),
    *(
        "A1b/" * 3,
        "12 ",
        "1a ",
        "0000 ",
        "4111 1111 1111 1111 ",
        "DE89 3704 ",
        " ",
        "\n",
        "日本@",
        "eyJaaaaaa.",
    ),
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_text_is_redacted_in_one_go(unit):
    """100 kB that a pattern with nested repetitions would take hours for."""
    text = (unit * (100_000 // len(unit) + 1))[:100_000]
    assert redact(text + "! a@b.example").endswith(" [email]")


def repeats(parsed):
    """Every repetition of a parsed pattern: (is it possessive, most times)."""
    for operator, argument in parsed:
        if operator in (re._constants.MAX_REPEAT, re._constants.MIN_REPEAT, re._constants.POSSESSIVE_REPEAT):
            yield operator is re._constants.POSSESSIVE_REPEAT, argument[1]
        stack = [argument]
        while stack:
            item = stack.pop()
            if isinstance(item, re._parser.SubPattern):
                yield from repeats(item)
            elif isinstance(item, (list, tuple)):
                stack.extend(item)


@pytest.mark.parametrize(
    "name", [name for name, value in vars(redaction).items() if isinstance(value, re.Pattern)]
)
def test_no_pattern_can_go_back_far(name):
    """A repetition without a bound gives nothing back, so no pattern takes more than linear time."""
    pattern = getattr(redaction, name)
    bounds = [most for possessive, most in repeats(re._parser.parse(pattern.pattern)) if not possessive]
    assert all(most <= 40 for most in bounds)
