"""The resource graph: a project and stage as what AWS is to have, in CloudFormation's vocabulary."""

from firstlight.deploy.graph.artifacts import artifacts_stack
from firstlight.deploy.graph.assembling import stack
from firstlight.deploy.graph.notes import notes

__all__ = ["artifacts_stack", "notes", "stack"]
