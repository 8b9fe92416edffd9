"""Reads from aws-cdk-lib which classes it has for nested properties: what cdk/shapes.json of the export holds.

Renew it with ``python tests/aws/cdk_shapes.py`` after ``tests/aws/exports.setup.sh``; test_export_cdk.py compares.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHAPES = ROOT / "src/firstlight/deploy/exports/cdk/shapes.json"
TYPES = """
ApiGateway: Account ApiKey Deployment GatewayResponse Method Model RequestValidator Resource RestApi Stage UsagePlan
ApiGateway: UsagePlanKey
ApiGatewayV2: Api Deployment Integration Route Stage
ApplicationAutoScaling: ScalableTarget ScalingPolicy
Budgets: Budget BudgetsAction
CloudFront: CachePolicy Distribution Function KeyGroup OriginAccessControl OriginRequestPolicy PublicKey
CloudFront: ResponseHeadersPolicy
CloudWatch: Alarm CompositeAlarm Dashboard
DynamoDB: Table
EC2: Route RouteTable SecurityGroup SecurityGroupEgress SecurityGroupIngress Subnet SubnetRouteTableAssociation VPC
EC2: VPCEndpoint
ECR: Repository
EFS: AccessPoint FileSystem MountTarget
Events: Rule
IAM: ManagedPolicy Policy Role
KMS: Alias Key
Lambda: Alias EventInvokeConfig EventSourceMapping Function LayerVersion Permission Url Version
Logs: LogGroup MetricFilter ResourcePolicy
S3: Bucket BucketPolicy
S3Files: AccessPoint FileSystem FileSystemPolicy MountTarget
SNS: Subscription Topic TopicPolicy
SQS: Queue QueuePolicy
Scheduler: Schedule ScheduleGroup
SecretsManager: Secret
"""
"""Every type that is written with the CDK's own class; others as CfnResource."""
_INNER = r"(?:[^,()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*"
_PROPERTY = re.compile(rf'"?([A-Za-z0-9_.]+)"?:({_INNER})(?:,|$)')


def types() -> Iterator[tuple[str, str]]:
    for line in TYPES.strip().splitlines():
        space, _, names = line.partition(": ")
        yield from ((space, name) for name in names.split())


def library() -> Path:
    """The JavaScript of aws-cdk-lib, as the Python package carries it."""
    return next((ROOT / ".venv-cdk").glob("lib/python3*/site-packages/aws_cdk/_jsii/aws-cdk-lib@*.jsii.tgz"))


def shapes(archive: Path) -> tuple[dict[str, dict[str, dict[str, str]]], dict[str, str]]:
    """Type -> class -> property -> nested class; and every property as the library spells it: camel case."""
    found, words = {}, {}
    texts = {f"package/aws-{space.lower()}/lib/{space.lower()}.generated.js": "" for space, _ in types()}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name in texts:
                texts[member.name] = tar.extractfile(member).read().decode()
    for space, name in types():
        text = texts[f"package/aws-{space.lower()}/lib/{space.lower()}.generated.js"]
        found[f"AWS::{space}::{name}"] = _shape(_converters(text), f"Cfn{name}", words)
    return dict(sorted(found.items())), words


def _converters(text: str) -> dict[str, dict[str, str]]:
    """Class -> property -> the expression that turns it into CloudFormation's."""
    found = {}
    for match in re.finditer(
        r"function convert(\w+)ToCloudFormation\(properties\)\{(.*?)\}function ", text, re.S
    ):
        inner = re.search(r"assertSuccess\(\),\{(.*)\}\):properties", match[2], re.S)
        if inner:
            found[match[1]] = dict(_PROPERTY.findall(inner[1]))
    return found


def _shape(
    converters: dict[str, dict[str, str]], resource: str, words: dict[str, str]
) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    open_, seen = [("", converters[f"{resource}Props"])], set()
    while open_:
        name, properties = open_.pop(0)
        nested = {}
        for key, expression in properties.items():
            words[key] = re.search(r"properties\.(\w+)\)$", expression)[1]
            inner = re.search(rf"convert{resource}(\w+)PropertyToCloudFormation", expression)
            if inner:
                nested[key] = inner[1] + ("{}" if "hashMapper" in expression else "")
                if inner[1] not in seen:
                    seen.add(inner[1])
                    open_.append((inner[1], converters[f"{resource}{inner[1]}Property"]))
            elif "cfnTagToCloudFormation" in expression:
                nested[key] = "CfnTag"
        if nested:
            found[name] = nested
    return found


def text(found: dict[str, dict[str, dict[str, str]]]) -> str:
    lines = (f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in found.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    SHAPES.write_text(text(shapes(library())[0]), encoding="utf-8")
