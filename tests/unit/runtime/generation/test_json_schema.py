"""JSON Schema to GBNF: the grammar takes what the schema takes, and nothing else."""

import json
from random import Random

import pytest
from gbnf_acceptor import Acceptor
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_schemas import SCHEMAS, VALUES, valid

from firstlight.runtime import notes
from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.generation import grammars
from trying import examples


def acceptor(schema, kind="json"):
    return Acceptor(grammars.write({"type": kind, "value": schema}))


def takes(schema, *values):
    found = acceptor(schema)
    return [found.takes(json.dumps(value, ensure_ascii=False)) for value in values]


@given(st.data())
@settings(max_examples=examples(40), deadline=None)
def test_values_of_the_schema_are_taken(data):
    schema, values = data.draw(SCHEMAS)
    value = data.draw(values)
    assume(valid(schema, value))
    found = acceptor(schema)
    assert found.takes(json.dumps(value, ensure_ascii=False))


@given(st.data())
@settings(max_examples=examples(40), deadline=None)
def test_what_is_taken_is_of_the_schema(data):
    schema, _ = data.draw(SCHEMAS)
    found = acceptor(schema)
    random = Random(data.draw(st.integers(0, 2**32)))
    for _ in range(5):
        text = found.random_text(random)
        if text is not None:
            assert valid(schema, json.loads(text, strict=True)), text


@given(st.data())
@settings(max_examples=examples(40), deadline=None)
def test_values_of_no_schema_are_refused(data):
    schema, values = data.draw(SCHEMAS)
    value = data.draw(
        st.one_of(VALUES, values.map(lambda value: [value]), values.map(lambda value: {"a": value}))
    )
    assume(not valid(schema, value))
    assert takes(schema, value) == [False]


TREE = {
    "$defs": {
        "tree": {
            "type": "object",
            "properties": {
                "word": {"type": "string"},
                "left": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]},
                "more": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
            },
            "required": ["word", "left"],
        }
    },
    "$ref": "#/$defs/tree",
}
LEAF = {"word": "a", "left": None}


def test_a_schema_may_mention_itself():
    assert takes(TREE, LEAF, {"word": "b", "left": LEAF, "more": [LEAF, {"word": "c", "left": LEAF}]}) == [
        True,
        True,
    ]
    assert (
        takes(TREE, {"word": "a"}, {"word": "a", "left": {"word": "b"}}, {**LEAF, "more": [1]}) == [False] * 3
    )
    assert takes({"type": "array", "items": {"$ref": "#"}}, [], [[], [[]]], [1]) == [True, True, False]


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        # together
        ({"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 5}]}, [3, 5], [2, 6, "3"]),
        ({"allOf": [{"type": ["string", "null"]}, {"type": ["null", "integer"]}]}, [None], ["a", 1]),
        ({"type": ["number", "null"], "allOf": [{"type": "integer"}]}, [1], [1.5, None]),
        ({"enum": [1, 2, True], "allOf": [{"enum": [2, 1.0, 4]}]}, [1, 2], [True, 4]),
        ({"const": 1, "enum": [1, 2]}, [1], [2]),
        ({"enum": ["a", 1, None], "type": ["string", "null"]}, ["a", None], [1]),
        ({"enum": ["a", "bb", "ccc"], "minLength": 2}, ["bb", "ccc"], ["a"]),
        ({"enum": [1, 2, 3], "minimum": 2, "type": "integer"}, [2, 3], [1]),
        (
            {
                "properties": {"a": {"type": "integer"}},
                "anyOf": [{"required": ["a"]}, {"properties": {"b": {}}, "required": ["b"]}],
            },
            [{"a": 1}, {"b": "x"}, {"a": 1, "b": 2}],
            [{}, {"a": "x"}, {"c": 1}],
        ),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, ["a", 1], [None, 1.5]),
        (
            {
                "$defs": {"base": {"properties": {"a": {"type": "integer"}}, "required": ["a"]}},
                "allOf": [
                    {"$ref": "#/$defs/base"},
                    {"properties": {"b": {"type": "string"}}, "required": ["b"]},
                ],
            },
            [{"a": 1, "b": "x"}],
            [{"a": 1}, {"b": "x"}],
        ),
        (
            {"definitions": {"a/b": {"type": "null"}}, "$ref": "#/definitions/a~1b", "description": "x"},
            [None],
            [1],
        ),
        ({"$defs": {"n": {"type": "number"}}, "$ref": "#/$defs/n", "maximum": 3}, [3, 1.5], [4]),
        (
            {"anyOf": [{"type": "object", "required": ["a"]}, {"type": "null"}], "type": "object"},
            [{"a": 1}],
            [None, {}],
        ),
        # types
        ({"type": "string", "nullable": True}, ["a", None], [1]),
        ({"type": "number", "multipleOf": 1}, [4, -2], [1.5]),
        ({"type": "integer", "minimum": 3, "exclusiveMinimum": True}, [4], [3]),
        ({"type": "integer", "exclusiveMaximum": 3, "maximum": 7}, [2], [3]),
        ({"minLength": 1}, ["a"], ["", 1]),
        ({"type": "object"}, [{}, {"a": [1, {"b": None}]}], [[], 1]),
        ({"type": "object", "additionalProperties": False}, [{}], [{"a": 1}]),
        ({"type": "object", "maxProperties": 1}, [{}, {"a": 1}], [{"a": 1, "b": 2}]),
        (
            {"type": "object", "minProperties": 2, "additionalProperties": {"type": "null"}},
            [{"a": None, "b": None}],
            [{"a": None}],
        ),
        ({"type": "object", "propertyNames": {"enum": ["x", "y"]}}, [{"x": 1, "y": 2}], [{"z": 1}]),
        ({"type": "object", "required": ["a"]}, [{"a": 1}], [{}, {"b": 1}]),
        ({"type": "object", "properties": {"a": False, "b": {}}}, [{"b": 1}, {}], [{"a": 1}]),
        (
            {"type": "object", "properties": {"a": {}}, "additionalProperties": True},
            [{"a": 1, "b": 2}, {"ab": 1}],
            [{"b": 2, "a": 1}],
        ),
        (
            {
                "type": "array",
                "prefixItems": [{"type": "string"}, {"type": "null"}],
                "items": False,
                "minItems": 1,
            },
            [["a"], ["a", None]],
            [[], ["a", None, 1], [None]],
        ),
        (
            {"type": "array", "items": [{"type": "null"}], "maxItems": 2},
            [[], [None], [None, 3]],
            [[1], [None, 1, 1]],
        ),
        ({"type": "array", "maxItems": 0}, [[]], [[1]]),
        (True, [1, "a", [{}]], []),
        ({}, [None, {"a": []}], []),
        # texts
        ({"type": "string", "pattern": "^[a-c]{2,3}$"}, ["ab", "abc"], ["a", "abcd", "xab"]),
        ({"type": "string", "pattern": "ab"}, ["ab", 'x"ab\n', "cabd"], ["ba"]),
        ({"type": "string", "pattern": "^a|b$"}, ["ax", "xb"], ["xa"]),
        ({"type": "string", "pattern": '^["\\\\\n]+$'}, ['"', "\\\n"], ["a"]),
        (
            {"type": "string", "format": "date"},
            ["2024-01-31", "2024-04-30"],
            ["2024-13-01", "2024-04-31", "24-01-01"],
        ),
        (
            {"type": "string", "format": "date-time"},
            ["2024-01-31T10:20:30Z", "2024-01-31T10:20:30.5+01:00"],
            ["2024-01-31"],
        ),
        ({"type": "string", "format": "uuid"}, ["123e4567-e89b-12d3-a456-426614174000"], ["123"]),
        ({"type": "string", "format": "email"}, ["a.b@example.org"], ["a@b", "a b@example.org"]),
        ({"type": "string", "format": "ipv4"}, ["192.168.0.1"], ["256.1.1.1", "1.2.3"]),
        ({"type": "string", "maxLength": 0}, [""], ["a"]),
    ],
)
def test_a_keyword_is_kept(schema, good, bad):
    assert takes(schema, *good, *bad) == [True] * len(good) + [False] * len(bad)


def test_long_limits_are_split():
    found = acceptor({"type": "string", "minLength": 1200, "maxLength": 3500})
    sizes = [1199, 1200, 2100, 3500, 3501]
    assert [found.takes(f'"{"a" * size}"') for size in sizes] == [False, True, True, True, False]
    assert acceptor({"type": "string", "maxLength": 10**9}).takes('"a"')
    found = acceptor({"type": "array", "items": {"type": "integer"}, "minItems": 1001, "maxItems": 1002})
    assert [found.takes(json.dumps([1] * size)) for size in (1000, 1001, 1002, 1003)] == [
        False,
        True,
        True,
        False,
    ]


def test_white_space_is_short_and_only_between_the_parts():
    found = acceptor({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "null"}}}})
    for text in ('{"a":[null,null]}', '{ "a": [ null, null ] }', '{\n  "a": [\n    null\n  ]\n}', "{}"):
        assert found.takes(text), text
    for text in (' {"a": []}', '{"a": []} ', '{"a"  : []}', '{"a":  []}', '{\n\n"a": []}'):
        assert not found.takes(text), text


@pytest.mark.parametrize(
    "text",
    [
        '"\\ud83d"',
        '"\\ud83d\\ude00"',
        '"\n"',
        '"\x01"',
        '"\\x"',
        '"a',
        "01",
        "-",
        "1.",
        ".5",
        "+1",
        "NaN",
        "[1,]",
        '{"a":1,}',
        "tru",
    ],
)
def test_what_is_not_json_is_never_taken(text):
    assert not acceptor({}).takes(text)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"not": {}}, "at # has the keyword 'not'"),
        ({"properties": {"a": {"if": {}}}}, "at #/properties/a has the keyword 'if'"),
        ({"type": "array", "uniqueItems": True}, "'uniqueItems'"),
        ({"type": "array", "contains": {}}, "'contains'"),
        ({"patternProperties": {"a": {}}}, "'patternProperties'"),
        ({"multipleOf": 5}, "'multipleOf'"),
        ({"type": "str"}, "at # is wrong: 'type' must be one of object, array"),
        ({"items": {"minimum": "3"}}, "at #/items is wrong: 'minimum' must be a number"),
        ({"enum": []}, "'enum' must be a list with something in it"),
        ({"properties": []}, "'properties' must be an object of schemas"),
        ({"items": 5}, "'items' must be a schema"),
        ({"anyOf": []}, "'anyOf' must be a list of schemas"),
        ({"required": "a"}, "'required' must be a list of names"),
        ({"minLength": -1}, "'minLength' must be a whole number of at least 0"),
        ({"maximum": float("nan")}, "'maximum' must be a number"),
        (5, "must be an object, or true or false"),
        ([], "must be an object, or true or false"),
        (False, "takes nothing"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "takes nothing"),
        ({"type": "number", "exclusiveMinimum": 2, "maximum": 2}, "takes nothing"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "takes nothing"),
        ({"allOf": [{"type": "string"}, {"type": "null"}]}, "takes nothing"),
        ({"type": "array", "minItems": 2, "maxItems": 1}, "takes nothing"),
        ({"properties": {"a": False}, "required": ["a"]}, "takes nothing"),
        ({"type": "integer", "enum": ["a"]}, "takes nothing"),
        ({"pattern": "a", "minLength": 3}, "'pattern' and 'minLength', which a grammar cannot keep together"),
        ({"format": "iri"}, "the format 'iri'"),
        ({"allOf": [{"pattern": "a"}, {"pattern": "b"}]}, "two different 'pattern'"),
        ({"pattern": "(?=a)"}, "which a grammar cannot follow"),
        ({"minimum": 10**20}, "more than 16 digits"),
        ({"properties": {"a": {}}, "minProperties": 1}, "'minProperties' beside named properties"),
        ({"$ref": "#/$defs/none"}, "refers to '#/\\$defs/none', which is not there"),
        ({"$ref": "https://example.org/schema"}, "which is not inside it"),
        ({"$ref": "#"}, "refers to itself by '#' before it says anything"),
        (
            {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}}, "$ref": "#/$defs/a"},
            "refers to itself",
        ),
        (
            {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}}, "$ref": "#/$defs/a"},
            "refers to itself",
        ),
        ({"properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "has no end"),
        ({"type": "array", "items": {"$ref": "#"}, "minItems": 1}, "has no end"),
        ({"const": "\ud800"}, "which no text holds"),
        ({"type": "string", "minLength": 10**7, "maxLength": 10**8}, "no answer holds"),
        (
            {
                "anyOf": [{"anyOf": [{"const": i} for i in range(30)]}],
                "oneOf": [{"const": i} for i in range(30)],
            },
            "alternatives",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(schema, message):
    with pytest.raises(InvalidInput, match=message):
        grammars.write({"type": "json", "value": schema})


def test_a_schema_nested_without_end_is_refused():
    deep = {}
    for _ in range(5000):
        deep = {"items": deep}
    with pytest.raises(InvalidInput, match=r"nested too deep|more rules"):
        grammars.write({"type": "json", "value": deep})
    with pytest.raises(InvalidInput, match="more rules than"):
        grammars.write({"type": "json", "value": {"enum": [f"{'x' * 100}{i}" for i in range(5000)]}})


def test_an_unknown_keyword_changes_nothing_and_is_told():
    notes.clear()
    assert takes({"type": "string", "minlength": 5, "x-order": 1, "title": "A"}, "a") == [True]
    assert notes.warnings == [
        "the JSON schema's 'minlength' is no keyword of JSON Schema and changes nothing"
    ]
    notes.clear()


@given(VALUES)
@settings(max_examples=examples(50), deadline=None)
def test_any_json_as_a_schema_is_a_grammar_or_refused(value):
    notes.clear()
    for schema in (
        value,
        {"properties": {"a": value}},
        {"anyOf": value},
        {"items": value, "minItems": value},
    ):
        try:
            text = grammars.write({"type": "json", "value": schema})
        except InvalidInput:
            continue
        Acceptor(text)
    notes.clear()
