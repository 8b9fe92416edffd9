"""A user's shell: `firstlight` as it is typed, and what an account holds before and after."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from parts.emulator import Emulator

PATIENCE = 300


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out.splitlines()[-1])


@dataclass(frozen=True)
class Shell:
    """A new user's shell: a folder, and an account that the environment leads to."""

    folder: Path
    variables: dict[str, str]

    def __call__(self, *words: str, code: int = 0) -> Done:
        """Type `firstlight` and words."""
        begun = time.monotonic()
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FIRSTLIGHT_"))
        }
        done = subprocess.run(
            [sys.executable, "-m", "firstlight", *words],
            cwd=self.folder,
            env={**kept, **self.variables, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        print(f"{time.monotonic() - begun:6.1f} s  firstlight {' '.join(words)}")  # noqa: T201 - pytest shows it where a test fails
        assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return Done(done.returncode, done.stdout, done.stderr)


def inventory(emulator: Emulator) -> set[str]:
    """All there is in the account."""
    found: set[str] = set()
    asked = {
        "cloudformation": [("describe_stacks", "Stacks", "StackName")],
        "lambda": [
            ("list_functions", "Functions", "FunctionName"),
            ("list_event_source_mappings", "EventSourceMappings", "UUID"),
        ],
        "logs": [("describe_log_groups", "logGroups", "logGroupName")],
        "dynamodb": [("list_tables", "TableNames", "")],
        "sqs": [("list_queues", "QueueUrls", "")],
        "s3": [("list_buckets", "Buckets", "Name")],
        "ecr": [("describe_repositories", "repositories", "repositoryName")],
        "iam": [("list_roles", "Roles", "RoleName"), ("list_policies", "Policies", "PolicyName")],
        "cloudwatch": [
            ("describe_alarms", "MetricAlarms", "AlarmName"),
            ("list_dashboards", "DashboardEntries", "DashboardName"),
        ],
        "scheduler": [
            ("list_schedules", "Schedules", "Name"),
            ("list_schedule_groups", "ScheduleGroups", "Name"),
        ],
        "events": [("list_rules", "Rules", "Name")],
        "sns": [("list_topics", "Topics", "TopicArn")],
        "apigateway": [("get_rest_apis", "items", "id")],
        "apigatewayv2": [("get_apis", "Items", "ApiId")],
    }
    for service, questions in asked.items():
        client = emulator.client(service)
        for operation, key, name in questions:
            more = {"Scope": "Local"} if operation == "list_policies" else {}
            for one in getattr(client, operation)(**more).get(key, ()):
                found.add(f"{service} {one[name] if name else one}")
        client.close()
    return found
