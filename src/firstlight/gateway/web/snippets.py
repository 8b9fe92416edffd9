"""The same request as code: curl, boto3, huggingface_hub, openai. Every snippet runs as it stands."""

from __future__ import annotations

import json
import shlex
from typing import Any

from firstlight import starters
from firstlight.gateway.catalogue import Entry
from firstlight.gateway.web.markup import Markup, tag

TOKEN = "YOUR-TOKEN"  # noqa: S105 - a place to put one


def snippets(entry: Entry, event: dict[str, Any], base: str, guarded: bool) -> Markup:
    """The snippets of one request, folded away.

    Args:
        entry: the endpoint.
        event: what to send.
        base: URL of this server, without a slash at its end.
        guarded: whether the server asks for a token.
    """
    written = {
        "curl": curl(entry, event, base, guarded),
        "boto3": boto3(entry, event, base, guarded),
        "huggingface_hub": hub(entry, event, base, guarded),
        "openai": openai(entry, event, base, guarded),
    }
    blocks = [
        tag(
            "div",
            tag("h3", name),
            tag("button", "Copy", type="button", class_="copy", aria_label=f"Copy the {name} code"),
            tag("pre", tag("code", code), tabindex="0"),
            class_="snippet",
        )
        for name, code in written.items()
        if code
    ]
    return tag("details", tag("summary", "Use it from code"), blocks, class_="fold code-fold")


def replacement(entry: Entry) -> Markup:
    """Of a starter, which is small, the command that puts a real model of the hub in its place; nothing for others."""
    name = (entry.endpoint.model or "").removeprefix("starter:")
    if name == entry.endpoint.model or name not in starters.names():
        return Markup("")
    code = tag(
        "div",
        tag(
            "p",
            "This model is small enough to come with the package. A real one takes its place:",
            class_="hint",
        ),
        tag("button", "Copy", type="button", class_="copy", aria_label="Copy the command"),
        tag("pre", tag("code", starters.replacement(name)), tabindex="0"),
        class_="snippet",
    )
    return tag("details", tag("summary", "Put a real model in its place"), code, class_="fold replacement")


def curl(entry: Entry, event: dict[str, Any], base: str, guarded: bool) -> str:
    """For a shell."""
    path = f"/2015-03-31/functions/{entry.name}/invocations" if entry.script else _path(entry, event)
    event = {key: value for key, value in event.items() if key != "task"}
    token = f' \\\n  -H "Authorization: Bearer {TOKEN}"' if guarded else ""
    body = shlex.quote(json.dumps(event, ensure_ascii=False))
    return f"curl -s {base}{path}{token} \\\n  -H 'Content-Type: application/json' \\\n  -d {body}"


def boto3(entry: Entry, event: dict[str, Any], base: str, guarded: bool) -> str:
    """For the AWS SDK; here the access key id is the token."""
    key = TOKEN if guarded else "local"
    return (
        "import json, boto3\n\n"
        f'client = boto3.client("lambda", endpoint_url="{base}", region_name="us-east-1",\n'
        f'                      aws_access_key_id="{key}", aws_secret_access_key="local")\n'
        f"event = {event!r}\n"
        f'reply = client.invoke(FunctionName="{entry.name}", Payload=json.dumps(event))\n'
        'print(json.load(reply["Payload"]))'
    )


def hub(entry: Entry, event: dict[str, Any], base: str, guarded: bool) -> str:
    """For ``huggingface_hub``; empty where its client has no method for the endpoint."""
    if entry.task is None:
        return ""
    method = (event.get("task") or entry.task).replace("-", "_")
    arguments = _hub_arguments(method, event)
    if arguments is None:
        return ""
    token = f', token="{TOKEN}"' if guarded else ""
    return (
        "from huggingface_hub import InferenceClient\n\n"
        f'client = InferenceClient("{base}{_path(entry, event)}"{token})\n'
        f"print(client.{method}({arguments}))"
    )


def openai(entry: Entry, event: dict[str, Any], base: str, guarded: bool) -> str:
    """For the ``openai`` client, the text as it comes; empty for endpoints that generate none."""
    if (event.get("task") or entry.task) != "text-generation" or not isinstance(event.get("inputs"), str):
        return ""
    key = TOKEN if guarded else "none"
    tokens = event.get("parameters", {}).get("max_new_tokens", 60)
    return (
        "from openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{base}/v1", api_key="{key}")\n'
        "parts = client.completions.create(\n"
        f'    model="{entry.name}", prompt={event["inputs"]!r}, max_tokens={tokens}, stream=True)\n'
        "for part in parts:\n"
        '    print(part.choices[0].text, end="", flush=True)'
    )


def _path(entry: Entry, event: dict[str, Any]) -> str:
    task = event.get("task")
    return f"/models/{entry.name}/pipeline/{task}" if task else f"/models/{entry.name}"


def _hub_arguments(method: str, event: dict[str, Any]) -> str | None:
    inputs: Any = event.get("inputs")
    parameters = event.get("parameters", {})
    if method == "question_answering":
        return f"question={inputs['question']!r}, context={inputs['context']!r}"
    if method == "sentence_similarity":
        return f"{inputs['source_sentence']!r},\n    other_sentences={inputs['sentences']!r}"
    if method == "zero_shot_classification":
        return f"{inputs!r},\n    candidate_labels={parameters['candidate_labels']!r}"
    if method == "text_generation":
        return f"{inputs!r},\n    max_new_tokens={parameters.get('max_new_tokens', 60)}"
    if method in (
        "text_classification",
        "token_classification",
        "feature_extraction",
        "fill_mask",
        "summarization",
    ):
        return repr(inputs)
    return repr(inputs) if method == "translation" else None
