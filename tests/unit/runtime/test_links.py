"""A layer as a tree of links: read through them, written beside them, and unharmed."""

from __future__ import annotations

import os
import stat
from binascii import crc32

import pytest

from firstlight.runtime import links


@pytest.fixture
def layer(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    layer = tmp_path / "0123456789abcdef0123"
    (layer / "home" / "deep").mkdir(parents=True)
    (layer / "home" / "deep" / "words.txt").write_text("one")
    (layer / "home" / "link").symlink_to("deep/words.txt")
    return layer


def place_of(layer, tmp_path):
    return tmp_path / "tmp" / f"firstlight-{os.getuid()}-{crc32(os.fsencode(layer)):08x}"


def followed(layer):
    env = {
        "FIRSTLIGHT_LINKED": str(layer),
        "HOME": f"{layer}/home",
        "WHOLE": str(layer),
        "LONGER": f"{layer}-other/home",
        "OFFLINE": "1",
    }
    links.follow(env)
    return env


def test_variables_lead_to_the_links_and_the_layer_is_not_written(layer, tmp_path):
    env = followed(layer)
    place = place_of(layer, tmp_path)
    assert env == {
        "FIRSTLIGHT_LINKED": str(layer),
        "HOME": f"{place}/home",
        "WHOLE": str(place),
        "LONGER": f"{layer}-other/home",
        "OFFLINE": "1",
    }
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert (place / "home/deep/words.txt").read_text() == (place / "home/link").read_text() == "one"
    (place / "home/deep/words.lock").write_text("")
    assert os.listdir(layer / "home/deep") == ["words.txt"]
    assert followed(layer) == env
    assert (place / "home/deep/words.lock").exists()


def test_a_link_that_leads_to_where_a_layer_was_is_renewed(layer, tmp_path):
    followed(layer)
    link = place_of(layer, tmp_path) / "home/deep/words.txt"
    link.unlink()
    link.symlink_to(tmp_path / "gone/words.txt")
    followed(layer)
    assert link.read_text() == "one"
    assert sorted(os.listdir(link.parent)) == ["words.txt"]


def test_a_folder_that_is_not_ours_is_not_used(layer, tmp_path):
    place = place_of(layer, tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place.symlink_to(elsewhere)
    env = followed(layer)
    assert not env["HOME"].startswith(str(place))
    assert os.listdir(elsewhere) == []
    assert os.path.isfile(f"{env['HOME']}/deep/words.txt")


def test_nothing_is_done_without_the_variable():
    env = {"HOME": "/x"}
    links.follow(env)
    assert env == {"HOME": "/x"}
    with pytest.raises(FileNotFoundError):
        links.follow({"FIRSTLIGHT_LINKED": "/of/no/layer"})
