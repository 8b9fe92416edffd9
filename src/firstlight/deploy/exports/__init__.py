"""Other forms of the resource graph: projects that somebody who knows another tool better may own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from firstlight.deploy.exports.writing import Written, write

if TYPE_CHECKING:
    from firstlight.deploy.types import Render, Stack

__all__ = ["DOCKERFILE", "FORMS", "REFERENCE", "Form", "Written", "render", "write"]


@dataclass(frozen=True, slots=True)
class Form:
    """What a stack can be exported as.

    Attributes:
        render: ``module:function`` of its ``Render``, imported when it is asked for.
        next: command lines that go on from the folder it was written to; its README has the rest.
    """

    render: str
    next: tuple[str, ...]


FORMS: dict[str, Form] = {
    "cloudformation": Form(
        "firstlight.deploy.cloudformation:render",
        (
            "aws cloudformation deploy --stack-name {stack} --template-file template.yaml "
            "--capabilities CAPABILITY_IAM",
        ),
    ),
    "sam": Form("firstlight.deploy.exports.sam:render", ("sam deploy",)),
    "cdk": Form(
        "firstlight.deploy.exports.cdk:render",
        ("pip install -r requirements.txt", "npx aws-cdk@2.1148.1 deploy"),
    ),
    "serverless": Form("firstlight.deploy.exports.serverless:render", ("npx osls@4.3.1 deploy",)),
    "terraform": Form("firstlight.deploy.exports.terraform:render", ("terraform init", "terraform apply")),
}
"""Every form of a stack by its name."""
REFERENCE = "secretsmanager:"
"""What values of ``env`` begin with that are read by CloudFormation, and are in no file."""
DOCKERFILE = "dockerfile"
"""What is exported of endpoints and not of the stack: a folder that `docker build` takes, for each."""


def render(form: str, stack: Stack) -> Mapping[str, str]:
    """The files of a stack in another form.

    Args:
        form: one of ``FORMS``.

    Returns:
        Path below the project's folder -> text.
    """
    module, _, function = FORMS[form].render.partition(":")
    made: Render = getattr(import_module(module), function)
    return made(stack)
