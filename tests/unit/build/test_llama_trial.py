"""A file is tried in a process of its own."""

import os

import pytest
from gguf_files import tiny

from firstlight.build import llama_trial
from firstlight.runtime.errors import EngineError


def test_a_model(tmp_path):
    (tmp_path / "model.gguf").write_bytes(tiny())
    found = llama_trial.tried(tmp_path / "model.gguf")
    assert (found["context"], found["template"], len(found["written"])) == (1024, True, 2)


def test_a_file_that_is_refused(tmp_path):
    (tmp_path / "model.gguf").write_bytes(tiny()[:-100])
    with pytest.raises(EngineError, match="cut short") as raised:
        llama_trial.tried(tmp_path / "model.gguf")
    assert raised.value.hint


def test_a_file_over_which_the_process_ends(tmp_path, monkeypatch):
    (tmp_path / "model.gguf").write_bytes(tiny())
    abort = "print('GGML_ASSERT(no)', file=sys.stderr, flush=True); os.abort()"
    ends = llama_trial._PROGRAM.replace("engine = ", f"{abort}\n    engine = ")
    monkeypatch.setattr(llama_trial, "_PROGRAM", ends)
    with pytest.raises(EngineError, match=r"ended the process \(status -6\): GGML_ASSERT\(no\)"):
        llama_trial.tried(os.path.relpath(tmp_path / "model.gguf"))


def test_a_file_with_which_it_never_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(llama_trial, "_PROGRAM", "import time; time.sleep(60)")
    monkeypatch.setattr(llama_trial, "_WAIT_S", 0.01)
    with pytest.raises(EngineError, match="did not get through"):
        llama_trial.tried(tmp_path / "model.gguf")
