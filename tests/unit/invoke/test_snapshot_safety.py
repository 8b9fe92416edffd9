"""In programs of their own: what is looked at is the whole process."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = "from firstlight.invoke import snapshot_safety as safety\nimport os, sys\n"


def said(code: str) -> str:
    done = subprocess.run(
        (sys.executable, "-c", BEGIN + code),
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("code", [
    "",
    "kept = open(os.devnull)",
    "kept = open('/dev/urandom', 'rb')",
    "kept = os.open('/', os.O_RDONLY)",
    "kept = open(sys.executable, 'rb')",
    "import mmap; kept = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)",
    "import threading; t = threading.Thread(target=print); t.start(); t.join()",
    "import subprocess; subprocess.run(['true'])",
    "kept = os.pipe(); ours = kept",
])  # fmt: skip
def test_what_is_safe(code):
    assert said(f"ours = ()\n{code}\nprint(safety.reason(ours))") == ""


def test_every_copy_has_its_own_place_in_a_file_and_its_own_numbers(tmp_path):
    file = tmp_path / "words"
    file.write_text("onetwothree")
    code = f"""
import numpy, random
words = open({str(file)!r}, "rb", buffering=0)
words.read(3)
random.seed(1); numpy.random.seed(1)
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        safety.reopen(); safety.differ()
        inherited = os.get_inheritable(words.fileno())
        print(words.read(3).decode(), inherited, random.random(), numpy.random.rand(), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
"""
    one, two = (line.split() for line in said(code).splitlines())
    assert one[:2] == two[:2] == ["two", "False"]
    assert one[2] != two[2]
    assert one[3] != two[3]
