"""How what is deployed is doing: the stack, its functions, queues and alarms; and which stacks an account has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from firstlight.deploy.aws import stacks
from firstlight.deploy.aws.errors import AwsError, MayNot
from firstlight.deploy.aws.session import Session
from firstlight.deploy.reading import PROJECT_TAG, part_of
from firstlight.project.names import LIVE, Names
from firstlight.runtime.errors import FirstlightError

_STAGE_TAG = "firstlight:stage"
_DAY_S = 86_400
_OURS = ("router", "jobs", "switch")


class NotDeployed(FirstlightError):
    """There is no stack of this project and stage."""

    code = "not-deployed"
    status = 404


@dataclass(frozen=True, slots=True)
class Look:
    """A stack as it is.

    Attributes:
        template: as it was deployed, JSON read.
        resources: logical id -> resource.
        sources: name of a function -> endpoint, or ``router``, ``jobs`` and the like.
    """

    state: stacks.State
    template: Mapping[str, Any]
    resources: Mapping[str, stacks.There]
    sources: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Standing:
    """One function, as its alias ``live`` leads to it.

    Attributes:
        state: ``Active``, ``Pending``, ``Inactive`` (nobody called it in weeks) or ``Failed``; ``missing`` where it is
            gone though its stack is there.
        reason: why, where it is not active.
        version: that callers get.
        code: digest of the image, or key of the zip.
        changed: when that version was made, as Lambda says it.
        invocations: in the last day; ``errors`` of them raised one. None where CloudWatch did not say.
    """

    source: str
    function: str
    state: str
    reason: str = ""
    version: str = ""
    kind: str = ""
    code: str = ""
    memory: int = 0
    changed: str = ""
    invocations: int | None = None
    errors: int | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue.

    Attributes:
        waiting: messages that wait; ``working`` are being worked on.
    """

    name: str
    waiting: int
    working: int


@dataclass(frozen=True, slots=True)
class Stood:
    """One of the account's stacks of this project's kind."""

    stack: str
    project: str
    stage: str
    status: str
    changed: str
    url: str


def stack(session: Session, names: Names) -> Look:
    """The stack of a project and stage.

    Raises:
        NotDeployed: there is none.
        AwsError: AWS refused, or was not reached.
    """
    state = stacks.state(session, names.stack)
    if state is None or state.empty:
        raise NotDeployed(
            f"there is no stack {names.stack} in {session.region}",
            "`firstlight deploy` makes it; `firstlight list --remote` shows the stacks of this account and region",
        )
    template = stacks.template(session, state.id)
    resources = stacks.resources(session, state.id)
    return Look(state, template, resources, dict(_sources(template, resources)))


def functions(session: Session, look: Look) -> list[Standing]:
    """Every function of a stack, endpoints first. What may not be asked is left out of the answer, not refused."""
    counts = _counts(session, look)
    found = [_standing(session, look, name, source, counts) for name, source in look.sources.items()]
    return sorted(found, key=lambda one: one.source in _OURS)


def queues(session: Session, look: Look) -> list[Queue]:
    """The queues of a stack."""
    wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = []
    for one in _of_type(look, "AWS::SQS::Queue"):
        said = session.client("sqs").get_queue_attributes(QueueUrl=one.physical, AttributeNames=wanted)
        counts = [int(said.get("Attributes", {}).get(name, 0)) for name in wanted]
        found.append(Queue(one.id, *counts))
    return found


def alarms(session: Session, look: Look) -> list[str]:
    """The alarms of a stack that ring, and why."""
    names = [one.physical for one in _of_type(look, "AWS::CloudWatch::Alarm")]
    found = []
    for start in range(0, len(names), 100):
        asked = {"AlarmNames": names[start : start + 100], "StateValue": "ALARM"}
        for page in session.client("cloudwatch").pages("describe_alarms", **asked):
            found += [
                f"{one['AlarmName']}: {one.get('StateReason', '')}" for one in page.get("MetricAlarms", ())
            ]
    return found


def deployed(session: Session) -> Iterator[Stood]:
    """The stacks that firstlight made in this account and region."""
    for page in session.client("cloudformation").pages("describe_stacks"):
        for one in page["Stacks"]:
            tags = {tag["Key"]: tag["Value"] for tag in one.get("Tags", ())}
            if PROJECT_TAG not in tags or one["StackName"].endswith("-artifacts"):
                continue
            outputs = {output["OutputKey"]: output["OutputValue"] for output in one.get("Outputs", ())}
            yield Stood(
                one["StackName"],
                tags[PROJECT_TAG],
                tags.get(_STAGE_TAG, "-"),
                one["StackStatus"],
                _moment(one.get("LastUpdatedTime") or one["CreationTime"]),
                outputs.get("RouterUrl", ""),
            )


def _sources(template: Mapping[str, Any], resources: Mapping[str, stacks.There]) -> Iterator[tuple[str, str]]:
    for logical_id, one in resources.items():
        if one.type != "AWS::Lambda::Function":
            continue
        yield one.physical, part_of(template.get("Resources", {}), logical_id)


def _of_type(look: Look, kind: str) -> list[stacks.There]:
    return [one for one in look.resources.values() if one.type == kind and one.physical]


def _standing(
    session: Session, look: Look, name: str, source: str, counts: Mapping[str, tuple[int, int]]
) -> Standing:
    try:
        said = session.client("lambda").get_function_configuration(FunctionName=name, Qualifier=LIVE)
    except AwsError as error:
        if error.reason != "ResourceNotFoundException":
            raise
        hint = "somebody deleted it; `firstlight destroy`, then `firstlight deploy`, make it again"
        return Standing(source, name, "missing", hint)
    invocations, errors = counts.get(name, (None, None))
    failed = said.get("LastUpdateStatus") == "Failed"
    return Standing(
        source,
        name,
        "Failed" if failed else said.get("State", "Active"),
        str(said.get("LastUpdateStatusReason" if failed else "StateReason") or ""),
        str(said.get("Version", "")),
        str(said.get("PackageType", "Zip")).lower(),
        _code(look, name),
        int(said.get("MemorySize", 0)),
        _moment(said.get("LastModified", "")),
        invocations,
        errors,
    )


def _code(look: Look, function: str) -> str:
    for logical_id, one in look.resources.items():
        if one.physical == function:
            code = (
                look.template.get("Resources", {}).get(logical_id, {}).get("Properties", {}).get("Code", {})
            )
            return str(code.get("ImageUri") or code.get("S3Key") or "").rpartition("/")[2]
    return ""


def _counts(session: Session, look: Look) -> dict[str, tuple[int, int]]:
    """Invocations and errors of each function in the last day; nothing where that may not be asked."""
    from datetime import UTC, datetime, timedelta

    names = list(look.sources)
    asked = [
        _query(f"{metric[0].lower()}{number}", metric, name)
        for number, name in enumerate(names)
        for metric in ("Invocations", "Errors")
    ]
    end = datetime.now(UTC)
    sums: dict[str, int] = {}
    try:
        for start in range(0, len(asked), 500):
            for page in session.client("cloudwatch").pages(
                "get_metric_data",
                MetricDataQueries=asked[start : start + 500],
                StartTime=end - timedelta(seconds=_DAY_S),
                EndTime=end,
            ):
                for one in page["MetricDataResults"]:
                    sums[one["Id"]] = sums.get(one["Id"], 0) + int(sum(one["Values"]))
    except MayNot:
        return {}
    return {name: (sums.get(f"i{number}", 0), sums.get(f"e{number}", 0)) for number, name in enumerate(names)}


def _query(query: str, metric: str, function: str) -> dict[str, Any]:
    dimensions = [{"Name": "FunctionName", "Value": function}]
    about = {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": dimensions}
    return {"Id": query, "MetricStat": {"Metric": about, "Period": 3600, "Stat": "Sum"}}


def _moment(when: Any) -> str:
    """A time to the minute, in the zone of who looks."""
    from datetime import datetime

    if isinstance(when, str):
        try:
            when = datetime.fromisoformat(re.sub(r"\+0000$", "+00:00", when))
        except ValueError:
            return str(when)
    return str(when.astimezone().strftime("%Y-%m-%d %H:%M"))
