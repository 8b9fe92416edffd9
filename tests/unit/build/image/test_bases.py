from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from small_function import INTEL_LIBRARY, base

from firstlight.build.image import bases, layers, roots
from firstlight.build.lock.types import Lock, LockedTarget
from firstlight.build.registry.references import Reference
from firstlight.project.types import Deployment
from firstlight.runtime.errors import FirstlightError

LIBC = b"GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with what a base has to have."""
    place = tmp_path / "root"
    for folder in ("usr/bin", "lib/x86_64-linux-gnu", "tmp", "etc"):
        (place / folder).mkdir(parents=True)
    (place / "usr/bin/python3.12").write_bytes(INTEL_LIBRARY)
    (place / "usr/bin/python3.12").chmod(0o755)
    (place / "usr/bin/python3").symlink_to("python3.12")
    (place / "lib/x86_64-linux-gnu/libc.so.6").write_bytes(LIBC)
    (place / "etc/secret").write_text("read me")
    (place / "etc/secret").chmod(0o600)
    os.mkfifo(place / "etc/pipe")
    return place


def test_a_folder_becomes_a_base(root: Path, tmp_path: Path) -> None:
    made = bases.of_root(root, tmp_path / "blobs", "x86_64")
    assert (made.python, made.target.python, made.target.glibc) == ("/usr/bin/python3.12", "3.12", (2, 36))
    assert made.reference.startswith("rootfs:sha256:")
    assert (made.origin, len(made.layers)) == ("", 1)
    source = made.layers[0].source
    assert isinstance(source, Path)
    with tarfile.open(source) as archive:
        found = {member.name: member for member in archive}
    assert "etc/pipe" not in found
    assert found["etc/secret"].mode == 0o644
    assert found["tmp"].mode == 0o1777
    assert found["usr/bin/python3"].linkname == "python3.12"
    assert {(member.uid, member.mtime) for member in found.values()} == {(0, 0)}
    assert bases.of_root(root, tmp_path / "blobs", "x86_64") == made


def test_a_tar_file_is_the_same_base(root: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "root.tar.gz", "w:gz") as archive:
        archive.add(root, ".")
    with tarfile.open(tmp_path / "linked.tar", "w") as archive:
        archive.add(root, ".")
        link = tarfile.TarInfo("./etc/secret")
        link.type, link.linkname = tarfile.LNKTYPE, "./etc/secret"
        archive.addfile(link)
        other = tarfile.TarInfo("dev/null")
        other.type = tarfile.CHRTYPE
        archive.addfile(other)
    one = bases.of_root(root, tmp_path / "blobs", "x86_64")
    assert bases.of_root(tmp_path / "root.tar.gz", tmp_path / "blobs", "x86_64") == one


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("usr/bin/python3.12", "has no Python"),
        ("lib/x86_64-linux-gnu/libc.so.6", "has no C library"),
    ],
)
def test_a_root_that_lacks_something_says_so(root: Path, tmp_path: Path, broken: str, words: str) -> None:
    (root / broken).unlink()
    with pytest.raises(FirstlightError, match=words):
        bases.of_root(root, tmp_path / "blobs", "x86_64")


def test_a_root_for_another_machine_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(FirstlightError, match="is for x86_64, and the project asks for arm64"):
        bases.of_root(root, tmp_path / "blobs", "arm64")


def test_a_tar_file_that_is_none_or_climbs_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.tar").write_bytes(b"no tar file at all")
    with pytest.raises(FirstlightError, match=r"no\.tar is not a tar file"):
        roots.layer(tmp_path / "no.tar", tmp_path / "blobs")
    with tarfile.open(tmp_path / "out.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../evil"), io.BytesIO())
    with pytest.raises(FirstlightError, match="outside of it"):
        roots.layer(tmp_path / "out.tar", tmp_path / "blobs")


def test_a_path_in_the_project_is_found_and_one_that_is_not_there_is_named(
    root: Path, tmp_path: Path
) -> None:
    asked = Deployment(architecture="x86_64", base="root")
    found = bases.find(asked, root=tmp_path, blobs=tmp_path / "blobs")
    assert found.python == "/usr/bin/python3.12"
    with pytest.raises(FirstlightError, match=r"there is no \./gone"):
        bases.find(Deployment(base="./gone"), root=tmp_path)


def test_what_the_lock_has_is_taken_where_the_same_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from firstlight.build.registry import pulling

    asked: list[str] = []
    monkeypatch.setattr(pulling, "base", lambda reference, *_, **__: asked.append(str(reference)) or base())
    pinned = "registry.example/python:3@sha256:" + "b" * 64
    lock = Lock(targets={"arm64-python3.13": LockedTarget(base=pinned)})
    for named in ("registry.example/python:3", "registry.example/python:4", ""):
        found = bases.find(Deployment(base=named), lock, root=tmp_path)
    assert asked == [pinned, "registry.example/python:4", "public.ecr.aws/lambda/python:3.13"]
    assert bases.locked(Deployment(base="registry.example/python:3"), found) == pinned
    assert bases.locked(Deployment(), base(origin="")) == ""
    assert Reference.parse(pinned).tag == "3"


def test_blobs_lie_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert layers.cache() == tmp_path / "firstlight" / "images"
