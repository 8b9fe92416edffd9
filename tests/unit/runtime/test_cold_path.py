"""What a worker imports before its first answer, in an interpreter of its own: weight that creeps in fails here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import firstlight
from firstlight import starters
from firstlight.runtime.engines import library

ROOT = Path(firstlight.__file__).parent
HEAVY = {
    "asyncio",
    "collections",
    "contextlib",
    "ctypes",
    "dataclasses",
    "email",
    "enum",
    "functools",
    "hashlib",
    "http",
    "importlib.metadata",
    "inspect",
    "json",
    "logging",
    "numpy",
    "onnxruntime",
    "pathlib",
    "re",
    "site",
    "socket",
    "ssl",
    "tempfile",
    "threading",
    "tokenizers",
    "typing",
    "urllib",
    "uuid",
}

ANSWER = """
import os, sys
sys.path += os.environ["FIRSTLIGHT_PATH"].split(os.pathsep)
from firstlight.runtime.engines import library
library.begin(os.environ["FIRSTLIGHT_BUNDLE"])
import firstlight.runtime.worker
from firstlight.runtime import entry, jsons
handler = entry.load(os.environ)
answer = handler(jsons.loads(sys.argv[1]), None)
print(jsons.dumps({"answer": answer, "modules": sorted(sys.modules)}))
"""


def answer(bundle, event, home):
    path = os.pathsep.join([str(ROOT.parent), str(Path(library.path()).parent.parent.parent)])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ANSWER, json.dumps(event)],
        env={"FIRSTLIGHT_PATH": path, "FIRSTLIGHT_BUNDLE": str(bundle), "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("sentiment", "what a lovely day"),
        ("lyrics", "the king sits in Dunfermline town"),
        ("qa", {"question": "Who sits?", "context": "The king sits in Dunfermline town."}),
        ("embeddings", "a king"),
    ],
)
def test_nothing_heavy_is_imported_before_the_first_answer(tmp_path, name, inputs):
    answer(starters.path(name), {"inputs": inputs}, tmp_path)  # hashes the files, once
    found = answer(starters.path(name), {"inputs": inputs}, tmp_path)
    assert found["answer"]
    modules = set(found["modules"])
    assert not {module for heavy in HEAVY for module in modules if (module + ".").startswith(heavy + ".")}
    assert len(modules) < 110
