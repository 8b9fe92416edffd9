from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_function import file

from firstlight.build.image import tars
from firstlight.build.pack.types import File
from firstlight.runtime.errors import FirstlightError


def read(stream: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        return archive.getmembers()


def test_everything_about_an_entry_is_fixed(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"content")
    (tmp_path / "b").chmod(0o600)
    stream = b"".join(tars.stream([file("b/b", tmp_path / "b"), file("a", executable=True)], "/var/task"))
    found = [(entry.name, entry.mode, entry.size, entry.type) for entry in read(stream)]
    assert found == [
        ("var", 0o755, 0, tarfile.DIRTYPE),
        ("var/task", 0o755, 0, tarfile.DIRTYPE),
        ("var/task/a", 0o755, 4, tarfile.REGTYPE),
        ("var/task/b", 0o755, 0, tarfile.DIRTYPE),
        ("var/task/b/b", 0o644, 7, tarfile.REGTYPE),
    ]
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname) for entry in read(stream)} == {(0, 0, 0, "")}
    assert len(stream) % tars.BLOCK == 0
    again = b"".join(tars.stream([file("a", executable=True), file("b/b", tmp_path / "b")], "/var/task"))
    assert again == stream


PATHS = st.lists(
    st.text(
        st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=120
    ).filter(lambda name: name not in (".", "..")),
    min_size=1,
    max_size=4,
).map("/".join)


@given(PATHS, st.binary(max_size=600))
def test_any_path_comes_back(path: str, content: bytes) -> None:
    stream = b"".join(tars.stream([file(path, content)], ""))
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        last = archive.getmembers()[-1]
        opened = archive.extractfile(last)
        assert opened is not None
        assert (last.name, opened.read()) == (path, content)


def test_sizes_beyond_what_ustar_has() -> None:
    entry = tarfile.TarInfo.frombuf(tars.header("big", 8**11 + 5, 0o644)[-tars.BLOCK :], "utf-8", "strict")
    assert (entry.name, entry.size) == ("big", 0)  # the record before it has the size
    assert b"size=8589934597\n" in tars.header("big", 8**11 + 5, 0o644)


def test_links() -> None:
    found = read(tars.header("a", 0, 0o777, b"2", "b" * 150) + tars.header("c", 0, 0o777, b"2", "d"))
    assert [(entry.name, entry.linkname, entry.issym()) for entry in found] == [
        ("a", "b" * 150, True),
        ("c", "d", True),
    ]


@pytest.mark.parametrize("size", [3, 5])
def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path, size: int) -> None:
    (tmp_path / "a").write_bytes(b"1234")
    with pytest.raises(FirstlightError, match="was changed while it was packed"):
        list(tars.stream([File("a", tmp_path / "a", size)], "/var/task"))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(FirstlightError, match="gone cannot be read"):
        list(tars.stream([File("a", tmp_path / "gone", 1)], "/var/task"))
