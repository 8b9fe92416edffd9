"""What tracing finds, packs and proves, and what a lock file says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from firstlight.runtime.errors import FirstlightError

LAYER = "{layer}"
"""Stands for the folder of the layer in the value of a variable."""


class TraceError(FirstlightError):
    """A script cannot be run to its answer, packed, or shown to need nothing else.

    Attributes:
        beside: whether something of it wanted to write to the layer.
    """

    code = "trace"
    beside = False


class ScriptFailed(TraceError):
    """The script itself raised.

    Args:
        payload: the error in the shape Lambda reports it, with the script's own trace.
    """

    def __init__(self, message: str, hint: str, payload: Mapping[str, Any]) -> None:
        super().__init__(message, hint)
        self.payload = payload


@dataclass(frozen=True, slots=True)
class Caches:
    """The layer of a script endpoint: what ``[endpoints.NAME.caches]`` of a lock file holds.

    Attributes:
        layer: SHA-256 of the packed layer, hex.
        size: bytes of the packed layer.
        script: SHA-256 of the script that was traced, hex.
        variables: environment variable -> value, ``{layer}`` standing for the folder of the layer: ``NLTK_DATA`` is
            ``{layer}/home/nltk_data``, ``HF_HUB_OFFLINE`` is ``1``.
        tools: name -> version of the libraries that left something.
    """

    layer: str
    size: int
    script: str
    variables: Mapping[str, str] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """Something a run did, told by its audit hook.

    Attributes:
        kind: ``write``, ``read``, ``program`` or ``host``.
        what: the path, the program or the host.
        by: the package that did it; empty for the script.
    """

    kind: str
    what: str
    by: str


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a script.

    Attributes:
        answer: ``{"json": ...}`` or ``{"bytes": base64}``; None where there is none.
        error: what the script raised, in the shape Lambda reports it; None where it answered.
        causes: kinds, number, text and file of the error and of those that led to it.
        seen: what it did.
        seconds: how long it took.
    """

    answer: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    causes: tuple[tuple[Any, ...], ...]
    seen: tuple[Seen, ...]
    seconds: float

    def of(self, kind: str) -> list[Seen]:
        """What it did of one kind."""
        return [seen for seen in self.seen if seen.kind == kind]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that a run left behind.

    Attributes:
        path: in the clean folders, such as ``home/nltk_data/corpora/words``; its name in the layer.
        source: where its content lies; another place for a link.
        size: bytes.
        why_left: why it is not packed; empty where it is.
        executable: whether its owner may run it.
    """

    path: str
    source: str
    size: int
    why_left: str = ""
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Dropped:
    """What one library dropped.

    Attributes:
        name: of the library, or ``unknown: <path>``.
        path: of its folder or file, such as ``home/nltk_data``.
        by: the package that wrote it; empty where it is not known, or is the script.
        variable: what moves it; empty where nothing does.
        size: bytes of what is packed.
        files: how many of them.
        left: bytes of what is not packed.
        why_left: the reasons, sorted; for people.
        note: what is worth knowing of the library.
    """

    name: str
    path: str
    by: str
    variable: str
    size: int
    files: int
    left: int
    why_left: tuple[str, ...]
    note: str = ""

    @property
    def packed(self) -> bool:
        """Whether any of it is in the layer."""
        return self.files > 0


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of the run without HOME, without the network, with nothing but /tmp to write to.

    Attributes:
        same: whether the answers are the same, as far as they are stable.
        unstable: paths in the answer that differ from run to run anyway.
        walls: how the walls were put up: ``namespaces``, ``landlock`` or ``none``.
        missing: which walls were not, one sentence each.
        network: whether it was allowed to call out.
        seconds: how long it took.
    """

    same: bool
    unstable: tuple[str, ...]
    walls: str
    missing: tuple[str, ...]
    network: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Traced:
    """All that a trace found out.

    Attributes:
        dropped: by path.
        outside: what was written anywhere else than in the clean folders, and is still there.
        reads: folders of this machine that were read, beyond the interpreter's, the system's and the script's.
        programs: that were started, and whose writes elsewhere go unseen.
        hosts: that were called.
        notes: what is worth knowing, one sentence each.
        caches: the layer; None in a dry run, and where there was nothing to pack and nothing to set.
        proof: None in a dry run.
    """

    dropped: tuple[Dropped, ...]
    outside: tuple[Seen, ...]
    reads: tuple[str, ...]
    programs: tuple[str, ...]
    hosts: tuple[str, ...]
    notes: tuple[str, ...]
    caches: Caches | None = None
    proof: Proof | None = None
    seconds: float = 0.0
