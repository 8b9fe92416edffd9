"""What a new template changes in a deployed one, told before CloudFormation is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firstlight.deploy.cloudformation import template
from firstlight.deploy.types import Change, Stack

ANEW = {
    "AWS::ApiGateway::ApiKey": "GenerateDistinctId Name Value",
    "AWS::ApiGateway::Deployment": "DeploymentCanarySettings RestApiId",
    "AWS::ApiGateway::Method": "HttpMethod ResourceId RestApiId",
    "AWS::ApiGateway::Resource": "ParentId PathPart RestApiId",
    "AWS::ApiGateway::Stage": "RestApiId StageName",
    "AWS::ApiGateway::UsagePlanKey": "KeyId KeyType UsagePlanId",
    "AWS::ApiGatewayV2::Api": "ProtocolType",
    "AWS::ApiGatewayV2::Integration": "ApiId",
    "AWS::ApiGatewayV2::Route": "ApiId",
    "AWS::ApiGatewayV2::Stage": "ApiId StageName",
    "AWS::Budgets::Budget": "Budget NotificationsWithSubscribers",
    "AWS::CloudFront::Function": "Name",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::DynamoDB::Table": "KeySchema TableName",
    "AWS::EC2::RouteTable": "VpcId",
    "AWS::EC2::SecurityGroup": "GroupDescription GroupName VpcId",
    "AWS::EC2::Subnet": "AvailabilityZone CidrBlock VpcId",
    "AWS::EC2::SubnetRouteTableAssociation": "RouteTableId SubnetId",
    "AWS::EC2::VPC": "CidrBlock InstanceTenancy",
    "AWS::EC2::VPCEndpoint": "ServiceName VpcEndpointType VpcId",
    "AWS::ECR::Repository": "EncryptionConfiguration RepositoryName",
    "AWS::EFS::AccessPoint": "FileSystemId PosixUser RootDirectory",
    "AWS::EFS::FileSystem": "AvailabilityZoneName Encrypted KmsKeyId PerformanceMode",
    "AWS::EFS::MountTarget": "FileSystemId IpAddress SubnetId",
    "AWS::Events::Rule": "EventBusName Name",
    "AWS::IAM::Role": "Path RoleName",
    "AWS::Lambda::Alias": "FunctionName Name",
    "AWS::Lambda::EventInvokeConfig": "FunctionName Qualifier",
    "AWS::Lambda::EventSourceMapping": "EventSourceArn",
    "AWS::Lambda::Function": "FunctionName PackageType",
    "AWS::Lambda::Permission": "Action FunctionName FunctionUrlAuthType InvokedViaFunctionUrl Principal SourceAccount "
    "SourceArn",
    "AWS::Lambda::Url": "Qualifier TargetFunctionArn",
    "AWS::Lambda::Version": "CodeSha256 Description FunctionName ProvisionedConcurrencyConfig RuntimePolicy",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::S3::BucketPolicy": "Bucket",
    "AWS::S3Files::AccessPoint": "FileSystemId PosixUser RootDirectory",
    "AWS::S3Files::FileSystem": "Bucket KmsKeyId Prefix RoleArn",
    "AWS::S3Files::MountTarget": "FileSystemId SubnetId",
    "AWS::SNS::Subscription": "Endpoint Protocol TopicArn",
    "AWS::SNS::Topic": "FifoTopic TopicName",
    "AWS::SQS::Queue": "FifoQueue QueueName",
    "AWS::Scheduler::Schedule": "Name",
    "AWS::Scheduler::ScheduleGroup": "Name",
}
"""Type -> properties whose change makes the resource anew (``createOnlyProperties`` of CloudFormation's schemas)."""
_NAMES = {
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::ECR::Repository": "RepositoryName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::IAM::Role": "RoleName",
}
"""Type -> the property that names it; what has a name of its own cannot be made anew beside the old one."""


def changes(before: Mapping[str, Any], stack: Stack) -> tuple[Change, ...]:
    """What a stack changes in the template that is deployed: in the stack's order, what goes comes last.

    Args:
        before: the deployed template; empty for a first deployment.
    """
    wanted = template(stack)["Resources"]
    there: Mapping[str, Any] = before.get("Resources", {})
    found = []
    for resource in stack.resources:
        new = wanted[resource.id]
        if resource.id not in there:
            found.append(Change("Add", resource.id, resource.type, resource.part))
        elif there[resource.id] != new:
            details = differences(there[resource.id], new)
            anew = _made_anew(there[resource.id], new, details)
            found.append(
                Change("Replace" if anew else "Modify", resource.id, resource.type, resource.part, details)
            )
    gone = [Change("Remove", key, there[key].get("Type", "")) for key in there if key not in wanted]
    return (*found, *gone)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the properties, and of attributes such as ``DependsOn``, that two forms of a resource differ in."""
    before, after = _flat(old), _flat(new)
    return tuple(key for key in {**before, **after} if before.get(key) != after.get(key))


def stuck(before: Mapping[str, Any], stack: Stack) -> tuple[Change, ...]:
    """What would have to be made anew and cannot be, as it keeps its name: CloudFormation refuses that."""
    wanted, there = template(stack)["Resources"], before.get("Resources", {})
    return tuple(
        change
        for change in changes(before, stack)
        if change.action == "Replace"
        and (name := _NAMES.get(change.type))
        and wanted[change.id]["Properties"].get(name)
        and wanted[change.id]["Properties"].get(name) == there[change.id].get("Properties", {}).get(name)
    )


def _made_anew(old: Mapping[str, Any], new: Mapping[str, Any], details: tuple[str, ...]) -> bool:
    if old.get("Type") != new.get("Type"):
        return True
    return bool(set(details) & set(ANEW.get(str(new["Type"]), "").split()))


def _flat(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **resource.get("Properties", {}),
        **{key: resource[key] for key in resource if key != "Properties"},
    }
