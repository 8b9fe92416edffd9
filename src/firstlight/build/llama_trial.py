"""Tries a GGUF file in a process of its own, before an endpoint is made of it.

What is known to end a process is refused by looking at the file (``engines.llama.checks``). What is not known to is
found here: where libllama aborts, that is an error like any other, and no worker dies of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from firstlight.runtime.errors import EngineError

_WAIT_S = 600.0
_PROGRAM = """
import json, os, sys
path, sys.path[:] = sys.argv[1], json.loads(sys.argv[2])
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER
from firstlight.runtime.engines.llama.engine import LlamaEngine
from firstlight.runtime.errors import FirstlightError
from firstlight.runtime.generation.wishes import Sampling
folder, name = os.path.split(path)
files = {name: {"size": 0, "sha256": "0" * 64}}
try:
    settings = {"name": name, "task": "", "engine": "llama", "files": files, "model": {"file": name}}
    engine = LlamaEngine(Bundle(folder, settings))
    read = engine.encode("Once upon a time") or [0]
    written = [token.id for token in engine.generate(read, Sampling(max_tokens=2), NEVER)]
    print(json.dumps({"context": engine.context, "template": bool(engine.template), "written": written}))
except FirstlightError as error:
    print(json.dumps({"message": error.message, "hint": error.hint}))
"""


def tried(path: str | Path) -> dict[str, Any]:
    """Load a file and write two tokens.

    Returns:
        ``context`` (tokens that prompt and answer may have together), ``template`` (whether there is a chat template),
        ``written`` (the tokens).

    Raises:
        EngineError: the engine refuses the file, or the process ended over it.
    """
    command = [sys.executable, "-I", "-c", _PROGRAM, str(Path(path).absolute()), json.dumps(sys.path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_WAIT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"{path}: libllama did not get through two tokens in {_WAIT_S:.0f} s") from error
    if done.returncode:
        said = (done.stderr.strip() or "it does not say why").splitlines()[-1]
        raise EngineError(f"{path}: libllama ended the process (status {done.returncode}): {said}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if "message" in answer:
        raise EngineError(answer["message"], answer["hint"])
    return answer
