"""Zips in a bucket: sent once each, as their names say what they are."""

from __future__ import annotations

from pathlib import Path

from firstlight.build.types import Progress
from firstlight.deploy.aws.errors import AwsError
from firstlight.deploy.aws.session import Session

_ABSENT = {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}


def there(session: Session, uri: str, size: int) -> bool:
    """Whether an object is there, whole.

    Args:
        uri: ``s3://bucket/key``.
        size: bytes it has to have.

    Raises:
        AwsError: AWS refused, or was not reached.
    """
    bucket, key = split(uri)
    try:
        found = session.client("s3").head_object(Bucket=bucket, Key=key)
    except AwsError as error:
        if error.reason in _ABSENT:
            return False
        raise
    return int(found["ContentLength"]) == size


def put(session: Session, uri: str, file: Path, shown: Progress) -> None:
    """Send a file; an upload that breaks off leaves no object.

    Raises:
        AwsError: AWS refused, or the connection was lost.
    """
    bucket, key = split(uri)
    session.client("s3").upload_file(str(file), bucket, key, Callback=shown.advance)


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of ``s3://bucket/key``."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
