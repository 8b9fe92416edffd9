from __future__ import annotations

import dataclasses

import stacks
from firstlight.deploy.types import Att, Stack
from firstlight.project.types import Endpoint


def live(of: Stack, head: str = "Mood") -> str:
    value = of.resource(f"{head}Alias").properties["FunctionVersion"]
    assert isinstance(value, Att)
    return value.resource


def mood_versions(of: Stack) -> list[str]:
    return [version for version in stacks.ids(of, "Lambda::Version") if version.startswith("Mood")]


def test_a_first_deployment_leads_to_its_only_version() -> None:
    first = stacks.stack(stacks.project())
    assert mood_versions(first) == [live(first)]


def test_the_same_code_and_configuration_is_the_same_version() -> None:
    project = stacks.project()
    assert live(stacks.stack(project)) == live(stacks.stack(project))


def test_code_or_configuration_that_changed_is_another_version() -> None:
    mood = Endpoint("mood", model="starter:lyrics")
    before = live(stacks.stack(stacks.project(mood)))
    assert live(stacks.stack(stacks.project(mood), code="b")) != before
    assert live(stacks.stack(stacks.project(dataclasses.replace(mood, memory=512)))) != before
    assert live(stacks.stack(stacks.project(dataclasses.replace(mood, env={"A_B": "c"})))) != before


def test_what_is_no_part_of_a_version_makes_none() -> None:
    mood = Endpoint("mood", model="starter:lyrics")
    reserved = dataclasses.replace(mood, reserved=5, concurrency=5)
    assert live(stacks.stack(stacks.project(mood))) == live(stacks.stack(stacks.project(reserved)))


def test_an_update_keeps_the_alias_where_it_is_until_it_is_switched() -> None:
    project = stacks.project()
    first = stacks.stack(project)
    there = stacks.deployed(first)
    trying = stacks.stack(project, there, "b", switch=False)
    assert live(trying) == live(first)
    assert mood_versions(trying)[0] == live(first)
    assert len(mood_versions(trying)) == 2
    switched = stacks.stack(project, stacks.deployed(trying), "b")
    assert live(switched) == mood_versions(trying)[1]
    assert mood_versions(switched) == mood_versions(trying)


def test_after_the_switch_only_the_version_before_stays() -> None:
    project = stacks.project()
    there = stacks.deployed(stacks.stack(project))
    seen = [there.live["mood"]]
    for code in "bcd":
        there = stacks.deployed(stacks.stack(project, there, code, switch=False))
        there = stacks.deployed(stacks.stack(project, there, code))
        seen.append(there.live["mood"])
    assert len(set(seen)) == 4
    assert there.versions["mood"] == tuple(seen[-2:])


def test_a_deployment_that_changes_nothing_keeps_the_version_before() -> None:
    project = stacks.project()
    there = stacks.deployed(stacks.stack(project))
    there = stacks.deployed(stacks.stack(project, there, "b"))
    again = stacks.stack(project, there, "b")
    assert mood_versions(again) == list(there.versions["mood"])
    assert live(again) == there.live["mood"]


def test_versions_that_stay_are_as_they_are_in_the_template() -> None:
    project = stacks.project()
    there = stacks.deployed(stacks.stack(project))
    old = there.live["mood"]
    updated = stacks.stack(project, there, "b")
    assert stacks.properties(updated, old) == there.template["Resources"][old]["Properties"]  # type: ignore[index]


def test_an_interrupted_update_is_carried_on_with_other_code() -> None:
    project = stacks.project()
    first = stacks.stack(project)
    half = stacks.stack(project, stacks.deployed(first), "b", switch=False)
    trying = stacks.stack(project, stacks.deployed(half), "c", switch=False)
    assert live(trying) == live(first)
    assert len(mood_versions(trying)) == 3
    switched = stacks.stack(project, stacks.deployed(trying), "c")
    assert mood_versions(switched) == [live(first), live(switched)]
