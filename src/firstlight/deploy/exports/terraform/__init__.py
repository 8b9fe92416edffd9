"""A stack as a project of Terraform or OpenTofu: one file for each part, comments that say why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from firstlight.deploy.exports.references import references
from firstlight.deploy.exports.terraform import hcl
from firstlight.deploy.exports.terraform.bodies import body, plain
from firstlight.deploy.exports.terraform.hcl import Block, Json, Raw, Top
from firstlight.deploy.exports.terraform.places import Places
from firstlight.deploy.exports.terraform.words import KINDS, Kind, snake
from firstlight.deploy.types import Att, Ref, Resource, Stack

PROVIDER = ">= 6.40"
"""The first with S3 Files; what is called by URL (6.28) and answers of REST APIs that stream are older."""

_README = """# {stack}

{description}, as a project of Terraform (1.5 or later) or OpenTofu.

- `main.tf`: versions, the provider and what is looked up.
- One file for each part: {parts}.
- `outputs.tf`: what is said when it is up.

The code of the functions is referred to by digest (`image_uri`) and by key (`s3_key`): it has to be in the registry and
in the bucket. `firstlight export terraform --send` puts it there, and so did `firstlight deploy`.

    terraform init
    terraform plan
    terraform apply
    terraform destroy

An update: put the new digest or key into the file of its part and run `terraform apply`. The function is published as a
new version (`publish`), and the alias `live` moves to it at once; `firstlight deploy` invokes a new version first.

Resources with `prevent_destroy` hold what users would miss: `terraform destroy` stops at them. Take the line out, or
`terraform state rm` them, when you mean it.

State is in a file here. Give `terraform` a `backend` in `main.tf` before several people work with it.
"""


def render(stack: Stack) -> Mapping[str, str]:
    """The files of the project."""
    places = Places(stack)
    parts: dict[str, list[Top]] = {}
    files: dict[str, str] = {}
    for resource in stack.resources:
        if resource.type != "AWS::Lambda::Version":
            parts.setdefault(_file(resource.part), []).extend(_blocks(resource, places, files))
    texts = {name: hcl.document(blocks) for name, blocks in parts.items()}
    outputs = hcl.document(
        [
            Top(
                "output",
                (snake(one.name),),
                {"description": one.description, "value": places.value(one.value)},
            )
            for one in stack.outputs
        ]
    )
    names = ", ".join(f"`{name}`" for name in texts)
    written = {**texts, "outputs.tf": outputs, **files}
    return {
        "README.md": _README.format(stack=stack.name, description=stack.description, parts=names),
        "main.tf": hcl.document(list(_main(stack, places, written))),
        **written,
        ".gitignore": ".terraform/\n*.tfstate\n*.tfstate.backup\n*.zip\n",
    }


def _file(part: str) -> str:
    word = re.sub(r"[^A-Za-z0-9]+", "_", part).strip("_").lower()
    return f"{word}_.tf" if word in ("main", "outputs") else f"{word}.tf"


def _main(stack: Stack, places: Places, written: Mapping[str, str]) -> Iterator[Top]:
    text = "".join(written.values())
    needed: dict[str, Any] = {"aws": {"source": "hashicorp/aws", "version": PROVIDER}}
    if "data.archive_file." in text:
        needed["archive"] = {"source": "hashicorp/archive", "version": ">= 2.4"}
    yield Top(
        "terraform",
        (),
        {"required_version": ">= 1.5", "required_providers": Block(needed)},
        stack.description,
    )
    comment = "Region and credentials are those of the environment (AWS_REGION, AWS_PROFILE)."
    yield Top("provider", ("aws",), {"default_tags": Block({"tags": dict(stack.tags)})}, comment)
    for type_, name in (
        ("aws_region", "current"),
        ("aws_caller_identity", "current"),
        ("aws_partition", "current"),
    ):
        if f"data.{type_}.{name}." in text:
            yield Top("data", (type_, name))
    if "data.aws_availability_zones." in text:
        yield Top("data", ("aws_availability_zones", "available"), {"state": "available"})
    for name, place in sorted(places.secrets.items()):
        yield Top("data", ("aws_secretsmanager_secret_version", place), {"secret_id": name})


def _blocks(resource: Resource, places: Places, files: dict[str, str]) -> Iterator[Top]:
    """A resource, and those that CloudFormation has inside it."""
    kind, name = KINDS[resource.type], places.name(resource)
    made = body(resource, places)
    if resource.type == "AWS::Lambda::Function":
        made.update(_published(resource, places))
        yield from _inline(resource, name, made, files)
    if resource.type == "AWS::ApiGateway::Deployment":
        made["triggers"] = {"redeployment": _changes(resource, places)}
        made["lifecycle"] = Block({"create_before_destroy": True})
    if resource.keep:
        made["lifecycle"] = Block({"prevent_destroy": True})
    after = [*_after(resource, places)]
    if after:
        made["depends_on"] = [Raw(one) for one in after]
    yield Top("resource", (kind.type, name), made, resource.why)
    for type_, label, more in _inside(resource, places):
        yield Top("resource", (type_, label), more)


def _published(function: Resource, places: Places) -> dict[str, Any]:
    versions = (one for one in places.stack.resources if one.type == "AWS::Lambda::Version")
    if any(found.resource == function.id for one in versions for found in references(one.properties)):
        return {"publish": True}
    return {}


def _inline(function: Resource, name: str, made: dict[str, Any], files: dict[str, str]) -> Iterator[Top]:
    """Code that is in the template becomes a file, packed when Terraform runs."""
    code = function.properties["Code"]
    if isinstance(code, Mapping) and "ZipFile" in code:
        files[f"{name}.py"] = str(code["ZipFile"])
        archive = f"data.archive_file.{name}"
        source = Block({"filename": "index.py", "content": Raw(f'file("${{path.module}}/{name}.py")')})
        made["filename"] = Raw(f"{archive}.output_path")
        made["source_code_hash"] = Raw(f"{archive}.output_base64sha256")
        place = hcl.Template((Raw("path.module"), f"/{name}.zip"))
        yield Top("data", ("archive_file", name), {"type": "zip", "output_path": place, "source": source})


def _after(resource: Resource, places: Places) -> Iterator[str]:
    """What comes first beside what is referred to; what a function may do has to be said before it is made."""
    for other in resource.after:
        found = places.there[other]
        if found.type == "AWS::ApiGateway::Method":
            yield f"aws_api_gateway_integration.{places.name(found)}"
        elif found.type != "AWS::Lambda::Version":
            yield places.address(other)
    if resource.type in ("AWS::Lambda::Function", "AWS::S3Files::FileSystem"):
        role = resource.properties.get("Role") or resource.properties.get("RoleArn")
        if isinstance(role, (Ref, Att)):
            yield from (
                f"{type_}.{label}" for type_, label, _ in _inside(places.there[role.resource], places)
            )
    if resource.type == "AWS::S3Files::FileSystem":
        yield from (
            f"aws_s3_bucket_versioning.{places.name(one)}"
            for one in places.stack.resources
            if one.type == "AWS::S3::Bucket"
        )


def _changes(deployment: Resource, places: Places) -> Raw:
    """A REST API is deployed anew when one of its methods changes."""
    methods = [
        places.there[one] for one in deployment.after if places.there[one].type == "AWS::ApiGateway::Method"
    ]
    names = [places.name(one) for one in methods]
    addresses = [f"aws_api_gateway_{kind}.{name}" for name in names for kind in ("method", "integration")]
    listed = "".join(f"      {one},\n" for one in addresses)
    return Raw(f"sha1(jsonencode([\n{listed}    ]))")


def _inside(resource: Resource, places: Places) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What is a property in CloudFormation and a resource here: type, name, body."""
    found = _INSIDE.get(resource.type)
    if found:
        yield from found(resource, places)


def _policies(role: Resource, places: Places) -> Iterator[tuple[str, str, dict[str, Any]]]:
    where, name = places.address(role.id), places.name(role)
    given: Any = role.properties.get("Policies", ())
    for one in given:
        word = snake(re.sub(r"[^A-Za-z0-9]+", "_", one["PolicyName"]))
        policy = Json(places.value(one["PolicyDocument"]))
        more = {"role": Raw(f"{where}.name"), "name": one["PolicyName"], "policy": policy}
        yield "aws_iam_role_policy", f"{name}_{word}", more


def _integration(method: Resource, places: Places) -> Iterator[tuple[str, str, dict[str, Any]]]:
    where = places.address(method.id)
    given: Any = method.properties["Integration"]
    words = {
        "Type": "type",
        "IntegrationHttpMethod": "integration_http_method",
        "TimeoutInMillis": "timeout_milliseconds",
    }
    more = {
        "rest_api_id": Raw(f"{where}.rest_api_id"),
        "resource_id": Raw(f"{where}.resource_id"),
        "http_method": Raw(f"{where}.http_method"),
        **plain(given, Kind("", words), places),
    }
    yield "aws_api_gateway_integration", places.name(method), more


def _settings(stage: Resource, places: Places) -> Iterator[tuple[str, str, dict[str, Any]]]:
    where, name = places.address(stage.id), places.name(stage)
    given: Any = stage.properties.get("MethodSettings", ())
    for number, one in enumerate(given):
        path = f"{one['ResourcePath'].lstrip('/')}/{one['HttpMethod']}"
        rest = {key: value for key, value in one.items() if key not in ("ResourcePath", "HttpMethod")}
        more = {
            "rest_api_id": Raw(f"{where}.rest_api_id"),
            "stage_name": Raw(f"{where}.stage_name"),
            "method_path": path,
            "settings": Block(plain(rest, Kind(""), places)),
        }
        yield "aws_api_gateway_method_settings", name if not number else f"{name}_{number}", more


def _bucket(bucket: Resource, places: Places) -> Iterator[tuple[str, str, dict[str, Any]]]:
    where, name, given = places.address(bucket.id), places.name(bucket), bucket.properties
    owner = {"bucket": Raw(f"{where}.id")}
    if isinstance(versioning := given.get("VersioningConfiguration"), Mapping):
        more = {**owner, "versioning_configuration": Block(plain(versioning, Kind(""), places))}
        yield "aws_s3_bucket_versioning", name, more
    if isinstance(access := given.get("PublicAccessBlockConfiguration"), Mapping):
        yield "aws_s3_bucket_public_access_block", name, {**owner, **plain(access, Kind(""), places)}
    cycle: Any = given.get("LifecycleConfiguration")
    if cycle:
        rules = [Block({**plain(rule, Kind(""), places), "filter": Block({})}) for rule in cycle["Rules"]]
        yield "aws_s3_bucket_lifecycle_configuration", name, {**owner, "rule": rules}


def _provisioned(alias: Resource, places: Places) -> Iterator[tuple[str, str, dict[str, Any]]]:
    given: Any = alias.properties.get("ProvisionedConcurrencyConfig")
    if given:
        where = places.address(alias.id)
        more = {
            "function_name": Raw(f"{where}.function_name"),
            "qualifier": Raw(f"{where}.name"),
            "provisioned_concurrent_executions": given["ProvisionedConcurrentExecutions"],
        }
        yield "aws_lambda_provisioned_concurrency_config", places.name(alias), more


_INSIDE = {
    "AWS::IAM::Role": _policies,
    "AWS::ApiGateway::Method": _integration,
    "AWS::ApiGateway::Stage": _settings,
    "AWS::S3::Bucket": _bucket,
    "AWS::Lambda::Alias": _provisioned,
}
