"""``firstlight trace`` with the real libraries: what they download from a local server is found, packed and proven."""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import http.server
import io
import json
import os
import subprocess
import threading
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firstlight.testing.hub import local_hub

ROOT = Path(__file__).resolve().parents[2]

NLTK = """
import nltk

# It refuses to call this machine, where the test serves its data; what it reads it checks all the same.
nltk.pathsec.ENFORCE = False
nltk.download.__self__._url = "@URL@/index.xml"
nltk.download("stopwords", quiet=True)
nltk.download("punkt_words", quiet=True)
nltk.pathsec.ENFORCE = True
from nltk.corpus import stopwords


def handler(event, context):
    known = set(stopwords.words("english"))
    with nltk.data.find("misc/punkt_words/list.txt").open() as file:
        more = file.read().decode().split()
    return {"left": [word for word in event["text"].split() if word.lower() not in known], "more": more}
"""
GENSIM = """
import gensim.downloader as api

api.DOWNLOAD_BASE_URL = "@URL@/gensim"
api._load_info.__defaults__ = ("@URL@/gensim/list.json", "utf-8")


def handler(event, context):
    vectors = api.load("tiny-words")
    near = vectors.most_similar(event["text"].split()[0], topn=2)
    return {"near": [[word, float(score)] for word, score in near]}
"""
TIKTOKEN = """
import tiktoken
from tiktoken.load import load_tiktoken_bpe

ENCODING = tiktoken.Encoding(
    "bytes",
    pat_str=r"\\S+|\\s+",
    mergeable_ranks=load_tiktoken_bpe("@URL@/bytes.tiktoken"),
    special_tokens={},
)


def handler(event, context):
    return ENCODING.encode(event["text"])
"""
MATPLOTLIB = """
import base64
import io

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def handler(event, context):
    figure, axes = plt.subplots(figsize=(1, 1))
    axes.set_title(event["text"])
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    return base64.b64encode(drawn.getvalue()).decode()
"""
HUB = """
from pathlib import Path

from huggingface_hub import hf_hub_download, snapshot_download


def handler(event, context):
    folder = Path(snapshot_download("ann/words"))
    again = Path(hf_hub_download("ann/words", "deep/words.txt"))
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return {"names": names, "words": again.read_text().split(), "size": (folder / "model.bin").stat().st_size}
"""
INDEX = """<?xml version="1.0"?>
<nltk_data><packages>PACKAGES</packages><collections/></nltk_data>
"""
READER = """
import os
from gensim.downloader import base_dir
from gensim.models import KeyedVectors


def load_data():
    return KeyedVectors.load_word2vec_format(os.path.join(base_dir, "tiny-words", "tiny-words.gz"))
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the libraries and this project, at the versions of requirements/trace.txt."""
    place = tmp_path_factory.mktemp("libraries")
    venv.create(place, with_pip=True)
    found = place / "bin" / "python"
    pip = [str(found), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", str(ROOT / "requirements/trace.txt")], check=True, timeout=900)
    subprocess.run([*pip, "--no-deps", "-e", str(ROOT)], check=True, timeout=300)
    return found


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of small resources, laid out as the libraries expect them."""
    folder = tmp_path_factory.mktemp("resources")
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        write_nltk(folder, address)
        write_gensim(folder / "gensim")
        ranks = (base64.b64encode(bytes([byte])) + f" {byte}\n".encode() for byte in range(256))
        (folder / "bytes.tiktoken").write_bytes(b"".join(ranks) + base64.b64encode(b"th") + b" 256\n")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield address
        server.shutdown()
        thread.join()


def write_nltk(folder: Path, address: str) -> None:
    entries = []
    for subdir, name, file, text in (
        ("corpora", "stopwords", "english", "the\na\non\n"),
        ("misc", "punkt_words", "list.txt", "one two"),
    ):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(f"{name}/{file}", text)
        raw = packed.getvalue()
        (folder / f"{name}.zip").write_bytes(raw)
        sums = (
            f'checksum="{hashlib.md5(raw).hexdigest()}" sha256_checksum="{hashlib.sha256(raw).hexdigest()}"'
        )
        sizes = f'size="{len(raw)}" unzipped_size="{len(text)}" unzip="1"'
        where = f'id="{name}" name="{name}" subdir="{subdir}" url="{address}/{name}.zip"'
        entries.append(f"<package {where} {sizes} {sums}/>")
    (folder / "index.xml").write_text(INDEX.replace("PACKAGES", "".join(entries)))


def write_gensim(folder: Path) -> None:
    (folder / "tiny-words").mkdir(parents=True)
    lines = ["3 2", "the 1.0 0.0", "cat 0.9 0.1", "mat 0.0 1.0"]
    raw = gzip.compress("\n".join(lines).encode())
    (folder / "tiny-words" / "tiny-words.gz").write_bytes(raw)
    (folder / "tiny-words" / "__init__.py").write_text(READER)
    model = {
        "checksum": hashlib.md5(raw).hexdigest(),
        "file_name": "tiny-words.gz",
        "parts": 1,
        "file_size": len(raw),
    }
    (folder / "list.json").write_text(json.dumps({"corpora": {}, "models": {"tiny-words": model}}))


class Project:
    """A project of one script, traced and run with an interpreter that is not this one."""

    def __init__(self, folder: Path, python: Path, source: str) -> None:
        self.folder, self.python = folder, python
        (folder / "inference").mkdir()
        (folder / "firstlight.toml").write_text('name = "libraries"\n')
        (folder / "inference" / "words.py").write_text(source)

    def call(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FIRSTLIGHT_", "XDG_", "HF_"))
        }
        command = [
            str(self.python),
            "-m",
            "firstlight",
            *words,
            "-d",
            '{"text": "the cat on the mat"}',
            "--json",
        ]
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**clean, **env},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def traced(self, **env: str) -> dict[str, Any]:
        done = self.call("trace", "words", **env)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        assert found["proof"]["same"]
        assert found["proof"]["missing"] == []
        return found

    def answered(self) -> Any:
        """The answer with the layer of the lock file, with a HOME that has nothing."""
        done = self.call("run", "words", HOME=str(self.folder / "nowhere"))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["payload"]


@pytest.fixture
def project(tmp_path: Path, python: Path) -> Any:
    return functools.partial(Project, tmp_path, python)


def packed(found: dict[str, Any]) -> dict[str, int]:
    return {row["name"]: row["files"] for row in found["dropped"] if row["files"]}


def test_nltk(project: Any, url: str) -> None:
    made = project(NLTK.replace("@URL@", url))
    found = made.traced()
    assert packed(found) == {"NLTK": 2}
    assert found["caches"]["variables"] == {"NLTK_DATA": "{layer}/home/nltk_data"}
    assert found["dropped"][0]["why_left"] == ["unpacked beside it"]
    assert found["dropped"][0]["by"] == "nltk"
    assert found["outside"] == []
    assert set(found["caches"]["tools"]) == {"nltk"}
    assert made.answered() == {"left": ["cat", "mat"], "more": ["one", "two"]}
    assert made.traced()["caches"] == found["caches"]


def test_gensim(project: Any, url: str) -> None:
    made = project(GENSIM.replace("@URL@", url))
    found = made.traced()
    assert packed(found) == {"gensim": 3}
    assert found["caches"]["variables"] == {"GENSIM_DATA_DIR": "{layer}/home/gensim-data"}
    assert [word for word, _ in made.answered()["near"]] == ["cat", "mat"]


def test_tiktoken(project: Any, url: str) -> None:
    made = project(TIKTOKEN.replace("@URL@", url))
    found = made.traced()
    assert packed(found) == {"tiktoken": 1}
    assert found["caches"]["variables"] == {"TIKTOKEN_CACHE_DIR": "{layer}/tmp/data-gym-cache"}
    assert made.answered()[0] == 256


def test_matplotlib_gets_a_folder_that_it_can_write(project: Any) -> None:
    made = project(MATPLOTLIB)
    found = made.traced()
    assert packed(found) == {}
    assert {row["name"] for row in found["dropped"]} == {"matplotlib"}
    assert found["caches"]["variables"] == {"MPLCONFIGDIR": "/tmp/matplotlib"}
    assert base64.b64decode(made.answered()).startswith(b"\x89PNG")


def test_the_hub(project: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    repository = tmp_path_factory.mktemp("hub") / "ann" / "words"
    (repository / "deep").mkdir(parents=True)
    (repository / "deep" / "words.txt").write_text("one two")
    (repository / "model.bin").write_bytes(b"weights" * 1000)
    made = project(HUB)
    with local_hub(repository.parents[1]) as hub:
        found = made.traced(HF_ENDPOINT=hub.url, HF_TOKEN="hf_secret")
    assert set(packed(found)) == {"Hugging Face hub"}
    wanted = {"HF_HOME": "{layer}/cache/huggingface", "HF_HUB_OFFLINE": "1"}
    assert found["caches"]["variables"] == wanted
    # The weights are packed once: under the name of the link, not as the blob that it leads to.
    row = next(row for row in found["dropped"] if row["name"] == "Hugging Face hub")
    assert 7000 <= row["size"] < 10_000
    answer = made.answered()
    assert answer["size"] == 7000
    assert {"deep/words.txt", "model.bin"} <= set(answer["names"])


def test_several_at_once_are_packed_into_one_layer(project: Any, url: str) -> None:
    source = (
        NLTK + GENSIM.replace("def handler", "def near") + TIKTOKEN.replace("def handler", "def tokens")
    ).replace("def handler", "def words")
    source += "\n\ndef handler(event, context):\n"
    source += "    return [words(event, context), near(event, context), tokens(event, context)]\n"
    made = project(source.replace("@URL@", url))
    found = made.traced()
    assert packed(found) == {"gensim": 3, "NLTK": 2, "tiktoken": 1}
    assert len(made.answered()) == 3
