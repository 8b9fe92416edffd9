"""Chat templates in the styles that are about, rendered here and by transformers."""

from __future__ import annotations

import json
from datetime import datetime
from time import time
from typing import Any

import pytest
import transformers
from jinja2.exceptions import TemplateError
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.generation.templates import ChatTemplate

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}

# Written for this test in the manner of each family; none is copied.
STYLES = {
    "chatml": """
{%- for message in messages %}
    {%- if loop.first and messages[0]['role'] != 'system' %}
        {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
    {%- endif %}
    {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    "llama-2": """
{%- if messages[0]['role'] == 'system' -%}
    {%- set system = messages[0]['content'] -%}{%- set turns = messages[1:] -%}
{%- else -%}
    {%- set system = false -%}{%- set turns = messages -%}
{%- endif -%}
{%- for message in turns -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception('roles must take turns, beginning with the user') }}
    {%- endif -%}
    {%- if loop.index0 == 0 and system != false -%}
        {%- set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + message['content'] -%}
    {%- else -%}
        {%- set content = message['content'] -%}
    {%- endif -%}
    {%- if message['role'] == 'user' -%}
        {{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}
    {%- elif message['role'] == 'assistant' -%}
        {{ ' ' + content.strip() + ' ' + eos_token }}
    {%- endif -%}
{%- endfor -%}
""",
    "llama-3": """
{{- bos_token }}
{%- if tools is not none %}
    {{- '<|start_header_id|>system<|end_header_id|>\\n\\nToday: ' + strftime_now('%d %b %Y') + '\\n' }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
    {{- '<|eot_id|>' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'assistant' and message.tool_calls is defined %}
        {%- for call in message.tool_calls %}
            {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
            {{- '{"name": "' + call.function.name + '", "parameters": ' }}
            {{- call.function.arguments | tojson }}{{- '}' }}
            {{- '<|eot_id|>' }}
        {%- endfor %}
    {%- else %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}
        {{- message['content'] | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "zephyr": """
{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}
""",
    "gemma": """
{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('there is no system role') }}{% endif %}
{% for message in messages %}{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}
{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}
{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}
""",
    "mistral": """
{%- set ns = namespace(last=-1) %}
{%- for message in messages %}
    {%- if message["role"] == "user" %}{%- set ns.last = loop.index0 %}{%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in messages | rejectattr("role", "equalto", "system") %}
    {%- if message["role"] == "user" %}
        {%- if messages[ns.last] == message and tools is not none and tools | length > 0 %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {{- '{"type": "function", ' }}
                {%- for key, value in tool.items() if key != "return" %}
                    {{- '"' + key + '": ' + value | string }}
                    {%- if not loop.last %}{{- ", " }}{%- endif %}
                {%- endfor %}
                {{- "}" if loop.last else "}, " }}
            {%- endfor %}
            {{- "][/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {{- "[INST] " ~ message["content"] ~ "[/INST]" }}
    {%- else %}
        {{- " " ~ message.content | default("", true) ~ eos_token }}
    {%- endif %}
{%- endfor %}
""",
    "thinking": """
{%- macro say(role, text) -%}<|{{ role }}|>{{ text }}<|end|>{%- endmacro -%}
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {% generation %}
        {{- say('assistant', message.content.split('</think>')[-1].lstrip('\\n')) -}}
        {% endgeneration %}
    {%- else %}
        {%- if loop.index0 > 10 %}{% break %}{% endif -%}
        {{- say(message.role, message.content.replace('\\n', ' ')) -}}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|assistant|>
{{ '<think></think>' if enable_thinking is defined and not enable_thinking }}{% endif %}
""",
}
ASK = [{"role": "user", "content": " What is the capital\nof France? <b>é</b> "}]
TALK = [
    {"role": "system", "content": "Be short."},
    *ASK,
    {"role": "assistant", "content": "<think>Hm.</think>\n\nParis. "},
    {"role": "user", "content": "And of Italy?"},
]
CALLS = [
    {"role": "user", "content": "How warm is it?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"function": {"name": "warm", "arguments": {"town": "Zürich", "n": 1.5, "deep": [None, True]}}}
        ],
    },
]
TOOLS = [
    {
        "type": "function",
        "function": {"name": "warm", "description": "<how> warm", "parameters": {"a": [1, 2]}},
    }
]
CHATS = {
    "ask": ASK,
    "talk": TALK,
    "talk without system": TALK[1:],
    "calls": CALLS,
    "wrong turns": [*ASK, *ASK],
}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no prompt": {"add_generation_prompt": False},
    "tools": {"tools": TOOLS},
    "words": {"enable_thinking": False},
    "documents": {"documents": [{"title": "a", "text": "b"}]},
}


def tokenizer() -> PreTrainedTokenizerFast:
    made = Tokenizer(
        models.WordLevel({token: at for at, token in enumerate(SPECIAL.values())}, unk_token="<unk>")
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, **SPECIAL)


def theirs(source: str, messages: list[dict[str, Any]], **settings: Any) -> str | None:
    """transformers' text; None where the template refuses."""
    try:
        return str(
            tokenizer().apply_chat_template(messages, chat_template=source, tokenize=False, **settings)
        )
    except (TemplateError, TypeError):
        return None


def ours(source: str, messages: list[dict[str, Any]], more: bool = False, **settings: Any) -> str | None:
    try:
        return ChatTemplate(source).render(messages, {**SPECIAL, **settings}, time(), more)
    except InvalidInput:
        return None


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("style", STYLES)
def test_a_template_renders_as_in_transformers(style: str, chat: str, settings: str) -> None:
    wishes = {"add_generation_prompt": True, **SETTINGS[settings]}
    today = datetime.now().date()
    expected = theirs(STYLES[style], CHATS[chat], **wishes)
    found = ours(STYLES[style], CHATS[chat], **wishes)
    assert found == expected or datetime.now().date() != today
    if chat == "ask" and settings == "plain":
        assert expected is not None


@pytest.mark.parametrize("style", STYLES)
def test_a_message_is_gone_on_with_as_in_transformers(style: str) -> None:
    chat = TALK[1:3] if style != "thinking" else [*ASK, {"role": "assistant", "content": "Par"}]
    expected = theirs(STYLES[style], chat, continue_final_message=True)
    assert expected is not None
    assert ours(STYLES[style], chat, more=True) == expected


def test_json_is_written_as_in_transformers() -> None:
    for value in ("<a href='x'>&é\u2028", {"b": 1, "a": [1.0, None, True]}, "🌍", [], {}):
        for form in (
            "tojson",
            "tojson(indent=2)",
            "tojson(ensure_ascii=true)",
            "tojson(separators=(',', ':'))",
            "tojson(sort_keys=true)",
        ):
            source = f"{{{{ messages[0].content | {form} }}}}"
            message = [{"role": "user", "content": value}]
            assert ours(source, message) == theirs(source, message)


def test_transformers_is_the_one_that_was_read() -> None:
    """The dialect is written down here; another one would show in the tests above."""
    assert transformers.__version__.startswith("4.57")
    assert json.dumps(list(SPECIAL)) == json.dumps(list(tokenizer().special_tokens_map))
    assert hasattr(chat_template_utils, "render_jinja_template")
