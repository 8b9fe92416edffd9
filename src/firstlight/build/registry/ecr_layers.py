"""An image to ECR by its own API, where the registry itself cannot be reached: an emulator, a closed network.

Amazon ECR API Reference: InitiateLayerUpload, UploadLayerPart, CompleteLayerUpload, PutImage.
"""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from firstlight.build.pack.types import Blob, Image
from firstlight.build.registry import ecr, unfinished
from firstlight.build.registry.bodies import read
from firstlight.build.registry.references import Reference
from firstlight.build.registry.types import Pushed, fetched, wanted
from firstlight.build.types import Progress
from firstlight.runtime.errors import Conflict

_AT_ONCE = 4
_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".on.aws", ".amazonwebservices.com.cn")


def is_needed(to: Reference, session: Any) -> bool:
    """Whether the registry itself cannot be reached: AWS is an emulator's here, or nobody knows the host."""
    asked = ecr.client(to.host, session)
    if not (urlsplit(asked.meta.endpoint_url).hostname or "").endswith(_AWS):
        return True
    try:
        socket.getaddrinfo(to.host, 443)
    except OSError:
        return True
    return False


def push(
    image: Image, to: Reference, tags: tuple[str, ...], shown: Progress, session: Any, cache: Path
) -> Pushed:
    """Have an image in a repository of ECR; see ``pushing.push``.

    Raises:
        Conflict: a tag is taken and may not move.
        Forbidden: an action is not allowed to the user; the message names it.
        ProjectError: AWS cannot be asked, or the repository is not there.
    """
    asked = ecr.client(to.host, session)
    blobs = wanted(image)
    total = sum(blob.size for blob in blobs)
    shown.stage(f"pushing to {to.repository}", total)
    with ecr.explained(to.host):
        if _has(asked, to, {"imageDigest": image.digest}):
            there = {blob.digest for blob in blobs}
        else:
            there = _there(asked, to, blobs)
        shown.advance(sum(blob.size for blob in blobs if blob.digest in there))
        missing = [blob for blob in blobs if blob.digest not in there]
        stop = Event()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            tasks = [pool.submit(_send, asked, image, blob, to, shown, cache, stop) for blob in missing]
            try:
                sent = sum(task.result() for task in tasks)
            finally:
                stop.set()
                for task in tasks:
                    task.cancel()
        _put(asked, image, to, tags)
    return Pushed(str(to.at(image.digest)), sent, 0, total - sent)


def _there(asked: Any, to: Reference, blobs: tuple[Blob, ...]) -> set[str]:
    """Digests that the repository has; ECR tells of a hundred at once."""
    found: set[str] = set()
    digests = [blob.digest for blob in blobs]
    for start in range(0, len(digests), 100):
        said = asked.batch_check_layer_availability(
            registryId=ecr.account(to.host), repositoryName=to.name, layerDigests=digests[start : start + 100]
        )
        layers = said.get("layers", ())
        found |= {entry["layerDigest"] for entry in layers if entry.get("layerAvailability") == "AVAILABLE"}
    return found


def _send(
    asked: Any, image: Image, blob: Blob, to: Reference, shown: Progress, cache: Path, stop: Event
) -> int:
    if stop.is_set():
        return 0
    source = fetched(image, blob, cache) if blob.source is None else blob.source
    names = {"registryId": ecr.account(to.host), "repositoryName": to.name}
    with unfinished.noted(cache / "uploads", to.repository, blob.digest) as note:
        begun = _begun(note)
        if begun is not None:
            try:
                return _filled(asked, names, blob, source, begun, note, shown, stop)
            except asked.exceptions.UploadNotFoundException:
                shown.advance(-begun[2])
        said = asked.initiate_layer_upload(**names)
        fresh = str(said["uploadId"]), int(said["partSize"]), 0
        return _filled(asked, names, blob, source, fresh, note, shown, stop)


def _filled(
    asked: Any,
    names: dict[str, str],
    blob: Blob,
    source: Path | bytes,
    begun: tuple[str, int, int],
    note: unfinished.Note,
    shown: Progress,
    stop: Event,
) -> int:
    """Send what is missing of an upload, and end it; returns the bytes sent."""
    upload, size, at = begun
    shown.advance(at)
    sent = 0
    while at < blob.size and not stop.is_set():
        part = b"".join(read(source, at, min(at + size, blob.size)))
        now = _part(asked, names, upload, at, part)
        shown.advance(now - at)
        sent, at = sent + max(now - at, 0), now
        note.write(json.dumps([upload, size, at]))
    if at >= blob.size:
        note.remove()  # what ends badly is begun again
        try:
            asked.complete_layer_upload(**names, uploadId=upload, layerDigests=[blob.digest])
        except asked.exceptions.LayerAlreadyExistsException:
            pass  # somebody else has sent it meanwhile
    return sent


def _begun(note: unfinished.Note) -> tuple[str, int, int] | None:
    """Id of an upload that was begun, bytes of its parts, and how many bytes of it are there."""
    try:
        upload, size, at = json.loads(note.read())
        return str(upload), int(size), int(at)
    except (ValueError, TypeError):
        return None


def _part(asked: Any, names: dict[str, str], upload: str, at: int, content: bytes) -> int:
    """Send a part; returns the bytes that ECR has now."""
    last = at + len(content) - 1
    try:
        asked.upload_layer_part(
            **names, uploadId=upload, partFirstByte=at, partLastByte=last, layerPartBlob=content
        )
    except asked.exceptions.InvalidLayerPartException as error:
        return int(error.response.get("lastValidByteReceived", -1)) + 1
    return last + 1


def _put(asked: Any, image: Image, to: Reference, tags: tuple[str, ...]) -> None:
    """Put the manifest, under each tag, or under its digest where there is none."""
    content = image.manifest.source if isinstance(image.manifest.source, bytes) else b""
    for tag in tags or ("",):
        named = {"imageTag": tag} if tag else {}
        try:
            asked.put_image(
                registryId=ecr.account(to.host),
                repositoryName=to.name,
                imageManifest=content.decode(),
                imageManifestMediaType=image.manifest.media_type,
                imageDigest=image.digest,
                **named,
            )
        except (
            asked.exceptions.ImageAlreadyExistsException,
            asked.exceptions.ImageTagAlreadyExistsException,
        ) as error:
            if not tag or _has(asked, to, {"imageTag": tag}) == image.digest:
                continue
            said = f"pushing to {to.repository}: the tag {tag} leads to another image"
            raise Conflict(said, "tags do not move there: take another one") from error


def _has(asked: Any, to: Reference, wanted: dict[str, str]) -> str:
    """The digest of an image that is in the repository; empty for none."""
    names = {"registryId": ecr.account(to.host), "repositoryName": to.name}
    images = asked.batch_get_image(**names, imageIds=[wanted]).get("images", ())
    return str(images[0]["imageId"].get("imageDigest", "")) if images else ""
