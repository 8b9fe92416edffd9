"""A stack as an AWS CDK app in Python: a construct for each part, typed resources, references as references.

`cdk synth` gives the same template again, resource by resource: logical ids are the ids in the code, so the app takes
over a stack that was deployed before.
"""

from __future__ import annotations

from collections.abc import Mapping

from firstlight.deploy.exports.cdk import files, writing
from firstlight.deploy.exports.cdk.parts import parts
from firstlight.deploy.types import Stack


def render(stack: Stack) -> Mapping[str, str]:
    """The files of the app."""
    found = parts(stack)
    modules: dict[str, str] = {}
    for part in found:
        modules |= writing.part_files(part, found)
    return {
        "README.md": files.readme(stack, found, filed=any(path.startswith("code/") for path in modules)),
        "app.py": files.app(stack),
        "cdk.json": files.settings(),
        "requirements.txt": files.requirements(),
        ".gitignore": files.ignored(),
        "stack.py": writing.stack_module(stack, found),
        "parts/__init__.py": '"""The parts of the stack, one construct each."""\n',
        **modules,
    }
