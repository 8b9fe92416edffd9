"""What a project is once it has been read: frozen values that nothing later changes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_MEMORY = 1769
"""MB; the size at which Lambda gives a function one whole vCPU."""
DEFAULT_TIMEOUT = 30.0
"""Seconds; just above the 29 s after which an API Gateway stops waiting."""


def default_concurrency() -> int:
    """Workers an endpoint may have at once on this machine: one a CPU, at most four."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), 4)
    return min(os.cpu_count() or 1, 4)


@dataclass(frozen=True, slots=True)
class Asynchronous:
    """What becomes of Event invocations (Lambda developer guide, "Handling errors for an asynchronous invocation").

    A destination is ``endpoint:name``, an ``http://`` or ``https://`` URL, or ``file:path`` (one JSON object a line).

    Attributes:
        retries: how often an invocation the function failed at is tried again, 0 to 2.
        max_age: seconds after which one that is still not done is given up, 60 to 21600.
        backoff: seconds before the first retry; twice as many before the second.
        on_success: destination of the record of one that succeeded.
        on_failure: destination of the record of one that did not.
        dead_letter: destination of the event itself of one that did not.
    """

    retries: int = 2
    max_age: float = 21600.0
    backoff: float = 60.0
    on_success: str | None = None
    on_failure: str | None = None
    dead_letter: str | None = None


@dataclass(frozen=True, slots=True)
class Front:
    """How HTTP reaches an endpoint: which of AWS's fronts its route is, and who may use it.

    Attributes:
        kind: ``rest`` (API Gateway REST API), ``http`` (HTTP API) or ``url`` (Function URL).
        auth: ``none``, ``iam`` (SigV4 by a key of this project's) or ``key`` (an API key).
        stream: answers travel as they are made (RESPONSE_STREAM of a Function URL, STREAM of a REST API).
    """

    kind: str = "rest"
    auth: str = "none"
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Deployment:
    """How a project is on AWS.

    Attributes:
        region: None takes the one that the AWS configuration of the user names.
        architecture: ``arm64`` or ``x86_64``.
        package: ``image``, ``zip``, or ``auto``: the zip where code and model fit.
        base: the image that images are built on, ``host/name:tag`` or ``@sha256:...``; a folder or a tar file of a
            root file system; empty takes AWS's own for Python.
        registry: ``host/name`` images are pushed to instead of a repository of the account's ECR.
        log_days: after which CloudWatch forgets.
        api: an API in front of the router: ``none``, ``rest`` (streams, up to 15 minutes) or ``http``.
        public: fronts whose ``auth`` is ``none`` are open to everybody; without it they ask for IAM.
        share: a CloudFront distribution for signed links; ``share_key`` is the file of its public key (PEM).
        jobs: a queue and a table for answers that are fetched later.
        cache: ``none``, ``efs`` or ``s3files``: a file system at /mnt/cache of every function.
        ping: every function is invoked once a week, as Lambda puts idle images away after two.
        budget: USD a month that are told of, forecasts too; None for no budget.
        kill_switch: functions are turned off when the budget is used up.
        email: who is told by alarms and the budget.
        alarms: alarms and a dashboard.
    """

    region: str | None = None
    architecture: str = "arm64"
    package: str = "auto"
    base: str = ""
    registry: str = ""
    log_days: int = 14
    api: str = "none"
    public: bool = False
    share: bool = False
    share_key: str = ""
    jobs: bool = True
    cache: str = "none"
    ping: bool = True
    budget: float | None = None
    kill_switch: bool = False
    email: str = ""
    alarms: bool = True


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing a project serves: a function on AWS, a pool of workers here.

    Exactly one of ``model`` and ``script`` is set.

    Attributes:
        name: 1 to 64 of ``A-Z a-z 0-9 - _``, as Lambda asks of function names.
        model: what ``build.resolve`` takes: ``starter:qa``, ``hf:owner/name@revision``, a folder, a bundle.
        script: absolute path of a Python file with a handler.
        task: Hugging Face pipeline tag; None when the model says it.
        quantize: precision asked for; None leaves the choice to the conversion.
        memory: MB, 128 to 10240.
        timeout: seconds an invocation may take, 0.1 to 900.
        concurrency: workers at once; invocations beyond that wait. 0 turns the endpoint off.
        route: an extra HTTP path, such as ``/qa``.
        env: environment variables of the workers; may hold secrets, so it is left out of the repr.
        allow_pickle: weights in pickle format may be read when the model is converted.
        trust_remote_code: code of the model's repository may be run when it is converted.
        provisioned: workers kept ready, whether or not there is work; at most ``concurrency``.
        snap_start: workers of published versions start from a snapshot of one that is initialised.
        asynchronous: what becomes of Event invocations.
        front: which of AWS's HTTP fronts its route is.
        package: ``image``, ``zip`` or ``auto`` for this endpoint; None takes the project's.
        reserved: workers the project asks for by ``concurrency``; None where it says nothing, and AWS may have as many
            as its account allows.
    """

    name: str
    model: str | None = None
    script: Path | None = None
    task: str | None = None
    quantize: str | None = None
    memory: int = DEFAULT_MEMORY
    timeout: float = DEFAULT_TIMEOUT
    concurrency: int = field(default_factory=default_concurrency)
    route: str | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    allow_pickle: bool = False
    trust_remote_code: bool = False
    provisioned: int = 0
    snap_start: bool = False
    asynchronous: Asynchronous = Asynchronous()
    front: Front = Front()
    package: str | None = None
    reserved: int | None = None


@dataclass(frozen=True, slots=True)
class RecordPolicy:
    """What is kept of an invocation, and for how long.

    Attributes:
        store: text of inputs and outputs: ``none``, ``hash`` (SHA-256), ``redacted`` or ``full``.
        max_age_days: records older than this are deleted.
        max_mb: the oldest records are deleted beyond this size.
    """

    store: str = "none"
    max_age_days: float = 30.0
    max_mb: float = 256.0


@dataclass(frozen=True, slots=True)
class Project:
    """A project file and what was found beside it.

    Attributes:
        root: folder of the project; None when no folder is (the starters are served then).
        file: the project file that was read; None when there is none.
        variables: what ``.env`` says, for every worker; secrets, so it is left out of the repr and of what is built.
        deployment: how it is on AWS.
        stage: the stage whose tables were laid over the file.
        data_dir: where records and other state of a running server go.
    """

    name: str
    root: Path | None
    stage: str | None
    endpoints: Mapping[str, Endpoint]
    records: RecordPolicy
    data_dir: Path
    file: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    deployment: Deployment = Deployment()
