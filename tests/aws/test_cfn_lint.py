"""Templates as cfn-lint reads them, whatever a project asks for; the policy of whoever deploys as AWS's schemas do."""

from __future__ import annotations

import json
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

import stacks
from aws import wishes
from firstlight.deploy import cloudformation, graph, policy
from firstlight.deploy.types import Stack
from firstlight.project.names import Names
from firstlight.project.types import Asynchronous, Endpoint, Front, Project

ROOT = Path(__file__).parents[2]
LINT = ROOT / ".venv-aws/bin/cfn-lint"
KEY = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----\n"
NOT_OURS = (
    *("kms:", "codedeploy:", "kinesis:", "firehose:", "vpc-lattice:", "vpce:", "s3tables:", "billing:"),
    *("events:", "iam:CreateServiceLinkedRole", "iam:GetRole"),
)
"""Services that nothing here asks the handlers to use; events and roles are in needs of their own."""
NOT_USED = {
    "AWS::ApiGateway::RestApi": "apigateway:UpdateRestApiPolicy s3:GetObject iam:PassRole",
    "AWS::ApiGateway::Method": "iam:PassRole",
    "AWS::ApiGatewayV2::Api": "s3:getObject",
    "AWS::ApiGatewayV2::Integration": "iam:PassRole",
    "AWS::ApiGatewayV2::Stage": "apigateway:TagResource apigateway:UntagResource",
    "AWS::CloudFront::Distribution": "cloudfront:CreateConnectionGroup cloudfront:GetConnectionGroup"
    " cloudfront:GetVpcOrigin cloudfront:UpdateDistributionWithStagingConfig",
    "AWS::DynamoDB::Table": "dynamodb:AssociateTableReplica dynamodb:BatchWriteItem dynamodb:CreateTableReplica"
    " dynamodb:DeleteItem dynamodb:DeleteResourcePolicy dynamodb:*KinesisStreamingDestination dynamodb:GetItem"
    " dynamodb:ImportTable dynamodb:PutItem dynamodb:PutResourcePolicy dynamodb:Query dynamodb:Scan dynamodb:UpdateItem"
    " dynamodb:UpdateContinuousBackups dynamodb:UpdateContributorInsights s3:* logs:*",
    "AWS::EC2::Subnet": "ec2:*SubnetCidrBlock",
    "AWS::EC2::VPC": "ec2:CreateVpcEncryptionControl ec2:ModifyVpcTenancy",
    "AWS::ECR::Repository": "ecr:DeleteLifecyclePolicy ecr:PutLifecyclePolicy",
    "AWS::EFS::FileSystem": "elasticfilesystem:*ReplicationConfiguration elasticfilesystem:*FileSystemPolicy"
    " elasticfilesystem:UpdateFileSystemProtection elasticfilesystem:DeleteTags iam:PassRole",
    "AWS::IAM::Role": "iam:AttachRolePolicy iam:DetachRolePolicy iam:*RolePermissionsBoundary",
    "AWS::Lambda::Function": "lambda:*CodeSigningConfig lambda:*ScalingConfig lambda:PassCapacityProvider"
    " lambda:AssociateRuntimeAlias ec2:* elasticfilesystem:* s3files:*",
    "AWS::Lambda::Version": "lambda:*ScalingConfig",
    "AWS::Logs::LogGroup": "logs:AssociateKmsKey logs:DisassociateKmsKey logs:*DataProtectionPolicy logs:*IndexPolicy"
    " logs:*ResourcePolicy logs:DescribeResourcePolicies logs:CreateLogDelivery logs:PutBearerTokenAuthentication"
    " logs:PutLogGroupDeletionProtection s3:REST.PUT.OBJECT",
    "AWS::S3::Bucket": "s3:*Replication* s3:*Website s3:*Cors s3:*CORS s3:PutBucketAcl s3:PutObjectAcl"
    " s3:PutBucketAbac s3:*Logging s3:*Metadata* s3:Put*Configuration s3:*ObjectLock* iam:PassRole",
    "AWS::S3Files::MountTarget": "",
    "AWS::SNS::Subscription": "iam:PassRole",
    "AWS::SNS::Topic": "sns:PutDataProtectionPolicy sns:Unsubscribe iam:PassRole",
}
"""Type -> what its handlers may do for properties that we do not set."""


def project(chosen: dict[str, Any], folder: Path) -> Project:
    """A project that asks for all this."""
    ready = chosen["ready"]
    events = Asynchronous(retries=1, max_age=3600, on_success="endpoint:other", on_failure="endpoint:qa")
    qa = Endpoint(
        "qa",
        model="starter:qa",
        memory=3008,
        timeout=120.5,
        concurrency=5,
        route="/qa/{id}/{rest+}",
        env={"GREETING": "a ${b} {{c}}", "KEY": "secretsmanager:keys:qa"},
        provisioned=1 if ready == "provisioned" else 0,
        snap_start=ready == "snap_start",
        reserved=5 if ready == "reserved" else None,
        package=chosen["package"],
        front=Front(chosen["front"], chosen["auth"], chosen["stream"]),
        asynchronous=events if chosen["asynchronous"] else Asynchronous(),
    )
    other = Endpoint("other", model="starter:lyrics", route="/other", front=Front(chosen["front"], "iam"))
    asked = ("api", "public", "share", "jobs", "cache", "ping", "budget", "kill_switch", "email", "alarms")
    deploy = {key: chosen[key] for key in (*asked, "architecture")}
    (folder / "key.pem").write_text(KEY)
    return stacks.project(qa, other, stage="prod", root=folder, share_key="key.pem", **deploy)


def stack(of: Project, *, deployed: bool) -> Stack:
    """Its stack, and where it is deployed, in the middle of an update."""
    first = stacks.stack(of)
    return stacks.stack(of, stacks.deployed(first), "b", switch=False) if deployed else first


def linted(*files: Path) -> list[str]:
    """What cfn-lint says of templates: nothing else may be in the files' folder."""
    ran = subprocess.run(
        [str(LINT), "--format", "parseable", "--regions", "us-east-1", "--", *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    return [line for line in (ran.stdout + ran.stderr).splitlines() if line]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("templates")


def test_every_pair_of_options_makes_a_template_without_findings(folder: Path) -> None:
    files = []
    for number, chosen in enumerate(wishes.pairs()):
        made = stack(project(chosen, folder), deployed=chosen["deployed"])
        files.append(folder / f"{number}.json")
        files[-1].write_text(cloudformation.text(made))
    assert len(files) > 10
    assert linted(*files) == []


def test_the_yaml_and_the_artifacts_have_no_findings_either(folder: Path) -> None:
    yaml, artifacts = folder / "stack.yaml", folder / "artifacts.json"
    yaml.write_text(cloudformation.render(stacks.stack(stacks.project()))["template.yaml"])
    artifacts.write_text(cloudformation.text(graph.artifacts_stack(Names("lyrics", "prod"), stacks.ACCOUNT)))
    assert linted(yaml, artifacts) == []


def test_a_plain_project_s_types_are_all_known_to_the_emulator() -> None:
    asked = "from ministack.services.cloudformation import provisioners as p; print(*p._RESOURCE_HANDLERS)"
    python = ROOT / ".venv-ministack/bin/python"
    known = subprocess.run(
        [str(python), "-c", asked], capture_output=True, text=True, check=True
    ).stdout.split()
    used = {resource.type for resource in stacks.stack(stacks.project()).resources}
    assert used - set(known) == set()


def everything(folder: Path, cache: str) -> Project:
    chosen = {name: values[-1] for name, values in wishes.OPTIONS.items()}
    chosen |= {"front": "rest", "stream": False, "jobs": True, "ping": True, "alarms": True, "api": "http"}
    return project({**chosen, "cache": cache, "ready": "provisioned"}, folder)


@pytest.mark.parametrize("cache", ["efs", "s3files"])
def test_whoever_deploys_may_do_what_the_types_handlers_do(folder: Path, cache: str) -> None:
    of = everything(folder, cache)
    document = policy.deploying(Names(of.name, of.stage), stacks.ACCOUNT, of)
    held = [action for statement in document["Statement"] for action in statement["Action"]]
    used = {resource.type for resource in stacks.stack(of).resources} | {
        "AWS::ECR::Repository",
        "AWS::S3::Bucket",
    }
    missing = {
        f"{kind} {action}"
        for kind, actions in handlers().items()
        if kind in used
        for action in actions
        if not action.startswith(NOT_OURS)
        and not any(fnmatchcase(action, pattern) for pattern in NOT_USED.get(kind, "").split())
        and not any(fnmatchcase(action.lower(), pattern.lower()) for pattern in held)
    }
    assert missing == set()


@pytest.mark.parametrize("cache", ["none", "efs", "s3files"])
def test_the_policy_s_actions_are_actions_of_aws(folder: Path, cache: str) -> None:
    of = everything(folder, cache)
    document = policy.deploying(Names(of.name, of.stage), stacks.ACCOUNT, of)
    kind = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document}}
    file = folder / f"policy-{cache}.json"
    file.write_text(json.dumps({"Resources": {"Deploying": kind}}))
    assert linted(file) == []


def handlers() -> dict[str, set[str]]:
    """Type -> what its handlers ask AWS for, from the schemas that come with cfn-lint."""
    found: dict[str, set[str]] = {}
    (folder,) = ROOT.glob(".venv-aws/lib/python3*/site-packages/cfnlint/data/schemas/resources")
    for file in folder.glob("*.json"):
        schema = json.loads(file.read_text(encoding="utf-8"))
        for name in ("create", "read", "update", "delete"):
            handler = schema.get("handlers", {}).get(name, {})
            found.setdefault(schema["typeName"], set()).update(handler.get("permissions", ()))
    return found
