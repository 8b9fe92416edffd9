"""The table of libraries: who drops what, what moves it; and that the documentation has all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.trace import owners
from firstlight.trace.keeping import LEFT_OUT, unpacked_beside, why_left
from firstlight.trace.owners import FALLBACK, OWNERS, owner_of, value_of

PAGE = Path(__file__).resolve().parents[3] / "docs/trace.md"


@pytest.mark.parametrize(
    ("path", "name", "folder"),
    [
        ("home/nltk_data/corpora/words", "NLTK", "home/nltk_data"),
        ("home/gensim-data/information.json", "gensim", "home/gensim-data"),
        ("tmp/data-gym-cache/9b5ad71b2ce5302211f9c61530b329a4922fc6a4", "tiktoken", "tmp/data-gym-cache"),
        ("cache/huggingface/hub/models--a--b/refs/main", "Hugging Face hub", "cache/huggingface"),
        ("cache/huggingface/modules/x.py", "transformers", "cache/huggingface/modules"),
        ("home/.cache/huggingface/datasets/x", "Hugging Face datasets", "home/.cache/huggingface/datasets"),
        ("cache/torch/hub/a.pt", "torch hub", "cache/torch"),
        ("cache/torch/sentence_transformers/a", "sentence-transformers", "cache/torch/sentence_transformers"),
        ("tmp/matplotlib-x1/fontlist-v390.json", "matplotlib", "tmp/matplotlib-x1"),
        ("cache/whisper/tiny.pt", "Whisper", "cache/whisper"),
        ("tmp/jieba.cache", "jieba", "tmp/jieba.cache"),
    ],
)
def test_whose_a_file_is(path, name, folder):
    owner, found = owner_of(path)
    assert (owner.name, found) == (name, folder)


@pytest.mark.parametrize(
    "path", ["home/nltk_data2/x", "home/notes.txt", "tmp/x", "cache/hugging", "data/nltk_data"]
)
def test_what_no_known_library_dropped(path):
    assert owner_of(path) is None


def test_a_variable_names_the_folder_or_the_one_around_it():
    named = {owner.name: owner for owner in OWNERS}
    assert value_of(named["NLTK"], "home/nltk_data") == "home/nltk_data"
    assert value_of(named["Whisper"], "cache/whisper") == "cache"
    assert value_of(named["Hugging Face datasets"], "cache/huggingface/datasets") == "cache/huggingface"


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: owner.name)
def test_every_library_is_whole_and_documented(owner):
    assert owner.source.startswith("https://")
    assert all(folder.split("/")[0] in FALLBACK for folder in owner.folders)
    assert owner.variable or owner.note, "what cannot be moved says what to do instead"
    assert owner.packed or owner.note, "what is not packed says why"
    # No pattern is hidden by one that comes before it.
    for folder in owner.folders:
        assert owner_of(f"{folder.replace('*', 'x')}/file")[0] is owner
    row = next(
        line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {owner.name} |")
    )
    wanted = [owner.variable, *owner.settings, *owner.offline, *owner.folders, owner.source.split(" ")[0]]
    assert not [text for text in wanted if text not in row]
    assert f"| {'yes' if owner.packed and owner.variable else 'no'} |" in row


def test_the_page_has_no_library_that_is_gone():
    rows = PAGE.read_text(encoding="utf-8").split("## Libraries it knows")[1].splitlines()
    named = [line.split("|")[1].strip() for line in rows if line.startswith("| ")]
    assert named == ["library", *(owner.name for owner in owners.OWNERS), "any other"]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("home/x/__pycache__/a.cpython-311.pyc", "compiled Python"),
        ("cache/huggingface/hub/.locks/models--a/x.lock", "a lock"),
        ("cache/huggingface/hub/models--a/blobs/ab.incomplete", "half written"),
        ("cache/huggingface/token", "a secret"),
        ("cache/huggingface/xet/logs/x", "pieces of files that lie beside them"),
        ("home/.aws/credentials", "a secret"),
        ("config/gcloud/x.json", "a secret"),
        ("home/x/data.sqlite-wal", "a database's journal"),
        ("home/x/run.log", "a log"),
        ("home/x/run.log.3", "a log"),
        ("home/x/token", None),
        ("home/x/catalog", None),
        ("home/x/data.sqlite", None),
        ("tmp/data-gym-cache/ab12", None),
    ],
)
def test_what_is_worth_packing(path, why):
    assert why_left(path) == why
    assert why is None or why in LEFT_OUT


def test_an_archive_is_left_out_where_its_content_lies_beside_it():
    assert unpacked_beside("home/nltk_data/corpora/words.zip", {"home/nltk_data/corpora/words"})
    assert not unpacked_beside("home/nltk_data/corpora/words.zip", {"home/nltk_data/corpora"})
    assert not unpacked_beside("home/nltk_data/corpora/words.txt", {"home/nltk_data/corpora/words"})
