r"""How AWS Lambda names a function in a path: name, ``name:qualifier``, partial ARN, full ARN.

Grammar from the Lambda API reference ("Invoke", FunctionName and Qualifier), the pattern of the published model:
``(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?``
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from firstlight.invoke.types import ACCOUNT, LATEST, REGION
from firstlight.runtime.errors import InvalidInput

PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\d{1}:)?(\d{12}:)?"
    r"(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?"
)

_NAME = re.compile(
    r"(?:arn:(?P<partition>aws[a-zA-Z-]*)?:lambda:)?(?:(?P<region>[a-z]{2}(?:-gov)?-[a-z]+-\d):)?"
    r"(?:(?P<account>\d{12}):)?(?:function:)?(?P<name>[a-zA-Z0-9_-]+)(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9_-]+))?",
    re.ASCII,
)
_QUALIFIER = re.compile(r"\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_-]+", re.ASCII)
_PLAIN = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class FunctionName:
    """A function as a caller named it; what the caller left out is filled with the local region and account."""

    name: str
    qualifier: str = LATEST
    region: str = REGION
    account: str = ACCOUNT
    partition: str = "aws"

    @property
    def arn(self) -> str:
        """The full ARN; with the qualifier only where one other than ``$LATEST`` was asked for."""
        arn = f"arn:{self.partition}:lambda:{self.region}:{self.account}:function:{self.name}"
        return arn if self.qualifier == LATEST else f"{arn}:{self.qualifier}"


def parse(text: str, qualifier: str | None = None) -> FunctionName:
    """A function's name out of a path, and the ``Qualifier`` of the query.

    Args:
        text: name or ARN, percent-decoded.
        qualifier: value of ``?Qualifier=``, None when there is none.

    Raises:
        InvalidInput: not of the form above, or two qualifiers that differ (messages as AWS words them).
    """
    if qualifier is None and _PLAIN.fullmatch(text):
        return FunctionName(text)
    found = _NAME.fullmatch(text) if len(text) <= 170 else None
    if found is None:
        raise InvalidInput(_constraint(text, "functionName", PATTERN))
    if qualifier is not None and not _QUALIFIER.fullmatch(qualifier):
        raise InvalidInput(_constraint(qualifier, "qualifier", r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"))
    named = found["qualifier"]
    if named and qualifier and named != qualifier:
        raise InvalidInput(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    return FunctionName(
        found["name"],
        named or qualifier or LATEST,
        found["region"] or REGION,
        found["account"] or ACCOUNT,
        found["partition"] or "aws",
    )


def _constraint(value: str, member: str, pattern: str) -> str:
    return (
        f"1 validation error detected: Value '{value[:200]}' at '{member}' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {pattern}"
    )
