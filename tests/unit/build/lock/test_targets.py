"""What the lock file says of targets: read strictly, moved on, compared."""

from pathlib import Path

import pytest

from firstlight.build import lock as locks
from firstlight.build.lock import Lock, targeting
from firstlight.build.pack.types import Wheel
from firstlight.runtime.errors import ProjectError
from small_wheels import kept

KEY = "arm64-python3.13"
WHEEL = Wheel("idna", "3.20", "idna-3.20-py3-none-any.whl", "a" * 64, ("h11",))
GOOD = f"""version = 1

[targets."{KEY}"]
base = "example.org/python:3.13@sha256:{"b" * 64}"

[targets."{KEY}".wheels.server]
asked = "{"c" * 64}"
wheels = [
  {{ name = "idna", version = "3.20", file = "idna-3.20-py3-none-any.whl", sha256 = "{"a" * 64}", requires = ["h11"] }},
]
"""


def test_a_target_is_read_as_it_is_written() -> None:
    lock = locks.parse(GOOD)
    assert lock.target(KEY).wheels["server"].wheels == (WHEEL,)
    assert locks.text(lock).partition("\n")[2] == GOOD


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (f'targets."{KEY}"', 'targets."sparc-python3.13"', "no target such as"),
        ("example.org/python:3.13@sha256", "example.org/python:3.13@md5", "an image with its digest"),
        ("wheels.server]", 'wheels."../server"]', "path inside the project"),
        ("c" * 64, "c" * 63, "64 hexadecimal digits"),
        ('name = "idna"', 'name = "Idna"', "name of a package"),
        ('"idna-3.20-py3-none-any.whl"', '"../idna-3.20-py3-none-any.whl"', "name of a wheel"),
        ('"idna-3.20-py3-none-any.whl"', '"idna-3.20.tar.gz"', "name of a wheel"),
        ('version = "3.20"', 'version = "3.20 "', "a version"),
        ('version = "3.20", ', "", "is missing"),
        ('["h11"]', '["H 11"]', "name of a package"),
        ('["h11"]', '"h11"', "must be a list"),
        ("requires", "url", "is not a setting|not known|no such"),
    ],
)
def test_what_is_not_as_it_is_written_is_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(ProjectError) as raised:
        locks.parse(GOOD.replace(old, new))
    assert "targets" in raised.value.message
    import re

    assert re.search(said, f"{raised.value.message} {raised.value.hint}") or said.startswith(
        "is not a setting"
    )


def test_a_lock_with_other_wheels_keeps_the_rest() -> None:
    lock = locks.parse(GOOD).with_wheels(KEY, "engines", "d" * 64, [WHEEL])
    assert set(lock.target(KEY).wheels) == {"engines", "server"}
    assert lock.target(KEY).base
    without = lock.without_wheels(KEY, "engines").without_wheels(KEY, "server")
    assert without.target(KEY).wheels == {}
    assert without.with_base(KEY, "") == Lock()


def test_versions_that_moved_are_named() -> None:
    old = locks.parse(GOOD)
    newer = Wheel("idna", "3.21", "idna-3.21-py3-none-any.whl", "e" * 64)
    more = Wheel("h11", "0.16", "h11-0.16-py3-none-any.whl", "f" * 64)
    new = old.with_wheels(KEY, "server", "c" * 64, [newer, more])
    assert targeting.differences(old, new) == [f"{KEY}: h11 none -> 0.16", f"{KEY}: idna 3.20 -> 3.21"]
    assert targeting.differences(old, old) == []
    assert "looked up" in targeting.differences(old, old.with_base(KEY, ""))[0]


def test_wheels_of_the_cache_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    mine = kept("mine", {"mine.py": ""})
    lock = Lock().with_wheels(KEY, "server", "c" * 64, [mine, WHEEL])
    found = targeting.check(lock, KEY)
    assert (found.compared, found.problems) == (1, ())
    assert found.skipped == "1 of 2 wheels are not on this machine"
    place = tmp_path / "firstlight" / "wheels" / mine.sha256 / mine.file
    place.write_bytes(b"other")
    assert targeting.check(lock, KEY).problems == (f"{place} is not what its name says",)
    other = Wheel("native", "1", "native-1-cp311-cp311-manylinux_2_28_x86_64.whl", "9" * 64)
    lock = Lock().with_wheels(KEY, "server", "c" * 64, [other])
    assert targeting.check(lock, KEY).problems == (f"{other.file} does not run on {KEY}",)
