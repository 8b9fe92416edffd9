"""Wheels are unpacked without being believed."""

import stat
import zipfile
from pathlib import Path

import pytest

from firstlight.build.pack import unpacking
from firstlight.runtime.errors import ProjectError
from small_wheels import wheel


def _paths(place: Path, only: tuple[str, ...] | None = None) -> list[str]:
    return [file.path for file in unpacking.files(place, only)]


def _bad(folder: Path, name: str, content: bytes = b"x", mode: int = 0) -> Path:
    place = folder / "bad-1.0-py3-none-any.whl"
    with zipfile.ZipFile(place, "w") as archive:
        entry = zipfile.ZipInfo("placeholder")
        entry.filename = name
        entry.external_attr = mode << 16
        archive.writestr(entry, content)
    return place


def test_packages_lie_as_in_a_folder_of_packages(tmp_path: Path) -> None:
    content = {
        "mine/__init__.py": "A = 1\n",
        "mine/__pycache__/__init__.cpython-313.pyc": b"compiled",
        "mine/weights.pth": b"weights",
        "mine-nspkg.pth": "import os",
        "sitecustomize.py": "import os",
        "mine-1.0.data/purelib/more/a.py": "B = 2\n",
        "mine-1.0.data/platlib/native.so": b"so",
        "mine-1.0.data/data/share/words.txt": "words",
        "mine-1.0.data/scripts/mine": "#!python",
        "mine-1.0.data/headers/mine.h": "int",
    }
    found = _paths(wheel(tmp_path, "mine", files=content))
    assert found == [
        "mine-1.0.dist-info/METADATA",
        "mine-1.0.dist-info/WHEEL",
        "mine/__init__.py",
        "mine/weights.pth",
        "more/a.py",
        "native.so",
        "share/words.txt",
    ]


def test_only_what_is_asked_for_is_unpacked(tmp_path: Path) -> None:
    place = wheel(tmp_path, "mine", files={"mine/a.so": b"1", "mine/b.py": "x", "mine/deep/c.so": b"2"})
    assert _paths(place, ("mine/*.so",)) == ["mine/a.so", "mine/deep/c.so"]
    assert not (tmp_path / "files" / "mine" / "b.py").exists()


def test_what_may_be_executed_stays_so_and_what_was_changed_is_unpacked_anew(tmp_path: Path) -> None:
    place = tmp_path / "mine-1.0-py3-none-any.whl"
    with zipfile.ZipFile(place, "w") as archive:
        program = zipfile.ZipInfo("mine/run")
        program.external_attr = (stat.S_IFREG | 0o775) << 16
        archive.writestr(program, b"#!/bin/sh\n")
        archive.writestr("mine/data", b"data")
    data, program_file = unpacking.files(place)
    assert (data.executable, program_file.executable) == (False, True)
    assert isinstance(data.source, Path)
    data.source.write_bytes(b"date")
    again = unpacking.files(place)[0]
    assert isinstance(again.source, Path)
    assert again.source.read_bytes() == b"data"


@pytest.mark.parametrize(
    "name",
    [
        "../evil.py",
        "/etc/passwd",
        "a/../../evil.py",
        "a//b",
        "./a",
        "C:/a",
        "a\\..\\evil.py",
        "a\nb",
        "a\x00b.py",
        "",
    ],
)
def test_paths_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProjectError, match=r"holds the path|cannot be unpacked"):
        _paths(_bad(tmp_path, name))
    assert [file.name for file in tmp_path.iterdir()] == ["bad-1.0-py3-none-any.whl"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    with pytest.raises(ProjectError, match="a link or a device"):
        _paths(_bad(tmp_path, "mine/link", b"/etc/passwd", kind | 0o777))


def test_the_same_path_twice_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "bad-1.0-py3-none-any.whl"
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("mine.py", "1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("mine.py", "2")
    with pytest.raises(ProjectError, match="twice"):
        _paths(place)


def test_an_archive_that_unpacks_to_far_more_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "_SMALL", 1 << 20)
    place = tmp_path / "bad-1.0-py3-none-any.whl"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("zeros", bytes(4 << 20))
    with pytest.raises(ProjectError, match="unpacks from"):
        _paths(place)


def test_a_size_that_is_a_lie_is_found_out(tmp_path: Path) -> None:
    place = _bad(tmp_path, "mine/data", b"0123456789" * 10)
    raw = place.read_bytes().replace((100).to_bytes(4, "little"), (7).to_bytes(4, "little"))
    place.write_bytes(raw)
    with pytest.raises(ProjectError, match=r"cannot be unpacked"):
        _paths(place)
    assert not list(tmp_path.glob("files/**/data"))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "bad-1.0-py3-none-any.whl"
    place.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(ProjectError, match="cannot be unpacked"):
        _paths(place)


def test_metadata(tmp_path: Path) -> None:
    told = [
        "License: MIT",
        "Classifier: Programming Language :: Python",
        "Classifier: License :: OSI Approved :: X",
    ]
    found = unpacking.metadata(wheel(tmp_path, "mine", metadata=told))
    assert (found["name"], found["license"]) == ("mine", "MIT")
    assert found["classifier"] == "License :: OSI Approved :: X"
    assert unpacking.metadata(_bad(tmp_path, "mine.py")) == {}
