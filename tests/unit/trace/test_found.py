"""What lies in the clean folders after a run, however strange."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from firstlight.trace import found
from firstlight.trace.owners import FALLBACK
from firstlight.trace.types import Seen


@pytest.fixture
def base(tmp_path):
    for name in FALLBACK:
        (tmp_path / name).mkdir()
    return tmp_path


def put(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def why(base: Path) -> dict[str, str]:
    return {entry.path: entry.why_left for entry in found.entries(base)}


def test_files_are_found_by_name_in_the_order_of_their_bytes(base):
    for name in ("b", "a/ü", "a/\udcff", "a-b", "日本/x y\n"):
        put(base / "home" / "lib" / name)
    names = [entry.path for entry in found.entries(base)]
    assert names == sorted(names, key=os.fsencode)
    assert set(names) == {f"home/lib/{name}" for name in ("b", "a/ü", "a/\udcff", "a-b", "日本/x y\n")}


def test_links_inside_are_followed_and_the_hubs_blobs_packed_once(base):
    repo = base / "cache/huggingface/hub/models--a--b"
    blob = put(repo / "blobs/abc", "weights")
    (repo / "snapshots/1").mkdir(parents=True)
    (repo / "snapshots/1/model.bin").symlink_to("../../blobs/abc")
    put(repo / "blobs/unused")
    entries = {entry.path: entry for entry in found.entries(base)}
    linked = entries["cache/huggingface/hub/models--a--b/snapshots/1/model.bin"]
    assert (linked.source, linked.size, linked.why_left) == (str(blob), 7, "")
    assert "links" in entries["cache/huggingface/hub/models--a--b/blobs/abc"].why_left
    assert entries["cache/huggingface/hub/models--a--b/blobs/unused"].why_left == ""


def test_links_out_to_nothing_and_in_circles_are_not_followed(base, tmp_path_factory):
    outside = put(tmp_path_factory.mktemp("outside") / "secret")
    lib = base / "home/lib"
    put(lib / "real/file")
    (lib / "out").symlink_to(outside)
    (lib / "out-folder").symlink_to(outside.parent)
    (lib / "up").symlink_to("../../../../../../../etc/passwd")
    (lib / "nothing").symlink_to("gone")
    (lib / "around").symlink_to("..")
    (lib / "self").symlink_to("self")
    (lib / "again").symlink_to("real")
    (lib / "real/back").symlink_to("..")
    left = why(base)
    assert left["home/lib/real/file"] == left["home/lib/again/file"] == ""
    assert "outside" in left["home/lib/out"]
    assert "outside" in left["home/lib/out-folder"]
    assert "outside" in left["home/lib/up"]
    assert left["home/lib/nothing"] == "a link to nothing"
    assert "around" in left["home/lib/around"]
    assert "around" in left["home/lib/real/back"]
    assert left["home/lib/self"] == "a link to nothing"
    assert not [path for path, reason in left.items() if not reason and "secret" in path]


def test_a_clean_folder_that_became_a_link_out_is_not_entered(base, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    put(outside / "secret")
    (base / "home").rmdir()
    (base / "home").symlink_to(outside)
    (base / "cache").rmdir()
    (base / "data").rmdir()
    put(base / "data")
    assert found.entries(base) == []


def test_pipes_and_sockets_are_no_data(base):
    put(base / "home/lib/file")
    os.mkfifo(base / "home/lib/pipe")
    here = Path.cwd()
    os.chdir(base / "home/lib")  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
            left = why(base)
    finally:
        os.chdir(here)
    assert left == {
        "home/lib/file": "",
        "home/lib/pipe": "a pipe, which is no data",
        "home/lib/socket": "a socket, which is no data",
    }


def test_what_the_script_closed_is_opened(base):
    closed = put(base / "home/lib/closed/file")
    closed.chmod(0)
    closed.parent.chmod(0)
    program = put(base / "home/lib/program")
    program.chmod(0o700)
    entries = {entry.path: entry for entry in found.entries(base)}
    assert not entries["home/lib/closed/file"].executable
    assert entries["home/lib/program"].executable
    assert closed.stat().st_mode & stat.S_IRUSR


def test_each_library_has_a_row_with_who_wrote_it(base):
    put(base / "home/nltk_data/corpora/words/en", "four")
    put(base / "home/nltk_data/corpora/words.zip", "archive")
    put(base / "home/.cache/own/a")
    put(base / "home/notes.txt")
    put(base / "tmp/some/thing")
    put(base / "config/matplotlib/fontlist.json")
    writes = [
        Seen("write", f"{base}/home/nltk_data/corpora/words/en", "nltk"),
        Seen("write", f"{base}/home/.cache/own/a", "owner"),
        Seen("write", "/elsewhere/home/notes.txt", "other"),
    ]
    rows = {row.path: row for row in found.dropped(found.entries(base), base, writes)}
    nltk = rows["home/nltk_data"]
    assert (nltk.name, nltk.by, nltk.variable, nltk.size, nltk.files, nltk.left) == (
        "NLTK",
        "nltk",
        "NLTK_DATA",
        4,
        1,
        7,
    )
    assert nltk.why_left == ("unpacked beside it",)
    assert (rows["home/.cache/own"].name, rows["home/.cache/own"].by) == ("unknown: home/.cache/own", "owner")
    assert (rows["home/notes.txt"].variable, rows["home/notes.txt"].by) == ("HOME", "")
    assert not rows["tmp/some"].packed
    assert rows["tmp/some"].why_left == ("a temporary file",)
    assert (rows["config/matplotlib"].packed, rows["config/matplotlib"].variable) == (False, "MPLCONFIGDIR")


def test_the_variables_lead_to_the_layer(base):
    put(base / "home/nltk_data/a")
    put(base / "cache/huggingface/hub/a")
    put(base / "cache/own/a")
    put(base / "cache/matplotlib/a")
    put(base / "tmp/data-gym-cache/a")
    put(base / "tmp/thing")
    rows = found.dropped(found.entries(base), base, [])
    wanted = {
        "NLTK_DATA": "{layer}/home/nltk_data",
        "HF_HOME": "{layer}/cache/huggingface",
        "HF_HUB_OFFLINE": "1",
        "XDG_CACHE_HOME": "{layer}/cache",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        "TIKTOKEN_CACHE_DIR": "{layer}/tmp/data-gym-cache",
    }
    assert found.variables(rows, network=False) == wanted
    del wanted["HF_HUB_OFFLINE"]
    assert found.variables(rows, network=True) == wanted


def test_a_library_with_two_folders_is_led_to_one_and_the_place_to_the_other(base):
    put(base / "cache/huggingface/hub/a")
    put(base / "home/.cache/huggingface/hub/b")
    variables = found.variables(found.dropped(found.entries(base), base, []), network=True)
    assert variables == {"HF_HOME": "{layer}/cache/huggingface", "HOME": "{layer}/home"}


def test_nothing_dropped_needs_no_variable(base):
    assert found.variables(found.dropped(found.entries(base), base, []), network=False) == {}
