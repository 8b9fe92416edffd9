"""What the options of ``firstlight build`` ask for, and what is said of what was made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from small_function import base, contents, file

from firstlight.build.image import dockerfile, making
from firstlight.build.pack.types import ZipArchive
from firstlight.build.types import Silent
from firstlight.cli import packaging
from firstlight.cli.packaging import Package, Wishes
from firstlight.project import Endpoint, Project, RecordPolicy
from firstlight.runtime.errors import Conflict, FirstlightError


@pytest.fixture
def project(tmp_path: Path) -> Project:
    endpoints = {"mood": Endpoint("mood", model="starter:sentiment", package="zip")}
    return Project("shop", tmp_path, None, endpoints, RecordPolicy(), tmp_path / "state")


def image_of(tmp_path: Path) -> Package:
    image, own = making.assembled(contents(file("app.py")), base(layers=(), config={}), tmp_path / "blobs")
    return Package(contents(), "image", "as asked", image, own, base())


def test_nothing_is_made_where_nothing_asks_for_it() -> None:
    assert not Wishes().any
    assert all(one.any for one in (Wishes(package="zip"), Wishes(push="a.example/b"), Wishes(base="x")))


def test_options_win_over_the_project(project: Project) -> None:
    same = packaging.asked(project, Wishes(architecture="x86_64"))
    assert (same.endpoints["mood"].package, same.deployment.architecture) == ("zip", "x86_64")
    images = packaging.asked(project, Wishes(layout=Path("out"), base=""))
    assert (images.endpoints["mood"].package, images.deployment.package) == (None, "image")
    assert packaging.asked(project, Wishes(package="auto")).deployment.package == "auto"


def test_one_image_takes_the_name_that_is_given_and_several_their_own(tmp_path: Path) -> None:
    package = image_of(tmp_path)
    wishes = Wishes(layout=tmp_path / "layout", tarball=tmp_path / "image.tar")
    one = packaging.delivered(package, wishes, True, Silent())
    assert one.places == {"layout": str(tmp_path / "layout"), "tarball": str(tmp_path / "image.tar")}
    assert (tmp_path / "layout" / "index.json").is_file()
    wishes = Wishes(layout=tmp_path / "layouts", tarball=tmp_path / "images")
    some = packaging.delivered(package, wishes, False, Silent())
    assert some.places == {
        "layout": str(tmp_path / "layouts" / "mood"),
        "tarball": str(tmp_path / "images" / "mood.tar"),
    }


def test_what_is_said_of_an_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = image_of(tmp_path)
    packaging.show(package)
    said = capsys.readouterr().out
    assert said.startswith(
        f"mood: image {package.image.digest[7:19]}, 0.0 MB and a base of 0.0 MB (as asked)\n"
    )
    assert "  project: 0.00 MB\n" in said
    described = packaging.described(package)
    assert (described["platform"], described["digest"]) == ("linux/arm64", package.image.digest)
    assert [layer["name"] for layer in described["layers"]] == ["wheels", "runtime", "project", "bill"]


def test_what_is_said_of_a_zip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = ZipArchive(tmp_path / "mood.zip", "ab" * 32, 3_000_000, 9_000_000)
    package = Package(contents(), "zip", "9 MB fits", archive=archive)
    assert packaging.delivered(package, Wishes(package="zip"), True, Silent()) is package
    packaging.show(package)
    assert "mood: zip abababababab, 3.0 MB, 9 MB unpacked (9 MB fits)" in capsys.readouterr().out
    assert packaging.described(package)["unpacked"] == 9_000_000


def test_a_dockerfile_says_what_the_image_is(tmp_path: Path) -> None:
    packed = contents(file("app.py", b"print()\n"), environment={"GREETING": 'five "$" here'})
    dockerfile.write(packed, base(), tmp_path / "mood", snap_start=True)
    text = (tmp_path / "mood" / "Dockerfile").read_text()
    assert "FROM --platform=linux/arm64 registry.example/python@sha256:" + "b" * 64 in text
    assert "COPY --chown=0:0 project/ /var/task/" in text
    assert 'ENV GREETING="five \\"\\$\\" here"' in text
    assert 'LABEL com.amazonaws.lambda.feature.snapstart="Allow"' in text
    assert (tmp_path / "mood" / "project" / "app.py").read_bytes() == b"print()\n"
    start = tmp_path / "mood" / "runtime" / ".firstlight" / "start"
    assert start.stat().st_mode & 0o777 == 0o755
    with pytest.raises(Conflict, match="has files"):
        dockerfile.write(packed, base(), tmp_path / "mood")
    dockerfile.write(packed, base(), tmp_path / "mood", force=True)
    with pytest.raises(FirstlightError, match="cannot stand in a Dockerfile"):
        dockerfile.write(packed, replace(base(), origin=""), tmp_path / "other")
