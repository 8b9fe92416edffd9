"""Whose jobs these are, and when that is known to be over."""

from __future__ import annotations

import subprocess
import sys

from firstlight.jobs import owners


def test_a_process_that_has_ended_is_gone() -> None:
    code = "from firstlight.jobs import owners; print(owners.this_process()); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        name = other.stdout.readline().strip()
        assert owners.gone([name]) == []
        other.kill()
        other.wait()
        assert owners.gone([name]) == [name]


def test_a_process_id_that_was_used_again_is_another_process() -> None:
    mine = owners.this_process()
    machine, _pid, _, nonce = mine.split("/")
    assert owners.gone([mine]) == []
    parent = f"{machine}/1/-/{nonce}"
    assert owners.gone([parent]) == [parent]


def test_of_other_machines_and_other_words_nothing_is_known() -> None:
    assert owners.gone(["elsewhere/1/1/aa", "", "x", f"{owners.this_process().split('/')[0]}/no/1/a"]) == []
