from __future__ import annotations

import subprocess
import sys

import pytest

from firstlight import starters
from firstlight.build.types import Wish
from firstlight.cli import resolving
from firstlight.runtime.errors import ConversionError, ProjectError


def test_a_bundle_is_resolved_in_another_process(folder):
    assert resolving.make_apart(Wish("starter:qa"), folder).place == starters.path("qa")


@pytest.mark.parametrize(("model", "kind"), [("./gone", ProjectError), ("hf:owner", ProjectError)])
def test_its_errors_are_raised_here(folder, model, kind):
    with pytest.raises(kind, match=model.removeprefix("./")) as caught:
        resolving.make_apart(Wish(model), folder)
    assert caught.value.hint


def test_a_process_that_was_ended_is_explained(folder, monkeypatch):
    run = subprocess.run
    ended = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    monkeypatch.setattr(resolving.subprocess, "run", lambda command, **how: run(ended, **how))
    with pytest.raises(ConversionError, match="the conversion of big ended with exit code -9"):
        resolving.make_apart(Wish("big"), folder)
