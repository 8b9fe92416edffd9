"""Checks of the libraries that run weights: whether they load, each in a process that may crash."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from firstlight.doctor.types import PROBLEM, WARNING, Finding, Subject, fine
from firstlight.invoke.limits import import_path

_LOADS = {
    "onnxruntime": (
        "from firstlight.runtime.engines import library; from importlib.metadata import version;"
        "library.loaded(); print(version('onnxruntime'))"
    ),
    "tokenizers": "import tokenizers; print(tokenizers.__version__)",
    "ctranslate2": (
        "from firstlight.runtime.engines import ctranslate2_library as library;"
        "from importlib.metadata import version; library.load(); print(version('ctranslate2'))"
    ),
    "llama": (
        "from firstlight.runtime.engines.llama import facts; found = facts.installed();"
        "print(found['version'], found['variant'] or 'one kind of kernels', 'from', found['origin'])"
    ),
}
_FOR = {
    "onnxruntime": "encoders and most tasks",
    "tokenizers": "models without a wordpiece vocabulary",
    "ctranslate2": "translation and summarization",
    "llama": "language models",
}
_PATIENCE_S = 60


def libraries(subject: Subject) -> Iterator[Finding]:  # noqa: ARG001
    """Every library that runs weights, loaded as a worker loads it."""
    running = {name: _started(code) for name, code in _LOADS.items()}
    for name, process in running.items():
        try:
            out, err = process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        if process.returncode == 0:
            yield fine(f"{name} {out.strip()}")
            continue
        said = (err.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        level = PROBLEM if name == "onnxruntime" else WARNING
        package = "xllamacpp" if name == "llama" else name
        what = f"{name} does not load: {said[:200]}"
        yield Finding(
            level, what, why=f"{_FOR[name]} need it", fix=f"pip install --force-reinstall {package}"
        )


def _started(code: str) -> subprocess.Popen[str]:
    start = f"import sys; sys.path[:0] = {json.dumps(import_path().split(':'))}; {code}"
    command = (sys.executable, "-I", "-c", start)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
