from __future__ import annotations

import json

import pytest

from firstlight.gateway.fronts.keys import FILE, Keys


@pytest.fixture
def kept(folder):
    (folder / "firstlight.toml").write_text('[endpoints.mood]\nmodel = "starter:sentiment"\n')
    keys = Keys(folder / ".firstlight" / FILE)
    yield keys
    keys.close()


def test_an_access_key_is_shown_once(cli, kept):
    done = cli("keys", "create", "laptop")
    assert done.code == 0
    named = dict(line.split("=", 1) for line in done.out.splitlines())
    key, secret = kept.secret(named["AWS_ACCESS_KEY_ID"])
    assert (key.name, secret) == ("laptop", named["AWS_SECRET_ACCESS_KEY"])
    assert "not shown again" in done.err
    assert secret not in cli("keys", "list").out
    assert (kept.path.parent / ".gitignore").read_text() == "*\n"


def test_an_api_key_has_limits(cli, kept):
    done = cli(
        "keys", "create", "app", "--api", "--rate", "5", "--burst", "2", "--quota", "10/week", "--json"
    )
    assert (done.code, done.json["kind"], done.json["quota"]) == (0, "api", "10/week")
    key = kept.api_key(done.json["secret"])
    assert (key.limits.rate, key.limits.burst, key.limits.quota, key.limits.period) == (5.0, 2, 10, "week")
    kept.count(key)
    assert "5 a second, 2 at once, 1 of 10 a week" in cli("keys", "list").out
    assert cli("keys", "list", "--json").json["used"] == 1
    assert "x-api-key: " in cli("keys", "create", "other", "--api").out


def test_a_key_is_deleted(cli, kept):
    cli("keys", "create", "laptop")
    assert cli("keys", "delete", "laptop").out == "deleted laptop\n"
    assert json.loads(cli("keys", "delete", "laptop", "--json").err)["error"] == "there is no key 'laptop'"
    assert cli("keys", "list").err == "there are no keys yet; firstlight keys create NAME makes one\n"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["create", "a/b"], 2, "cannot be a name"),
        (["create", "a", "--rate", "5"], 2, "add --api"),
        (["create", "a", "--api", "--quota", "5"], 2, "like 1000/day"),
        (["create", "a", "--api", "--quota", "5/year"], 2, "like 1000/day"),
        (["create", "a", "--api", "--rate", "0"], 2, "--rate"),
        (["delete", "nobody"], 1, "there is no key"),
    ],
)
def test_what_is_wrong_is_said(cli, kept, words, code, told):
    done = cli("keys", *words)
    assert done.code == code
    assert told in done.err
    assert kept.all() == []


def test_a_name_is_given_once(cli, kept):
    cli("keys", "create", "laptop")
    done = cli("keys", "create", "laptop", "--api")
    assert done.code == 1
    assert "there is a key 'laptop' already" in done.err
