"""ECR: tokens, and its own API where the registry itself cannot be reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ConnectionClosedError
from moto import mock_aws

import small_images as images
from firstlight.build.registry import ecr, ecr_layers
from firstlight.build.registry.pushing import push
from firstlight.build.registry.references import Reference
from firstlight.build.registry.sources import credentials
from firstlight.runtime.errors import Conflict, Forbidden, ProjectError
from parts.emulator import ACCOUNT, Emulator

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
MB = 1 << 20


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    """An account in this process (moto); its registry has no address that anybody knows."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        session = boto3.Session(region_name="eu-west-1")
        session.client("ecr").create_repository(
            repositoryName="firstlight/demo", imageTagMutability="IMMUTABLE"
        )
        yield session


def test_a_token_is_had_of_aws(account: boto3.Session) -> None:
    found = credentials(HOST, environment={"HOME": "/nowhere"})
    assert found is not None
    assert found.user == "AWS"
    assert found.source == "AWS"
    assert found == ecr.credentials(HOST, account)


def test_the_registry_is_passed_by_where_nobody_knows_its_address(
    account: boto3.Session, tmp_path: Path
) -> None:
    image = images.image({"a": images.noise(1, 25 * MB)}, {"b": images.noise(2, 100)})
    to = Reference.parse(f"{HOST}/firstlight/demo:v1")
    assert ecr_layers.is_needed(to, account)
    done = push(image, to, session=account, cache=tmp_path)
    assert (done.sent, done.reference) == (
        image.size + image.config.size,
        f"{HOST}/firstlight/demo@{image.digest}",
    )
    asked = account.client("ecr")
    (kept,) = asked.batch_get_image(repositoryName="firstlight/demo", imageIds=[{"imageTag": "v1"}])["images"]
    assert kept["imageManifest"].encode() == image.manifest.source
    assert push(image, to, session=account, cache=tmp_path).sent == 0
    assert not list((tmp_path / "uploads").iterdir())
    other = images.image({"a": images.noise(1, 25 * MB)}, {"b": images.noise(3, 100)})
    with pytest.raises(Conflict, match="v1 leads to another image"):
        push(other, to, session=account, cache=tmp_path)


def test_an_upload_by_the_api_goes_on_with_the_next_part(account: boto3.Session, tmp_path: Path) -> None:
    image = images.image({"a": images.noise(1, 25 * MB)})
    to = Reference.parse(f"{HOST}/firstlight/demo:v1")
    asked, sent = account.client("ecr"), []

    class Cut:
        """The connection is lost at the second part of the layer."""

        def client(self, name: str) -> object:
            return self

        def __getattr__(self, name: str) -> object:
            return getattr(asked, name)

        def upload_layer_part(self, **given: object) -> object:
            sent.append(given["partFirstByte"])
            if len(sent) == 3:
                raise ConnectionClosedError(endpoint_url="https://ecr")
            return asked.upload_layer_part(**given)

    with pytest.raises(ProjectError, match="AWS cannot be asked"):
        push(image, to, session=Cut(), cache=tmp_path)
    before = len(sent)
    done = push(image, to, session=Cut(), cache=tmp_path)
    assert sorted(sent[before:]) == [size for size in sorted(set(sent)) if size > 0]
    assert done.sent < image.size
    assert push(image, to, session=account, cache=tmp_path).sent == 0


def test_a_repository_that_is_not_there(account: boto3.Session, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="'absent' does not exist"):
        push(images.image({"a": b"a"}), Reference.parse(f"{HOST}/absent"), session=account, cache=tmp_path)


def test_without_a_key_it_is_said_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(ProjectError, match="redentials") as raised:
        credentials(HOST)
    assert "aws configure" in raised.value.hint
    monkeypatch.setenv("AWS_PROFILE", "absent")
    with pytest.raises(ProjectError, match="absent"):
        credentials(HOST)


def test_an_emulator_is_pushed_to_by_the_api(local_emulator: Emulator, tmp_path: Path) -> None:
    asked = local_emulator.client("ecr")
    asked.create_repository(repositoryName="firstlight/pushed")

    class Session:
        def client(self, name: str) -> object:
            return local_emulator.client(name)

    host = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
    image = images.image({"a": images.noise(1, 12 * MB)})
    to = Reference.parse(f"{host}/firstlight/pushed:v1")
    done = push(image, to, session=Session(), cache=tmp_path)
    assert done.sent == image.size + image.config.size
    (kept,) = asked.batch_get_image(repositoryName="firstlight/pushed", imageIds=[{"imageTag": "v1"}])[
        "images"
    ]
    assert kept["imageManifest"].encode() == image.manifest.source
    assert kept["imageId"]["imageDigest"] == image.digest
    assert push(image, to, session=Session(), cache=tmp_path).sent == 0


def test_a_user_who_may_not_push_is_told_the_action(enforcing: Emulator, tmp_path: Path) -> None:
    enforcing.client("ecr").create_repository(repositoryName="firstlight/closed")
    iam = enforcing.client("iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]

    class Session:
        def client(self, name: str) -> object:
            return enforcing.client(name, key["AccessKeyId"], key["SecretAccessKey"])

    host = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
    with pytest.raises(Forbidden, match="ecr:BatchGetImage"):
        push(
            images.image({"a": b"a"}),
            Reference.parse(f"{host}/firstlight/closed"),
            session=Session(),
            cache=tmp_path,
        )
