"""What AWS charges: list prices of us-east-1, with where they are from.

No free tier is counted, as what is left of it depends on all else in an account. Other regions cost up to a half
more; the shares stay.
"""

from __future__ import annotations

from dataclasses import dataclass

REGION = "us-east-1"
DATE = "2026-09-19"
"""Of the Price List that most of these are from."""
_LIST = f"AWS Price List of {REGION}, {DATE}"
_PAGE = "AWS pricing page, 2026"
MONTH = 730 * 3600
"""Seconds of a month, as AWS's own calculator has it."""


@dataclass(frozen=True, slots=True)
class Price:
    """A list price.

    Attributes:
        usd: for one unit.
        source: where it is from.
    """

    usd: float
    unit: str
    source: str = _LIST


COMPUTE = {
    "arm64": Price(0.0000133334, "GB-second"),
    "x86_64": Price(0.0000166667, "GB-second"),
}
REQUEST = Price(0.20, "million requests")
PROVISIONED = {
    "arm64": Price(0.0000033334, "GB-second"),
    "x86_64": Price(0.0000041667, "GB-second"),
}
SNAPSHOT = Price(0.0000015046, "GB-second of a published version")
RECORD_WRITE = Price(0.625, "million write units of 1 KB")
RECORD_READ = Price(0.125, "million read units of 4 KB")
TABLE_STORAGE = Price(0.25, "GB-month")
QUEUE_REQUEST = Price(0.40, "million requests")
LOG_INTAKE = Price(0.50, "GB")
REST_REQUEST = Price(3.50, "million requests")
HTTP_REQUEST = Price(1.00, "million requests")
IMAGE_STORAGE = Price(0.10, "GB-month", _PAGE)
ZIP_STORAGE = Price(0.023, "GB-month")
CACHE_STORAGE = Price(0.30, "GB-month")
ALARM = Price(0.10, "metric of an alarm and month", _PAGE)
DASHBOARD = Price(3.00, "dashboard and month", _PAGE)
SHARE_REQUEST = Price(1.00, "million HTTPS requests", _PAGE)
