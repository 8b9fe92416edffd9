"""Deleting what a stack leaves behind, or cannot delete while there is something in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from firstlight.build.types import Progress
from firstlight.deploy.aws.errors import AwsError
from firstlight.deploy.aws.session import Client, Session
from firstlight.deploy.aws.stacks import There

_AT_ONCE = 1000
"""Objects that one request of S3 deletes; of ECR's images a tenth of that."""
_LOOKS, _PAUSE_SECONDS = 60, 1.0
"""At a table whose protection was taken away, which takes a moment."""
_ABSENT = {
    "NoSuchBucket",
    "404",
    "NotFound",
    "ResourceNotFoundException",
    "RepositoryNotFoundException",
    "FileSystemNotFound",
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
}


def emptied(session: Session, resource: There, shown: Progress) -> None:
    """Take everything out of a bucket or an image repository; anything else is left as it is.

    Raises:
        AwsError: AWS refused.
    """
    act = {"AWS::S3::Bucket": _empty_bucket, "AWS::ECR::Repository": _empty_repository}.get(resource.type)
    if act is not None and resource.physical:
        _unless_absent(lambda: act(session, resource.physical, shown))


def removed(session: Session, resource: There, shown: Progress) -> bool:
    """Delete what its stack keeps: a table, a bucket, a log group, a queue, a file system.

    Returns:
        whether its type is one that can be deleted here.
    """
    act = _REMOVALS.get(resource.type)
    if act is None:
        return False
    if resource.physical:
        _unless_absent(lambda: act(session, resource.physical, shown))
    return True


def exists(session: Session, resource: There) -> bool:
    """Whether something that a stack kept is still there; False for what cannot be deleted here.

    Raises:
        AwsError: AWS refused, or was not reached.
    """
    ask = _QUESTIONS.get(resource.type)
    if ask is None or not resource.physical:
        return False
    service, operation, argument = ask
    try:
        answer = getattr(session.client(service), operation)(**{argument: resource.physical})
    except AwsError as error:
        if error.reason in _ABSENT:
            return False
        raise
    status = answer.get("Table", {}).get("TableStatus", "")
    return bool(status != "DELETING")


def _unless_absent(act: Callable[[], None]) -> None:
    try:
        act()
    except AwsError as error:
        if error.reason not in _ABSENT:
            raise


def _empty_bucket(session: Session, name: str, shown: Progress) -> None:
    s3 = session.client("s3")
    for page in s3.pages("list_object_versions", Bucket=name):
        found = [
            {"Key": one["Key"], "VersionId": one["VersionId"]}
            for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
        ]
        for start in range(0, len(found), _AT_ONCE):
            some = found[start : start + _AT_ONCE]
            answer = s3.delete_objects(Bucket=name, Delete={"Objects": some, "Quiet": True})
            _all_gone(answer.get("Errors", ()), name)
            shown.say(f"  {name}: {len(some)} objects removed")
    for page in s3.pages("list_multipart_uploads", Bucket=name):
        for one in page.get("Uploads", ()):
            s3.abort_multipart_upload(Bucket=name, Key=one["Key"], UploadId=one["UploadId"])


def _empty_repository(session: Session, name: str, shown: Progress) -> None:
    ecr = session.client("ecr")
    for page in ecr.pages("list_images", repositoryName=name):
        # By digest: with it go all the tags of an image.
        digests = sorted({one["imageDigest"] for one in page["imageIds"] if "imageDigest" in one})
        for start in range(0, len(digests), _AT_ONCE // 10):
            some = digests[start : start + _AT_ONCE // 10]
            ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageDigest": one} for one in some])
            shown.say(f"  {name}: {len(some)} images removed")


def _all_gone(errors: Any, name: str) -> None:
    for error in errors:
        raise AwsError(f"{error.get('Key')} in {name} cannot be deleted: {error.get('Message')}", "")


def _bucket(session: Session, name: str, shown: Progress) -> None:
    _empty_bucket(session, name, shown)
    session.client("s3").delete_bucket(Bucket=name)


def _repository(session: Session, name: str, shown: Progress) -> None:  # noqa: ARG001
    session.client("ecr").delete_repository(repositoryName=name, force=True)


def _table(session: Session, name: str, shown: Progress) -> None:  # noqa: ARG001
    dynamodb = session.client("dynamodb")
    table = dynamodb.describe_table(TableName=name)["Table"]
    if table.get("DeletionProtectionEnabled"):
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
        _await_active(dynamodb, name)
    if table["TableStatus"] != "DELETING":
        dynamodb.delete_table(TableName=name)


def _await_active(dynamodb: Client, name: str) -> None:
    """Wait until a table that was changed can be changed again."""
    for _ in range(_LOOKS):
        if dynamodb.describe_table(TableName=name)["Table"]["TableStatus"] == "ACTIVE":
            return
        time.sleep(_PAUSE_SECONDS)


def _log_group(session: Session, name: str, shown: Progress) -> None:  # noqa: ARG001
    session.client("logs").delete_log_group(logGroupName=name)


def _queue(session: Session, url: str, shown: Progress) -> None:  # noqa: ARG001
    session.client("sqs").delete_queue(QueueUrl=url)


def _file_system(session: Session, name: str, shown: Progress) -> None:  # noqa: ARG001
    session.client("efs").delete_file_system(FileSystemId=name)


_REMOVALS: dict[str, Callable[[Session, str, Progress], None]] = {
    "AWS::S3::Bucket": _bucket,
    "AWS::ECR::Repository": _repository,
    "AWS::DynamoDB::Table": _table,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::SQS::Queue": _queue,
    "AWS::EFS::FileSystem": _file_system,
}
_QUESTIONS = {
    "AWS::S3::Bucket": ("s3", "head_bucket", "Bucket"),
    "AWS::DynamoDB::Table": ("dynamodb", "describe_table", "TableName"),
    "AWS::SQS::Queue": ("sqs", "get_queue_attributes", "QueueUrl"),
    "AWS::EFS::FileSystem": ("efs", "describe_file_systems", "FileSystemId"),
}
"""Type -> how to ask whether one is there: a service, one of its operations, the argument that takes the name."""
