"""One blob to a registry: what is there is not sent, what was begun is taken up (OCI distribution spec, "Push").

Where an upload goes on is kept in a file, so that a process that was killed leaves nothing to be sent twice.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from firstlight.build.pack.types import Blob
from firstlight.build.registry import bodies, refusals
from firstlight.build.registry.bodies import Part
from firstlight.build.registry.patience import Stopped
from firstlight.build.registry.talking import BUSY, Registry
from firstlight.build.registry.unfinished import Note, noted
from firstlight.build.registry.wire import FAILURES, Answer, Bytes
from firstlight.build.types import Progress
from firstlight.runtime.errors import FirstlightError

_FRUITLESS = 6
"""Attempts in a row in which the registry gets no new byte, after which it is given up."""
_SMALLER = 8 << 20
"""Bytes of a request where the registry, or a proxy before it, takes none that is as large as a layer."""
_UNKNOWN = (400, 404, 405, 410, 416)
"""Answers of a registry that has forgotten an upload, or does not tell how far it is."""


class Upload:
    """A blob on its way.

    Args:
        blob: what is to be there.
        kept: folder where unfinished uploads are remembered.
        scopes: what the registry is asked for.
    """

    def __init__(
        self, registry: Registry, blob: Blob, kept: Path, progress: Progress, scopes: tuple[str, ...]
    ) -> None:
        self._registry, self._blob, self._progress, self._scopes = registry, blob, progress, scopes
        self._kept = kept
        self._source: Path | bytes = b""
        self._what = f"pushing to {registry.reference.repository}"
        self._most = blob.size
        self._at, self._there, self._sent, self._told = "", 0, 0, 0

    def is_there(self) -> bool:
        """Whether the registry has the blob already."""
        place = self._registry.path(f"blobs/{self._blob.digest}")
        answer = self._registry.ask("HEAD", place, what=self._what, scopes=self._scopes)
        answer.drop()
        if answer.status in (200, 404):
            return answer.status == 200
        raise self._registry.refused(answer, self._what)

    def mounted(self, origin: str) -> bool:
        """Have the blob from another repository of the registry.

        Args:
            origin: name of that repository.

        Returns:
            Whether it is there now. Where not, the registry has begun an upload, which ``send`` uses.
        """
        answer = self._post({"mount": self._blob.digest, "from": origin})
        if answer.status == 202:
            self._at = self._registry.located(answer, self._what)
        return answer.status == 201

    def send(self, source: Path | bytes) -> int:
        """Send the blob.

        Args:
            source: the file its bytes are in, or the bytes.

        Returns:
            The bytes that were sent; less than it has where an earlier process had begun.

        Raises:
            FirstlightError: it cannot be sent, or the registry finds it is another one.
            Stopped: the work was given up.
        """
        self._source = source
        with noted(self._kept, self._registry.reference.repository, self._blob.digest) as note:
            taken_up = self._take_up(note)
            if not self._complete(note, last=not taken_up):
                # What an earlier process has sent was something else.
                self._begin_again(note)
                self._complete(note, last=True)
            note.remove()
        return self._sent

    def _take_up(self, note: Note) -> bool:
        """Find where an upload that was begun goes on."""
        if at := note.read():
            begun, self._at = self._at, at
            if self._is_known() and self._there > 0:
                self._progress.advance(self._there)
                return True
            self._at, self._there = begun, 0
        self._at = self._at or self._begin()
        note.write(self._at)
        return False

    def _is_known(self) -> bool:
        """Whether an upload of an earlier process can be gone on with; where not, a new one is begun."""
        try:
            return self._ask_how_far()
        except (*FAILURES, FirstlightError):
            return False

    def _begin(self) -> str:
        """Where a new upload goes on."""
        answer = self._post({})
        if answer.status != 202:
            raise self._registry.refused(answer, self._what)
        return self._registry.located(answer, self._what)

    def _post(self, query: dict[str, str]) -> Answer:
        place = self._registry.path("blobs/uploads/") + (f"?{urlencode(query)}" if query else "")
        answer = self._registry.ask("POST", place, what=self._what, scopes=self._scopes)
        answer.drop()
        return answer

    def _begin_again(self, note: Note) -> None:
        self._at, there = self._begin(), self._there
        self._there = 0
        self._progress.advance(-there)
        note.write(self._at)

    def _complete(self, note: Note, *, last: bool) -> bool:
        """Send what is missing and end the upload; False where it is another content than it has to be."""
        fruitless, lost = 0, False
        while True:
            asked = ""
            try:
                if lost:
                    # Some registries put what comes at the end of what they have, whatever place it names.
                    before = self._there
                    if self._found_again(note):
                        return True
                    fruitless, lost = 0 if self._there > before else fruitless, False
                answer = self._step()
                if answer is None:
                    note.write(self._at)
                    fruitless = 0
                    continue
                if answer.status in (200, 201, 204):
                    self._check(answer)
                    return True
                if answer.status == 400 and self._there == self._blob.size and not last:
                    answer.drop()
                    return False
                asked = answer.headers.get("Retry-After", "")
                failed = self._passing(answer)
            except FAILURES as error:
                failed = refusals.unreached(error, self._what, self._registry.host)
            lost, fruitless = True, fruitless + 1
            if fruitless >= _FRUITLESS:
                raise failed
            self._registry.patience.pause(fruitless, asked)

    def _passing(self, answer: Answer) -> FirstlightError:
        """A refusal, as the error it is if it does not pass.

        Raises:
            FirstlightError: it will not pass.
        """
        status = answer.status
        failed = self._registry.refused(answer, self._what)
        if status == 413 and self._most > _SMALLER:
            self._most = _SMALLER
        elif status == 400 and self._there == self._blob.size:
            raise bodies.wrong(self._source, self._blob.digest, self._what)
        elif status not in (*BUSY, 404, 410, 416):
            raise failed
        return failed

    def _step(self) -> Answer | None:
        """Send one part, or end the upload where all is sent; None where there is more to do."""
        if self._there >= self._blob.size:
            return self._end()
        end = min(self._there + self._most, self._blob.size)
        headers = {"Content-Type": "application/octet-stream"}
        if self._there or end < self._blob.size:
            headers["Content-Range"] = f"{self._there}-{end - 1}"
        answer = self._ask("PATCH", self._at, headers, Part(self._source, self._there, end, self._tell))
        if answer.status not in (201, 202, 204):
            return answer
        answer.drop()
        if "Location" in answer.headers:
            self._at = self._registry.located(answer, self._what)
        if 0 < (far := _far(answer) or 0) < end:
            raise ConnectionError(f"the registry has {far} of {end} bytes")
        self._moved(end)
        return None

    def _moved(self, there: int) -> None:
        """The registry is known to have so many bytes: what was told of more, or of less, is put right."""
        self._sent += max(there - self._there, 0)
        self._progress.advance(there - self._there - self._told)
        self._there, self._told = there, 0

    def _tell(self, count: int) -> None:
        """So many bytes are on their way.

        Raises:
            Stopped: the work was given up.
        """
        if self._registry.patience.stop.is_set():
            raise Stopped
        self._told += count
        self._progress.advance(count)

    def _end(self) -> Answer:
        joined = "&" if urlsplit(self._at).query else "?"
        place = f"{self._at}{joined}{urlencode({'digest': self._blob.digest})}"
        return self._ask("PUT", place, {"Content-Type": "application/octet-stream"}, Bytes())

    def _ask(self, method: str, place: str, headers: dict[str, str], body: Part | Bytes | None) -> Answer:
        return self._registry.ask(
            method, place, what=self._what, headers=headers, body=body, scopes=self._scopes, attempts=1
        )

    def _check(self, answer: Answer) -> None:
        answer.drop()
        said = answer.headers.get("Docker-Content-Digest", self._blob.digest)
        if said != self._blob.digest:
            raise refusals.other("what was pushed", self._blob.digest, said, self._registry.host)

    def _found_again(self, note: Note) -> bool:
        """See how far the upload is after something failed; True where it turns out to be whole."""
        before = self._there
        if self._ask_how_far():
            there, self._there = self._there, before
            self._moved(there)
        elif self.is_there():
            self._moved(self._blob.size)
            return True
        else:
            self._moved(before)
            self._begin_again(note)
        return False

    def _ask_how_far(self) -> bool:
        answer = self._ask("GET", self._at, {}, None)
        if answer.status in (200, 202, 204):
            answer.drop()
            self._there = min(_far(answer) or 0, self._blob.size)
            if "Location" in answer.headers:
                self._at = self._registry.located(answer, self._what)
            return True
        if answer.status in BUSY:
            answer.drop()
            raise ConnectionError(f"it answered {answer.status}")
        if answer.status in _UNKNOWN:
            answer.drop()
            return False
        raise self._registry.refused(answer, self._what)


def _far(answer: Answer) -> int | None:
    """Bytes that a registry has of an upload: ``Range: 0-99`` are a hundred, ``0-0`` is none in some of them."""
    found = re.fullmatch(r"(?:bytes=)?0-(\d+)", answer.headers.get("Range", ""))
    if not found:
        return None
    return int(found[1]) + 1 if int(found[1]) else 0
