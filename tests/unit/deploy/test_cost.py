from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

import stacks
from firstlight.deploy import cost, prices
from firstlight.deploy.types import Cost, Stack
from firstlight.project.types import Endpoint, Front

MOOD = Endpoint("mood", model="m", memory=2048)


def line(lines: tuple[Cost, ...], what: str) -> Cost:
    (found,) = [one for one in lines if what in one.what]
    return found


def idle(stack: Stack, what: str) -> Cost:
    return line(cost.idle(stack), what)


def test_a_plain_stack_costs_alarms_a_dashboard_and_looking_into_a_queue() -> None:
    stack = stacks.stack(stacks.project(MOOD))
    lines = cost.idle(stack)
    assert {one.what for one in lines if one.usd > 0.005} == {
        "alarms",
        "dashboard",
        "Lambda looking into the queue of jobs",
    }
    assert idle(stack, "alarms").usd == pytest.approx(0.8)
    assert idle(stack, "dashboard").usd == 3.0
    assert idle(stack, "queue").usd == pytest.approx(5 * 3 * 1440 * 365 / 12 / 1e6 * 0.40)


def test_nothing_but_storage_is_left_without_them() -> None:
    stack = stacks.stack(stacks.project(MOOD, alarms=False, jobs=False, ping=False))
    assert cost.total(cost.idle(stack)) == 0


def test_images_and_zips_are_stored() -> None:
    project = stacks.project(MOOD)
    lines = cost.idle(stacks.stack(project), stacks.artifacts(project).values())
    assert line(lines, "images").usd == pytest.approx(0.06 * 0.10)
    assert line(lines, "zips").usd == pytest.approx(0.02 * 0.023)


def test_snap_start_is_paid_for_each_version() -> None:
    """AWS: $0.0000015046 a GB-second, so 2 GB for 30.4 days are $7.91."""
    project = stacks.project(dataclasses.replace(MOOD, snap_start=True))
    first = stacks.stack(project)
    assert idle(first, "1 published version").usd == pytest.approx(7.91, abs=0.01)
    second = stacks.stack(project, stacks.deployed(first), "b")
    assert idle(second, "2 published versions").usd == pytest.approx(15.82, abs=0.01)


def test_provisioned_workers_are_paid_around_the_clock() -> None:
    """2 GB of arm64 around the clock: $0.0000033334 x 2 x 2,628,000 s = $17.52."""
    stack = stacks.stack(stacks.project(dataclasses.replace(MOOD, provisioned=1)))
    assert idle(stack, "1 provisioned worker").usd == pytest.approx(17.52, abs=0.01)


def test_a_million_invocations_are_time_and_memory_and_what_they_leave_behind() -> None:
    lines = cost.per_million(stacks.stack(stacks.project(MOOD)), {"mood": 50.0})
    mood = line(lines, "invocations of mood")
    compute = 1e6 * 0.050 * 2 * 0.0000133334
    assert mood.usd == pytest.approx(compute + 0.20 + 2 * 0.625 + 0.25 + 1.2 * 0.50)
    assert "50 ms measured" in mood.how
    router = line(lines, "router")
    assert router.usd == pytest.approx(1e6 * 0.060 * 0.5 * 0.0000133334 + 0.20 + 0.60)


def test_what_is_not_measured_is_said_to_be_assumed() -> None:
    assert "100 ms assumed" in line(cost.per_million(stacks.stack(stacks.project(MOOD))), "mood").how


def test_fronts_and_jobs_come_on_top() -> None:
    endpoint = dataclasses.replace(MOOD, route="/mood", front=Front("rest"))
    lines = cost.per_million(stacks.stack(stacks.project(endpoint, api="http")))
    assert line(lines, "REST API").usd == 3.50
    assert line(lines, "HTTP API").usd == 1.00
    assert line(lines, "jobs").usd == pytest.approx(7 * 0.625 + 6 * 0.125 + 3 * 0.40)


def test_architectures_have_their_own_price() -> None:
    artifacts = stacks.artifacts(stacks.project(MOOD))
    intel = {name: dataclasses.replace(one, architecture="x86_64") for name, one in artifacts.items()}
    from firstlight.deploy import graph

    arm = line(cost.per_million(graph.stack(stacks.project(MOOD), artifacts, stacks.ACCOUNT)), "mood").usd
    x86 = line(cost.per_million(graph.stack(stacks.project(MOOD), intel, stacks.ACCOUNT)), "mood").usd
    assert x86 - arm == pytest.approx(1e6 * 0.1 * 2 * (0.0000166667 - 0.0000133334))


def test_every_price_says_where_it_is_from() -> None:
    listed = [value for value in vars(prices).values() if isinstance(value, prices.Price)]
    assert listed
    assert all(price.usd > 0 and price.unit and price.source for price in listed)


def test_the_page_has_the_prices_and_what_a_plain_project_costs() -> None:
    page = Path("docs/costs.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (.+?) \| ([0-9.]+) \|", page, re.MULTILINE)
    told = {float(usd) for _, usd in table}
    listed = {value.usd for value in vars(prices).values() if isinstance(value, prices.Price)}
    listed |= {
        price.usd for prices_of in (prices.COMPUTE, prices.PROVISIONED) for price in prices_of.values()
    }
    assert listed - told == set()
    project = stacks.project(Endpoint("qa", model="m"), Endpoint("mood", model="m"))
    month = cost.total(cost.idle(stacks.stack(project), stacks.artifacts(project).values()))
    assert f"costs ${month:.2f} a month" in page
