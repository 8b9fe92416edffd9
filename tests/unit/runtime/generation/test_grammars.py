"""The parameter ``grammar``: its kinds, and what is wrong with others."""

import pytest
from gbnf_acceptor import Acceptor

from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.generation import grammars
from firstlight.runtime.generation.grammars import gbnf

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


@pytest.mark.parametrize(
    "wish",
    [
        {"type": "json", "value": SCHEMA},
        {
            "type": "json",
            "value": '{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}',
        },
        {"type": "json_schema", "value": {"name": "answer", "strict": True, "schema": SCHEMA}},
        {"type": "json_object"},
        {"type": "json_object", "value": None},
        {"type": "regex", "value": r'\{"a": \d+\}'},
        {"type": "gbnf", "value": 'root ::= "{\\"a\\": " [0-9]+ "}"'},
    ],
)
def test_a_wish_is_a_grammar(wish):
    found = Acceptor(grammars.write(wish))
    assert found.takes('{"a": 12}')
    assert not found.takes('["a"]')


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({}, "has the type None"),
        ({"type": "yaml", "value": ""}, "has the type 'yaml'"),
        ({"type": []}, "has the type"),
        ({"type": "json", "value": None}, "has no schema"),
        ({"type": "json", "value": "{"}, "is not JSON"),
        ({"type": "json", "value": "[" * 100_000}, "is not JSON"),
        ({"type": "json", "value": SCHEMA, "extra": 1}, "unknown field 'extra'"),
        ({"type": "json_object", "value": SCHEMA}, "has no value"),
        ({"type": "regex", "value": 5}, "needs a text"),
        ({"type": "regex", "value": ""}, "needs a text"),
        ({"type": "gbnf", "value": ""}, "needs a text"),
        ({"type": "gbnf", "value": "root ::= \0"}, "NUL"),
    ],
)
def test_what_is_no_wish_is_refused(wish, message):
    with pytest.raises(InvalidInput, match=message):
        grammars.write(wish)


def test_equal_rules_are_one_and_names_are_plain():
    rules = gbnf.Rules()
    assert rules.add("a b/é", '"x"') == rules.add("other", '"x"') == "a-b"
    assert rules.add("a b", '"y"') == "a-b-2"
    assert rules.add("💥", '"z"') == "rule"
    Acceptor(rules.text("a-b a-b-2 rule"))


def test_ranges_are_joined_and_cut():
    assert gbnf.united([(5, 9), (1, 3), (4, 4), (20, 30), (25, 26)]) == [(1, 9), (20, 30)]
    assert gbnf.united([(0, 3), (0xD700, 0xE000)]) == [(1, 3), (0xD700, 0xD7FF), (0xE000, 0xE000)]
    assert gbnf.others([(1, 0xD7FF), (0xE001, 0x10FFFE)]) == [(0xE000, 0xE000), (0x10FFFF, 0x10FFFF)]
    assert gbnf.letters([(0x2D, 0x2D), (0x41, 0x5A), (0x1F30D, 0x1F30D)]) == r"[\x2DA-Z\U0001F30D]"
