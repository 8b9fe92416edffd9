from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path

import pytest

from firstlight.deploy import exports
from firstlight.deploy.exports.cdk import files as cdk
from firstlight.deploy.exports.references import pieces
from firstlight.deploy.types import Att, Ref, Sub
from firstlight.runtime.errors import Conflict, ProjectError


@pytest.mark.parametrize("form", exports.FORMS)
def test_every_form_has_its_render(form):
    module, _, name = exports.FORMS[form].render.partition(":")
    assert callable(getattr(import_module(module), name))


def test_what_an_export_names_is_what_it_is_tried_with():
    root = Path(__file__).resolve().parents[4]
    tried = (root / "requirements/cdk.txt").read_text().splitlines()
    assert set(cdk.requirements().splitlines()) <= set(tried)
    command = f"aws-cdk@{cdk.COMMAND}"
    assert command in exports.FORMS["cdk"].next[1]
    assert f'"{command}"' in (root / "tests/aws/exports.setup.sh").read_text()


def test_files_are_written_once_and_others_left_alone(tmp_path):
    files = {"a.txt": "one\n", "deep/b.txt": "zwei ü\n"}
    assert exports.write(files, tmp_path).changed == ("a.txt", "deep/b.txt")
    (tmp_path / "own.txt").write_text("mine")
    assert exports.write(files, tmp_path).changed == ()
    assert exports.write({**files, "c.txt": ""}, tmp_path).changed == ("c.txt",)
    assert (tmp_path / "own.txt").read_text() == "mine"
    assert (tmp_path / "deep/b.txt").read_bytes() == "zwei ü\n".encode()


def test_a_folder_follows_the_project(tmp_path):
    exports.write({"parts/a.tf": "a", "parts/b.tf": "b"}, tmp_path, form="terraform")
    assert exports.write({"parts/a.tf": "other"}, tmp_path) == exports.Written(
        ("parts/a.tf",), ("parts/b.tf",)
    )
    assert [file.name for file in (tmp_path / "parts").iterdir()] == ["a.tf"]


def test_what_somebody_wrote_or_changed_is_lost_on_demand_only(tmp_path):
    exports.write({"a.txt": "", "b.txt": "", "c.txt": ""}, tmp_path)
    (tmp_path / "b.txt").write_text("mine")
    (tmp_path / "d.txt").write_text("mine too")
    now = {"a.txt": "new", "d.txt": "new"}
    with pytest.raises(Conflict, match=r"d\.txt and 1 more was changed by somebody") as caught:
        exports.write(now, tmp_path)
    assert "--force" in caught.value.hint
    assert (tmp_path / "a.txt").read_text() == ""
    assert exports.write(now, tmp_path, force=True) == exports.Written(("a.txt", "d.txt"), ("b.txt", "c.txt"))
    assert (tmp_path / "d.txt").read_text() == "new"


def test_a_list_of_files_that_leads_elsewhere_is_not_followed(tmp_path):
    (tmp_path / "outside.txt").write_text("mine")
    folder = tmp_path / "out"
    exports.write({"a.txt": ""}, folder)
    mark = folder / ".firstlight-export"
    digest = hashlib.sha256(b"mine").hexdigest()
    mark.write_text(f"{mark.read_text()}{digest}  ../outside.txt\n{digest}  {tmp_path}/outside.txt\n\n  \n")
    exports.write({"a.txt": ""}, folder)
    assert (tmp_path / "outside.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_is_said_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ProjectError, match="cannot be written"):
        exports.write({"a.txt": ""}, tmp_path / "file")


def test_a_text_is_taken_apart_at_what_it_refers_to():
    assert pieces(Sub("a${B}c${D.E.F}${!G}h${AWS::Region}")) == [
        "a",
        Ref("B"),
        "c",
        Att("D", "E.F"),
        "${G}h",
        Ref("AWS::Region"),
    ]
    assert pieces(Sub("")) == []
