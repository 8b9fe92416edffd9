from __future__ import annotations

import dataclasses
import os
import string
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight import project
from firstlight.project import checks, discovery
from firstlight.runtime.errors import ProjectError

HANDLER = "def handler(event, context):\n    return event\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(root: Path, toml: str = "", **files: str) -> Path:
    if toml:
        (root / "firstlight.toml").write_text(textwrap.dedent(toml), encoding="utf-8")
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("DOT", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def load(root: Path, stage: str | None = None, **env: str) -> project.Project:
    return project.load(root, stage, env)


def mistake(root: Path, toml: str, stage: str | None = None, **env: str) -> ProjectError:
    with pytest.raises(ProjectError) as caught:
        load(write(root, toml), stage, **env)
    return caught.value


def test_a_whole_file_is_read(folder):
    write(
        folder,
        """
        name = "lyrics"
        [endpoints.mood]
        model = "hf:owner/name@main"
        task = "text-classification"
        quantize = "int8"
        memory = 512
        timeout = 5
        concurrency = 3
        route = "/mood"
        env = { TOKEN = "hf_secret" }
        [endpoints.translate-en2fr]
        script = "inference/translate-en2fr.py"
        [records]
        store = "redacted"
        max_age_days = 7
        max_mb = 10
        """,
        **{"inference__translate-en2frDOTpy": HANDLER},
    )
    read = load(folder)
    assert (read.name, read.root, read.stage, read.file) == (
        "lyrics",
        folder,
        None,
        folder / "firstlight.toml",
    )
    assert read.endpoints["mood"] == project.Endpoint(
        "mood",
        model="hf:owner/name@main",
        task="text-classification",
        quantize="int8",
        memory=512,
        timeout=5.0,
        concurrency=3,
        route="/mood",
        env={"TOKEN": "hf_secret"},
        reserved=3,
    )
    assert read.endpoints["translate-en2fr"].script == folder / "inference" / "translate-en2fr.py"
    assert list(read.endpoints) == ["mood", "translate-en2fr"]
    assert read.records == project.RecordPolicy("redacted", 7.0, 10.0)
    assert read.data_dir == folder / ".firstlight"
    assert "hf_secret" not in repr(read)


def test_how_it_is_on_aws_is_read_by_stage(folder):
    write(
        folder,
        """
        [deploy]
        region = "eu-central-1"
        budget = 20
        [endpoints.mood]
        model = "starter:lyrics"
        package = "zip"
        [stage.prod.deploy]
        budget = 200
        alarms = false
        """,
    )
    plain, prod = load(folder).deployment, load(folder, stage="prod").deployment
    assert (plain.region, plain.budget, plain.alarms, plain.architecture) == (
        "eu-central-1",
        20.0,
        True,
        "arm64",
    )
    assert (prod.region, prod.budget, prod.alarms) == ("eu-central-1", 200.0, False)
    assert load(folder).endpoints["mood"].package == "zip"
    assert load(folder).endpoints["mood"].reserved is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('region = "Frankfurt"', "is not a region"),
        ("log_days = 15", "the nearest it takes is 14"),
        ('email = "me"', "not an email address"),
        ('cache = "nfs"', "is not one of none, efs, s3files"),
        ("budjet = 3", "did you mean 'budget'?"),
    ],
)
def test_mistakes_of_a_deployment_name_the_key(folder, line, said):
    write(folder, f"[deploy]\n{line}\n")
    with pytest.raises(ProjectError) as caught:
        load(folder)
    assert "[deploy]" in caught.value.message
    assert said in f"{caught.value.message} {caught.value.hint}"


def test_defaults(folder):
    write(folder, inference__helloDOTpy=HANDLER)
    read = load(folder)
    endpoint = read.endpoints["hello"]
    assert (endpoint.memory, endpoint.timeout, endpoint.route, endpoint.env) == (1769, 30.0, None, {})
    assert endpoint.concurrency == min(len(os.sched_getaffinity(0)), 4)
    assert read.name == discovery.slug(folder.name)
    assert read.records == project.RecordPolicy("none", 30.0, 256.0)


def test_what_was_read_cannot_be_changed(folder):
    read = load(write(folder, inference__helloDOTpy=HANDLER))
    with pytest.raises(dataclasses.FrozenInstanceError):
        read.name = "other"
    with pytest.raises(dataclasses.FrozenInstanceError):
        read.endpoints["hello"].memory = 1


def test_no_folder_has_no_endpoints_and_takes_the_starters():
    empty = project.load(None, env={"XDG_DATA_HOME": "/data"})
    assert (empty.endpoints, empty.root, empty.data_dir) == ({}, None, Path("/data/firstlight"))
    starters = project.with_starters(empty, ["qa", "sentiment"])
    assert starters.endpoints["qa"].model == "starter:qa"
    assert list(starters.endpoints) == ["qa", "sentiment"]


def test_the_nearest_project_above_is_found(folder):
    write(folder, 'name = "outer"')
    inner = folder / "a" / "b"
    inner.mkdir(parents=True)
    assert project.find(inner) == folder
    write(inner, 'name = "inner"')
    assert project.find(inner) == inner


def test_find_answers_none_outside_a_project():
    assert project.find(Path("/")) is None


STAGES = """
[endpoints.mood]
model = "starter:lyrics"
memory = 512
env = { A = "1", B = "2" }
[endpoints.hello]
script = "hello.py"
[stage.prod.endpoints.mood]
concurrency = 20
env = { B = "3" }
[stage.prod.endpoints.hello]
model = "starter:qa"
[stage.prod.records]
store = "hash"
"""


def test_a_stage_is_laid_over_key_by_key(folder):
    write(folder, STAGES, helloDOTpy=HANDLER)
    plain, prod = load(folder), load(folder, "prod")
    assert plain.endpoints["mood"].concurrency != 20
    assert plain.endpoints["hello"].script == folder / "hello.py"
    mood = prod.endpoints["mood"]
    assert (mood.concurrency, mood.memory, mood.env) == (20, 512, {"A": "1", "B": "3"})
    assert (prod.endpoints["hello"].model, prod.endpoints["hello"].script) == ("starter:qa", None)
    assert (prod.records.store, prod.stage) == ("hash", "prod")


def test_flag_wins_over_environment_over_file_over_default(folder):
    write(folder, STAGES + '[stage.dev.records]\nstore = "redacted"\n', helloDOTpy=HANDLER)
    assert load(folder).records.store == "none"
    assert load(folder, FIRSTLIGHT_STAGE="prod").records.store == "hash"
    assert load(folder, "dev", FIRSTLIGHT_STAGE="prod").records.store == "redacted"
    assert load(folder, "prod", FIRSTLIGHT_RECORDS="full").records.store == "full"
    assert load(folder, FIRSTLIGHT_DATA_DIR="/elsewhere").data_dir == Path("/elsewhere")


MODEL = '[endpoints.mood]\nmodel = "starter:lyrics"\n'


@pytest.mark.parametrize(
    ("toml", "named", "hint"),
    [
        ('nmae = "x"', ["firstlight.toml", "nmae"], "did you mean 'name'?"),
        (MODEL + "memroy = 512", ["[endpoints.mood] memroy"], "did you mean 'memory'?"),
        (MODEL + 'memory = "512"', ["[endpoints.mood] memory", "a whole number", "a string"], "memory = "),
        (MODEL + "memory = true", ["memory", "a boolean"], "memory = "),
        (MODEL + "memory = 127", ["memory", "from 128 to 10240 MB", "127"], ""),
        (MODEL + "memory = 10241", ["memory", "10241"], ""),
        (MODEL + "memory = 512.5", ["memory", "512.5"], "memory = "),
        (MODEL + "timeout = 0.05", ["timeout", "from 0.1 to 900 seconds"], ""),
        (MODEL + "timeout = 901", ["timeout", "901"], ""),
        (MODEL + "timeout = nan", ["timeout", "nan"], ""),
        (MODEL + "concurrency = -1", ["concurrency"], ""),
        (MODEL + "asynchronous.retries = 3", ["asynchronous", "retries", "from 0 to 2"], ""),
        (MODEL + 'asynchronous.on_failure = "sqs:x"', ["on_failure", "'sqs:x'"], "endpoint:NAME"),
        (MODEL + 'front.auth = "key"\nfront.kind = "url"', ["front", "auth"], ""),
        (MODEL + 'front.stream = true\nfront.kind = "http"', ["front", "stream"], ""),
        (MODEL + 'quantize = "int9"', ["quantize", "'int9'"], "did you mean 'int8'?"),
        (MODEL + 'task = "fillmask"', ["task", "'fillmask'"], "did you mean 'fill-mask'?"),
        (MODEL + 'route = "qa"', ["route", "'qa'"], '"/qa"'),
        (MODEL + 'route = "/{id}/x/{id}"', ["route", "cannot be a path"], '"/songs/{id}"'),
        (MODEL + 'route = "/{all+}/x"', ["route", "cannot be a path"], '"/files/{path+}"'),
        (MODEL + 'route = "/health"', ["route", "'/health'"], "another"),
        (MODEL + 'script = "x.py"', ["[endpoints.mood] model", "script"], "remove"),
        (MODEL + "env = 3", ["[endpoints.mood] env", "a table"], "[endpoints.mood.env]"),
        (MODEL + 'env = { "1A" = "x" }', ["[endpoints.mood.env] '1A'"], ""),
        (MODEL + 'env = { AWS_LAMBDA_RUNTIME_API = "x" }', ["AWS_LAMBDA_RUNTIME_API", "runtime"], "another"),
        ('[endpoints.mood]\nmodel = ""', ["[endpoints.mood] model", "empty"], ""),
        ('[endpoints."my mood"]\nmodel = "starter:qa"', ["[endpoints]", "'my mood'"], "letters, digits"),
        (f'[endpoints.{"a" * 65}]\nmodel = "starter:qa"', ["[endpoints]", "cannot be a name"], "1 to 64"),
        (MODEL + "[endpoints.hello]\nmemory = 512", ["[endpoints.hello]", "neither"], "inference/hello.py"),
        ('[endpoints.x]\nscript = "gone.py"', ["[endpoints.x] script", "'gone.py'"], "project"),
        ("endpoints = 3", ["endpoints", "a table", "a number"], "[endpoints]"),
        ("[endpoints]\nmood = 3", ["[endpoints] mood", "a table"], "[endpoints.mood]"),
        ("[records]\nstore = 'ful'", ["[records] store", "'ful'"], "did you mean 'full'?"),
        ("[records]\nmax_mb = 0", ["[records] max_mb", "1000000"], ""),
        ("[stage.prod]\nnmae = 1", ["[stage.prod] nmae"], ""),
        ("[stage.prod.endpoints.a]\nmemroy = 1", ["[stage.prod.endpoints.a] memroy"], "'memory'"),
        ("name = [}", ["firstlight.toml", "not valid TOML", "line 1"], ""),
        ("name = 2026-11-20", ["name", "a date or time"], ""),
        (
            MODEL + 'route = "/go-on"\n[endpoints.b]\nmodel = "starter:qa"\nroute = "/go-on"',
            ["[endpoints.b] route", "'/go-on'", "'mood'"],
            "own path",
        ),
    ],
)
def test_a_mistake_names_file_table_and_key(folder, toml, named, hint):
    error = mistake(folder, toml)
    assert error.message.startswith("firstlight.toml")
    for word in named:
        assert word in error.message
    assert hint in error.hint


def test_a_stage_that_is_not_there_is_a_mistake(folder):
    error = mistake(folder, STAGES, "prdo")
    assert "'prdo'" in error.message
    assert error.hint == "did you mean 'prod'?"


def test_a_misspelt_endpoint_of_a_stage_is_a_mistake(folder):
    error = mistake(folder, MODEL + "[stage.prod.endpoints.mod]\nconcurrency = 2", "prod")
    assert "[endpoints.mod]" in error.message
    assert error.hint == "did you mean 'mood'?"


def test_a_file_that_is_no_text_is_a_mistake(folder):
    (folder / "firstlight.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(ProjectError, match="not UTF-8"):
        load(folder)


def test_a_wrong_variable_names_the_variable(folder):
    write(folder, MODEL)
    with pytest.raises(ProjectError, match="environment FIRSTLIGHT_RECORDS: 'all'"):
        load(folder, FIRSTLIGHT_RECORDS="all")


@given(secret=st.text(string.ascii_letters + string.digits, min_size=12, max_size=40))
def test_no_message_shows_a_secret(tmp_path_factory, secret):
    root = tmp_path_factory.mktemp("secret")
    for broken in (
        f"[endpoints.a.env]\nK = ['{secret}']",
        f"[endpoints.a]\nmemory = '{secret}'",
        f"x = '{secret}'",
    ):
        error = mistake(root, broken)
        assert secret not in error.message + error.hint


def test_scripts_are_found_without_being_imported(folder):
    write(
        folder,
        inference__sentimentDOTpy="raise SystemExit('imported')\n" + HANDLER,
        inference__classyDOTpy="class EndpointHandler:\n    pass\n",
        inference__fromelseDOTpy="from other import handler\n",
        inference__branchDOTpy="try:\n    from a import handler\nexcept ImportError:\n    handler = None\n",
        inference__lambdasDOTpy="handler = lambda event, context: event\n",
        inference__toolsDOTpy="def other():\n    def handler(): ...\n",
        inference__brokenDOTpy="import transformers import x\n" + HANDLER,
        inference__textDOTpy="this is not Python\n",
        inference___hiddenDOTpy=HANDLER,
        inference__notesDOTtxt=HANDLER,
    )
    assert list(load(folder).endpoints) == ["branch", "broken", "classy", "fromelse", "lambdas", "sentiment"]


def test_hugging_face_and_sagemaker_layouts_are_found(folder):
    write(folder, 'name = "demo"', handlerDOTpy="class EndpointHandler: ...\n")
    assert load(folder).endpoints["demo"].script == folder / "handler.py"
    write(folder, code__inferenceDOTpy="def model_fn(path): ...\n")
    assert load(folder).endpoints["inference"].script == folder / "code" / "inference.py"


def test_a_table_may_configure_a_script_that_is_found(folder):
    write(folder, "[endpoints.hello]\nmemory = 512", inference__helloDOTpy=HANDLER)
    endpoint = load(folder).endpoints["hello"]
    assert (endpoint.script, endpoint.memory) == (folder / "inference" / "hello.py", 512)


def test_a_script_that_is_named_is_not_found_again(folder):
    write(folder, '[endpoints.hi]\nscript = "./inference/hello.py"', inference__helloDOTpy=HANDLER)
    assert list(load(folder).endpoints) == ["hi"]


def test_a_script_whose_name_no_endpoint_can_have_is_a_mistake(folder):
    write(folder, **{"inference__my moodDOTpy": HANDLER})
    with pytest.raises(ProjectError, match=r"my mood\.py: 'my mood' cannot be the name") as caught:
        load(folder)
    assert "rename" in caught.value.hint


def test_hugging_face_variables_make_an_endpoint(folder):
    read = load(folder, HF_MODEL_ID="owner/my.model", HF_TASK="text-classification", HF_REVISION="abc")
    assert read.endpoints == {
        "my-model": project.Endpoint("my-model", model="hf:owner/my.model@abc", task="text-classification")
    }
    assert load(folder, HF_MODEL_ID=str(folder)).endpoints[discovery.slug(folder.name)].model == str(folder)
    write(folder, MODEL)
    assert list(load(folder, HF_MODEL_ID="owner/model").endpoints) == ["mood"]


@given(st.text(max_size=200))
def test_a_slug_is_always_a_name(text):
    assert checks.NAME.fullmatch(discovery.slug(text))


TOML_VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.one_of(
    st.sampled_from(["name", "endpoints", "stage", "records", "model", "script", "memory", "env", "prod"]),
    st.text(max_size=8),
)
TABLES = st.recursive(
    st.dictionaries(NAMES, TOML_VALUES, max_size=4),
    lambda t: st.dictionaries(NAMES, t, max_size=3),
    max_leaves=6,
)


@given(raw=TABLES)
def test_any_file_is_read_or_explained(tmp_path_factory, raw):
    import tomlkit

    root = tmp_path_factory.mktemp("any")
    (root / "firstlight.toml").write_bytes(tomlkit.dumps(raw).encode("utf-8", "replace"))
    explained, read = "", None
    try:
        read = project.load(root, env={})
    except ProjectError as error:
        explained = error.message
    assert (
        "firstlight.toml" in explained
        if read is None
        else set(read.endpoints) >= set(raw.get("endpoints", {}))
    )


@given(source=st.binary(max_size=200))
def test_any_bytes_may_stand_in_a_script(tmp_path_factory, source):
    script = tmp_path_factory.mktemp("bytes") / "x.py"
    script.write_bytes(source)
    assert discovery.has_handler(script) in (True, False)
