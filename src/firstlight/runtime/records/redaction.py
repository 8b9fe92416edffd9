"""Takes personal data and secrets out of text before it is stored.

Found are email addresses, phone numbers, card numbers (by their check digit), IBANs (by theirs), IP addresses,
and keys and tokens of common services. Patterns cannot find names, addresses, or what is written in words:
redacted text is less revealing, not anonymous. Every pattern takes time linear in the length of the text:
repetitions are possessive or bounded, and none can begin again inside what it has read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from firstlight.runtime.records.digits import card_spans, is_iban, is_ip, is_phone

_WORD = r"A-Za-z0-9"
_EMAIL = re.compile(r"(?<![\w.+%'-])[\w.+%'-]++@[\w-]++(?:\.[\w-]++)++")
_KEYS = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]*+(?:-(?!----)[^-]*+)*+(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?"
    rf"|(?<![{_WORD}])(?:"
    r"(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ABIA|ACCA)[A-Z0-9]{12,}+"
    r"|(?:hf_|api_org_)[A-Za-z0-9]{16,}+"
    r"|sk-[A-Za-z0-9_-]{16,}+"
    r"|(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{10,}+"
    r"|gh[pousr]_[A-Za-z0-9]{16,}+|github_pat_[A-Za-z0-9_]{16,}+|glpat-[A-Za-z0-9_-]{16,}+"
    r"|xox[abeoprs]-[A-Za-z0-9-]{8,}+"
    r"|AIza[A-Za-z0-9_-]{30,}+"
    r"|eyJ[A-Za-z0-9_-]{6,}+\.[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]++)?"
    r")"
)
_BEARER = re.compile(r"(?i)(?<![a-z0-9])((?:bearer|basic)\s{1,8}+)([a-z0-9._~+/=-]{8,}+)")
_CONFIDENTIAL = (
    r"(?:password|passwd|pwd|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?token|"
    r"access[_-]?token|refresh[_-]?token|secret[_-]?key|client[_-]?secret|authorization)"
)
_ASSIGNED = re.compile(
    rf"(?i)({_CONFIDENTIAL}[\"']?\s{{0,8}}+[:=]\s{{0,8}}+[\"']?)([^\s\"',;&\[][^\s\"',;&]*+)"
)
_CONFIDENTIAL_FIELD = re.compile(rf"(?i){_CONFIDENTIAL}|token")
_SECRET_40 = re.compile(r"(?<![A-Za-z0-9/+=_-])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=_-])")
_IBAN = re.compile(rf"(?<![{_WORD}])(?=([A-Za-z]{{2}}\d{{2}}(?:[ -]?[{_WORD}]){{11,30}}))")
_IP = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?!\.\d)|[0-9A-Fa-f:]{2,45}+(?:\.\d{1,3}){0,3}+)(?!\w)"
)
_NUMBER = re.compile(r"(?<![\w+])[+(]?\d(?:[ .\-/()\u00a0\u2010-\u2015]{0,2}\d)++")
_EXTENSION = re.compile(r"x\d")


def redact(text: str) -> str:
    """The text with what was found replaced by what it was, such as ``[email]``.

    The others are ``[phone]``, ``[card]``, ``[iban]``, ``[ip]`` and ``[key]``.
    """
    text = _KEYS.sub("[key]", text)
    text = _BEARER.sub(r"\1[key]", text)
    text = _ASSIGNED.sub(r"\1[key]", text)
    text = _SECRET_40.sub(_secret, text)
    text = _EMAIL.sub("[email]", text)
    text = _replaced(text, _iban_spans(text), "[iban]")
    text = _IP.sub(lambda found: "[ip]" if is_ip(found[0]) else found[0], text)
    return _NUMBER.sub(_number, text)


def redact_payload(payload: bytes) -> str:
    """An event or an answer as redacted text: JSON is redacted string by string, so that escapes hide nothing.

    Values of fields whose name says that they are secret are left out whatever they hold.
    """
    try:
        value = json.loads(payload)
        return json.dumps(_walk(value), ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return redact(payload.decode("utf-8", "replace"))


def _walk(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [_walk(item) for item in value]
    if isinstance(value, dict):
        return {redact(key): "[key]" if _is_secret(key, item) else _walk(item) for key, item in value.items()}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**7:
        text = redact(str(value))
        return value if text == str(value) else text
    return value


def _is_secret(key: str, value: Any) -> bool:
    """Whether a field is a secret by its name; ``token`` alone is one too, unless a tokenizer's number follows it."""
    return bool(_CONFIDENTIAL_FIELD.fullmatch(key)) and isinstance(value, str)


def _secret(found: re.Match[str]) -> str:
    """A 40-character AWS secret has letters of both cases and digits; a Git commit does not."""
    text = found[0]
    mixed = (
        any(c.islower() for c in text) and any(c.isupper() for c in text) and any(c.isdigit() for c in text)
    )
    return "[key]" if mixed else text


def _number(found: re.Match[str]) -> str:
    """A run of digits and separators, redacted; a group that letters follow (12abc) is not part of a phone number."""
    text, rest = found[0], ""
    if spans := list(card_spans(text)):
        return _replaced(text, iter(spans), "[card]")
    after = found.string[found.end() : found.end() + 2]
    if (after[:1].isalnum() or after[:1] == "_") and not _EXTENSION.match(after):
        cut = len(text.rstrip("0123456789"))
        text, rest = text[:cut], text[cut:]
    return f"[phone]{rest}" if text and is_phone(text) else found[0]


def _iban_spans(text: str) -> Iterator[tuple[int, int]]:
    for found in _IBAN.finditer(text):
        if length := is_iban(found[1]):
            yield found.start(), found.start() + length


def _replaced(text: str, spans: Iterator[tuple[int, int]], mark: str) -> str:
    """The text with spans, in order, replaced; one that begins inside the one before is left out."""
    pieces, end = [], 0
    for start, stop in spans:
        if start >= end:
            pieces += [text[end:start], mark]
            end = stop
    return "".join([*pieces, text[end:]])
