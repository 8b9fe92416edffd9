"""Deployments, updates and ends of a stack, cut off at each call to AWS: the same again ends where it should."""

from __future__ import annotations

import pytest

from deployments import Deployer, Killed, cut_at


def state(cloud):
    """What is in the account, without what tells one run from another."""
    return {
        "templates": {name: stack.template for name, stack in cloud.stacks.items()},
        "statuses": {name: stack.status for name, stack in cloud.stacks.items()},
        "objects": cloud.objects,
        "tables": len(cloud.tables),
        "sets": {name: len(stack.sets) for name, stack in cloud.stacks.items()},
    }


def finished(tmp_path, steps):
    """The state of an account in which nothing was cut off."""
    folder = tmp_path / "whole"
    folder.mkdir()
    whole = Deployer(folder)
    for step in steps:
        step(whole)
    return whole


def first(deployer):
    deployer.deploy()


def second(deployer):
    deployer.texts.update(mood="two", router="two")
    deployer.deploy()


def gone(deployer):
    deployer.destroy()


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ([first], Killed),
        ([first, second], Killed),
        ([first, second], KeyboardInterrupt),
        ([first, second, gone], Killed),
    ],
    ids=["new", "update", "interrupted update", "destroy"],
)
def test_cut_off_anywhere_the_same_again_ends_where_it_should(tmp_path, steps, error):
    whole = finished(tmp_path, steps)
    expected = state(whole.cloud)
    place = 0
    while True:
        place += 1
        folder = tmp_path / str(place)
        folder.mkdir()
        here = Deployer(folder)
        here.cloud.ticks = 1
        for step in steps[:-1]:
            step(here)
        hits = cut_at(here.cloud, place, error)
        try:
            steps[-1](here)
        except error:
            pass
        here.cloud.before = lambda call: None
        if len(hits) < place:
            break
        steps[-1](here)
        assert state(here.cloud) == expected, hits[-1]
    assert place > 20
    if steps[-1] is gone:
        assert expected["templates"] == {}
        assert expected["tables"] == 0
