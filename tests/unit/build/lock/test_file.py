"""firstlight.lock: what is written is what is read, and nothing else is."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lock_entries import HERE, locks, made

from firstlight.build import lock
from firstlight.runtime.errors import ProjectError

WHOLE = lock.Lock(
    {"mood": made(), "pickled": made(allow_pickle=True, asked={"task": "sentiment-analysis"})},
    {
        "report": lock.Caches(
            "c" * 64, 123, "d" * 64, {"NLTK_DATA": "{layer}/home/nltk_data"}, {"nltk": "3.9"}
        )
    },
    {"prod": {"mood": made(precision="int8", asked={"precision": "int8"})}},
)
TEXT = lock.text(WHOLE)


@given(locks)
def test_what_is_written_is_read(given_lock: lock.Lock) -> None:
    text = lock.text(given_lock)
    assert lock.parse(text) == given_lock
    assert lock.text(lock.parse(text)) == text


def test_the_same_lock_is_the_same_bytes_whatever_its_order() -> None:
    other = lock.Lock(dict(reversed(WHOLE.endpoints.items())), WHOLE.caches, WHOLE.stages)
    backwards = made(files=tuple(reversed(made().files)), tools=dict(reversed(made().tools.items())))
    assert lock.text(other.with_endpoint("mood", backwards)) == TEXT
    assert TEXT.splitlines()[0].startswith("# Written by `firstlight build`")
    assert TEXT.splitlines()[1] == "version = 1"
    assert TEXT.endswith("]\n")


def test_there_need_be_no_file(tmp_path: Path) -> None:
    assert lock.read(tmp_path) == lock.Lock()


def test_a_file_is_replaced_at_once_and_keeps_its_mode(tmp_path: Path) -> None:
    assert lock.write(tmp_path, WHOLE)
    file = tmp_path / lock.FILE
    assert file.read_text(encoding="utf-8") == TEXT
    file.chmod(0o640)
    before = file.stat()
    assert not lock.write(tmp_path, WHOLE), "nothing is written where nothing is new"
    assert file.stat() == before
    assert lock.write(tmp_path, WHOLE.without("mood"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert "[endpoints.mood]" not in file.read_text(encoding="utf-8")
    assert os.listdir(tmp_path) == [lock.FILE]


def test_a_new_file_can_be_read_as_others_of_the_user(tmp_path: Path) -> None:
    former = os.umask(0o027)
    try:
        lock.write(tmp_path, WHOLE)
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / lock.FILE).stat().st_mode) == 0o640


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / lock.FILE).symlink_to("shared/locked")
    lock.write(tmp_path, WHOLE)
    assert (tmp_path / lock.FILE).is_symlink()
    assert (tmp_path / "shared" / "locked").read_text(encoding="utf-8") == TEXT


def test_where_it_cannot_be_written_the_former_stays(tmp_path: Path) -> None:
    (tmp_path / lock.FILE).mkdir()
    with pytest.raises(ProjectError, match="cannot be written"):
        lock.write(tmp_path, WHOLE)
    assert os.listdir(tmp_path) == [lock.FILE]
    with pytest.raises(ProjectError, match="cannot be read"):
        lock.read(tmp_path)


def test_windows_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / lock.FILE).write_bytes(TEXT.replace("\n", "\r\n").encode())
    assert lock.read(tmp_path) == lock.parse(TEXT)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ("hf:owner/name@v1", "hf:owner/name@v1"),
        ("models/mine", "models/mine"),
        ("/home/ann/models/mine/", "/…/mine"),
        ("~/mine", "/…/mine"),
        ("C:\\models\\mine", "/…/mine"),
        ("https://ann:s3cret@hub.corp.example/owner/name", "hf:owner/name"),
        ("https://hub.corp.example:8443/owner/name/tree/v1", "hf:owner/name@v1"),
        ("http://127.0.0.1:8000/owner/name/blob/main/a/b.gguf", "hf:owner/name/a/b.gguf@main"),
    ],
)
def test_nothing_of_one_machine_or_user_is_written(model: str, named: str) -> None:
    entry = made(place=HERE, model=model)
    text = lock.text(lock.Lock({"mood": entry}))
    assert f'model = "{named}"' in text
    for secret in ("ann", "corp", "127.0", "machine's"):
        assert secret not in text


def test_a_token_is_never_written(tmp_path: Path) -> None:
    token = "hf_" + "abcdefghijklmnop" * 2
    with pytest.raises(ProjectError, match="token") as caught:
        lock.write(tmp_path, lock.Lock({"mood": made(licence=token)}))
    assert token not in str(caught.value)
    assert not (tmp_path / lock.FILE).exists()


def test_what_could_not_be_read_is_not_written() -> None:
    with pytest.raises(ProjectError, match="licence: has characters that cannot be printed"):
        lock.text(lock.Lock({"mood": made(licence="mit\nhost = 1")}))
    with pytest.raises(ProjectError, match="revision: must be 40"):
        lock.text(lock.Lock({"mood": made(revision="main")}))


def changed(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"version: is missing"),
        ("version = 2\nnew = 1\n", r"version: is 2; this firstlight reads 1"),
        ('version = "1"\n', r"version: must be 1"),
        ("version = true\n", r"version: must be 1"),
        ("version = 0\n", r"version: must be 1"),
        (TEXT + "<<<<<<< HEAD\n", r"marks of a merge .* line \d+"),
        (changed("\nversion", "\n=======\nversion"), r"marks of a merge .* line 2"),
        (TEXT + "[endpoints.mood]\n", r"is not valid TOML: cannot declare \('endpoints', 'mood'\) twice"),
        (
            changed('engine = "onnx"\n', 'engine = "onnx"\nengine = "onnx"\n'),
            r"is not valid TOML: cannot overwrite",
        ),
        ("[" * 5000, r"not valid TOML|nested too deeply"),
        (TEXT + "[hosts]\n", r"firstlight\.lock hosts: is not a setting"),
        (
            changed("[endpoints.mood]", '[endpoints."../mood"]'),
            r"\[endpoints\] \.\./mood: .* cannot be a name",
        ),
        (changed("[stage.prod.", '[stage."a b".'), r"\[stage\] a b: 'a b' cannot be a name"),
        (
            changed("[stage.prod.endpoints.", "[stage.prod.endpints."),
            r"\[stage\.prod\] endpints: is not a setting",
        ),
        (
            changed('licence = "apache-2.0"', "licence = 2.0"),
            r"\[endpoints\.mood\] licence: must be a string",
        ),
        (changed('licence = "apache-2.0"', 'license = "x"'), r"\[endpoints\.mood\] license: .*"),
        (changed('model = "hf:owner/name"\n', ""), r"\[endpoints\.mood\] model: is missing"),
        (changed('task = "text-classification"\n', ""), r"\[endpoints\.mood\] task: is missing"),
        (changed(f'bundle = "{"a" * 64}"\n', ""), r"\[endpoints\.mood\] bundle: is missing"),
        (changed(f'"{"a" * 64}"', f'"{"a" * 63}"'), r"\[endpoints\.mood\] bundle: must be 64 hexadecimal"),
        (changed(f'"{"a" * 64}"', f'"{"A" * 64}"'), r"\[endpoints\.mood\] bundle: must be 64 hexadecimal"),
        (changed(f'"{"b" * 40}"', '"main"'), r"\[endpoints\.mood\] revision: must be 40 hexadecimal"),
        (
            changed("firstlight.build.convert.encoder:convert", "os:system"),
            r"converter: 'os:system' is no converter",
        ),
        (changed("allow_pickle = true", "allow_pickle = false"), r"allow_pickle: must be true, or left out"),
        (changed('numpy = "2.4.6"', "numpy = 2"), r"\[endpoints\.mood\.tools\] numpy: must be a string"),
        (
            changed("asked = { task", "asked = { tisk"),
            r"\[endpoints\.pickled\.asked\] tisk: is not a setting",
        ),
        (
            changed("size = 612", "size = -1"),
            r"\[endpoints\.mood\.files\[0\]\] size: must be a whole number of bytes",
        ),
        (changed("size = 612", "size = true"), r"size: must be a whole number of bytes"),
        (changed("size = 612, ", ""), r"\[endpoints\.mood\.files\[0\]\] size: is missing"),
        (changed("size = 612", 'size = 612, url = "https://x"'), r"url: is not a setting"),
        (changed(f'"{"1" * 64}"', f'"{"1" * 65}"'), r"sha256: must be 64 hexadecimal"),
        (
            changed('path = "model.safetensors"', 'path = "config.json"'),
            r"files: 'config\.json' is there twice",
        ),
        *(
            (changed('"config.json"', f'"{path}"'), r"path: .* is not a path inside the model")
            for path in ("../config.json", "/etc/passwd", "a/../../b", "a//b", "./a", "a\\\\b", "c:/b", "a/")
        ),
        (
            changed("[endpoints.report.caches]", "[endpoints.report]\n[endpoints.report.caches.x]"),
            r"x: is not a setting",
        ),
        (changed("size = 123\n", ""), r"\[endpoints\.report\.caches\] size: is missing"),
        ("version = 1\n[endpoints.empty]\n", r"\[endpoints\.empty\] model: is missing"),
        ("version = 1\nendpoints = 3\n", r"endpoints: must be a table, not a number"),
        ("version = 1\n[endpoints]\nmood = 3\n", r"\[endpoints\] mood: must be a table, not a number"),
    ],
)
def test_a_file_that_was_edited_by_hand_is_explained(text: str, said: str) -> None:
    with pytest.raises(ProjectError, match=said) as caught:
        lock.parse(text)
    assert caught.value.message.startswith("firstlight.lock")
    assert caught.value.hint


def test_what_is_not_text_is_explained(tmp_path: Path) -> None:
    (tmp_path / lock.FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(ProjectError, match=r"firstlight\.lock: is not UTF-8"):
        lock.read(tmp_path)


@given(st.integers(0, len(TEXT) - 1), st.sampled_from(["", "\0", '"', "=", "[", "x", "\n", "{", "9"]))
def test_a_file_with_a_letter_changed_is_read_or_explained(place: int, letter: str) -> None:
    text = TEXT[:place] + letter + TEXT[place + 1 :]
    with contextlib.suppress(ProjectError):
        assert lock.parse(lock.text(lock.parse(text))) == lock.parse(text)


def test_the_page_shows_a_lock_file_and_names_every_key() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "lock.md").read_text(encoding="utf-8")
    example = re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1]
    assert lock.text(lock.parse(example)) == example
    keys = set(re.findall(r"^([a-z_]+) = ", TEXT, re.MULTILINE))
    known = {"layer", "size", "script", "variables"}
    assert {key for key in keys - known if f"`{key}`" not in page} == set()
