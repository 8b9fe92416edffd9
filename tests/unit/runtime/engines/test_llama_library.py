"""Which libllama is used, and that one with another layout is not."""

import os
import sys
from pathlib import Path

import pytest

from firstlight.runtime.engines.llama import facts, finding, library, structs, texts, variants
from firstlight.runtime.errors import EngineError, InvalidInput, MissingExtra


@pytest.fixture
def nothing(monkeypatch, tmp_path):
    """An installation without a libllama."""
    monkeypatch.delenv(finding.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    return tmp_path


def put(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


class TestFinding:
    def test_none(self, nothing):
        with pytest.raises(MissingExtra) as raised:
            finding.find()
        assert raised.value.hint == "pip install xllamacpp"

    def test_the_wheel(self, nothing):
        put(nothing / "site/xllamacpp", "xllamacpp.abi3.so")
        found = finding.find()
        assert (found.origin, found.path) == ("wheel", str(nothing / "site/xllamacpp/xllamacpp.abi3.so"))

    def test_the_cache_before_the_wheel_and_the_newest_of_it(self, nothing):
        put(nothing / "site/xllamacpp", "xllamacpp.abi3.so")
        cache = nothing / "cache/firstlight/engines"
        for version in ("3.9.0", "3.22.1", "3.22.1-beta"):
            put(cache / f"llama-{version}", "libllama.v0.5.0.so", "libllama-common.so", "libggml.so")
        put(cache / "llama-9.0.0", "README")
        put(cache / "other-9.0.0", "libllama.so")
        found = finding.find()
        assert (found.origin, found.path) == ("cache", str(cache / "llama-3.22.1/libllama.v0.5.0.so"))
        assert found.folder == str(cache / "llama-3.22.1")

    @pytest.mark.parametrize(
        "name", ["libllama.so", "libllama.dylib", "libllama.metal.v0.4.0.dylib", "libllama.v0.5.0.so"]
    )
    def test_a_folder_that_is_named(self, nothing, monkeypatch, name):
        put(nothing / "site/xllamacpp", "xllamacpp.abi3.so")
        monkeypatch.setenv(
            finding.VARIABLE, str(put(nothing / "mine", name, "libllama-common.so", "libllama.txt"))
        )
        found = finding.find()
        assert (found.origin, found.path) == ("folder", str(nothing / "mine" / name))

    def test_a_folder_that_is_named_and_has_none(self, nothing, monkeypatch):
        put(nothing / "site/xllamacpp", "xllamacpp.abi3.so")
        monkeypatch.setenv(finding.VARIABLE, str(nothing / "site"))
        with pytest.raises(EngineError, match="where there is no libllama"):
            finding.find()

    def test_the_cache_is_the_users(self, monkeypatch):
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", "/somewhere")
        assert finding.cache() == "/somewhere/.cache/firstlight/engines"


class TestLibrary:
    def test_what_is_installed(self):
        found = facts.installed()
        assert found["version"][0].isdigit()
        assert Path(found["path"]).is_file()
        assert found["origin"] in ("wheel", "cache", "folder")
        assert all(found["features"])
        assert library.loaded() is library.loaded()

    def test_features(self):
        assert facts.features("CPU : SSE3 = 1 | AVX = 0 | AMX = 1 | REPACK = 1 | ") == [
            "SSE3",
            "AMX",
            "REPACK",
        ]
        assert facts.features("") == []

    def test_one_that_is_no_library(self, tmp_path):
        (tmp_path / "libllama.so").write_text("text")
        with pytest.raises(EngineError, match=r"libllama cannot be loaded: .*libllama\.so"):
            library.Library(finding.Found("folder", str(tmp_path), str(tmp_path / "libllama.so")))

    def test_one_that_is_another_library(self, tmp_path):
        import _struct

        other = Path(_struct.__file__)
        with pytest.raises(EngineError, match="not a libllama of a version that is known"):
            library.Library(finding.Found("folder", str(other.parent), str(other)))

    @pytest.mark.parametrize("form", ["_MODEL_DEFAULTS", "_CONTEXT_DEFAULTS"])
    def test_one_with_another_layout(self, monkeypatch, form):
        """As if what stands in the structs were not what the library puts there."""
        defaults = getattr(structs, form)
        monkeypatch.setattr(structs, form, (*defaults[:2], 77, *defaults[3:]))
        with pytest.raises(EngineError, match="laid out differently") as raised:
            library.Library(finding.find())
        assert "pip install xllamacpp" in raised.value.hint

    def test_functions_that_are_not_known(self):
        with pytest.raises(AttributeError):
            library.loaded().nothing  # noqa: B018

    def test_what_it_says_is_kept(self):
        loaded = library.loaded()
        loaded.said()
        for number in range(9):
            library._keep(4, b"somewhere: wrong %d\n" % number, None)
        library._keep(2, b"hello", None)
        library._keep(5, b"...", None)
        assert loaded.said() == "wrong 5; wrong 6; wrong 7; wrong 8"
        assert loaded.said() == "it does not say why"


class TestVariants:
    def test_the_newest_first(self):
        names = [
            "libggml-cpu-x64.so",
            "libggml-cpu-haswell.so",
            "libggml-cpu-zen4.so",
            "libggml.so",
            "libllama.so",
        ]
        assert variants.ordered(names) == [
            "libggml-cpu-zen4.so",
            "libggml-cpu-haswell.so",
            "libggml-cpu-x64.so",
        ]

    def test_versions_of_an_architecture(self):
        names = [f"libggml-cpu-armv{version}.so" for version in ("8.0_1", "8.2_3", "9.2_2", "8.6_1", "9.2_1")]
        assert [name[16:-3] for name in variants.ordered(names)] == [
            "9.2_2",
            "9.2_1",
            "8.6_1",
            "8.2_3",
            "8.0_1",
        ]

    def test_none_that_runs(self, tmp_path, monkeypatch):
        put(tmp_path, "libggml-cpu-zen4.so", "libggml-cpu-x64.so")
        asked = []

        class Fake:
            def __init__(self, name):
                self.name = name

            def __call__(self, *arguments):
                asked.extend(os.path.basename(argument).decode() for argument in arguments)
                return 0

        monkeypatch.setattr(variants, "dlsym", lambda handle, name: name)
        monkeypatch.setattr(variants, "Function", Fake)
        with pytest.raises(EngineError, match="runs on this CPU"):
            variants.load(1, str(tmp_path))
        assert asked == ["libggml-cpu-zen4.so", "libggml-cpu-x64.so"]


class TestTexts:
    def test_threads_with_a_stack_of_their_own(self):
        assert texts.with_room("a" * 20_000, lambda: 7) == 7
        assert texts.with_room("a b" * 20_000, lambda: 8) == 8

    def test_words_no_stack_holds(self):
        with pytest.raises(InvalidInput, match="300000 letters"):
            texts.with_room("a" * 300_000, lambda: 7)

    def test_no_memory_for_a_stack(self, monkeypatch):
        import _thread

        def refuse(*_):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(_thread, "start_new_thread", refuse)
        before = _thread.stack_size()
        with pytest.raises(InvalidInput, match="too long for this worker"):
            texts.with_room("a" * 20_000, lambda: 7)
        assert _thread.stack_size() == before
