"""Which files of a project go into a script's function."""

import os
from pathlib import Path

import pytest

from firstlight import project as projects
from firstlight.build.pack import belongings
from firstlight.build.types import Silent
from firstlight.project import Project
from firstlight.runtime.errors import ProjectError

HANDLER = "def handler(event, context):\n    return event\n"


class Said(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def _write(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("NAME=value")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    _write(tmp_path, "inference/mood.py", "firstlight.toml", "firstlight.lock")
    (tmp_path / "inference" / "mood.py").write_text(HANDLER)
    (tmp_path / "firstlight.toml").write_text('name = "mine"\n')
    return tmp_path


def _project(root: Path) -> Project:
    return projects.load(root, None, {})


def _paths(root: Path, said: Said | None = None) -> list[str]:
    project = _project(root)
    return [file.path for file in belongings.files(project, project.endpoints["mood"], said or Silent())]


def test_secrets_caches_and_settings_are_never_packed(root: Path) -> None:
    _write(root, ".env", ".env.prod", ".git/config", ".venv/bin/python", "env/pyvenv.cfg", "env/lib/a.py")
    _write(root, "__pycache__/a.pyc", "inference/__pycache__/mood.pyc", "old.pyc", "mine.egg-info/PKG-INFO")
    _write(
        root, ".firstlight/records.db", "node_modules/a/index.js", "id_rsa", "tls/server.key", "credentials"
    )
    _write(root, "inference/_shared.py", "data/words.txt", "data/firstlight.toml")
    said = Said()
    assert _paths(root, said) == [
        "data/firstlight.toml",
        "data/words.txt",
        "inference/_shared.py",
        "inference/mood.py",
    ]
    assert said.lines == [
        "credentials looks like a secret and is not packed",
        "id_rsa looks like a secret and is not packed",
        "tls/server.key looks like a secret and is not packed",
    ]


def test_a_folder_of_records_elsewhere_in_the_project_stays(root: Path) -> None:
    _write(root, "state/records.db")
    project = projects.load(root, None, {"FIRSTLIGHT_DATA_DIR": str(root / "state")})
    found = belongings.files(project, project.endpoints["mood"], Silent())
    assert [file.path for file in found] == ["inference/mood.py"]


def test_what_is_another_endpoints_stays_unless_the_script_names_it(root: Path) -> None:
    _write(root, "models/large/config.json", "inference/other.py")
    (root / "inference" / "other.py").write_text(HANDLER)
    (root / "firstlight.toml").write_text('[endpoints.big]\nmodel = "models/large"\n')
    assert _paths(root) == ["inference/mood.py"]
    (root / "inference" / "mood.py").write_text(f'MODEL = "models/large"\n{HANDLER}')
    assert _paths(root) == ["inference/mood.py", "models/large/config.json"]


def test_links_are_followed_within_the_project_only(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.txt"
    outside.write_text("secret")
    _write(root, "data/words.txt", ".env")
    (root / "words.txt").symlink_to("data/words.txt")
    (root / "away.txt").symlink_to(outside)
    (root / "settings.txt").symlink_to(".env")
    (root / "loop").symlink_to(".")
    (root / "nowhere").symlink_to("missing")
    said = Said()
    assert _paths(root, said) == ["data/words.txt", "inference/mood.py", "words.txt"]
    assert len(said.lines) == 4


def test_modes_are_one_of_two_and_pipes_are_left(root: Path) -> None:
    _write(root, "run.sh", "closed.txt")
    (root / "run.sh").chmod(0o700)
    (root / "closed.txt").chmod(0o600)
    os.mkfifo(root / "pipe")
    project = _project(root)
    found = {
        file.path: file.executable for file in belongings.files(project, project.endpoints["mood"], Silent())
    }
    assert found == {"run.sh": True, "closed.txt": False, "inference/mood.py": False}


def test_names_that_archives_cannot_hold_are_left(root: Path) -> None:
    said = Said()
    (root / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    (root / "a\\b").write_text("x")
    (root / "a\nb").write_text("x")
    assert _paths(root, said) == ["inference/mood.py"]
    assert len(said.lines) == 3


def test_too_many_files_or_bytes_are_refused_by_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(root, *(f"data/{number}" for number in range(12)))
    monkeypatch.setattr(belongings, "MOST_FILES", 10)
    with pytest.raises(ProjectError, match="more than 10 files") as raised:
        _paths(root)
    assert "data has most" in raised.value.hint
    monkeypatch.setattr(belongings, "MOST_FILES", 100)
    monkeypatch.setattr(belongings, "MOST_BYTES", 10)
    with pytest.raises(ProjectError, match="10 GB"):
        _paths(root)
