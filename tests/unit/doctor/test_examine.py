"""How checks are made, repaired and documented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from examined import Making
from firstlight import doctor
from firstlight.doctor import CHECKS, OK, PROBLEM, WARNING, Check, Finding, Subject
from firstlight.project import Endpoint
from firstlight.runtime.errors import ProjectError

DOCS = Path(__file__).resolve().parents[3] / "docs"
TOML = '[endpoints.mood]\nmodel = "x"\n'


def check(group: str, name: str, *findings: Finding | Exception) -> Check:
    def found() -> Iterator[Finding]:
        for finding in findings:
            if isinstance(finding, Exception):
                raise finding
            yield finding

    if group == "lambda":
        return Check(group, name, look_at=lambda subject, endpoint: found())
    return Check(group, name, look=lambda subject: found())


FINE = Finding(OK, "well")


def test_groups_that_are_asked_for_are_looked_at_in_order(subject: Making) -> None:
    checks = (check("machine", "a", FINE), check("hub", "b", FINE), check("lambda", "c", FINE))
    made = list(doctor.examine(subject(TOML), ["machine", "lambda"], checks))
    assert [(one.check.title, one.endpoint) for one in made] == [
        ("machine.a", ""),
        ("lambda.c", "mood"),
        ("lambda.c", "hello"),
    ]
    named = list(doctor.examine(subject(names=("hello",)), ["lambda"], checks))
    assert [one.endpoint for one in named] == ["hello"]


def test_errors_of_ours_are_problems_and_said_once_an_endpoint(subject: Making) -> None:
    error = ProjectError("the model is gone", "fetch it")
    checks = (check("lambda", "a", error), check("lambda", "b", FINE, error), check("project", "c", error))
    made = list(doctor.examine(subject(TOML), ["project", "lambda"], checks))
    assert [(one.check.name, one.endpoint, one.finding.level) for one in made] == [
        ("c", "", PROBLEM),
        ("a", "mood", PROBLEM),
        ("b", "mood", OK),
        ("a", "hello", PROBLEM),
        ("b", "hello", OK),
    ]
    assert made[0].finding.fix == "fetch it"


def test_an_endpoint_that_cannot_be_prepared(root: Path, subject: Making) -> None:
    here = Subject(root, {}, subject(TOML).project, names=("mood",))
    made = [one for one in doctor.examine(here, ["lambda"]) if one.finding.level == PROBLEM]
    assert [one.finding.what for one in made] == ["mood cannot be prepared here"]


def test_nothing_is_asked_of_endpoints_where_the_project_cannot_be_read(root: Path) -> None:
    assert not list(doctor.examine(Subject(root, {}, mistake=ProjectError("x")), ["lambda"]))


def refusing(error: Exception) -> Finding:
    def repair() -> str:
        raise error

    return Finding(WARNING, "x", repair=repair)


def test_repairs(subject: Making) -> None:
    done = Finding(WARNING, "x", repair=lambda: "removed x")
    checks = (
        check("machine", "a", FINE),
        check("machine", "b", done),
        check("machine", "c", refusing(PermissionError(13, "Permission denied"))),
        check("machine", "d", refusing(ProjectError("the model is gone", "fetch it"))),
    )
    made = [doctor.repaired(one) for one in doctor.examine(subject(), ["machine"], checks)]
    assert [one.done for one in made] == ["", "removed x", "", ""]
    assert "Permission denied" in made[2].finding.fix
    assert made[3].finding.fix == "the model is gone. fetch it"
    assert made[3].finding.repair is None


def test_names_are_unique_and_every_check_looks_at_something() -> None:
    titles = [one.title for one in CHECKS]
    assert len(set(titles)) == len(titles)
    assert all((one.look is None) != (one.look_at is None) for one in CHECKS)
    assert {one.group for one in CHECKS if one.look_at is not None} == {"lambda"}


def test_every_check_is_documented_with_its_fix() -> None:
    rows = re.findall(r"^\| `(\w+\.\w+)` \|(.*)\|(.*)\|$", (DOCS / "doctor.md").read_text(), re.MULTILINE)
    assert [name for name, _, _ in rows] == [one.title for one in CHECKS]
    assert all(looks.strip() and fix.strip() for _, looks, fix in rows)


@pytest.mark.parametrize("name", ["mood", "hello"])
def test_specs_are_made_once(subject: Making, name: str) -> None:
    here = subject(TOML)
    made: list[str] = []
    inner = here.spec_of

    def counting(endpoint: Endpoint):
        made.append(endpoint.name)
        return inner(endpoint)

    here.spec_of = counting
    endpoint = here.project.endpoints[name]
    assert here.spec(endpoint) is here.spec(endpoint)
    assert made == [name]
