"""The documentation is complete: what a user can say to firstlight has a page that names it."""

from __future__ import annotations

import json
import re
import tomllib
from importlib import import_module
from pathlib import Path

import click
import pytest

from firstlight import project
from firstlight.cli import VERBS
from firstlight.project import checks, deploy_checks
from firstlight.runtime import engines, tasks

DOCS = Path(__file__).resolve().parents[2] / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def command(verb: str) -> click.Command:
    module, _, attribute = VERBS[verb][1].partition(":")
    return getattr(import_module(f"firstlight.cli.{module}"), attribute)


def options(found: click.Command) -> set[str]:
    inner = found.commands.values() if isinstance(found, click.Group) else []
    own = {name for option in found.params if isinstance(option, click.Option) for name in option.opts}
    return own.union(*map(options, inner))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_page_with_every_option(verb):
    text = page(f"cli/{verb}.md")
    assert text.startswith(f"# firstlight {verb}\n")
    for section in ("## Options", "## Example", "## Exit codes"):
        assert section in text
    missing = {option for option in options(command(verb)) if f"`{option}" not in text}
    assert not missing


@pytest.mark.parametrize("task", tasks.names())
def test_every_task_has_a_page_with_every_parameter_and_its_example(task):
    text, schema = page(f"tasks/{task}.md"), tasks.schema(task)
    assert text.startswith(f"# {task}\n")
    for section in ("## Inputs", "## Parameters", "## Example", "## Long input"):
        assert section in text
    missing = {name for name in schema["parameters"]["properties"] if f"| `{name}` |" not in text}
    assert not missing
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    assert blocks[0] == schema["example"]
    kind = {"array": list, "object": dict}[schema["output"]["type"]]
    assert isinstance(blocks[1], kind)


@pytest.mark.parametrize("engine", engines.ENGINES)
def test_every_engine_has_a_page(engine):
    assert page(f"engines/{engine}.md").startswith(f"# {engine}\n")


def test_the_project_file_has_a_page_with_every_setting():
    text = page("project-file.md")
    missing = {
        key
        for key in (*checks.ENDPOINT, *checks.RECORDS, *deploy_checks.DEPLOY, "name")
        if f"| `{key}` |" not in text
    }
    assert not missing
    assert all(f'"{store}"' in text for store in checks.STORES)


def test_the_example_of_the_project_file_is_one(tmp_path):
    example = re.search(r"```toml\n(.*?)```", page("project-file.md"), re.DOTALL)[1]
    (tmp_path / "firstlight.toml").write_text(example)
    (tmp_path / "inference").mkdir()
    (tmp_path / "inference" / "translate-en2fr.py").write_text("def handler(event, context): ...\n")
    read = project.load(tmp_path, "prod", {})
    assert set(read.endpoints) == set(tomllib.loads(example)["endpoints"])
    assert read.endpoints["mood"].concurrency == 20


def test_no_page_is_about_something_that_is_gone():
    known = {f"cli/{verb}" for verb in VERBS} | {f"tasks/{task}" for task in tasks.names()}
    known |= {f"engines/{engine}" for engine in engines.ENGINES}
    found = {
        f"{file.parent.name}/{file.stem}"
        for folder in ("cli", "tasks", "engines")
        for file in (DOCS / folder).glob("*.md")
    }
    assert found == known


@pytest.mark.parametrize("file", sorted(DOCS.rglob("*.md")), ids=lambda file: str(file.relative_to(DOCS)))
def test_every_link_leads_somewhere(file):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", file.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (file.parent / target).exists(), target
