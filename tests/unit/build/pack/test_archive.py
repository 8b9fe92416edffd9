"""The zip of a function, the choice between zip and image, and the bill of materials."""

import hashlib
import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from firstlight.build.pack import archive, bill, lane
from firstlight.build.pack.types import Base, Component, Contents, File, Piece, Target
from firstlight.project import Deployment, Endpoint
from firstlight.runtime.errors import ProjectError

MODEL = Endpoint("mood", model="starter:sentiment")


def _contents(folder: Path, size: int = 3) -> Contents:
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data.txt"
    data.write_bytes(b"abc")
    data.chmod(0o600)
    pieces = (
        Piece("wheels", (File(".firstlight/lib/a.so", b"so" * 500, 1000, executable=True),)),
        Piece("server", (File(".firstlight/server/b.py", b"server", 6),)),
        Piece("project", (File("data.txt", data, size),)),
    )
    parts = (
        Component("library", "numpy", "2.4.6", "BSD-3-Clause", "pkg:pypi/numpy@2.4.6", "a" * 64),
        Component("machine-learning-model", "mood", "", "Some words of my own", "", "b" * 64),
    )
    return Contents("mood", Target(), pieces, {"HOME": "/tmp"}, "m.handler", ("start.py",), parts)


def test_the_same_contents_make_the_same_bytes(tmp_path: Path) -> None:
    first = archive.write(_contents(tmp_path / "a"), tmp_path / "out")
    os.utime(tmp_path / "a" / "data.txt", (0, 0))
    before = os.umask(0o077)
    try:
        again = archive.write(_contents(tmp_path / "b"), tmp_path / "other")
    finally:
        os.umask(before)
    assert (first.sha256, first.size) == (again.sha256, again.size)
    assert hashlib.sha256(first.path.read_bytes()).hexdigest() == first.sha256
    assert first.unpacked == 1003 + len(bill.bill(_contents(tmp_path / "a"), None))
    assert [file.name for file in (tmp_path / "out").iterdir()] == [f"mood-{first.sha256[:12]}.zip"]


def test_entries_have_two_modes_one_date_and_no_server(tmp_path: Path) -> None:
    made = archive.write(_contents(tmp_path), tmp_path / "out")
    with zipfile.ZipFile(made.path) as opened:
        entries = {
            one.filename: (oct(one.external_attr >> 16), one.date_time[0]) for one in opened.infolist()
        }
        assert opened.testzip() is None
    assert entries == {
        ".firstlight/bill-of-materials.cdx.json": ("0o100644", 1980),
        ".firstlight/lib/a.so": ("0o100755", 1980),
        "data.txt": ("0o100644", 1980),
    }


def test_a_file_that_changes_meanwhile_is_noticed_and_nothing_left(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"data\.txt changed"):
        archive.write(_contents(tmp_path, size=4), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_folder_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ProjectError, match="cannot be written"):
        archive.write(_contents(tmp_path), tmp_path / "out")


def test_what_starts_our_loop_is_told_to_the_zip_alone(tmp_path: Path) -> None:
    contents = replace(_contents(tmp_path), environment={"HOME": "/tmp", "FIRSTLIGHT_SERVER_PATH": "/x"})
    assert archive.environment(contents) == {
        "AWS_LAMBDA_EXEC_WRAPPER": "/var/task/.firstlight/start",
        "HOME": "/tmp",
        "PYTHONPATH": "/var/task/.firstlight/src:/var/task/.firstlight/lib",
    }


def _sized(contents: Contents, size: int) -> Contents:
    return replace(contents, pieces=(Piece("bundle", (File("a", b"", size),)), *contents.pieces[1:2]))


@pytest.mark.parametrize(
    ("endpoint", "deployment", "size", "kind"),
    [
        (None, Deployment(), lane.ZIP_LIMIT, "zip"),
        (None, Deployment(), lane.ZIP_LIMIT + 1, "image"),
        ("image", Deployment(package="zip"), 1, "image"),
        (None, Deployment(package="image"), 1, "image"),
        ("auto", Deployment(package="image"), 1, "zip"),
        (None, Deployment(base="example.org/python:3.13"), 1, "image"),
        (None, Deployment(registry="example.org/mine"), 1, "image"),
        ("zip", Deployment(base="example.org/python:3.13"), 1, "zip"),
    ],
)
def test_the_lane_is_chosen_by_size_and_settings(
    tmp_path: Path, endpoint: str | None, deployment: Deployment, size: int, kind: str
) -> None:
    found = lane.choose(_sized(_contents(tmp_path), size), replace(MODEL, package=endpoint), deployment)
    assert found.kind == kind
    assert "MB unpacked" in found.reason


def test_a_zip_that_does_not_fit_is_refused_with_its_largest_parts(tmp_path: Path) -> None:
    contents = _sized(_contents(tmp_path), 400_000_000)
    with pytest.raises(ProjectError, match=r"400 MB unpacked \(bundle 400 MB\)"):
        lane.choose(contents, replace(MODEL, package="zip"), Deployment())
    with pytest.raises(ProjectError, match="at most 262 MB"):
        archive.write(contents, tmp_path / "out")


def test_a_python_that_lambda_has_no_runtime_for_goes_into_an_image(tmp_path: Path) -> None:
    contents = replace(_contents(tmp_path), target=Target(python="3.10"))
    assert lane.choose(contents, MODEL, Deployment()).kind == "image"
    with pytest.raises(ProjectError, match=r"no runtime for zips with Python 3\.10"):
        lane.choose(contents, replace(MODEL, package="zip"), Deployment())


def test_the_bill_names_everything_and_is_always_the_same(tmp_path: Path) -> None:
    contents = _contents(tmp_path)
    base = Base("example.org/python@sha256:" + "c" * 64, {}, (), "/usr/bin/python3.13", Target())
    told = json.loads(bill.bill(contents, base))
    assert (told["bomFormat"], told["specVersion"], told["version"]) == ("CycloneDX", "1.6", 1)
    assert [part["name"] for part in told["components"]] == ["numpy", "mood", "example.org/python"]
    assert told["components"][0]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert told["components"][1]["licenses"] == [{"license": {"name": "Some words of my own"}}]
    assert told["components"][0]["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert bill._licence("mit") == {"license": {"id": "MIT"}}
    assert bill._licence("MPL-2.0 AND MIT") == {"expression": "MPL-2.0 AND MIT"}
    assert bill._licence("MIT AND mine") == {"license": {"name": "MIT AND mine"}}
    assert set(told["dependencies"][0]["dependsOn"]) == {part["bom-ref"] for part in told["components"]}
    assert bill.bill(contents, base) == bill.bill(contents, base)
    assert json.loads(bill.bill(contents, None))["serialNumber"] != told["serialNumber"]


def test_a_zip_that_is_there_is_not_made_again_and_a_damaged_one_is(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = archive.write(_contents(tmp_path), out)
    written = first.path.stat().st_ino
    assert archive.write(_contents(tmp_path), out) == first
    assert first.path.stat().st_ino == written
    with zipfile.ZipFile(first.path) as opened:
        assert len(opened.comment) == 64
    raw = bytearray(first.path.read_bytes())
    raw[40] ^= 1
    first.path.write_bytes(raw)
    assert archive.write(_contents(tmp_path), out) == first
    assert first.path.stat().st_ino != written


def test_other_modes_are_other_contents(tmp_path: Path) -> None:
    contents = _contents(tmp_path)
    first = archive.write(contents, tmp_path / "out")
    wheels = Piece("wheels", (replace(contents.pieces[0].files[0], executable=False),))
    assert (
        archive.write(replace(contents, pieces=(wheels, *contents.pieces[1:])), tmp_path / "out").sha256
        != first.sha256
    )
