"""What stands for a store that cannot be opened: the server serves on, and whoever needs jobs hears why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from firstlight.jobs.types import Job, JobEvent, Page, Status
from firstlight.runtime.errors import JobError


class Unavailable:
    """Keeps nothing.

    Args:
        reason: why; raised by all that needs a store.
    """

    def __init__(self, reason: JobError) -> None:
        self._reason = reason

    def put(self, job: Job) -> Job | None:  # noqa: ARG002 - the port's signature, here and below
        self._refuse()

    def get(self, job_id: str) -> Job | None:  # noqa: ARG002
        self._refuse()

    def list(
        self,
        *,
        endpoint: str | None = None,  # noqa: ARG002
        status: Status | None = None,  # noqa: ARG002
        limit: int = 50,  # noqa: ARG002
        cursor: str | None = None,  # noqa: ARG002
    ) -> Page:
        self._refuse()

    def change(self, job: Job, **fields: Any) -> Job | None:  # noqa: ARG002
        self._refuse()

    def append(self, job_id: str, events: Sequence[JobEvent]) -> None:  # noqa: ARG002
        self._refuse()

    def events(self, job_id: str, after: int = 0) -> Sequence[JobEvent]:  # noqa: ARG002
        self._refuse()

    def sweep(self, now: float) -> int:  # noqa: ARG002
        return 0

    def claim(self, owner: str, now: float, lease_s: float, room: Mapping[str, int]) -> Sequence[Job]:  # noqa: ARG002
        return ()

    def renew(self, owner: str, job_ids: Sequence[str], lease_until: float) -> Sequence[str]:  # noqa: ARG002
        return ()

    def recover(self, now: float, gone: Sequence[str] = ()) -> Sequence[Job]:  # noqa: ARG002
        return ()

    def owners(self) -> Sequence[str]:
        return ()

    def next_due(self, now: float, endpoints: Sequence[str]) -> float | None:  # noqa: ARG002
        return None

    def depth(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None:
        return

    def _refuse(self) -> NoReturn:
        raise JobError(self._reason.message, self._reason.hint)
