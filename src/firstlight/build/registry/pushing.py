"""An image to a registry: its blobs side by side, then its manifest; what is there is not sent again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from firstlight.build.pack.types import Blob, Image
from firstlight.build.registry import ecr, manifests, pulling, refusals, unfinished
from firstlight.build.registry.patience import Patience, Stopped, side_by_side
from firstlight.build.registry.pulling import Find
from firstlight.build.registry.references import Reference
from firstlight.build.registry.talking import Registry
from firstlight.build.registry.types import Pushed, fetched, wanted
from firstlight.build.registry.uploading import Upload
from firstlight.build.registry.wire import Answer, Bytes
from firstlight.build.types import Progress, Silent
from firstlight.runtime.errors import Conflict

_UNSETTLED = ("DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN")
"""What a registry may say of a layer that somebody else pushes at the same moment, or that its storage shows late."""
_UNSETTLED_ATTEMPTS = 4


def push(
    image: Image,
    to: Reference,
    tags: Sequence[str] = (),
    shown: Progress | None = None,
    *,
    session: Any = None,
    find: Find | None = None,
    cache: Path | None = None,
    patience: Patience | None = None,
) -> Pushed:
    """Have an image in a registry. Safe to run again at any point: what has arrived is not sent twice.

    Args:
        to: the repository; a tag in it is one more of ``tags``.
        session: of AWS, for tokens of ECR; None takes what boto3 finds.
        find: gives credentials; None takes what ``auth.credentials`` finds.
        cache: where layers that are in another registry are fetched to, and unfinished uploads are remembered.

    Raises:
        Unauthorized, Forbidden: the registry does not let us.
        Conflict: a tag is taken and may not move.
        ProjectError: the registry cannot be reached or refuses.
    """
    shown, names = shown or Silent(), tuple(dict.fromkeys((*((to.tag,) if to.tag else ()), *tags)))
    if ecr.region(to.host) and find is None:
        from firstlight.build.registry import ecr_layers

        if ecr_layers.is_needed(to, session):
            return ecr_layers.push(image, to, names, shown, session, cache or pulling.cache())
    target = replace(to, tag="", digest="")
    with Registry(target, session=session, find=find, patience=patience) as registry:
        return _Push(image, registry, shown, cache or pulling.cache()).run(names)


class _Push:
    def __init__(self, image: Image, registry: Registry, shown: Progress, cache: Path) -> None:
        self._image, self._registry, self._shown, self._cache = image, registry, shown, cache
        self._unfinished = cache / "uploads"
        self._what = f"pushing to {registry.reference.repository}"
        self._scopes: tuple[str, ...] = (f"repository:{registry.reference.name}:pull,push",)

    def run(self, tags: tuple[str, ...]) -> Pushed:
        manifest, reference = self._image.manifest, self._registry.reference.at(self._image.digest)
        blobs = wanted(self._image)
        total = sum(blob.size for blob in blobs)
        self._shown.stage(f"pushing to {self._registry.reference.repository}", total)
        if self._has(manifest.digest) == manifest.digest:
            self._shown.advance(total)
            done = Pushed(str(reference), 0, 0, total)
        else:
            unfinished.tidy(self._unfinished)
            ways = side_by_side(self._bring, blobs, self._registry.patience)
            self._put(manifest.digest)
            sent, mounted = sum(way[0] for way in ways), sum(way[1] for way in ways)
            done = Pushed(str(reference), sent, mounted, total - sent - mounted)
        for tag in tags:
            self._tag(tag)
        return done

    def _bring(self, blob: Blob) -> tuple[int, int]:
        if self._registry.patience.stop.is_set():
            raise Stopped
        scopes, origin = self._scopes, self._origin(blob)
        if origin:
            scopes = (*scopes, f"repository:{origin}:pull")
        upload = Upload(self._registry, blob, self._unfinished, self._shown, scopes)
        if upload.is_there():
            unfinished.forget(self._unfinished, self._registry.reference.repository, blob.digest)
            self._shown.advance(blob.size)
            return 0, 0
        if origin and upload.mounted(origin):
            self._shown.advance(blob.size)
            return 0, blob.size
        patience = self._registry.patience
        source = fetched(self._image, blob, self._cache, patience) if blob.source is None else blob.source
        return upload.send(source), 0

    def _origin(self, blob: Blob) -> str:
        """Name of the repository of the same registry that a blob can be had from; empty for none."""
        said = self._image.origins.get(blob.digest, "")
        if not said:
            return ""
        origin, own = Reference.parse(said), self._registry.reference
        return origin.name if origin.host == own.host and origin.name != own.name else ""

    def _has(self, wanted: str) -> str:
        """The digest of the manifest that the registry has under a digest or a tag; empty for none."""
        headers = {"Accept": self._image.manifest.media_type}
        place = self._registry.path(f"manifests/{wanted}")
        answer = self._registry.ask("HEAD", place, what=self._what, headers=headers, scopes=self._scopes)
        if answer.status == 200:
            answer.drop()
            return answer.headers.get("Docker-Content-Digest", wanted if ":" in wanted else "")
        if answer.status == 404:
            answer.drop()
            return ""
        raise self._registry.refused(answer, self._what)

    def _put(self, wanted: str) -> None:
        for attempt in range(_UNSETTLED_ATTEMPTS):
            answer = self._put_once(wanted)
            content = answer.drop()
            if answer.status in (200, 201, 202):
                said = answer.headers.get("Docker-Content-Digest", self._image.digest)
                if said != self._image.digest:
                    what, host = "the manifest that was pushed", self._registry.host
                    raise refusals.other(what, self._image.digest, said, host)
                return
            last = attempt + 1 == _UNSETTLED_ATTEMPTS
            if last or refusals.reported(content)[0] not in _UNSETTLED:
                raise self._registry.refused(answer, self._what)
            self._registry.patience.pause(attempt)

    def _put_once(self, wanted: str) -> Answer:
        manifest = self._image.manifest
        content = manifest.source if isinstance(manifest.source, bytes) else b""
        return self._registry.ask(
            "PUT",
            self._registry.path(f"manifests/{wanted}"),
            what=self._what,
            headers={"Content-Type": manifest.media_type or manifests.OCI_MANIFEST},
            body=Bytes(content),
            scopes=self._scopes,
        )

    def _tag(self, tag: str) -> None:
        """Have a tag lead to the image; where tags do not move, it has to lead there already."""
        if self._has(tag) == self._image.digest:
            return
        try:
            self._put(tag)
        except Conflict:
            if self._has(tag) != self._image.digest:
                raise
