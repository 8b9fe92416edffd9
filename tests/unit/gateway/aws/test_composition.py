"""What the router is made of, and what it does not wait for when it starts."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from firstlight import starters
from firstlight.gateway.aws import composition
from firstlight.project import Endpoint, Project, RecordPolicy, description
from firstlight.runtime.errors import ProjectError

HEAVY = {
    "boto3",
    "botocore",
    "numpy",
    "uvicorn",
    "httptools",
    "jinja2",
    "click",
    "rich",
    "tokenizers",
    "onnxruntime",
}
MODULES = 420
"""Those of the standard library and starlette among them; each is compiled anew where a zip has no bytecode."""
STARTED = """
import json, sys
import firstlight.gateway.aws as router
made = [type(router.handler).__name__, type(router.jobs).__name__]
print(json.dumps([made, sorted(sys.modules)]))
"""


@pytest.fixture
def folder(tmp_path):
    endpoints = (Endpoint("mood", model="starter:sentiment"), Endpoint("own", script=tmp_path / "own.py"))
    found = {endpoint.name: endpoint for endpoint in endpoints}
    project = Project("lyrics", tmp_path, None, found, RecordPolicy(), tmp_path)
    made = tmp_path / "router"
    (made / "bundles/mood").mkdir(parents=True)
    (made / "project.json").write_bytes(description.written(project))
    manifest = (starters.path("sentiment") / "bundle.json").read_bytes()
    (made / "bundles/mood/bundle.json").write_bytes(manifest)
    return made


def test_it_starts_with_what_it_needs_and_no_more(folder):
    env = {
        "FIRSTLIGHT_ROUTER": str(folder),
        "FIRSTLIGHT_PROJECT": "lyrics",
        "FIRSTLIGHT_RECORDS_TABLE": "records",
        "FIRSTLIGHT_JOBS_TABLE": "jobs",
        "FIRSTLIGHT_JOBS_QUEUE": "http://127.0.0.1/queue",
    }
    ran = subprocess.run([sys.executable, "-c", STARTED], env=env, capture_output=True, text=True, check=True)
    made, modules = json.loads(ran.stdout)
    assert made == ["Answering", "Working"]
    assert not HEAVY & {name.partition(".")[0] for name in modules}
    assert len(modules) <= MODULES


def test_the_pages_know_what_the_bundles_say_without_their_weights(folder):
    project, catalogue = composition.described({"FIRSTLIGHT_ROUTER": str(folder)})
    mood, own = catalogue
    assert (mood.task, mood.labels, mood.problem) == ("text-classification", ("NEGATIVE", "POSITIVE"), "")
    assert len(mood.digest) == 64
    assert own.script
    policy = composition.policies(project)
    assert policy("mood", "live") == policy("gone", "live")


@pytest.mark.parametrize("content", [None, b"{}"])
def test_a_description_that_is_missing_or_wrong_is_said(tmp_path, content):
    if content is not None:
        (tmp_path / "project.json").write_bytes(content)
    with pytest.raises(ProjectError, match=r"project\.json|description"):
        composition.described({"FIRSTLIGHT_ROUTER": str(tmp_path)})


def test_the_package_has_two_handlers_and_nothing_else():
    import firstlight.gateway.aws as package

    with pytest.raises(AttributeError, match="no attribute 'other'"):
        _ = package.other
