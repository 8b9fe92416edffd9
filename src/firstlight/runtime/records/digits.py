"""Numbers that identify somebody, told from other numbers by their check digits and their form."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

_CARD_DIGITS = range(13, 20)
_CARD_GROUPS = 7
"""Most groups a card number is written in: 19 digits by threes."""
_DOUBLED = dict(zip("0123456789", (0, 2, 4, 6, 8, 1, 3, 5, 7, 9), strict=True))
_GROUP = re.compile(r"\d+")
_DATE = re.compile(r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})(?:[ T]\d{1,2}| - .*)?$")
_PAIRS = re.compile(r"\d{2}(?:[ .-]\d{2}){3,4}")
_LOCAL = re.compile(r"\d{3}[-. ]\d{4}")

_COUNTRIES = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
IBAN_LENGTHS = {country: length for length, countries in _COUNTRIES.items() for country in countries.split()}
"""Characters of an IBAN by country (SWIFT's IBAN registry)."""


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1 annex B)."""
    doubled = sum(map(_DOUBLED.__getitem__, digits[-2::-2]))
    return (sum(map(int, digits[-1::-2])) + doubled) % 10 == 0


def card_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where card numbers stand in a run of digits and separators: 13 to 19 digits that pass the check.

    One begins and ends with a group of digits, so that a date or a code beside it does not hide it.
    """
    groups = [(found.start(), found.end()) for found in _GROUP.finditer(text)]
    start = 0
    while start < len(groups):
        stop = _card_from(text, groups, start)
        if stop:
            yield groups[start][0], groups[stop - 1][1]
        start = stop or start + 1


def _card_from(text: str, groups: list[tuple[int, int]], start: int) -> int:
    """The index after the last group of the longest card number that begins with group ``start``; 0 when none does."""
    best, digits = 0, ""
    for stop in range(start, min(start + _CARD_GROUPS, len(groups))):
        digits += text[groups[stop][0] : groups[stop][1]][:20]
        if len(digits) > _CARD_DIGITS[-1]:
            break
        if len(digits) in _CARD_DIGITS and luhn(digits):
            best = stop + 1
    return best


def is_phone(text: str) -> bool:
    """Whether a run of digits and separators looks like a phone number rather than a date, an amount or a list."""
    groups = [found[0] for found in _GROUP.finditer(text)]
    digits = sum(map(len, groups))
    if text.startswith("+"):
        return 7 <= digits <= 15
    if (
        digits > 15
        or _DATE.match(text)
        or (len(groups) == 2 and "." in text)
        or sum(len(g) == 1 for g in groups) > 2
    ):
        return False
    if text.startswith(("(", "0")) or len(groups) > 1:
        return digits >= 9 or bool(_PAIRS.fullmatch(text) or _LOCAL.fullmatch(text))
    return digits in (10, 11)


def is_iban(text: str) -> int:
    """How many characters of the text, which may hold spaces, are a valid IBAN; 0 when it does not begin with one."""
    length = IBAN_LENGTHS.get(text[:2].upper(), 0)
    plain, end = "", 0
    while len(plain) < length and end < len(text):
        plain += text[end] if text[end] not in " -" else ""
        end += 1
    if len(plain) < length or not length or text[end : end + 1].isalnum():
        return 0
    # ISO 13616: the first four characters go to the end, letters count from 10, the remainder by 97 is 1.
    rearranged = (plain[4:] + plain[:4]).upper()
    return end if int("".join(str(int(character, 36)) for character in rearranged)) % 97 == 1 else 0


def is_ip(text: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address; a time such as 12:30:45 is none."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return len(text) > 2
