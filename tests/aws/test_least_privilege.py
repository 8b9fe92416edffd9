"""What `firstlight deploy --print-policy` prints is enough for a whole life on an account that enforces rights."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import pytest

from parts.shell import Shell

NUMBERS = itertools.count()


@pytest.fixture
def as_user(enforcing, tmp_path):
    """A shell of somebody whose rights are a policy."""
    iam = enforcing.client("iam")

    def make(policy: dict) -> Shell:
        name = f"deployer-{next(NUMBERS)}"
        iam.create_user(UserName=name)
        arn = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(policy))["Policy"]["Arn"]
        iam.attach_user_policy(UserName=name, PolicyArn=arn)
        keys = iam.create_access_key(UserName=name)["AccessKey"]
        return Shell(tmp_path / "shop", enforcing.variables(keys["AccessKeyId"], keys["SecretAccessKey"]))

    yield make
    iam.close()


@pytest.fixture
def policy(enforcing, tmp_path) -> Iterator[dict]:
    """The policy that is printed for a project, which is in the folder ``shop``."""
    owner = Shell(tmp_path, enforcing.variables())
    owner("init", "shop")
    toml = tmp_path / "shop/firstlight.toml"
    toml.write_text(f'name = "shop"\n[deploy]\narchitecture = "{enforcing.architecture}"\npackage = "zip"\n')
    yield json.loads(owner("-C", "shop", "deploy", "--print-policy").out)
    owner("-C", "shop", "destroy", "--yes")


def test_the_printed_policy_is_enough(as_user, policy, tmp_path):
    shell = as_user(policy)
    shell("deploy", "--yes")
    assert shell("invoke", "--remote", "hello", "name=Ada").out == '{"greeting": "Hello, Ada!"}\n'
    script = tmp_path / "shop/inference/hello.py"
    script.write_text(script.read_text().replace("Hello", "Good day"))
    shell("diff", "--check", code=1)
    shell("deploy", "--yes")
    assert (
        shell("invoke", "--remote", "hello", "--stream", "name=Ada").out == '{"greeting": "Good day, Ada!"}'
    )
    assert shell("status", "--json").json["well"]
    assert " took " in shell("logs", "--remote").out
    assert [one["project"] for one in shell("list", "--remote", "--json").json] == ["shop"]
    shell("rollback", "--yes")
    shell("destroy", "--yes")
