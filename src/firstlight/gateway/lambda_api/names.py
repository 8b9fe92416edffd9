r"""How AWS Lambda names a function in a path: name, ``name:qualifier``, partial ARN, full ARN.

Grammar and lengths from the published model (shapes NamespacedFunctionName, FunctionName and
NumericLatestPublishedOrAliasQualifier); the words of a refusal are AWS's, doubled backslashes included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from firstlight.gateway.lambda_api.errors import Violation, violated
from firstlight.invoke.types import ACCOUNT, LATEST, REGION
from firstlight.runtime.errors import InvalidInput

LONGEST = 256
"""Characters of a name in a path, ARN and qualifier included."""
LONGEST_QUALIFIER = 128
NEWEST = "$LATEST.PUBLISHED"
"""The qualifier of the version that was published last."""

_ARN = r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?"
PATTERN = _ARN + r"(function:)?([a-zA-Z0-9-_\\.]+)(:(\\$LATEST(\\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
QUALIFIER_PATTERN = r"\\$(LATEST(\\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"

_NAME = re.compile(
    r"(?:arn:(?P<partition>aws[a-zA-Z-]*)?:lambda:)?"
    r"(?:(?P<region>(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d):)?"
    r"(?:(?P<account>\d{12}):)?(?:function:)?(?P<name>[a-zA-Z0-9_.-]+)"
    r"(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_-]+))?",
    re.ASCII,
)
_QUALIFIER = re.compile(r"\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_$-]+", re.ASCII)
_PLAIN = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class FunctionName:
    """A function as a caller named it; what the caller left out is filled with the local region and account.

    Args:
        qualified: whether a qualifier was named, ``$LATEST`` among them.
    """

    name: str
    qualifier: str = LATEST
    region: str = REGION
    account: str = ACCOUNT
    partition: str = "aws"
    qualified: bool = False

    @property
    def plain(self) -> str:
        """The full ARN without a qualifier."""
        return f"arn:{self.partition}:lambda:{self.region}:{self.account}:function:{self.name}"

    @property
    def arn(self) -> str:
        """The full ARN; with the qualifier only where one other than ``$LATEST`` was asked for."""
        return self.plain if self.qualifier == LATEST else self.with_qualifier

    @property
    def with_qualifier(self) -> str:
        """The full ARN with its qualifier, ``$LATEST`` too."""
        return f"{self.plain}:{self.qualifier}"


def parse(text: str, qualifier: str | None = None) -> FunctionName:
    """A function's name out of a path, and the ``Qualifier`` of the query.

    Args:
        text: name or ARN, percent-decoded.
        qualifier: value of ``?Qualifier=``, None when there is none.

    Raises:
        Violation: not of the form above, or too long.
        InvalidInput: two qualifiers that differ (messages as AWS words them).
    """
    if qualifier is None and _PLAIN.fullmatch(text):
        return FunctionName(text)
    found = _NAME.fullmatch(text) if len(text) <= LONGEST else None
    if found is None or not _fits(qualifier):
        raise Violation(*_broken(text, qualifier))
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
        qualified=bool(named or qualifier),
    )


def _fits(qualifier: str | None) -> bool:
    if qualifier is None:
        return True
    return len(qualifier) <= LONGEST_QUALIFIER and _QUALIFIER.fullmatch(qualifier) is not None


def _broken(text: str, qualifier: str | None) -> list[str]:
    """What is wrong with each of the two."""
    checks = [(text, "functionName", LONGEST, _NAME, PATTERN)]
    if qualifier is not None:
        checks.append((qualifier, "qualifier", LONGEST_QUALIFIER, _QUALIFIER, QUALIFIER_PATTERN))
    broken = []
    for value, member, longest, grammar, pattern in checks:
        if len(value) > longest:
            broken.append(violated(value, member, f"Member must have length less than or equal to {longest}"))
        if not grammar.fullmatch(value):
            broken.append(
                violated(value, member, f"Member must satisfy regular expression pattern: {pattern}")
            )
    return broken
