"""Code on its way to where Lambda finds it: images to a registry, zips to a bucket. What is there is not sent again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.build.types import Progress
from firstlight.deploy.aws import storing
from firstlight.deploy.aws.session import Session
from firstlight.deploy.types import Artifact

if TYPE_CHECKING:
    from firstlight.build.pack.types import Image


@dataclass(frozen=True, slots=True)
class Code:
    """Code of one function as it lies on this machine, and where it goes.

    Attributes:
        file: the zip; None for an image.
        image: the image; None for a zip.
        tag: of the image, so that people can tell images apart; functions refer to the digest.
    """

    artifact: Artifact
    file: Path | None = None
    image: Image | None = None
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent.

    Attributes:
        bytes: over the network.
        new: endpoints whose code was not there yet.
    """

    bytes: int = 0
    new: tuple[str, ...] = ()


def send(session: Session, codes: Iterable[Code], shown: Progress) -> Sent:
    """Send what is not there yet.

    Raises:
        FirstlightError: a registry or S3 refused, or the connection was lost. What arrived stays there, and the next
            time only the rest is sent.
    """
    total, new = 0, []
    for code in codes:
        count = (
            _send_image(session, code, shown) if code.image is not None else _send_zip(session, code, shown)
        )
        total += count
        if count:
            new.append(code.artifact.endpoint)
    return Sent(total, tuple(new))


def _send_zip(session: Session, code: Code, shown: Progress) -> int:
    artifact = code.artifact
    if code.file is None or storing.there(session, artifact.uri, artifact.size):
        return 0
    shown.stage(f"{artifact.endpoint}: sending the zip", artifact.size)
    storing.put(session, artifact.uri, code.file, shown)
    return artifact.size


def _send_image(session: Session, code: Code, shown: Progress) -> int:
    from firstlight.build.registry import pushing, references

    if code.image is None:
        return 0
    repository, _, _ = code.artifact.uri.partition("@")
    target = references.Reference.parse(f"{repository}:{code.tag}")
    shown.stage(f"{code.artifact.endpoint}: sending the image", None)
    pushed = pushing.push(code.image, target, shown=shown, session=session.boto)
    return int(pushed.sent)
