"""The wheel stands alone: it is small enough, carries what it should, and works in an empty environment."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STARTERS = {"sentiment", "qa", "lyrics", "embeddings", "stories", "speech", "summarize", "translate-en2fr"}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(ROOT)], check=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def firstlight(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, installed from the wheel into an environment that has nothing else."""
    home = tmp_path_factory.mktemp("empty")
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "-c", ROOT / "requirements/serve.txt", wheel], check=True
    )
    return home / "bin" / "firstlight"


def run(command: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd)}
    return subprocess.run(
        [command, *arguments], capture_output=True, text=True, cwd=cwd, env=environment, check=False
    )


def test_is_under_80_megabytes(wheel: Path) -> None:
    assert wheel.stat().st_size < 80_000_000


def test_carries_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    roots = {name.split("/")[0] for name in names}
    assert roots == {"firstlight", next(root for root in roots if root.endswith(".dist-info"))}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "firstlight/starters/sentiment/bundle.json" in names
    assert "firstlight/starters/summarize/starter.json" in names
    assert "firstlight/starters/stories/model.gguf" in names


def test_version_and_list(firstlight: Path, tmp_path: Path) -> None:
    assert run(firstlight, "--version", cwd=tmp_path).stdout.strip().endswith("0.1.0")
    listed = json.loads(run(firstlight, "list", "--json", cwd=tmp_path).stdout)
    assert {endpoint["name"] for endpoint in listed} == STARTERS


@pytest.mark.parametrize(
    ("name", "inputs", "answer"),
    [
        ("sentiment", "what a lovely day", "POSITIVE"),
        ("summarize", "The mill stands by the river. It is old.", "The mill stands by the river."),
        ("translate-en2fr", "Hello!", "Bonjour"),
        ("stories", "Once upon a time there was", "Once upon a time there was "),
    ],
)
def test_answers_without_a_server(
    firstlight: Path, tmp_path: Path, name: str, inputs: str, answer: str
) -> None:
    event = json.dumps({"inputs": inputs})
    done = run(firstlight, "run", name, "-d", event, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert answer in done.stdout
