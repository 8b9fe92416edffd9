"""An inference request whose client takes a job: it is kept, and then answered by 202 or by what came of it.

Every wire calls ``take`` where it has found the endpoint and has checked the request, so that what cannot be done is
refused at once, in the wire's own words. The job's own run comes the same way again, without the preference.
``before_wall`` is for fronts that have only so many seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from firstlight.gateway import patience
from firstlight.gateway.asgi import Answer, Call, HeaderList, dump_json, header_text, json_answer
from firstlight.gateway.core import Gateway
from firstlight.gateway.jobs import ids, kept
from firstlight.gateway.jobs.inside import runs_as_job
from firstlight.invoke.types import new_request_id
from firstlight.jobs.rendering import rendered
from firstlight.jobs.types import Job, Kind, Status, Webhook
from firstlight.runtime.errors import Conflict, FirstlightError, NotSupported

if TYPE_CHECKING:
    from firstlight.jobs.desk import Desk

AS = "firstlight.as"
"""Key of the scope: how the job is called that a request becomes; from ``/v1/jobs``, which asks inside the server."""
MARGIN_S = 0.5
"""Before a wall, a job's client is answered this much earlier."""
LONGEST_WAIT_S = 900
_SHAPING = (b"content-type", b"accept", b"x-amzn-sagemaker-target-model")


@dataclass(slots=True)
class Wanted:
    """What ``/v1/jobs`` wants a request to become.

    Attributes:
        job: the job, once it is kept.
        refusal: why it was not, where it was the desk that refused it.
    """

    id: str
    webhook: Webhook | None = None
    job: Job | None = None
    refusal: FirstlightError | None = None


class NotDone(FirstlightError):
    """A job that is over and has no answer."""

    code = "job-not-done"


def desk_of(gateway: Gateway) -> Desk:
    """What keeps the jobs.

    Raises:
        NotSupported: nothing does.
    """
    if gateway.jobs is None:
        raise NotSupported(
            "this server keeps no jobs: nothing was started",
            'leave "Prefer: respond-async" out, or start it with a data folder it can write to',
        )
    return gateway.jobs


async def take(gateway: Gateway, call: Call, endpoint: str, body: bytes, most: float | None = None) -> Answer:
    """Keep a request as a job, and answer as its client prefers: at once, or when it has waited.

    Args:
        endpoint: whose queue it waits in.
        body: of the request.
        most: seconds after which it has to be answered in any case.

    Raises:
        Conflict: another request has the same ``Idempotency-Key``, or the job was canceled.
        NotSupported: nothing keeps jobs.
    """
    desk = desk_of(gateway)
    wanted: Wanted | None = call.scope.get(AS)
    try:
        job, _ = await desk.submit(_job(call, endpoint, body, wanted))
    except FirstlightError as error:
        if wanted is not None:
            wanted.refusal = error
        raise
    if wanted is not None:
        wanted.job = job
        return accepted(job)
    seconds = min(patience.of(call).seconds or 0, LONGEST_WAIT_S if most is None else most)
    if seconds:
        job = await call.while_present(desk.wait(job.id, seconds))
        if job.status.final:
            return answer_of(job, [(b"preference-applied", b"wait=%d" % seconds)])
    return accepted(job)


async def before_wall(
    gateway: Gateway,
    call: Call,
    endpoint: str,
    body: bytes,
    handle: Callable[[Call], Awaitable[Answer]],
    seconds: float,
) -> Answer:
    """An answer within the seconds that a front has: the answer itself, or a job for a client that takes one.

    A client that takes a job (``Prefer: respond-async``, with ``wait=N`` or without) is never told that the time is
    over: its request is kept before it is begun, and just before the wall it gets 202 with what there is.
    The request of a job has no wall.

    Args:
        endpoint: whose queue a job waits in.
        body: of the request; it was read.
        handle: answers the request.
        seconds: the wall.

    Raises:
        TimeoutError: the wall came first, and the client takes no job. What the function does goes on, as on AWS.
    """
    if runs_as_job(call):
        return await handle(call)
    if gateway.jobs is not None and patience.takes_job(call):
        return await take(gateway, call, endpoint, body, max(0.0, seconds - MARGIN_S))
    answering = asyncio.ensure_future(handle(call))
    try:
        await asyncio.wait((answering,), timeout=seconds)
    except asyncio.CancelledError:
        answering.cancel()
        raise
    if answering.done():
        return answering.result()
    answering.add_done_callback(_forget)
    raise TimeoutError


def accepted(job: Job) -> Answer:
    """202: where the job is, and what there is of its answer."""
    known = rendered(job)
    told: dict[str, Any] = {"id": job.id, "status": job.status.value, "urls": known["urls"]}
    if job.partial:
        told["partial"] = job.partial
    headers = [*place(job), (b"preference-applied", b"respond-async")]
    if not job.status.final:
        headers.append((b"retry-after", b"1"))
    return json_answer(told, 202, headers)


def answer_of(job: Job, more: HeaderList | None = None) -> Answer:
    """What came of a job, as the request itself would have been answered.

    Raises:
        Conflict: it was canceled.
        NotDone: it failed, and there is no answer that says how.
    """
    result = job.result
    if job.status is Status.CANCELED:
        raise Conflict(f"job {job.id} was canceled", "ask again, as another job")
    if result is None:
        raise NotDone(f"job {job.id} failed: {job.error or 'it was not begun'}")
    headers = [
        (b"content-type", header_text(result.content_type)),
        (b"content-location", b"/v1/jobs/%s/result" % quote(job.id, safe="").encode()),
        *((name.encode("latin-1"), value.encode("latin-1")) for name, value in result.headers),
    ]
    if result.function_error:
        headers.append((b"x-amz-function-error", header_text(result.function_error)))
    if job.kind is Kind.EVENT:
        headers.append((b"x-amz-executed-version", header_text(result.executed_version)))
    body = result.body
    if not body and job.error:  # nothing answered, but a front of the server refused it
        headers[0] = (b"content-type", b"application/json")
        body = dump_json({"error": job.error})
    return Answer(result.status, body, [*headers, *(more or [])])


def place(job: Job) -> HeaderList:
    """The header that says where a job is."""
    return [(b"location", b"/v1/jobs/" + quote(job.id, safe="").encode())]


def _job(call: Call, endpoint: str, body: bytes, wanted: Wanted | None) -> Job:
    request = kept.request_of(call)
    webhook = wanted.webhook if wanted is not None else kept.webhook_of(call)
    if wanted is not None:
        name = wanted.id
    else:
        key = call.header(b"idempotency-key")
        name = ids.of_key(key) if key else new_request_id()
    now = time()
    return Job(
        id=name,
        kind=Kind.REQUEST,
        endpoint=endpoint,
        payload=body,
        created=now,
        due=now,
        request=request,
        trace_id=call.header(b"x-amzn-trace-id")[:2048] or None,
        fingerprint=ids.fingerprint(request, body, webhook, _SHAPING),
        webhook=webhook,
    )


def _forget(answering: asyncio.Future[Answer]) -> None:
    """An answer that came after the wall is nobody's; neither is its error."""
    if not answering.cancelled():
        answering.exception()
