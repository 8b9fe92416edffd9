"""The small stack that is there before the other one: where images and zips are."""

from __future__ import annotations

from collections.abc import Iterator

from firstlight.deploy.graph.rights import allow, deny, document
from firstlight.deploy.graph.tagging import tags
from firstlight.deploy.types import Account, Att, Output, Ref, Resource, Stack, Sub, Value
from firstlight.project.names import Names

PART = "artifacts"
REPOSITORY, BUCKET = "Repository", "Bucket"
_PREFIX_LIMIT = 54
"""Characters of the prefix that even a function's shortened name begins with."""


def artifacts_stack(names: Names, account: Account) -> Stack:
    """The repository of images and the bucket of zips.

    Args:
        account: whose they are; a bucket's name has to be the only one in the world.
    """
    return Stack(
        names.artifacts,
        f"firstlight: where the code of {names.prefix} is kept",
        (_repository(names), *_bucket(names, account)),
        tuple(_outputs()),
        tags(names),
    )


def _outputs() -> Iterator[Output]:
    yield Output("RepositoryUri", Att(REPOSITORY, "RepositoryUri"), "images are pushed here")
    yield Output("BucketName", Ref(BUCKET), "zips and templates are put here")


def _repository(names: Names) -> Resource:
    pulling = allow(("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"), ())
    del pulling["Resource"]
    functions = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function"
    prefix = names.prefix[:_PREFIX_LIMIT]
    condition: dict[str, Value] = {"StringLike": {"aws:sourceArn": Sub(f"{functions}:{prefix}*")}}
    statement = {
        "Sid": "LambdaPullsImages",
        **pulling,
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Condition": condition,
    }
    return Resource(
        REPOSITORY,
        "AWS::ECR::Repository",
        {
            "RepositoryName": names.repository,
            "ImageTagMutability": "IMMUTABLE",
            # Nothing is deleted by age: an image that a function runs from must stay as long as it does.
            "RepositoryPolicyText": document(statement),
            "EmptyOnDelete": True,
        },
        PART,
        "images of the endpoints; Lambda fetches parts of them while functions run",
    )


def _bucket(names: Names, account: Account) -> Iterator[Resource]:
    shut = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    yield Resource(
        BUCKET,
        "AWS::S3::Bucket",
        {
            "BucketName": names.bucket(account.id, account.region),
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}},
                ],
            },
            "PublicAccessBlockConfiguration": dict.fromkeys(shut, True),
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "LifecycleConfiguration": {
                "Rules": [
                    {
                        "Id": "unfinished-uploads",
                        "Status": "Enabled",
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                    },
                ],
            },
        },
        PART,
        "zips of the functions, and templates too large for a request",
    )
    unencrypted = deny(
        ("s3:*",),
        (Att(BUCKET, "Arn"), Sub(f"${{{BUCKET}.Arn}}/*")),
        {"Bool": {"aws:SecureTransport": "false"}},
    )
    yield Resource(
        "BucketPolicy",
        "AWS::S3::BucketPolicy",
        {"Bucket": Ref(BUCKET), "PolicyDocument": document({**unencrypted, "Principal": "*"})},
        PART,
        "nobody reaches the bucket without TLS",
    )
