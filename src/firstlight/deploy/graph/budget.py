"""A budget, who is told when it is used up, and the switch that turns the functions off."""

from __future__ import annotations

import json
from collections.abc import Iterator

from firstlight.deploy.graph import telling
from firstlight.deploy.graph.functions import Wanted, unpublished
from firstlight.deploy.graph.rights import allow
from firstlight.deploy.graph.site import SWITCH, Site, endpoint_id
from firstlight.deploy.types import Artifact, Att, Output, Ref, Resource, Value
from firstlight.runtime.errors import ProjectError

PART = "budget"
TOPIC = "BudgetTopic"
_NAME_LIMIT = 100
_CODE = '''"""Turns functions off and on: reserved concurrency of 0 is Lambda's off switch."""
import boto3

WORKERS = %s


def handler(event, context):
    client = boto3.client("lambda")
    on = event.get("firstlight") == "on"
    for name, workers in WORKERS.items():
        if on and workers is None:
            client.delete_function_concurrency(FunctionName=name)
        else:
            client.put_function_concurrency(
                FunctionName=name, ReservedConcurrentExecutions=workers if on else 0
            )
    return {"on" if on else "off": list(WORKERS)}
'''


def check(site: Site) -> None:
    """Refuse a budget that nobody hears of, and a switch that nothing turns.

    Raises:
        ProjectError: naming the key that is missing.
    """
    wishes = site.project.deployment
    if wishes.kill_switch and wishes.budget is None:
        raise ProjectError(
            "[deploy] kill_switch = true without a budget", "set [deploy] budget, in USD a month"
        )
    if wishes.budget is not None and not (wishes.email or wishes.kill_switch):
        raise ProjectError(
            "[deploy] budget tells nobody when it is used up", "set [deploy] email, or kill_switch = true"
        )


def resources(site: Site) -> Iterator[Resource]:
    """The budget, and the switch where it is asked for."""
    wishes = site.project.deployment
    if wishes.budget is None:
        return
    if wishes.kill_switch:
        yield from telling.topic(TOPIC, "budgets.amazonaws.com", PART, "what the switch listens to")
        yield from _switch(site)
    yield Resource(
        "Budget",
        "AWS::Budgets::Budget",
        {
            "Budget": {
                "BudgetName": site.names.stack[:_NAME_LIMIT],
                "BudgetType": "COST",
                "TimeUnit": "MONTHLY",
                "BudgetLimit": {"Amount": wishes.budget, "Unit": "USD"},
            },
            "NotificationsWithSubscribers": list(_notifications(site)),
        },
        PART,
        f"${wishes.budget:g} a month, of all that the account is billed for",
        after=(f"{TOPIC}Policy",) if wishes.kill_switch else (),
    )


def outputs(site: Site) -> Iterator[Output]:
    """The switch, to turn things on again."""
    if site.project.deployment.kill_switch:
        yield Output(
            "Switch", Ref("SwitchFunction"), 'invoke it with {"firstlight": "on"} to turn all on again'
        )


def _notifications(site: Site) -> Iterator[Value]:
    wishes = site.project.deployment
    mail: list[Value] = [{"SubscriptionType": "EMAIL", "Address": wishes.email}] if wishes.email else []
    switch: list[Value] = [{"SubscriptionType": "SNS", "Address": Ref(TOPIC)}] if wishes.kill_switch else []
    # A forecast may be wrong: it is told of, and turns nothing off.
    for kind, told in (("ACTUAL", [*mail, *switch]), ("FORECASTED", mail)):
        if told:
            notification: dict[str, Value] = {
                "NotificationType": kind,
                "ComparisonOperator": "GREATER_THAN",
                "Threshold": 100,
                "ThresholdType": "PERCENTAGE",
            }
            yield {"Notification": notification, "Subscribers": told}


def _switch(site: Site) -> Iterator[Resource]:
    heads = [endpoint_id(endpoint.name) for endpoint in site.endpoints] + ["Router"]
    heads += ["Jobs"] if site.project.deployment.jobs else []
    actions = ("lambda:PutFunctionConcurrency", "lambda:DeleteFunctionConcurrency")
    switching = allow(actions, [Att(f"{head}Function", "Arn") for head in heads])
    code = _CODE % json.dumps(_workers(site), indent=4).replace("null", "None")
    artifact = Artifact(
        "switch", "inline", "", code, len(code), len(code), "arm64", "python3.13", "index.handler"
    )
    yield from unpublished(
        site,
        Wanted(
            part=PART,
            head="Switch",
            name=site.names.function(SWITCH),
            description="turns the functions off when the budget is used up",
            artifact=artifact,
            memory=128,
            timeout=60,
            environment={},
            rights={"switching": [switching]},
        ),
    )
    yield from _listening()


def _workers(site: Site) -> dict[str, int | None]:
    """Function -> the workers it has reserved, to be given back to it."""
    workers = {
        site.names.function(endpoint.name): site.granted.get(endpoint.name)
        if endpoint.reserved is not None
        else None
        for endpoint in site.endpoints
    } | {site.names.function("router"): None}
    if site.project.deployment.jobs:
        workers[site.names.function("router-jobs")] = None
    return workers


def _listening() -> Iterator[Resource]:
    yield Resource(
        "SwitchPermission",
        "AWS::Lambda::Permission",
        {
            "FunctionName": Ref("SwitchFunction"),
            "Action": "lambda:InvokeFunction",
            "Principal": "sns.amazonaws.com",
            "SourceArn": Ref(TOPIC),
        },
        PART,
        "the topic may turn the switch",
    )
    yield Resource(
        "SwitchSubscription",
        "AWS::SNS::Subscription",
        {"TopicArn": Ref(TOPIC), "Protocol": "lambda", "Endpoint": Att("SwitchFunction", "Arn")},
        PART,
        "the switch hears of a budget that is used up",
    )
