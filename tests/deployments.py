"""A small project and its deployments to the account of ``fake_aws``."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from fake_aws import Cloud
from firstlight import project as projects
from firstlight.deploy import applying, destroying, planning, reading, rolling_back
from firstlight.deploy.applying import Applied, Work
from firstlight.deploy.planning import Planned
from firstlight.deploy.sending import Code
from firstlight.deploy.types import Artifact
from firstlight.project.names import Names

NAMES = Names("demo")


class Lines:
    """A ``Progress`` that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def stage(self, name: str, total: int | None = None) -> None:
        self.said.append(name)

    def advance(self, count: int) -> None: ...

    def say(self, text: str) -> None:
        self.said.append(text)


class Killed(BaseException):
    """The process is gone."""


def cut_at(cloud: Cloud, place: int, error: type[BaseException]) -> list[str]:
    """Have the call with this number be the last one; whether there was one of that number is told by ``hits``."""
    hits: list[str] = []

    def before(operation: str) -> None:
        hits.append(operation)
        if len(hits) == place:
            raise error(operation)

    cloud.before = before
    return hits


class Deployer:
    """Deploys a project of two endpoints, again and again.

    Attributes:
        texts: function -> its code; another text is another version.
        settings: more of the project file.
    """

    def __init__(self, folder: Path, cloud: Cloud | None = None) -> None:
        self.folder, self.cloud = folder, cloud or Cloud()
        self.texts = {"mood": "one", "hello": "one", "router": "one"}
        self.settings = ""
        self.shown = Lines()

    @property
    def project(self) -> Any:
        """The project as its file has it now."""
        (self.folder / "firstlight.toml").write_text(
            f'name = "demo"\n[endpoints.mood]\nmodel = "starter:sentiment"\n{self.settings}'
        )
        (self.folder / "inference").mkdir(exist_ok=True)
        (self.folder / "inference/hello.py").write_text("def handler(event, context): ...\n")
        return projects.load(self.folder, None, {})

    def codes(self) -> list[Code]:
        """The zips."""
        return [self._code(name) for name in (*self.project.endpoints, "router")]

    def planned(self) -> Planned:
        """A plan, made by looking only."""
        session: Any = self.cloud.session()
        found = reading.find(session, NAMES, self.shown, lambda seconds: None)
        artifacts = [code.artifact for code in self.codes()]
        return planning.plan(self.project, session.account(), artifacts, found)

    def deploy(self, planned: Planned | None = None) -> Applied | None:
        """Plan and apply; None where nothing is to be done."""
        planned = planned or self.planned()
        if planned.nothing:
            return None
        session: Any = self.cloud.session()
        return applying.apply(
            Work(session, self.project, planned, self.codes(), self.shown, lambda seconds: None)
        )

    def roll_back(self, *names: str) -> None:
        """Take the way back."""
        session: Any = self.cloud.session()
        way = rolling_back.find(session, NAMES, names, self.shown)
        rolling_back.take(session, NAMES, way, self.shown, lambda seconds: None)

    def destroy(self, keep_data: bool = False) -> Any:
        """Remove everything."""
        session: Any = self.cloud.session()
        doomed = destroying.find(session, NAMES, self.shown)
        return destroying.destroy(
            session, doomed, self.shown, keep_data=keep_data, sleep=lambda seconds: None
        )

    def live(self) -> dict[str, str]:
        """Endpoint -> the number of the version its callers get."""
        session: Any = self.cloud.session()
        deployed = reading.deployed(session, NAMES)
        assert deployed is not None
        resources = self.cloud.stacks[NAMES.stack].resources
        numbers = {
            key: resources[version]["PhysicalResourceId"].rpartition(":")[2]
            for key, version in deployed.live.items()
        }
        return {key: numbers[key] for key in ("mood", "hello", "router")}

    def _code(self, name: str) -> Code:
        text = self.texts[name].encode()
        digest = hashlib.sha256(text).hexdigest()
        file = self.folder / f"{name}-{digest[:8]}.zip"
        if not os.path.exists(file):
            file.write_bytes(text)
        uri = f"s3://{NAMES.bucket('123456789012', 'eu-central-1')}/{name}/{digest}.zip"
        runtime = {"runtime": "python3.13", "handler": "firstlight.runtime.lambda_function.handler"}
        return Code(Artifact(name, "zip", digest, uri, len(text), len(text), "arm64", **runtime), file)
