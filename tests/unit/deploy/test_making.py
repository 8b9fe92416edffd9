"""What a deployment sends, made from stand-ins for packing: which kind of package, which names, which places."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from firstlight import project as projects
from firstlight.build.image import bases
from firstlight.build.image import making as images
from firstlight.build.lock import Lock, building
from firstlight.build.pack import contents, pinning, router
from firstlight.build.pack.types import Blob, Contents, File, Image, Piece, Target
from firstlight.build.registry import pushing
from firstlight.build.registry.types import Pushed
from firstlight.build.types import Silent
from firstlight.deploy import making, sending
from firstlight.deploy.types import Account, Deployed
from firstlight.runtime.errors import ProjectError

ACCOUNT = Account("123456789012", "eu-central-1")
DIGEST = "sha256:" + "c" * 64


def packed(name, target, size=10):
    piece = Piece("project", (File("hello.py", b"x" * 10, size),))
    return Contents(name, target, (piece,), {"HOME": "/tmp"}, "module.handler", ("start.py",))


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Loads a project of one script; packing is stood in for."""
    (tmp_path / "inference").mkdir()
    (tmp_path / "inference/hello.py").write_text("def handler(event, context): ...\n")
    monkeypatch.setattr(building, "build", lambda *asked: [])
    monkeypatch.setattr(pinning, "pinned", lambda project, made, lock, *more, **others: lock)
    monkeypatch.setattr(pinning, "with_own", lambda lock, *more: lock)
    monkeypatch.setattr(
        router, "of_router", lambda project, bundles, lock, target, shown: packed("router", target)
    )
    monkeypatch.setattr(
        contents,
        "of_endpoint",
        lambda project, endpoint, made, lock, target, shown: packed(endpoint.name, target),
    )
    blob = Blob("application/json", DIGEST, 7, b"{}")
    monkeypatch.setattr(images, "assembled", lambda *asked, **more: (Image(blob, blob, ()), ()))
    base = SimpleNamespace(target=Target(python="3.12"), origin="", reference="")
    monkeypatch.setattr(bases, "find", lambda *asked, **more: base)

    def loaded(text=""):
        (tmp_path / "firstlight.toml").write_text('name = "demo"\n' + text)
        return projects.load(tmp_path, None, {})

    return loaded


def test_zips_by_their_content(load):
    hello, gateway = making.make(load(), ACCOUNT, Silent()).codes
    assert hello.artifact.kind == gateway.artifact.kind == "zip"
    bucket = "s3://firstlight-demo-123456789012-eu-central-1"
    assert hello.artifact.uri == f"{bucket}/hello/{hello.artifact.digest}.zip"
    assert hello.file.stat().st_size == hello.artifact.size
    assert (gateway.artifact.endpoint, gateway.artifact.runtime) == ("router", "python3.13")
    again, _ = making.make(load(), ACCOUNT, Silent()).codes
    assert again.artifact == hello.artifact


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ('[deploy]\npackage = "image"\n', "123456789012.dkr.ecr.eu-central-1.amazonaws.com/firstlight/demo"),
        ('[deploy]\nregistry = "example.org:5000/x"\n', "example.org:5000/x"),
    ],
)
def test_images_by_their_digest(load, text, host):
    hello, gateway = making.make(load(text), ACCOUNT, Silent()).codes
    assert hello.artifact.uri == f"{host}@{DIGEST}"
    assert hello.tag == f"hello-{'c' * 12}"
    assert gateway.artifact.kind == "zip"


def test_a_zip_that_is_asked_for_is_one_whatever_images_need(load):
    hello, _ = making.make(
        load('[deploy]\npackage = "zip"\nregistry = "example.org/x"\n'), ACCOUNT, Silent()
    ).codes
    assert hello.artifact.kind == "zip"


def deployed(kind):
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {"PackageType": kind, "Environment": {"Variables": {"FIRSTLIGHT_ENDPOINT": "hello"}}},
    }
    return Deployed({}, {}, "UPDATE_COMPLETE", {}, {"Resources": {"HelloFunction": function}})


def test_what_is_deployed_as_an_image_stays_one(load):
    hello, _ = making.make(load(), ACCOUNT, Silent(), deployed("Image")).codes
    assert hello.artifact.kind == "image"
    assert hello.artifact.reason == "deployed as an image, which Lambda does not change"
    hello, _ = making.make(load(), ACCOUNT, Silent(), deployed("Zip")).codes
    assert hello.artifact.kind == "zip"


def test_the_lock_keeps_what_others_wrote_meanwhile(load):
    made = making.make(load(), ACCOUNT, Silent())
    now = Lock().with_wheels("x86_64-python3.12", "engines", "a" * 64, ())
    assert made.settle(now) == now


def test_without_a_project_file_there_is_nothing_to_deploy(load, tmp_path):
    with pytest.raises(ProjectError, match="no firstlight"):
        making.make(replace(load(), file=None), ACCOUNT, Silent())


def test_an_image_is_pushed_to_its_repository_with_its_tag(load, monkeypatch):
    pushed = []

    def push(image, to, tags=(), shown=None, *, session=None):
        pushed.append((to.host, to.name, to.tag))
        return Pushed("", 5, 0, 2)

    monkeypatch.setattr(pushing, "push", push)
    hello, _ = making.make(load('[deploy]\nregistry = "example.org:5000/x"\n'), ACCOUNT, Silent()).codes
    sent = sending.send(SimpleNamespace(boto=None), [hello], Silent())
    assert pushed == [("example.org:5000", "x", f"hello-{'c' * 12}")]
    assert (sent.bytes, sent.new) == (5, ("hello",))
