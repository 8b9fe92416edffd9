import base64
import json
import stat
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from firstlight.build.registry import ecr
from firstlight.build.registry.auth import Challenge, challenges
from firstlight.build.registry.credentials import Credentials
from firstlight.build.registry.references import Reference
from firstlight.build.registry.sources import credentials
from firstlight.build.registry.talking import Registry
from firstlight.build.registry.wire import Wire
from firstlight.runtime.errors import ProjectError


def config(folder: Path, content: object) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(content))
    return {"DOCKER_CONFIG": str(folder), "HOME": str(folder)}


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_what_docker_login_wrote_is_for_its_host_only(tmp_path: Path) -> None:
    known = config(
        tmp_path, {"auths": {"ghcr.io": auth("me", "se:cret"), "https://index.docker.io/v1/": auth("d", "h")}}
    )
    found = credentials("ghcr.io", environment=known)
    assert found is not None
    assert (found.user, found.password) == ("me", "se:cret")
    assert credentials("docker.io", environment=known).user == "d"
    assert credentials("ghcr.io.example.org", environment=known) is None
    assert credentials("example.org", environment=known) is None


def test_a_token_that_stands_for_a_password_is_told_from_one(tmp_path: Path) -> None:
    known = config(tmp_path, {"auths": {"a.example": {**auth("<token>", ""), "identitytoken": "long"}}})
    assert credentials("a.example", environment=known).refresh == "long"


def test_the_environment_comes_first_and_names_its_host(tmp_path: Path) -> None:
    known = {
        **config(tmp_path, {"auths": {"a.example": auth("file", "x")}}),
        "FIRSTLIGHT_REGISTRY_HOST": "a.example",
        "FIRSTLIGHT_REGISTRY_USER": "me",
        "FIRSTLIGHT_REGISTRY_PASSWORD": "secret",
    }
    assert credentials("a.example", environment=known).user == "me"
    assert credentials("b.example", environment=known) is None
    said = {
        "DOCKER_AUTH_CONFIG": json.dumps({"auths": {"b.example": auth("ci", "x")}}),
        "HOME": str(tmp_path),
    }
    assert credentials("b.example", environment=said).user == "ci"


def test_a_program_that_keeps_passwords_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker-credential-desk"
    program.write_text(
        '#!/bin/sh\nread host\necho "{\\"Username\\": \\"me\\", \\"Secret\\": \\"for $host\\"}"\n'
    )
    program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    known = config(tmp_path, {"credHelpers": {"a.example": "desk", "b.example": "absent"}})
    assert credentials("a.example", environment=known) == Credentials(
        "me", "for a.example", source="docker-credential-desk"
    )
    with pytest.raises(ProjectError, match="docker-credential-absent"):
        credentials("b.example", environment=known)


@pytest.mark.parametrize("content", ["not json", [], {"auths": {"a.example": {"auth": "%%%"}}}])
def test_a_file_that_is_damaged_is_named(tmp_path: Path, content: object) -> None:
    known = config(tmp_path, content)
    with pytest.raises(ProjectError, match=r"config\.json"):
        credentials("a.example", environment=known)


def test_secrets_are_not_in_the_repr() -> None:
    assert "secret" not in repr(Credentials("me", "secret", "secret"))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Basic realm="a b"', (Challenge("basic", {"realm": "a b"}),)),
        (
            'Bearer realm="https://a/t?x=1",service="s",scope="repository:a/b:pull,push"',
            (
                Challenge(
                    "bearer",
                    {"realm": "https://a/t?x=1", "service": "s", "scope": "repository:a/b:pull,push"},
                ),
            ),
        ),
        (
            'Negotiate, Basic realm=x , charset="UTF-8"',
            (Challenge("negotiate", {}), Challenge("basic", {"realm": "x", "charset": "UTF-8"})),
        ),
        (r'bearer REALM="a\"b"', (Challenge("bearer", {"realm": 'a"b'}),)),
        ("", ()),
    ],
)
def test_challenges_are_read(header: str, expected: tuple[Challenge, ...]) -> None:
    assert challenges(header) == expected


@pytest.mark.parametrize(
    ("host", "account", "region"),
    [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "123456789012", "eu-west-1"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "123456789012", "cn-north-1"),
        ("123456789012.dkr-ecr.us-east-1.on.aws", "123456789012", "us-east-1"),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example", "", ""),
        ("public.ecr.aws", "", ""),
    ],
)
def test_registries_of_ecr_are_known_by_their_host(host: str, account: str, region: str) -> None:
    assert (ecr.account(host), ecr.region(host)) == (account, region)


def test_podmans_file_and_a_store_of_passwords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "containers").mkdir()
    file = tmp_path / "containers" / "auth.json"
    file.write_text(json.dumps({"auths": {"a.example": auth("podman", "x")}, "credsStore": "absent"}))
    known = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    assert credentials("a.example", environment=known).user == "podman"
    assert credentials("b.example", environment=known) is None
    assert (
        credentials("a.example", environment={"REGISTRY_AUTH_FILE": str(file), "HOME": "/"}).user == "podman"
    )


@pytest.mark.parametrize(
    ("without", "bypassed"),
    [
        ("*", True),
        (".example", True),
        ("a.example", True),
        ("a.example:5000", True),
        ("xample", False),
        ("", False),
    ],
)
def test_which_hosts_have_no_proxy(without: str, bypassed: bool) -> None:
    wire = Wire({"https_proxy": "http://proxy:1", "NO_PROXY": without})
    assert (wire._proxy(urlsplit("https://a.example:5000/v2/")) is None) is bypassed
    assert wire._proxy(urlsplit("https://127.0.0.1:5000/")) is None


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("/v2/a/blobs/uploads/1?x=y", "https://a.example/v2/a/blobs/uploads/1?x=y"),
        ("http://a.example/v2/u", "https://a.example/v2/u"),
        ("https://b.example/u", "https://b.example/u"),
        ("http://b.example/u", None),
        ("ftp://a.example/u", None),
        ("", None),
    ],
)
def test_where_a_registry_leads(said: str, place: str | None) -> None:
    registry = Registry(Reference.parse("a.example/a"))
    answer = SimpleNamespace(url="https://a.example/v2/a/blobs/uploads/", headers={"Location": said})
    if place is None:
        with pytest.raises(ProjectError, match="a test"):
            registry.located(answer, "a test")
    else:
        assert registry.located(answer, "a test") == place
