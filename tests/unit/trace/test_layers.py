"""Layers: the same bytes for the same content, and nothing unpacked outside their folder."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.trace import layers
from firstlight.trace.types import Caches, Entry, TraceError

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..") and len(os.fsencode(name)) <= 200
)


def entry(folder: Path, name: str, content: bytes, mode: int = 0o600) -> Entry:
    source = folder / hashlib.sha256(os.fsencode(name)).hexdigest()
    source.write_bytes(content)
    source.chmod(mode)
    return Entry(name, str(source), len(content), executable=bool(mode & 0o100))


def files(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def archive(layers_folder: Path, *members: tarfile.TarInfo) -> str:
    """A layer whose name is right and whose content is not."""
    layers_folder.mkdir(parents=True, exist_ok=True)
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    digest = hashlib.sha256(written.getvalue()).hexdigest()
    (layers_folder / f"{digest}.tar").write_bytes(written.getvalue())
    return digest


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, size, target
    return made


def test_the_same_content_has_the_same_digest(tmp_path):
    one = [entry(tmp_path, "home/b/x", b"1"), entry(tmp_path, "home/a", b"2", 0o755)]
    digest, size, new = layers.pack(one, tmp_path / "one")
    for item in one:
        os.utime(item.source, (1, 1))
        Path(item.source).chmod(0o640 if not item.executable else 0o700)
    again = layers.pack(reversed(one), tmp_path / "two")
    assert again == (digest, size, True)
    assert new
    assert layers.pack(one, tmp_path / "one") == (digest, size, False)
    assert (tmp_path / "one" / f"{digest}.tar").read_bytes() == (
        tmp_path / "two" / f"{digest}.tar"
    ).read_bytes()
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [digest, f"{digest}.tar"]


def test_a_layer_has_no_times_no_owners_and_two_modes(tmp_path):
    items = [entry(tmp_path, "home/b/x", b"1", 0o600), entry(tmp_path, "home/b/run", b"2", 0o700)]
    digest, _, _ = layers.pack(items, tmp_path / "layers")
    with tarfile.open(tmp_path / "layers" / f"{digest}.tar") as tar:
        members = [
            (its.name, oct(its.mode), its.mtime, its.uid, its.gid, its.uname, its.gname) for its in tar
        ]
    assert members == [
        ("home", "0o755", 0, 0, 0, "", ""),
        ("home/b", "0o755", 0, 0, 0, "", ""),
        ("home/b/run", "0o755", 0, 0, 0, "", ""),
        ("home/b/x", "0o644", 0, 0, 0, "", ""),
    ]
    place = tmp_path / "layers" / digest
    assert oct((place / "home/b/x").stat().st_mode)[-3:] == "644"
    assert oct((place / "home/b/run").stat().st_mode)[-3:] == "755"
    assert oct(place.stat().st_mode)[-3:] == oct((place / "home").stat().st_mode)[-3:] == "755"


@given(contents=st.dictionaries(NAMES, st.binary(max_size=2000), max_size=6))
def test_what_is_packed_is_what_is_unpacked(tmp_path_factory, contents):
    folder = tmp_path_factory.mktemp("layers")
    items = [entry(folder, f"home/{name}", content) for name, content in contents.items()]
    digest, _, _ = layers.pack(items, folder / "layers")
    assert files(folder / "layers" / digest) == {
        f"home/{name}": content for name, content in contents.items()
    }


@pytest.mark.parametrize(
    "bad",
    [
        member("../out", size=1),
        member("home/../../out", size=1),
        member("/tmp/out", size=1),
        member("home//x", size=1),
        member("home/link", tarfile.SYMTYPE, target="/etc/passwd"),
        member("home/link", tarfile.LNKTYPE, target="../../out"),
        member("home/pipe", tarfile.FIFOTYPE),
        member("home/device", tarfile.CHRTYPE),
    ],
    ids=lambda its: f"{its.name}-{its.type!r}",
)
def test_an_archive_that_leads_out_is_refused_whole(tmp_path, bad):
    folder = tmp_path / "project" / ".firstlight" / "layers"
    digest = archive(folder, member("home", tarfile.DIRTYPE), member("home/good", size=3), bad)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(TraceError, match="a layer cannot hold"):
        layers.unpack(folder / f"{digest}.tar", digest)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_and_then_a_file_through_it_is_refused(tmp_path):
    digest = archive(tmp_path, member("home", tarfile.SYMTYPE, target="/etc"), member("home/passwd", size=1))
    with pytest.raises(TraceError, match="cannot hold 'home'"):
        layers.unpack(tmp_path / f"{digest}.tar", digest)


def test_a_layer_that_is_not_what_its_name_says_is_refused(tmp_path):
    digest, _, _ = layers.pack([entry(tmp_path, "home/a", b"1")], tmp_path / "layers")
    tar = tmp_path / "layers" / f"{digest}.tar"
    tar.write_bytes(tar.read_bytes().replace(b"1", b"2", 1))
    with pytest.raises(TraceError, match="SHA-256 is another"):
        layers.unpack(tar, digest)
    torn = hashlib.sha256(b"no tar").hexdigest()
    (tmp_path / "layers" / f"{torn}.tar").write_bytes(b"no tar")
    with pytest.raises(TraceError, match="cannot be read"):
        layers.unpack(tmp_path / "layers" / f"{torn}.tar", torn)
    assert not (tmp_path / "layers" / torn).exists()


def test_files_that_change_or_go_while_they_are_packed(tmp_path):
    item = entry(tmp_path, "home/a", b"1234")
    Path(item.source).write_bytes(b"12")
    with pytest.raises(TraceError, match="changed while it was packed"):
        layers.pack([item], tmp_path / "layers")
    Path(item.source).unlink()
    with pytest.raises(TraceError, match="changed while it was packed"):
        layers.pack([item], tmp_path / "layers")
    assert list((tmp_path / "layers").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_explained(tmp_path):
    (tmp_path / "layers").write_text("a file")
    with pytest.raises(TraceError, match="cannot be written"):
        layers.pack([], tmp_path / "layers")


def test_variables_lead_to_the_layer_which_is_unpacked_where_it_is_not(tmp_path):
    folder = layers.folder(tmp_path, {})
    digest, size, _ = layers.pack([entry(tmp_path, "home/nltk_data/a", b"1")], folder)
    assert folder == tmp_path / ".firstlight" / "layers"
    assert (tmp_path / ".firstlight" / ".gitignore").read_text() == "*\n"
    caches = Caches(digest, size, "0" * 64, {"NLTK_DATA": "{layer}/home/nltk_data", "HF_HUB_OFFLINE": "1"})
    wanted = {"NLTK_DATA": str(folder / digest / "home/nltk_data"), "HF_HUB_OFFLINE": "1"}
    assert layers.variables(caches, tmp_path, {}) == wanted
    (folder / digest / "home/nltk_data/a").unlink()
    (folder / digest / "home/nltk_data").rmdir()
    (folder / digest / "home").rmdir()
    (folder / digest).rmdir()
    assert layers.variables(caches, tmp_path, {}) == wanted
    assert (folder / digest / "home/nltk_data/a").read_bytes() == b"1"
    layers.remove(digest, folder)
    with pytest.raises(TraceError, match="is not on this machine") as caught:
        layers.variables(caches, tmp_path, {})
    assert "firstlight trace" in caught.value.hint


@pytest.mark.parametrize("change", ["content", "more", "less", "link", "mode"])
def test_a_layer_that_was_changed_is_noticed(tmp_path, change):
    folder = layers.folder(tmp_path, {})
    digest, size, _ = layers.pack([entry(tmp_path, "home/a", b"1"), entry(tmp_path, "home/b", b"2")], folder)
    caches = Caches(digest, size, "0" * 64, {"HOME": "{layer}/home"})
    layers.check(caches, tmp_path, {})
    file = folder / digest / "home" / "a"
    if change == "content":
        file.write_bytes(b"2")
    elif change == "more":
        file.with_name("c").write_bytes(b"")
    elif change == "mode":
        file.chmod(0o755)
    else:
        file.unlink()
        if change == "link":
            file.symlink_to("b")
    with pytest.raises(TraceError, match="was changed"):
        layers.check(caches, tmp_path, {})


def test_variables_that_need_no_layer_ask_for_none(tmp_path):
    caches = Caches("0" * 64, 0, "0" * 64, {"MPLCONFIGDIR": "/tmp/matplotlib"})
    assert layers.variables(caches, tmp_path, {}) == {"MPLCONFIGDIR": "/tmp/matplotlib"}
