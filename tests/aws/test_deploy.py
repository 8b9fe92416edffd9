"""Deployments on the emulator that are cut off, that meet each other, and that lack a right."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from parts import managed, registry
from parts.between import cutting
from parts.emulator import Emulator
from parts.stopping import stopping

PATIENCE = 300
FIRST = (
    ("CreateChangeSet", 1, "before"),
    ("CreateChangeSet", 1, "after"),
    ("ExecuteChangeSet", 1, "after"),
    ("PutObject", 2, "before"),
    ("ExecuteChangeSet", 1, "after"),
)
"""Where a first deployment is killed, one run after the other: question, which one of that run, before or after it."""
UPDATE = (
    ("PutObject", 1, "before"),
    ("ExecuteChangeSet", 1, "before"),
    ("ExecuteChangeSet", 1, "after"),
    ("Invoke", 1, "before"),
    ("ExecuteChangeSet", 1, "after"),
)
END = (("DeleteStack", 1, "after"), ("DeleteTable", 1, "after"), ("DeleteStack", 1, "after"))


@dataclass
class Place:
    """A project of one script, and the shell of the one who deploys it."""

    folder: Path
    emulator: Emulator
    name: str
    variables: dict[str, str] = field(default_factory=dict)

    def write(self, greeting: str) -> None:
        """The script, with another answer."""
        (self.folder / "inference").mkdir(parents=True, exist_ok=True)
        (self.folder / "firstlight.toml").write_text(
            f'name = "{self.name}"\n'
            f'[deploy]\narchitecture = "{self.emulator.architecture}"\nalarms = false\nping = false\n'
        )
        (self.folder / "inference/hello.py").write_text(
            f'def handler(event, context):\n    return {{"greeting": "{greeting}"}}\n'
        )

    @property
    def env(self) -> dict[str, str]:
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "FIRSTLIGHT_"))
        }
        home = {"XDG_DATA_HOME": str(self.folder / "home"), "NO_COLOR": "1"}
        return {**kept, **self.emulator.variables(), **home, **self.variables}

    def words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "firstlight", *words]

    def __call__(self, *words: str) -> tuple[int, str, str]:
        done = subprocess.run(
            self.words(*words),
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    def answer(self) -> str:
        code, out, err = self("invoke", "--remote", "hello", "x=1")
        assert code == 0, err
        return json.loads(out)["greeting"]

    def there(self) -> dict[str, list[str]]:
        """What is in the account that bears the project's name."""
        asked = {
            "cloudformation": ("describe_stacks", "Stacks", "StackName"),
            "lambda": ("list_functions", "Functions", "FunctionName"),
            "dynamodb": ("list_tables", "TableNames", ""),
            "s3": ("list_buckets", "Buckets", "Name"),
            "ecr": ("describe_repositories", "repositories", "repositoryName"),
            "logs": ("describe_log_groups", "logGroups", "logGroupName"),
        }
        found = {}
        for service, (operation, key, name) in asked.items():
            client = self.emulator.client(service)
            names = [one[name] if name else one for one in getattr(client, operation)()[key]]
            found[service] = sorted(one for one in names if self.name in one)
            client.close()
        return found


@pytest.fixture
def place(tmp_path: Path, emulator: Emulator) -> Place:
    return Place(tmp_path, emulator, "cut")


def killed_at(place: Place, moments, words: list[str]) -> None:
    """Run a command and kill it, at one moment after the other, then to its end."""
    with stopping(place.emulator.url) as between:
        for operation, count, when in moments:
            between.moment, between.when = (operation, count), when
            code, out, err = between.run(words, place.env, place.folder)
            assert code == -signal.SIGKILL, (operation, count, when, out, err)
        between.moment = None
        code, out, err = between.run(words, place.env, place.folder)
        assert code == 0, out + err
        assert "Traceback" not in err


def test_killed_again_and_again_it_is_deployed_updated_and_removed(place):
    place.write("one")
    killed_at(place, FIRST, place.words("deploy", "--yes"))
    assert place.answer() == "one"
    assert "everything is deployed as it is here" in place("deploy", "--yes")[1]

    place.write("two")
    killed_at(place, UPDATE, place.words("deploy", "--yes"))
    assert place.answer() == "two"
    assert place("rollback", "--yes", "hello")[0] == 0
    assert place.answer() == "one"

    killed_at(place, END, place.words("destroy", "--yes"))
    assert not any(place.there().values())


def test_interrupted_it_says_that_cloudformation_goes_on(place):
    place.name = "interrupted"
    place.write("one")
    with stopping(place.emulator.url) as between:
        between.moment, between.number = ("ExecuteChangeSet", 2), signal.SIGINT
        code, _, err = between.run(place.words("deploy", "--yes"), place.env, place.folder)
    assert code == 130
    assert "Traceback" not in err
    assert "CloudFormation goes on by itself" in err
    assert place("deploy", "--yes")[0] == 0
    assert place.answer() == "one"
    assert place("destroy", "--yes")[0] == 0
    assert not any(place.there().values())


def test_two_at_once(place, tmp_path):
    place.name = "twice"
    other = Place(tmp_path / "other", place.emulator, "twice")
    for one, greeting in ((place, "mine"), (other, "yours")):
        one.folder.mkdir(exist_ok=True)
        one.write(greeting)
    running = [
        subprocess.Popen(
            one.words("deploy", "--yes"),
            cwd=one.folder,
            env=one.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for one in (place, other)
    ]
    ends = [(process, *process.communicate(timeout=PATIENCE)) for process in running]
    for process, _, err in ends:
        assert process.returncode == 0 or "another deployment" in err, err
        assert "Traceback" not in err
    assert 0 in [process.returncode for process, _, _ in ends]
    assert place("deploy", "--yes")[0] == 0
    assert place.answer() == "mine"
    assert place("destroy", "--yes")[0] == 0
    assert not any(place.there().values())


def test_a_name_that_is_taken_is_told_and_the_next_run_is_clean(place):
    place.name = "taken"
    place.write("one")
    client = place.emulator.client("s3")
    bucket = f"firstlight-taken-{place.emulator.account}-{place.emulator.region}"
    client.create_bucket(Bucket=bucket)
    code, _, err = place("deploy", "--yes")
    assert code == 1
    assert "Bucket (AWS::S3::Bucket, artifacts) could not be made" in err
    assert "already exists" in err
    assert "take another `name` in firstlight.toml" in err
    client.delete_bucket(Bucket=bucket)
    client.close()
    code, out, err = place("deploy", "--yes")
    assert code == 0, err
    assert "an earlier deployment was not finished (ROLLBACK_COMPLETE)" in out
    assert place.answer() == "one"
    assert place("destroy", "--yes", "--keep-data")[0] == 0
    assert {service: len(names) for service, names in place.there().items() if names} == {"dynamodb": 2}
    assert place("destroy", "--yes")[0] == 0
    assert not any(place.there().values())


def test_nothing_happens_without_a_yes(place):
    place.name = "asked"
    place.write("one")
    code, out, err = place("deploy")
    assert code == 1
    assert "nothing was done: there is no terminal to ask at" in err
    assert "HelloRole" in out
    assert place("deploy", "--plan")[0] == 0
    assert not any(place.there().values())


def user(emulator: Emulator, name: str, policy: str) -> dict[str, str]:
    """A user of the account who may what a policy says; the variables of the user's shell."""
    iam = emulator.client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="deploying", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    iam.close()
    return emulator.variables(key["AccessKeyId"], key["SecretAccessKey"])


def test_a_missing_right_is_named(tmp_path, enforcing):
    """That the printed policy is enough: test_least_privilege.py."""
    place = Place(tmp_path, enforcing, "least")
    place.write("one")
    policy = json.loads(place("deploy", "--print-policy")[1])
    looking = {"Effect": "Allow", "Action": "sts:*", "Resource": "*"}
    place.variables = user(enforcing, "ann", json.dumps({**policy, "Statement": [looking]}))
    code, _, err = place("deploy", "--yes")
    assert code == 1
    assert "user/ann may not cloudformation:DescribeStacks" in err
    assert "`firstlight deploy --print-policy` prints all that deploying needs" in err
    for statement in policy["Statement"]:
        statement["Action"] = [one for one in statement["Action"] if "ChangeSet" not in one]
    place.variables = user(enforcing, "ben", json.dumps(policy))
    code, _, err = place("deploy", "--yes")
    assert code == 1
    assert "user/ben may not cloudformation:CreateChangeSet on firstlight-least-artifacts" in err
    place.variables = {}
    assert not any(place.there().values())


def test_a_registry_that_refuses_and_a_connection_that_is_lost(place, managed_runtime, tmp_path_factory):
    place.name = "refused"
    place.write("one")
    beside = tmp_path_factory.mktemp("registry")
    running = registry.with_password(beside)
    with cutting(running.host) as between:
        file = place.folder / "firstlight.toml"
        settings = f'registry = "{between.host}/refused"\nbase = "{managed.rootfs()}"\n'
        file.write_text(file.read_text() + settings)
        place.variables = login(beside, between.host, "wrong")
        code, _, err = place("deploy", "--yes")
        assert code == 1
        assert "error:" in err
        assert between.host in err
        assert place.there()["cloudformation"] == ["firstlight-refused-artifacts"]

        place.variables = login(beside, between.host, registry.PASSWORD)
        place.emulator.docker_login(between.host, registry.USER, registry.PASSWORD)
        between.cuts = [between.up + 1_000_000 * number for number in range(1, 60)]
        code, _, err = place("deploy", "--yes")
        assert code == 1
        assert "Traceback" not in err
        assert place.there()["lambda"] == []
        before, between.cuts = between.up, []
        code, _, err = place("deploy", "--yes")
        assert code == 0, err
        assert between.up > before
        assert place.answer() == "one"
        assert place("destroy", "--yes")[0] == 0
    running.stop()
    assert not any(place.there().values())


def login(folder: Path, host: str, password: str) -> dict[str, str]:
    """What `docker login` writes down, and the variable that leads there."""
    (folder / "docker").mkdir(exist_ok=True)
    auth = base64.b64encode(f"{registry.USER}:{password}".encode()).decode()
    (folder / "docker/config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return {"DOCKER_CONFIG": str(folder / "docker")}
