"""What CloudFormation does in the name of whoever deploys, for each type of resource, and on which ARNs.

The actions are those that the types' own schemas name for their handlers, without what no resource here has (keys of
one's own, code signing, replication, ...); ``tests/aws/test_cfn_lint.py`` compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Need:
    """Actions on ARNs, where the stack has one of some types.

    Attributes:
        types: CloudFormation types, words; empty for every project.
        actions: words, without the service where ``service`` is given.
        arns: words with ``{...}``: see ``policy.deploying``.
        condition: JSON with ``{...}`` too; empty for none.
    """

    types: str
    service: str
    actions: str
    arns: str
    condition: str = ""


_AWS = "arn:{partition}"
_HERE = "{region}:{account}"
_ANY = "*"
_FUNCTIONS = f"{_AWS}:lambda:{_HERE}:function:{{functions}}"
_LAMBDA = "AWS::Lambda"
_TAGS = "*Tag*"

NEEDS: tuple[Need, ...] = (
    Need(
        "",
        "cloudformation",
        "*ChangeSet DeleteStack ContinueUpdateRollback DescribeStackEvents DescribeEvents ListStackResources"
        f" GetTemplate {_TAGS}",
        f"{_AWS}:cloudformation:{_HERE}:stack/{{stack}}/* {_AWS}:cloudformation:{_HERE}:stack/{{artifacts}}/*",
    ),
    Need("", "cloudformation", "DescribeStacks ListStacks", _ANY),
    Need("", "lambda", "GetAccountSettings", _ANY),
    Need("", "cloudwatch", "DescribeAlarms GetMetricData", _ANY),
    Need(
        "AWS::IAM::Role",
        "iam",
        "CreateRole UpdateRole UpdateRoleDescription DeleteRole UpdateAssumeRolePolicy PutRolePolicy DeleteRolePolicy"
        " GetRole* ListRolePolicies ListAttachedRolePolicies *Tag*",
        f"{_AWS}:iam::{{account}}:role/firstlight/{{stack}}/*",
    ),
    Need(
        "AWS::IAM::Role",
        "iam",
        "PassRole",
        f"{_AWS}:iam::{{account}}:role/firstlight/{{stack}}/*",
        '{{"StringEquals": {{"iam:PassedToService": ["lambda.amazonaws.com", "scheduler.amazonaws.com",'
        ' "elasticfilesystem.amazonaws.com"]}}}}',
    ),
    Need(
        f"{_LAMBDA}::Function {_LAMBDA}::Version {_LAMBDA}::Alias {_LAMBDA}::Permission {_LAMBDA}::Url"
        f" {_LAMBDA}::EventInvokeConfig",
        "lambda",
        "CreateFunction UpdateFunction* DeleteFunction PublishVersion InvokeFunction Get* List* *Alias *Concurrency*"
        " *FunctionUrlConfig *FunctionEventInvokeConfig PutRuntimeManagementConfig PutFunctionRecursionConfig"
        " AddPermission RemovePermission TagResource UntagResource",
        _FUNCTIONS,
    ),
    Need(
        f"{_LAMBDA}::EventSourceMapping",
        "lambda",
        "CreateEventSourceMapping UpdateEventSourceMapping DeleteEventSourceMapping GetEventSourceMapping",
        _ANY,
        '{{"ArnLike": {{"lambda:FunctionArn": "' + _FUNCTIONS + '"}}}}',
    ),
    Need(
        f"{_LAMBDA}::EventSourceMapping",
        "lambda",
        _TAGS,
        f"{_AWS}:lambda:{_HERE}:event-source-mapping:*",
    ),
    Need(
        "AWS::Logs::LogGroup",
        "logs",
        "CreateLogGroup DeleteLogGroup *RetentionPolicy GetDataProtectionPolicy DescribeIndexPolicies"
        f" FilterLogEvents {_TAGS}",
        f"{_AWS}:logs:{_HERE}:log-group:/aws/lambda/{{functions}}"
        f" {_AWS}:logs:{_HERE}:log-group:/aws/vendedlogs/{{stack}}-*",
    ),
    Need("AWS::Logs::LogGroup", "logs", "DescribeLogGroups", _ANY),
    Need(
        "AWS::DynamoDB::Table",
        "dynamodb",
        f"CreateTable UpdateTable DeleteTable UpdateTimeToLive Describe* GetResourcePolicy {_TAGS}",
        f"{_AWS}:dynamodb:{_HERE}:table/{{made}}",
    ),
    Need(
        "AWS::SQS::Queue AWS::SQS::QueuePolicy",
        "sqs",
        f"CreateQueue DeleteQueue SetQueueAttributes GetQueue* {_TAGS}",
        f"{_AWS}:sqs:{_HERE}:{{made}}",
    ),
    Need(
        "AWS::Scheduler::Schedule AWS::Scheduler::ScheduleGroup",
        "scheduler",
        f"CreateSchedule* UpdateSchedule DeleteSchedule* GetSchedule* {_TAGS}",
        f"{_AWS}:scheduler:{_HERE}:schedule-group/{{made}} {_AWS}:scheduler:{_HERE}:schedule/{{made}}",
    ),
    Need(
        "AWS::CloudWatch::Alarm AWS::CloudWatch::Dashboard",
        "cloudwatch",
        f"PutMetricAlarm DeleteAlarms PutDashboard GetDashboard DeleteDashboards {_TAGS}",
        f"{_AWS}:cloudwatch:{_HERE}:alarm:{{made}} {_AWS}:cloudwatch::{{account}}:dashboard/{{stack}}",
    ),
    Need(
        "AWS::SNS::Topic AWS::SNS::TopicPolicy AWS::SNS::Subscription",
        "sns",
        f"CreateTopic DeleteTopic SetTopicAttributes Subscribe Get* List* {_TAGS}",
        f"{_AWS}:sns:{_HERE}:{{made}}",
    ),
    Need(
        "AWS::SNS::Subscription",
        "sns",
        "Unsubscribe GetSubscriptionAttributes SetSubscriptionAttributes",
        _ANY,
    ),
)
"""Of the main stack, whatever the project asks for."""

ARTIFACTS: tuple[Need, ...] = (
    Need(
        "AWS::ECR::Repository",
        "ecr",
        "CreateRepository DeleteRepository *RepositoryPolicy PutImage* *LayerUpload UploadLayerPart Batch* Get* List*"
        f" Describe* {_TAGS}",
        f"{_AWS}:ecr:{_HERE}:repository/{{repository}}",
    ),
    Need("AWS::ECR::Repository", "ecr", "GetAuthorizationToken", _ANY),
    Need(
        "AWS::S3::Bucket AWS::S3::BucketPolicy",
        "s3",
        "CreateBucket DeleteBucket* ListBucket* GetBucket* Get*Configuration PutBucket* PutEncryptionConfiguration"
        f" PutLifecycleConfiguration {_TAGS}",
        f"{_AWS}:s3:::{{bucket}} {_AWS}:s3:::{{made_small}}",
    ),
    Need(
        "AWS::S3::Bucket",
        "s3",
        "PutObject GetObject* DeleteObject* AbortMultipartUpload",
        f"{_AWS}:s3:::{{bucket}}/* {_AWS}:s3:::{{made_small}}/*",
    ),
)
"""Of the stack of the repository and the bucket, and what is sent there."""

_API = f"{_AWS}:apigateway:{{region}}::"
_EC2 = (
    "*Vpc ModifyVpcAttribute *Subnet ModifySubnetAttribute *RouteTable *RouteTableAssociation *VpcEndpoint*"
    " *SecurityGroup *SecurityGroupEgress *SecurityGroupIngress UpdateSecurityGroupRuleDescriptions* CreateTags"
    " DeleteTags CreateNetworkInterface DeleteNetworkInterface ModifyNetworkInterfaceAttribute Describe*"
)

OPTIONS: tuple[Need, ...] = (
    Need(
        "AWS::ApiGateway::RestApi AWS::ApiGatewayV2::Api",
        "apigateway",
        "GET POST PUT PATCH DELETE",
        f"{_API}/restapis* {_API}/apis* {_API}/apikeys* {_API}/usageplans* {_API}/tags/*",
    ),
    Need(
        "AWS::ApiGatewayV2::Stage",
        "logs",
        "CreateLogDelivery GetLogDelivery UpdateLogDelivery DeleteLogDelivery ListLogDeliveries PutResourcePolicy"
        " DescribeResourcePolicies",
        _ANY,
    ),
    Need(
        "AWS::Budgets::Budget",
        "budgets",
        f"ModifyBudget ViewBudget {_TAGS}",
        f"{_AWS}:budgets::{{account}}:budget/{{stack}}",
    ),
    Need(
        "AWS::CloudFront::Distribution",
        "cloudfront",
        "*Distribution *DistributionWithTags GetDistributionConfig *KeyGroup *PublicKey *OriginAccessControl"
        f" *Function {_TAGS}",
        _ANY,
    ),
    Need(
        "AWS::EC2::VPC",
        "ec2",
        _EC2,
        _ANY,
        '{{"StringEquals": {{"aws:RequestedRegion": "{region}"}}}}',
    ),
    Need(
        "AWS::EFS::FileSystem",
        "elasticfilesystem",
        "*FileSystem PutLifecycleConfiguration PutBackupPolicy *AccessPoint *MountTarget"
        f" ModifyMountTargetSecurityGroups Describe* {_TAGS}",
        f"{_AWS}:elasticfilesystem:{_HERE}:file-system/* {_AWS}:elasticfilesystem:{_HERE}:access-point/*",
    ),
    Need(
        "AWS::S3Files::FileSystem",
        "s3files",
        f"*FileSystem *AccessPoint *MountTarget PutSynchronizationConfiguration Get* List* {_TAGS}",
        f"{_AWS}:s3files:{_HERE}:file-system/*",
    ),
    Need("AWS::S3Files::FileSystem", "s3", "PutBucketNotification", f"{_AWS}:s3:::{{made_small}}"),
    Need(
        "AWS::S3Files::FileSystem",
        "events",
        "PutRule DeleteRule DescribeRule PutTargets RemoveTargets ListTargetsByRule ListRules",
        f"{_AWS}:events:{_HERE}:rule/DO-NOT-DELETE-S3-Files*",
    ),
)
"""Of what a project has only where it asks for it."""
