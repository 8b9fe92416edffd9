"""What every resource of a stack is tagged with."""

from __future__ import annotations

from firstlight.project.names import Names


def tags(names: Names) -> dict[str, str]:
    """Tags of both stacks of a project and stage; CloudFormation hands a stack's tags on to what is in it."""
    return {"firstlight:project": names.project, "firstlight:stage": names.stage or "-"}
