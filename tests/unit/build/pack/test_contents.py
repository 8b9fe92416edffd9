"""All files of a function, from wheels that are in the cache: nothing is asked of an index."""

import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firstlight import project as projects
from firstlight import starters
from firstlight.build import lock as locks
from firstlight.build.lock import Lock
from firstlight.build.lock.checking import sha256
from firstlight.build.pack import (
    asking,
    belongings,
    contents,
    engines,
    pinning,
    requirements,
    slices,
    targets,
)
from firstlight.build.pack.types import Contents, File, Target, Wheel
from firstlight.build.resolve import make
from firstlight.build.types import Silent, Wish
from firstlight.project import Project
from firstlight.runtime.errors import BundleError, ProjectError
from small_wheels import kept

TARGET = Target()
HANDLER = "def handler(event, context):\n    return event\n"
NATIVE = "cp313-cp313-manylinux_2_28_aarch64"


class Said(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def refuse(*_: object) -> None:
        raise asking.IndexUnreachable("the index was asked")

    monkeypatch.setattr(asking, "pip", refuse)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "inference").mkdir(parents=True)
    (root / "firstlight.toml").write_text('[endpoints.mood]\nmodel = "starter:speech"\n')
    (root / "inference" / "polite.py").write_text(HANDLER)
    return root


def _lock(*more: Wheel, name: str = "requirements.txt", asked: str = "") -> Lock:
    key = targets.key(TARGET)
    library = {
        "onnxruntime/capi/libonnxruntime.so.1.0": b"library",
        "onnxruntime/capi/onnxruntime_pybind11_state.so": b"not needed",
        "onnxruntime/__init__.py": "import numpy",
        "onnxruntime/LICENSE": "MIT",
    }
    ours = [
        kept("onnxruntime", library, tag=NATIVE),
        kept("tokenizers", {"tokenizers/__init__.py": "", "tests/a": "x"}),
    ]
    served = [kept(name, {f"{name}/__init__.py": name}) for name in ("starlette", "uvicorn", "httptools")]
    lock = Lock().with_wheels(key, pinning.ENGINES, pinning._engines_asked(), ours)
    wanted = engines.requirements(slices.SERVER_WHEELS)
    lock = lock.with_wheels(key, pinning.SERVER, pinning._asked(wanted), served)
    return lock.with_wheels(key, name, asked, more) if more else lock


def _project(root: Path) -> Project:
    return starters.with_tasks(projects.load(root, None, {}))


def _model(root: Path, lock: Lock | None = None, said: Said | None = None) -> Contents:
    project = _project(root)
    made = make(Wish("starter:speech"), root)
    return contents.of_endpoint(
        project, project.endpoints["mood"], made, lock or _lock(), TARGET, said or Said()
    )


def _script(root: Path, lock: Lock, said: Said | None = None) -> Contents:
    project = _project(root)
    return contents.of_endpoint(project, project.endpoints["polite"], None, lock, TARGET, said or Said())


def _files(found: Contents, piece: str) -> dict[str, File]:
    return {file.path: file for one in found.pieces if one.name == piece for file in one.files}


def test_a_models_function_has_its_bundle_its_engine_and_our_runtime(root: Path) -> None:
    found = _model(root)
    assert [piece.name for piece in found.pieces] == ["wheels", "server", "runtime", "bundle"]
    wheels = set(_files(found, "wheels"))
    assert ".firstlight/lib/onnxruntime/capi/libonnxruntime.so.1.0" in wheels
    assert ".firstlight/lib/onnxruntime/LICENSE" in wheels
    assert not {
        path for path in wheels if "pybind11" in path or path.endswith(("onnxruntime/__init__.py", "tests/a"))
    }
    assert ".firstlight/server/starlette/__init__.py" in _files(found, "server")
    runtime = _files(found, "runtime")
    assert {
        ".firstlight/src/firstlight/runtime/bootstrap.py",
        ".firstlight/src/firstlight/__init__.py",
    } < set(runtime)
    assert not [
        path for path in runtime if "__pycache__" in path or "/pipelines/" in path or "/build/" in path
    ]
    assert runtime[contents.START].executable
    assert found.environment["FIRSTLIGHT_BUNDLE"] == "/var/task/.firstlight/bundle"
    assert found.environment["HF_HUB_OFFLINE"] == "1"
    assert found.command[0] in runtime
    assert found.handler == "firstlight.runtime.lambda_function.handler"


def test_figures_that_every_machine_measures_differently_are_not_packed(root: Path) -> None:
    manifest = _files(_model(root), "bundle")[".firstlight/bundle/bundle.json"]
    assert isinstance(manifest.source, bytes)
    told = json.loads(manifest.source)
    assert "parity" not in told
    assert told["files"]


def test_a_bundle_that_was_changed_is_refused(root: Path, tmp_path: Path) -> None:
    made = make(Wish("starter:speech"), root)
    place = tmp_path / "copied"
    place.mkdir()
    for file in made.place.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    whole = (place / "model.weights").read_bytes()
    (place / "model.weights").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BundleError, match="SHA-256"):
        contents._bundle(replace(made, place=place))
    (place / "model.weights").write_bytes(whole)
    with pytest.raises(BundleError, match="was changed"):
        contents._bundle(replace(made, place=place, digest="0" * 64))


def test_a_scripts_function_has_its_requirements_whole_and_nothing_of_the_engines(root: Path) -> None:
    (root / "requirements.txt").write_text("simple\n")
    asked = requirements.read(root / "requirements.txt", root).asked
    simple = kept("simple", {"simple/__init__.py": "A = 1", "simple/tests/test_a.py": "B"})
    found = _script(root, _lock(simple, asked=asked))
    wheels = set(_files(found, "wheels"))
    assert {".firstlight/lib/simple/__init__.py", ".firstlight/lib/simple/tests/test_a.py"} < wheels
    assert not [path for path in wheels if "onnxruntime" in path]
    assert set(_files(found, "project")) == {"inference/polite.py", "requirements.txt"}
    assert found.environment["FIRSTLIGHT_SCRIPT"] == "/var/task/inference/polite.py"
    assert "HF_HUB_OFFLINE" not in found.environment
    assert {part.name for part in found.components} == {
        "firstlight",
        "simple",
        "starlette",
        "uvicorn",
        "httptools",
    }


def test_a_script_that_asks_for_a_pipeline_gets_it(root: Path) -> None:
    (root / "inference" / "polite.py").write_text(
        f'from firstlight import pipeline\nx = pipeline("sentiment-analysis")\n{HANDLER}'
    )
    found = _script(root, _lock())
    assert ".firstlight/src/firstlight/pipelines/__init__.py" in _files(found, "runtime")
    assert ".firstlight/src/firstlight/starters/sentiment/bundle.json" in _files(found, "bundle")
    assert ".firstlight/lib/onnxruntime/capi/libonnxruntime.so.1.0" in _files(found, "wheels")


def test_two_wheels_with_the_same_file_are_told_of(root: Path) -> None:
    (root / "requirements.txt").write_text("one\ntwo\n")
    asked = requirements.read(root / "requirements.txt", root).asked
    both = [kept("one", {"shared.py": "1", "same.py": "x"}), kept("two", {"shared.py": "2", "same.py": "x"})]
    said = Said()
    found = _files(_script(root, _lock(*both, asked=asked), said), "wheels")
    shared = found[".firstlight/lib/shared.py"].source
    assert isinstance(shared, Path)
    assert shared.read_text() == "1"
    assert said.lines == ["two and another wheel both bring shared.py; the first one's is taken"]


def test_torch_is_told_of_with_its_size(root: Path) -> None:
    (root / "requirements.txt").write_text("torch\n")
    asked = requirements.read(root / "requirements.txt", root).asked
    said = Said()
    _script(root, _lock(kept("torch", {"torch/lib.so": bytes(3_000_000)}), asked=asked), said)
    assert said.lines[0].startswith("requirements.txt brings torch: 3 MB of wheels, and 3 MB of libraries")


def test_cuda_is_told_of_before_it_is_fetched(root: Path) -> None:
    (root / "requirements.txt").write_text("torch\n")
    asked = requirements.read(root / "requirements.txt", root).asked
    said = Said()
    heavy = Wheel("nvidia-cublas", "13", "nvidia_cublas-13-py3-none-manylinux_2_27_aarch64.whl", "0" * 64)
    with pytest.raises(asking.IndexUnreachable):
        _script(root, _lock(heavy, asked=asked), said)
    assert said.lines[0].startswith("requirements.txt brings CUDA")


def test_a_set_that_is_behind_is_resolved_and_one_for_another_machine_too(root: Path) -> None:
    (root / "requirements.txt").write_text("simple\n")
    with pytest.raises(asking.IndexUnreachable):
        _script(root, _lock(kept("simple", {"a.py": ""}), asked="0" * 64))
    asked = requirements.read(root / "requirements.txt", root).asked
    newer = kept("simple", {"a.py": ""}, tag="cp313-cp313-manylinux_2_38_aarch64")
    with pytest.raises(asking.IndexUnreachable):
        _script(root, _lock(newer, asked=asked))


def test_what_the_lock_lacks_is_said_without_asking(root: Path) -> None:
    project, made = _project(root), {"mood": make(Wish("starter:speech"), root)}
    assert pinning.behind(project, made, Lock(), TARGET) == [
        "no wheels for arm64-python3.13 in firstlight.lock"
    ]
    assert pinning.behind(project, made, _lock(), TARGET) == []
    (root / "requirements.txt").write_text("simple\n")
    assert pinning.behind(project, made, _lock(), TARGET) == [
        "no wheels of requirements.txt for arm64-python3.13 in firstlight.lock"
    ]
    stale = _lock(kept("simple", {"a.py": ""}), asked="0" * 64)
    assert "asks for something else" in pinning.behind(project, made, stale, TARGET)[0]
    lacking = _lock().with_wheels(targets.key(TARGET), pinning.ENGINES, pinning._engines_asked(), [])
    (root / "requirements.txt").unlink()
    assert pinning.behind(project, made, lacking, TARGET) == [
        "mood needs onnxruntime, not in firstlight.lock for arm64-python3.13"
    ]


def test_a_project_of_scripts_needs_no_engines(root: Path) -> None:
    (root / "firstlight.toml").write_text("")
    lock = _lock().without_wheels(targets.key(TARGET), pinning.ENGINES)
    assert pinning.behind(_project(root), {}, lock, TARGET) == []
    assert pinning.pinned(_project(root), {}, lock, TARGET, Silent()) == lock


def test_pinning_keeps_what_is_there_and_drops_lists_that_are_gone(root: Path) -> None:
    project, made = _project(root), {"mood": make(Wish("starter:speech"), root)}
    lock = _lock(kept("simple", {"a.py": ""}), name="old/requirements.txt", asked="0" * 64)
    pinned = pinning.pinned(project, made, lock, TARGET, Silent())
    assert pinned == _lock()
    assert locks.parse(locks.text(pinned)) == pinned


def _traced(root: Path, script: str, **files: bytes) -> locks.Caches:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    digest = hashlib.sha256(packed.getvalue()).hexdigest()
    place = root / ".firstlight" / "layers" / f"{digest}.tar"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(packed.getvalue())
    variables = {"NLTK_DATA": "{layer}/home/nltk_data"}
    return locks.Caches(digest, len(packed.getvalue()), script, variables, {})


def test_traced_caches_are_packed_and_led_to(root: Path) -> None:
    caches = _traced(root, sha256(root / "inference" / "polite.py"), home__nltk_data__words=b"words")
    said = Said()
    found = _script(root, _lock().with_caches("polite", caches), said)
    assert set(_files(found, "caches")) == {".firstlight/caches/home/nltk_data/words"}
    assert found.environment["NLTK_DATA"] == "/var/task/.firstlight/caches/home/nltk_data"
    assert found.environment["HF_HUB_OFFLINE"] == "1"
    assert said.lines == []
    unpacked = _files(found, "caches")[".firstlight/caches/home/nltk_data/words"].source
    assert isinstance(unpacked, Path)
    unpacked.write_bytes(b"damage")
    _script(root, _lock().with_caches("polite", caches))
    assert unpacked.read_bytes() == b"words"
    (root / "inference" / "polite.py").write_text(HANDLER + "\n")
    _script(root, _lock().with_caches("polite", caches), said)
    assert said.lines == ["polite.py was changed after it was traced: run `firstlight trace polite`"]


def test_a_layer_that_is_missing_changed_or_leads_out_is_refused(root: Path) -> None:
    caches = _traced(root, "0" * 64, **{"..__evil": b"x"})
    with pytest.raises(ProjectError, match="cannot be unpacked"):
        _script(root, _lock().with_caches("polite", caches))
    place = root / ".firstlight" / "layers" / f"{caches.layer}.tar"
    place.write_bytes(b"other")
    with pytest.raises(ProjectError, match="not what its name says"):
        _script(root, _lock().with_caches("polite", caches))
    place.unlink()
    with pytest.raises(ProjectError, match="not on this machine"):
        _script(root, _lock().with_caches("polite", caches))


def test_a_script_outside_the_project_or_without_a_bundle_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "away.py").write_text(HANDLER)
    (root / "firstlight.toml").write_text('[endpoints.polite]\nscript = "../away.py"\n')
    with pytest.raises(ProjectError, match="outside the project"):
        _script(root, _lock())
    (root / "firstlight.toml").write_text('[endpoints.mood]\nmodel = "starter:speech"\n')
    project = _project(root)
    with pytest.raises(ProjectError, match="has no bundle yet"):
        contents.of_endpoint(project, project.endpoints["mood"], None, _lock(), TARGET, Silent())


def test_what_is_too_large_for_an_image_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_LARGEST", 1000)
    with pytest.raises(ProjectError, match="GB of files"):
        _model(root)


def test_nothing_depends_on_the_machine(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shape(found: Contents) -> Any:
        named = [
            (
                file.path,
                file.source if isinstance(file.source, bytes) else file.source.read_bytes(),
                file.executable,
            )
            for piece in found.pieces
            if piece.name != "server"
            for file in piece.files
        ]
        return found.environment, found.components, named

    first = shape(_model(root))
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert shape(_model(root)) == first
    assert belongings.MOST_BYTES == contents._LARGEST
