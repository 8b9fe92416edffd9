"""Which changes make a resource anew: the plan's table says what CloudFormation's own schemas say."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import stacks
from aws import wishes
from aws.test_cfn_lint import KEY, project
from firstlight.deploy import comparing, graph
from firstlight.project.names import Names

PYTHON = Path(__file__).parents[2] / ".venv-aws/bin/python"
ASK = """
import json, sys
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER as schemas
found = {}
for name in json.load(sys.stdin):
    schema = schemas.get_resource_schema("us-east-1", name).schema
    fixed = schema.get("createOnlyProperties", []) + schema.get("conditionalCreateOnlyProperties", [])
    found[name] = sorted({path.split("/")[2] for path in fixed})
print(json.dumps(found))
"""
"""Asked in the environment that has cfn-lint, which brings the schemas."""


def used(folder: Path) -> dict[str, set[str]]:
    """Type -> properties that stacks have, over all pairs of options."""
    (folder / "key.pem").write_text(KEY)
    resources = list(graph.artifacts_stack(Names("lyrics"), stacks.ACCOUNT).resources)
    for chosen in wishes.pairs():
        resources += stacks.stack(project(chosen, folder)).resources
    found: dict[str, set[str]] = {}
    for resource in resources:
        found.setdefault(resource.type, set()).update(resource.properties)
    return found


def test_the_table_says_what_the_schemas_say(tmp_path: Path) -> None:
    properties = used(tmp_path)
    asked = subprocess.run(
        [PYTHON, "-c", ASK], input=json.dumps(list(properties)), capture_output=True, text=True, check=True
    )
    fixed = {name: set(these) for name, these in json.loads(asked.stdout).items()}
    said = {name: set(comparing.ANEW.get(name, "").split()) for name in properties}
    wrong = {
        name: (fixed[name] & here, said[name] & here)
        for name, here in properties.items()
        if fixed[name] & here != said[name] & here
    }
    assert not wrong
    assert not {name: these - fixed[name] for name, these in said.items() if these - fixed[name]}
