"""CloudFormation's words and Terraform's: which resource is which, and what their attributes are called.

Sources: AWS resource specification; documentation of the provider hashicorp/aws, version 6.40.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Kind:
    """How one type of resource is written.

    Attributes:
        type: Terraform's.
        words: property -> argument where it is not the same in lower case with underscores; empty for one that has no
            place there. Also of properties inside others, as ``Parent.Child``.
        maps: properties that are maps, not blocks.
        json: properties that are JSON text there.
        named: argument for a name that CloudFormation makes up and Terraform wants or can begin
            (``name_prefix``); empty for none.
        unwrapped: the one property whose inner properties are the resource's.
    """

    type: str
    words: Mapping[str, str] = field(default_factory=dict)
    maps: frozenset[str] = frozenset()
    json: frozenset[str] = frozenset()
    named: str = ""
    unwrapped: str = ""


def _kind(
    type_: str, *, maps: str = "", json: str = "", named: str = "", unwrapped: str = "", **words: str
) -> Kind:
    return Kind(type_, words, frozenset(maps.split()), frozenset(json.split()), named, unwrapped)


KINDS: dict[str, Kind] = {
    "AWS::ApiGateway::ApiKey": _kind("aws_api_gateway_api_key"),
    "AWS::ApiGateway::Deployment": _kind("aws_api_gateway_deployment"),
    "AWS::ApiGateway::Method": _kind("aws_api_gateway_method", AuthorizationType="authorization"),
    "AWS::ApiGateway::Resource": _kind("aws_api_gateway_resource"),
    "AWS::ApiGateway::RestApi": _kind("aws_api_gateway_rest_api"),
    "AWS::ApiGateway::Stage": _kind("aws_api_gateway_stage"),
    "AWS::ApiGateway::UsagePlan": _kind(
        "aws_api_gateway_usage_plan", UsagePlanName="name", Throttle="throttle_settings"
    ),
    "AWS::ApiGateway::UsagePlanKey": _kind("aws_api_gateway_usage_plan_key"),
    "AWS::ApiGatewayV2::Api": _kind("aws_apigatewayv2_api"),
    "AWS::ApiGatewayV2::Integration": _kind(
        "aws_apigatewayv2_integration", TimeoutInMillis="timeout_milliseconds"
    ),
    "AWS::ApiGatewayV2::Route": _kind("aws_apigatewayv2_route"),
    "AWS::ApiGatewayV2::Stage": _kind("aws_apigatewayv2_stage", StageName="name"),
    "AWS::Budgets::Budget": _kind("aws_budgets_budget"),
    "AWS::CloudFront::Distribution": _kind(
        "aws_cloudfront_distribution",
        unwrapped="DistributionConfig",
    ),
    "AWS::CloudFront::Function": _kind(
        "aws_cloudfront_function", AutoPublish="publish", FunctionCode="code", FunctionConfig=""
    ),
    "AWS::CloudFront::KeyGroup": _kind("aws_cloudfront_key_group", unwrapped="KeyGroupConfig"),
    "AWS::CloudFront::OriginAccessControl": _kind(
        "aws_cloudfront_origin_access_control", unwrapped="OriginAccessControlConfig"
    ),
    "AWS::CloudFront::PublicKey": _kind(
        "aws_cloudfront_public_key", unwrapped="PublicKeyConfig", CallerReference=""
    ),
    "AWS::CloudWatch::Alarm": _kind("aws_cloudwatch_metric_alarm", named="alarm_name"),
    "AWS::CloudWatch::Dashboard": _kind("aws_cloudwatch_dashboard"),
    "AWS::DynamoDB::Table": _kind("aws_dynamodb_table", named="name"),
    "AWS::EC2::RouteTable": _kind("aws_route_table"),
    "AWS::EC2::SecurityGroup": _kind(
        "aws_security_group", named="name_prefix", GroupDescription="description"
    ),
    "AWS::EC2::Subnet": _kind("aws_subnet"),
    "AWS::EC2::SubnetRouteTableAssociation": _kind("aws_route_table_association"),
    "AWS::EC2::VPC": _kind("aws_vpc"),
    "AWS::EC2::VPCEndpoint": _kind("aws_vpc_endpoint"),
    "AWS::EFS::AccessPoint": _kind("aws_efs_access_point"),
    "AWS::EFS::FileSystem": _kind(
        "aws_efs_file_system",
        **{"LifecyclePolicies": "lifecycle_policy", "LifecyclePolicies.TransitionToIA": "transition_to_ia"},
    ),
    "AWS::EFS::MountTarget": _kind("aws_efs_mount_target"),
    "AWS::IAM::Role": _kind(
        "aws_iam_role",
        named="name_prefix",
        json="AssumeRolePolicyDocument",
        AssumeRolePolicyDocument="assume_role_policy",
    ),
    "AWS::Lambda::Alias": _kind("aws_lambda_alias", ProvisionedConcurrencyConfig="", Description=""),
    "AWS::Lambda::EventInvokeConfig": _kind(
        "aws_lambda_function_event_invoke_config", MaximumEventAgeInSeconds="maximum_event_age_in_seconds"
    ),
    "AWS::Lambda::EventSourceMapping": _kind("aws_lambda_event_source_mapping"),
    "AWS::Lambda::Function": _kind(
        "aws_lambda_function", maps="Environment.Variables", FileSystemConfigs="file_system_config", Code=""
    ),
    "AWS::Lambda::Permission": _kind("aws_lambda_permission"),
    "AWS::Lambda::Url": _kind(
        "aws_lambda_function_url", TargetFunctionArn="function_name", AuthType="authorization_type"
    ),
    "AWS::Logs::LogGroup": _kind("aws_cloudwatch_log_group", LogGroupName="name"),
    "AWS::S3::Bucket": _kind("aws_s3_bucket", named="bucket_prefix"),
    "AWS::S3::BucketPolicy": _kind("aws_s3_bucket_policy", json="PolicyDocument", PolicyDocument="policy"),
    "AWS::S3Files::AccessPoint": _kind("aws_s3files_access_point"),
    "AWS::S3Files::FileSystem": _kind("aws_s3files_file_system"),
    "AWS::S3Files::MountTarget": _kind("aws_s3files_mount_target"),
    "AWS::SNS::Subscription": _kind("aws_sns_topic_subscription"),
    "AWS::SNS::Topic": _kind("aws_sns_topic", named="name_prefix"),
    "AWS::SNS::TopicPolicy": _kind("aws_sns_topic_policy", json="PolicyDocument", PolicyDocument="policy"),
    "AWS::SQS::Queue": _kind(
        "aws_sqs_queue",
        named="name_prefix",
        json="RedrivePolicy",
        VisibilityTimeout="visibility_timeout_seconds",
        MessageRetentionPeriod="message_retention_seconds",
    ),
    "AWS::SQS::QueuePolicy": _kind("aws_sqs_queue_policy", json="PolicyDocument", PolicyDocument="policy"),
    "AWS::Scheduler::Schedule": _kind("aws_scheduler_schedule", named="name_prefix"),
    "AWS::Scheduler::ScheduleGroup": _kind("aws_scheduler_schedule_group", named="name_prefix"),
}
"""CloudFormation's type -> how it is written."""

_REFS = {
    "AWS::DynamoDB::Table": "name",
    "AWS::IAM::Role": "name",
    "AWS::Lambda::Alias": "arn",
    "AWS::Lambda::Function": "function_name",
    "AWS::Logs::LogGroup": "name",
    "AWS::S3::Bucket": "bucket",
    "AWS::SNS::Topic": "arn",
    "AWS::SQS::Queue": "url",
    "AWS::ApiGateway::Stage": "stage_name",
    "AWS::Scheduler::ScheduleGroup": "name",
}
_ATTRIBUTES = {
    ("AWS::CloudFront::Function", "FunctionARN"): "arn",
    ("AWS::EC2::SecurityGroup", "GroupId"): "id",
    ("AWS::SQS::Queue", "QueueName"): "name",
    ("AWS::S3Files::FileSystem", "FileSystemId"): "id",
    ("AWS::S3Files::FileSystem", "FileSystemArn"): "arn",
    ("AWS::S3Files::AccessPoint", "AccessPointArn"): "arn",
}


def attribute(type_: str, name: str | None) -> str:
    """What an attribute of a resource is called there.

    Args:
        name: CloudFormation's; None for what ``Ref`` gives.
    """
    if name is None:
        return _REFS.get(type_, "id")
    return _ATTRIBUTES.get((type_, name), snake(name))


def snake(name: str) -> str:
    """``MaximumRetryAttempts`` as ``maximum_retry_attempts``."""
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", parted).lower()
