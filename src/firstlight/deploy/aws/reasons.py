"""Why CloudFormation could not make something: its words without their wrapping, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from firstlight.deploy.aws.errors import POLICY, AwsError, missing_right
from firstlight.deploy.aws.stacks import Event

_WRAPPED = re.compile(r'^Resource handler returned message: "(?P<said>.*?)"? ?\(RequestToken: .*$', re.DOTALL)
_TAIL = re.compile(
    r"\s*\((?:Service|RequestToken|Request ID|SDK Attempt Count|Status Code|HandlerErrorCode)"
    r"[^()]*(?:\([^()]*\)[^()]*)*\)"
)
_VERBS = {"CREATE": "made", "UPDATE": "changed", "DELETE": "removed"}
_SHOWN = 4

_HINTS: tuple[tuple[str, str], ...] = (
    (
        r"UnreservedConcurrentExecution below its minimum",
        "the account allows too few workers at once for reserved ones: take `concurrency` out of firstlight.toml, or "
        "ask AWS for more (Service Quotas, AWS Lambda, Concurrent executions)",
    ),
    (
        r"'?MemorySize'? value failed to satisfy constraint.*less than or equal to (\d+)",
        "this account's functions may have {0} MB at most: lower `memory`, or ask AWS for more (Service Quotas; new "
        "accounts begin with little)",
    ),
    (
        r"already exists|AlreadyExists|BucketAlreadyOwnedByYou|is already (?:in use|taken)",
        "something of this name is in the account and is no part of this stack: remove it, or take another `name` in "
        "firstlight.toml, or a --stage",
    ),
    (
        r"image manifest|layer media type|UnsupportedImageLayer",
        "the registry holds another form of the image than Lambda takes; those that `firstlight build` makes have the "
        "right one",
    ),
    (
        r"Source image .* (?:does not exist|is not valid)|ImageNotFound",
        "the image is not in the registry any more: run the same again, it is sent again",
    ),
    (
        r"does not have permission to access the ECR image",
        "the repository must be of the same account and region, or its policy must let Lambda in",
    ),
    (
        r"Unzipped size must be smaller",
        'the code is too large for a zip: set `package = "image"` of the endpoint in firstlight.toml',
    ),
    (
        r"Rate exceeded|Throttling|TooManyRequests|Service Unavailable|InternalFailure|ServiceInternalError|NotStabili",
        "AWS was busy: run the same again, what is done stays done",
    ),
    (
        r"cannot be assumed by Lambda|Invalid principal|InvalidParameterValueException.*role",
        "a new role was not known everywhere yet: run the same again",
    ),
    (
        r"account must be verified",
        "ask AWS Support to verify the account for CloudFront, or set `share = false` in [deploy]",
    ),
    (
        r"PublicPolicy|public (?:access|policy|policies).*(?:block|prevent)|BlockPublic",
        "the account forbids public functions: set `public = false` in [deploy], and callers sign their requests",
    ),
    (
        r"SnapStart",
        "SnapStart is not to be had here: set `snap_start = false` of the endpoint in firstlight.toml",
    ),
    (
        r"limit|quota|Quota|LimitExceeded|Maximum number",
        "a quota of the account is used up: remove what is not needed, or ask for more in Service Quotas",
    ),
    (
        r"not supported in this region|is not (?:available|supported) in|Unrecognized resource types?",
        "the region does not have it: take another region, or switch it off in [deploy]",
    ),
    (
        r"update is in progress|currently in the following state|ResourceConflict|ConcurrentModification",
        "something else changes it at the same time: run the same again",
    ),
    (
        r"not empty|has images|contains images",
        "`firstlight destroy` empties what it made: run it again",
    ),
)


def plain(reason: str) -> str:
    """A reason without what CloudFormation wraps it in: tokens, request ids, status codes."""
    found = _WRAPPED.match(reason.strip())
    said = found["said"] if found else reason.strip()
    return _TAIL.sub("", said).strip().rstrip(".").strip('"')


def in_words(reason: str) -> tuple[str, str]:
    """A reason as a sentence, and what to do about it (empty where only the sentence says)."""
    right = missing_right(reason)
    if right is not None:
        return right.sentence, f"have it allowed; {POLICY}"
    for pattern, hint in _HINTS:
        found = re.search(pattern, reason, re.DOTALL)
        if found:
            return plain(reason), hint.format(*found.groups())
    return plain(reason), ""


class NotDeployed(AwsError):
    """CloudFormation failed, and took back what it had begun where it could.

    Args:
        failures: what failed by itself.
        parts: logical id -> what people call it.
    """

    code = "not-deployed"

    def __init__(self, stack: str, status: str, failures: Sequence[Event], parts: Mapping[str, str]) -> None:
        lines, hints = [], []
        for event in failures[:_SHOWN]:
            sentence, hint = in_words(event.reason)
            verb = _VERBS.get(event.status.partition("_")[0], "made")
            name = parts.get(event.resource, "")
            called = f"{event.resource} ({event.type}{f', {name}' if name else ''})"
            lines.append(f"{called} could not be {verb}: {sentence or 'CloudFormation does not say why'}")
            if hint and hint not in hints:
                hints.append(hint)
        if len(failures) > _SHOWN:
            lines.append(f"and {len(failures) - _SHOWN} more")
        said = (
            "\n  ".join(lines) or "CloudFormation does not say why; its console shows the events of the stack"
        )
        super().__init__(f"{_after(stack, status)}\n  {said}", "; ".join(hints), reason=status)
        self.failures = tuple(failures)


def _after(stack: str, status: str) -> str:
    """What became of the stack."""
    if status in ("ROLLBACK_COMPLETE", "DELETE_COMPLETE"):
        return f"{stack} was not made; what was begun is taken back"
    if status == "UPDATE_ROLLBACK_COMPLETE":
        return f"{stack} is as it was before; the change is taken back"
    if status.startswith("DELETE"):
        return f"{stack} is not removed whole"
    return f"{stack} is not as it should be ({status})"
