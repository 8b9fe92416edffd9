"""What a worker on Lambda does when an answer has been posted: a line of metrics, and a record of the invocation.

``FIRSTLIGHT_METRICS`` names the CloudWatch namespace of the one. ``FIRSTLIGHT_RECORDS_STORE`` says what the other
keeps, ``FIRSTLIGHT_RECORDS_TABLE`` in which DynamoDB table (alone it has nothing written: the router reads it). Both
happen between the answer, which its caller has by then, and the request for the next invocation, at which Lambda may
freeze the worker. Nothing that goes wrong here fails an invocation: the log says it.

Source of the line: "Specification: embedded metric format", CloudWatch user guide.
"""

from __future__ import annotations

from time import perf_counter_ns, time

from firstlight.runtime import jsons, logs, notes
from firstlight.runtime.runtime_client import ERROR_BODY, ERROR_TYPE, RuntimeClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from firstlight.runtime.records.dynamodb import DynamoRecorder
    from firstlight.runtime.runtime_client import Invocation

TABLE, STORE, METRICS = "FIRSTLIGHT_RECORDS_TABLE", "FIRSTLIGHT_RECORDS_STORE", "FIRSTLIGHT_METRICS"
_LARGEST = 300_000
"""Bytes of an event or an answer whose text is looked at; reading more would take longer than it is worth."""
_LONGEST_S, _SHORTEST_S = 1.0, 0.02
_MARGIN_S = 0.1
_CALLS = 4
"""Waits that writing a record may come to: two items, each over a new connection."""
_PAUSE_S = 30.0
"""After a failure nothing is tried for this long: the wait would be billed each time."""
_FIGURES = (
    ("InitTime", "Milliseconds", "init"),
    ("EngineTime", "Milliseconds", "engine"),
    ("FirstTokenTime", "Milliseconds", "first_token"),
    ("PromptTokens", "Count", "prompt_tokens"),
    ("GeneratedTokens", "Count", "generated_tokens"),
)
"""Name of a metric, its unit, and the note it is made of."""


class Seen:
    """One invocation, as it went by.

    Attributes:
        ended_ns: when its answer was there; 0 while it is not.
        error_type: of an answer that is an error.
        pieces: the answer, as far as it is kept.
    """

    def __init__(self, invocation: Invocation) -> None:
        self.invocation = invocation
        self.began = time()
        self.began_ns = perf_counter_ns()
        self.ended_ns = 0
        self.error_type: str | None = None
        self.pieces: list[bytes] = []
        self.size = 0

    def take(self, piece: bytes, keeps: bool) -> None:
        """A piece of the answer."""
        self.size += len(piece)
        if keeps and self.size <= _LARGEST:
            self.pieces.append(piece)

    def end(self, error_type: str | None = None) -> None:
        """The answer is complete."""
        self.ended_ns = perf_counter_ns()
        self.error_type = error_type

    @property
    def status(self) -> str:
        """What became of it, in the words of records: one whose reader left has no end."""
        if not self.ended_ns:
            return "cancelled"
        return "error" if self.error_type else "ok"


class ReportingClient(RuntimeClient):
    """A client of the Runtime API that tells of each invocation once it was answered.

    Args:
        env: see the module.
    """

    def __init__(self, address: str, env: Mapping[str, str]) -> None:
        super().__init__(address)
        self._env = env
        self._endpoint = env.get("FIRSTLIGHT_ENDPOINT") or env.get("AWS_LAMBDA_FUNCTION_NAME", "")
        self._table = env.get(TABLE, "") if STORE in env else ""
        self._store = env.get(STORE, "none") if self._table else "none"
        self._seen: Seen | None = None
        self._first_notes = ""
        self._prepared = env.get("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand") != "on-demand"
        self._cold = env.get("AWS_LAMBDA_INITIALIZATION_TYPE") != "provisioned-concurrency"
        self._recorder: DynamoRecorder | None = None
        self._model: str | None = None
        self._not_before = 0.0

    def ask(self, notes: str = "") -> None:
        """As ``RuntimeClient``, when what there is to tell has been told."""
        if self._seen is not None:
            self._tell(self._seen)
            self._seen, self._cold = None, False
        elif notes:
            self._first_notes = notes
        super().ask(notes)

    def next(self) -> Invocation:
        """As ``RuntimeClient``."""
        invocation = super().next()
        self._seen = Seen(invocation)
        return invocation

    def respond_and_ask(self, invocation: Invocation, body: bytes, content_type: str, notes: str) -> bool:  # noqa: ARG002
        """Never: between the two is what this class is for."""
        return False

    def respond(self, invocation: Invocation, body: bytes, content_type: str, notes: str = "") -> int:
        """As ``RuntimeClient``."""
        if self._seen is not None:
            self._seen.take(body, self._store != "none")
            self._seen.end()
        return super().respond(invocation, body, content_type, notes)

    def fail(
        self, invocation: Invocation, error: dict[str, Any], kind: str, notes: str = "", cause: str = ""
    ) -> int:
        """As ``RuntimeClient``."""
        if self._seen is not None:
            self._seen.pieces.clear()
            self._seen.size = 0
            self._seen.take(jsons.dumps(error).encode(), self._store != "none")
            self._seen.end(str(error.get("errorType") or kind))
        return super().fail(invocation, error, kind, notes, cause)

    def send_chunk(self, chunk: bytes) -> None:
        """As ``RuntimeClient``."""
        super().send_chunk(chunk)
        if self._seen is not None:
            self._seen.take(chunk, self._store != "none")

    def end_stream(self, trailers: dict[str, str]) -> int:
        """As ``RuntimeClient``."""
        status = super().end_stream(trailers)
        if self._seen is not None:
            self._seen.end(_broken_by(trailers))
        return status

    def _tell(self, seen: Seen) -> None:
        try:
            if namespace := self._env.get(METRICS):
                logs.write(metrics(namespace, self._endpoint, seen, self._cold, self._init_ms()))
            if self._table:
                self._keep(seen)
        except Exception as error:  # the answer is out: nobody is served by a worker that ends of this
            self._say(f"{type(error).__name__}: {error}")

    def _keep(self, seen: Seen) -> None:
        now = time()
        within_s = _LONGEST_S
        if seen.invocation.deadline_ms:
            left = seen.invocation.deadline_ms / 1000 - now - _MARGIN_S
            within_s = min(within_s, left / _CALLS)
        if within_s < _SHORTEST_S or now < self._not_before:
            return
        try:
            self._recorder = self._recorder or self._opened()
            self._recorder.put(self._record(seen), within_s)
        except Exception as error:
            self._not_before = now + _PAUSE_S
            self._say(getattr(error, "message", "") or f"{type(error).__name__}: {error}")

    def _opened(self) -> DynamoRecorder:
        from firstlight.runtime.aws.calling import Api
        from firstlight.runtime.records.dynamodb import DynamoRecorder

        days = float(self._env.get("FIRSTLIGHT_RECORDS_DAYS") or 30.0)
        if bundle := self._env.get("FIRSTLIGHT_BUNDLE"):
            from firstlight.runtime.bundle import Bundle

            self._model = Bundle.open(bundle).digest
        return DynamoRecorder(self._table, Api("dynamodb", self._env), days)

    def _record(self, seen: Seen) -> dict[str, Any]:
        import resource

        from firstlight.runtime.records import texts

        warnings = list(notes.warnings)
        inputs = outputs = None
        if max(len(seen.invocation.payload), seen.size) <= _LARGEST:
            inputs = texts.kept(self._store, seen.invocation.payload)
            outputs = texts.kept(self._store, b"".join(seen.pieces))
        elif self._store != "none":
            warnings.append(f"texts are not kept: there are more than {_LARGEST} bytes")
        ended_ns = seen.ended_ns or perf_counter_ns()
        return {
            "request_id": seen.invocation.request_id,
            "time": seen.began,
            "endpoint": self._endpoint,
            "wire": "lambda",
            "status": seen.status,
            "error_type": seen.error_type,
            "duration_ms": round((ended_ns - seen.began_ns) / 1e6, 3),
            "init_ms": self._init_ms(),
            "cold": self._cold,
            "request_bytes": len(seen.invocation.payload),
            "response_bytes": seen.size,
            "max_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "model": self._model,
            "inputs": inputs,
            "outputs": outputs,
            "warnings": warnings,
        }

    def _init_ms(self) -> float | None:
        """What starting took, where the invocation was the first and waited for it."""
        if not self._cold or self._prepared or not self._first_notes:
            return None
        told: dict[str, dict[str, float]] = jsons.loads(self._first_notes)
        return round(sum(told.get("timings", {}).values()), 3)

    def _say(self, problem: str) -> None:
        said = f"this invocation was not recorded: {problem}"
        if logs.as_json:
            logs.write({"timestamp": logs.timestamp(), "level": "WARN", "message": said, **logs.tags()})
        else:
            logs.plain_stream().write(f"[WARNING] {said}\n")
        logs.flush()


def metrics(namespace: str, endpoint: str, seen: Seen, cold: bool, init_ms: float | None) -> dict[str, Any]:
    """One invocation's line, in the embedded metric format.

    Args:
        cold: it was the worker's first.
        init_ms: what starting took, where the invocation waited for it.
    """
    known: dict[str, float] = {**notes.timings, **notes.counts}
    if init_ms is not None:
        known["init"] = init_ms
    found = [(name, unit, round(known[key], 3)) for name, unit, key in _FIGURES if key in known]
    found.append(("ColdStarts", "Count", int(cold)))
    declared = [{"Name": name, "Unit": unit} for name, unit, _ in found]
    about = {"Namespace": namespace, "Dimensions": [["Endpoint"]], "Metrics": declared}
    return {
        "_aws": {"Timestamp": int(time() * 1000), "CloudWatchMetrics": [about]},
        "Endpoint": endpoint,
        "requestId": seen.invocation.request_id,
        "status": seen.status,
        **{name: value for name, _, value in found},
    }


def _broken_by(trailers: Mapping[str, str]) -> str | None:
    """The type of the error that a stream ended with."""
    if not trailers.get(ERROR_TYPE):
        return None
    from binascii import a2b_base64

    told = jsons.loads(a2b_base64(trailers.get(ERROR_BODY, "")))
    return str(told.get("errorType") or trailers[ERROR_TYPE])
