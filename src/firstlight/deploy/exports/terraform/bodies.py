"""Resources whose arguments are arranged differently in Terraform; all others go by the table of words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from firstlight.deploy.exports.terraform.hcl import Block, Json, Raw
from firstlight.deploy.exports.terraform.places import Places
from firstlight.deploy.exports.terraform.words import KINDS, Kind, snake
from firstlight.deploy.types import Ref, Resource, Sub

Body = dict[str, Any]


def body(resource: Resource, places: Places) -> Body:
    """The arguments and blocks of a resource."""
    kind = KINDS[resource.type]
    given: Mapping[str, Any] = resource.properties
    if kind.unwrapped:
        inner = given[kind.unwrapped]
        given = inner if isinstance(inner, Mapping) else given
    arranged = ARRANGED.get(resource.type)
    made = arranged(given, kind, places) if arranged else plain(given, kind, places)
    if kind.named and not kind.named.startswith(tuple(made)):
        made = {kind.named: _name(kind, resource, places), **made}
    return made


def plain(given: Mapping[str, Any], kind: Kind, places: Places, path: str = "") -> Body:
    """Arguments by the table: mappings are blocks, lists of mappings are several."""
    made: Body = {}
    for key, value in given.items():
        whole = f"{path}{key}"
        word = kind.words.get(whole, snake(key))
        if not word:
            continue
        if whole in kind.json:
            made[word] = Json(places.value(value))
        elif isinstance(value, Mapping) and whole not in kind.maps and not _is_function(value):
            made[word] = Block(plain(value, kind, places, f"{whole}."))
        elif isinstance(value, (list, tuple)) and value and all(isinstance(one, Mapping) for one in value):
            made[word] = [Block(plain(one, kind, places, f"{whole}.")) for one in value]
        else:
            made[word] = places.value(value)
    return made


def _is_function(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith("Fn::")


def _name(kind: Kind, resource: Resource, places: Places) -> str:
    """A name where Terraform would make up one that says nothing."""
    word = places.name(resource).replace("_", "-")
    if not kind.named.endswith("_prefix"):
        return f"{places.stack.name}-{snake(resource.id).replace('_', '-')}"
    return f"{places.stack.name.removeprefix('firstlight-')}-{word}"[:36] + "-"


def _function(given: Mapping[str, Any], kind: Kind, places: Places) -> Body:
    code = given["Code"]
    made = plain(given, kind, places)
    words = {"ImageUri": "image_uri", "S3Bucket": "s3_bucket", "S3Key": "s3_key"}
    made.update({word: places.value(code[key]) for key, word in words.items() if key in code})
    return made


def _permission(given: Mapping[str, Any], kind: Kind, places: Places) -> Body:
    """An alias is named by its function and its own name."""
    alias = given["FunctionName"]
    made = plain(given, kind, places)
    if isinstance(alias, Ref) and places.there[alias.resource].type == "AWS::Lambda::Alias":
        where = places.address(alias.resource)
        named = {"function_name": Raw(f"{where}.function_name"), "qualifier": Raw(f"{where}.name")}
        made = {**named, **{key: value for key, value in made.items() if key != "function_name"}}
    return made


def _table(given: Mapping[str, Any], kind: Kind, places: Places) -> Body:
    made: Body = {"billing_mode": given["BillingMode"], **_keys(given["KeySchema"])}
    made["attribute"] = [
        Block({"name": one["AttributeName"], "type": one["AttributeType"]})
        for one in given["AttributeDefinitions"]
    ]
    made["global_secondary_index"] = [
        Block(
            {
                "name": one["IndexName"],
                **_keys(one["KeySchema"]),
                **plain(one["Projection"], kind, places),
            }
        )
        for one in given.get("GlobalSecondaryIndexes", ())
    ]
    alive = given.get("TimeToLiveSpecification")
    if alive:
        made["ttl"] = Block(plain(alive, kind, places))
    known = {
        "BillingMode",
        "KeySchema",
        "AttributeDefinitions",
        "GlobalSecondaryIndexes",
        "TimeToLiveSpecification",
    }
    return {**made, **plain({key: given[key] for key in given if key not in known}, kind, places)}


def _keys(schema: Any) -> Body:
    return {f"{one['KeyType'].lower()}_key": one["AttributeName"] for one in schema}


def _alarm(given: Mapping[str, Any], kind: Kind, places: Places) -> Body:
    made = plain({key: value for key, value in given.items() if key != "Dimensions"}, kind, places)
    dimensions = given.get("Dimensions", ())
    return {**made, "dimensions": {one["Name"]: places.value(one["Value"]) for one in dimensions}}


def _dashboard(given: Mapping[str, Any], _: Kind, places: Places) -> Body:
    """Its widgets as an expression, not as one long text."""
    text = given["DashboardBody"]
    widgets = json.loads(text.text if isinstance(text, Sub) else text)
    looked = places.value(_inner(widgets) if isinstance(text, Sub) else widgets)
    return {"dashboard_name": places.value(given["DashboardName"]), "dashboard_body": Json(looked)}


def _inner(value: Any) -> Any:
    """The texts of a text that refers to resources refer to them themselves."""
    if isinstance(value, str):
        return Sub(value)
    if isinstance(value, dict):
        return {key: _inner(inner) for key, inner in value.items()}
    return [_inner(inner) for inner in value] if isinstance(value, list) else value


def _budget(given: Mapping[str, Any], kind: Kind, places: Places) -> Body:
    budget = given["Budget"]
    made: Body = {
        "name": budget["BudgetName"],
        "budget_type": budget["BudgetType"],
        "time_unit": budget["TimeUnit"],
        "limit_amount": str(budget["BudgetLimit"]["Amount"]),
        "limit_unit": budget["BudgetLimit"]["Unit"],
    }
    told = []
    for one in given.get("NotificationsWithSubscribers", ()):
        words = {"EMAIL": "subscriber_email_addresses", "SNS": "subscriber_sns_topic_arns"}
        addresses: dict[str, list[Any]] = {}
        for subscriber in one["Subscribers"]:
            addresses.setdefault(words[subscriber["SubscriptionType"]], []).append(
                places.value(subscriber["Address"])
            )
        told.append(Block({**plain(one["Notification"], kind, places), **addresses}))
    return {**made, "notification": told}


def _distribution(given: Mapping[str, Any], kind: Kind, places: Places) -> Body:
    origins = []
    for one in given["Origins"]:
        custom = one["CustomOriginConfig"]
        origin = {
            "origin_id": one["Id"],
            "domain_name": places.value(one["DomainName"]),
            "origin_access_control_id": places.value(one["OriginAccessControlId"]),
            "custom_origin_config": Block(
                {
                    "http_port": 80,
                    "https_port": 443,
                    "origin_protocol_policy": custom["OriginProtocolPolicy"],
                    "origin_ssl_protocols": custom["OriginSSLProtocols"],
                    "origin_read_timeout": custom["OriginReadTimeout"],
                }
            ),
        }
        origins.append(Block(origin))
    apart = ("Origins", "DefaultCacheBehavior", "CacheBehaviors")
    rest = {key: value for key, value in given.items() if key not in apart}
    made = plain(rest, kind, places)
    made["is_ipv6_enabled"] = made.pop("ipv6_enabled")
    return {
        **made,
        "origin": origins,
        "default_cache_behavior": _behaviour(given["DefaultCacheBehavior"], kind, places),
        "ordered_cache_behavior": [_behaviour(one, kind, places) for one in given["CacheBehaviors"]],
        "restrictions": Block({"geo_restriction": Block({"restriction_type": "none"})}),
        "viewer_certificate": Block({"cloudfront_default_certificate": True}),
    }


def _behaviour(given: Mapping[str, Any], kind: Kind, places: Places) -> Block:
    """Terraform wants the methods named: what is fetched is what may be cached, were caching on."""
    apart = [
        Block({"event_type": one["EventType"], "function_arn": places.value(one["FunctionARN"])})
        for one in given.get("FunctionAssociations", ())
    ]
    made = plain({key: value for key, value in given.items() if key != "FunctionAssociations"}, kind, places)
    return Block(
        {**made, "cached_methods": ["GET", "HEAD"], **({"function_association": apart} if apart else {})}
    )


def _cloudfront_function(given: Mapping[str, Any], kind: Kind, places: Places) -> Body:
    config = given["FunctionConfig"]
    return {**plain(given, kind, places), "comment": config["Comment"], "runtime": config["Runtime"]}


def _security_group(given: Mapping[str, Any], kind: Kind, places: Places) -> Body:
    made = plain({key: given[key] for key in ("GroupDescription", "VpcId")}, kind, places)
    for key, word in (("SecurityGroupIngress", "ingress"), ("SecurityGroupEgress", "egress")):
        made[word] = [Block(_rule(one, places)) for one in given.get(key, ())]
    return made


def _rule(one: Mapping[str, Any], places: Places) -> Body:
    made: Body = {"description": one["Description"], "protocol": one["IpProtocol"]}
    made |= {"from_port": one["FromPort"], "to_port": one["ToPort"]}
    if "CidrIp" in one:
        made["cidr_blocks"] = [one["CidrIp"]]
    if "SourceSecurityGroupId" in one:
        made["security_groups"] = [places.value(one["SourceSecurityGroupId"])]
    return made


def _queue_policy(given: Mapping[str, Any], kind: Kind, places: Places) -> Body:
    (queue,) = given["Queues"]
    return {
        "queue_url": places.value(queue),
        **plain({"PolicyDocument": given["PolicyDocument"]}, kind, places),
    }


def _topic_policy(given: Mapping[str, Any], kind: Kind, places: Places) -> Body:
    (topic,) = given["Topics"]
    return {"arn": places.value(topic), **plain({"PolicyDocument": given["PolicyDocument"]}, kind, places)}


def _without(*keys: str) -> Callable[[Mapping[str, Any], Kind, Places], Body]:
    """By the table, but for what becomes resources of its own."""

    def made(given: Mapping[str, Any], kind: Kind, places: Places) -> Body:
        return plain({key: value for key, value in given.items() if key not in keys}, kind, places)

    return made


def _http_stage(given: Mapping[str, Any], kind: Kind, places: Places) -> Body:
    made = plain(given, kind, places)
    log = given.get("AccessLogSettings")
    if log:
        made["access_log_settings"] = Block(
            {"destination_arn": _bare(log["DestinationArn"], places), "format": places.value(log["Format"])}
        )
    return made


def _bare(found: Any, places: Places) -> Raw:
    """The ARN of a log group, which has no ``:*`` at its end here."""
    return Raw(places.expression(found))


ARRANGED: dict[str, Callable[[Mapping[str, Any], Kind, Places], Body]] = {
    "AWS::ApiGateway::Method": _without("Integration"),
    "AWS::ApiGateway::Stage": _without("MethodSettings"),
    "AWS::ApiGatewayV2::Stage": _http_stage,
    "AWS::Budgets::Budget": _budget,
    "AWS::CloudFront::Distribution": _distribution,
    "AWS::CloudFront::Function": _cloudfront_function,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::Dashboard": _dashboard,
    "AWS::DynamoDB::Table": _table,
    "AWS::EC2::SecurityGroup": _security_group,
    "AWS::IAM::Role": _without("Policies"),
    "AWS::Lambda::Function": _function,
    "AWS::Lambda::Permission": _permission,
    "AWS::S3::Bucket": _without(
        "VersioningConfiguration", "PublicAccessBlockConfiguration", "LifecycleConfiguration"
    ),
    "AWS::SNS::TopicPolicy": _topic_policy,
    "AWS::SQS::QueuePolicy": _queue_policy,
}
"""Type -> what makes its body."""
