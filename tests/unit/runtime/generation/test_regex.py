"""Regular expressions to GBNF, against Python's own."""

import re
from random import Random

import pytest
from gbnf_acceptor import Acceptor
from hypothesis import example, given, settings
from hypothesis import strategies as st

from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.generation import grammars
from trying import examples

LETTERS = "ab1_-é \\]^"
sets = st.sampled_from(
    [
        "a",
        "b",
        "é",
        "1",
        " ",
        ".",
        r"\d",
        r"\w",
        r"\s",
        r"\D",
        r"\W",
        r"\.",
        r"\\",
        r"\]",
        r"\x61",
        r"\u00e9",
        "[ab]",
        "[^ab]",
        "[a-c1]",
        r"[\d_]",
        r"[^\w]",
        "[-a]",
        "[a-]",
        r"[\]\-\\]",
        "[.]",
        "[^a-z]",
        "_",
        "-",
    ]
)


def joined(inner):
    quantifiers = st.sampled_from(["", "*", "+", "?", "{2}", "{1,}", "{0,2}", "*?", "+?"])
    groups = st.sampled_from(["(%s)", "(?:%s)", "(?P<name>%s)"])
    group = st.tuples(groups, inner, quantifiers).map(
        lambda parts: parts[0].replace("%s", parts[1]) + parts[2]
    )
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(inner, inner).map("|".join),
        group.filter(lambda made: made.count("?P<name>") < 2),
    )


expressions = st.recursive(
    st.tuples(sets, st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,3}"])).map("".join),
    joined,
    max_leaves=6,
).filter(lambda made: made.count("?P<name>") < 2)


def acceptor(expression):
    return Acceptor(grammars.write({"type": "regex", "value": expression}))


@given(expressions, st.lists(st.text(LETTERS, max_size=6), max_size=5), st.integers(0, 2**32))
@settings(max_examples=examples(60), deadline=None)
def test_the_grammar_takes_what_the_expression_describes(expression, texts, seed):
    found = acceptor(expression)
    for text in texts:
        assert found.takes(text) == bool(re.fullmatch(expression, text, re.ASCII))
    made = found.random_text(Random(seed), 60)
    if made is not None and "\\s" not in expression:
        assert re.fullmatch(expression, made, re.ASCII), made


@pytest.mark.parametrize(
    ("expression", "good", "bad"),
    [
        ("^a$", ["a"], ["aa", "^a$"]),
        ("^a|b$", ["a", "b"], ["ab"]),
        ("(?:)", [""], ["a"]),
        ("a||b", ["", "a", "b"], ["ab"]),
        ("(a|)b", ["b", "ab"], ["a"]),
        ("a{3}", ["aaa"], ["aa", "aaaa"]),
        ("a{0}b", ["b"], ["ab"]),
        (r"(\+\d{1,2} )?\d{3}-\d{4}", ["555-1234", "+49 555-1234"], ["5551234"]),
        ("[^\\n]", ["a", "\t"], ["\n", ""]),
        (r"\n\t", ["\n\t"], ["nt"]),
        ("}]", ["}]"], []),
        ("(?<year>[0-9]{4})", ["2024"], ["24"]),
        ("🌍+", ["🌍🌍"], ["a"]),
        ("[🌍-🌏]", ["🌎"], ["🌐"]),
        ("a{1200,1203}", ["a" * 1200, "a" * 1203], ["a" * 1199, "a" * 1204]),
        ("(ab|c){1999}", ["c" * 1999], ["c" * 1998]),
    ],
)
def test_an_expression_is_followed(expression, good, bad):
    found = acceptor(expression)
    assert [found.takes(text) for text in [*good, *bad]] == [True] * len(good) + [False] * len(bad)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("(a", r"lacks a \)"),
        ("a)", r"has a \) too many"),
        ("[a", r"lacks a \]"),
        ("*a", "with nothing before it"),
        ("{2}", "with nothing before it"),
        ("a**", "a quantifier of a quantifier"),
        ("a++", "possessive"),
        ("a{x}", "that is no quantifier"),
        ("a{2", "that is no quantifier"),
        ("a{3,2}", "in the wrong order"),
        ("[b-a]", "a range in the wrong order"),
        (r"[a-\d]", "a range in the wrong order"),
        ("(?=a)", r"the group \(\?=a"),
        ("(?!a)b", "which a grammar cannot follow"),
        ("(?<=a)b", "which a grammar cannot follow"),
        ("(?i)a", "which a grammar cannot follow"),
        (r"(a)\1", r"has \\1"),
        (r"\bword", r"has \\b"),
        (r"\p{L}", r"has \\p"),
        (r"\x1", "without 2 hexadecimal digits"),
        ("\\", "which a grammar cannot follow"),
        ("a^b", r"has \^ in its middle"),
        ("(a$)b", r"has \$ in its middle"),
        ("^*a", r"repeats \^"),
        ("[]", "a character class without a character"),
        (r"[^\d\D]", "a character class without a character"),
        ("(" * 60 + ")" * 60, "groups inside each other"),
        ("a{999999999}", "no answer holds"),
        ("(?P<a", r"lacks a \)"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(expression, message):
    with pytest.raises(InvalidInput, match=message):
        acceptor(expression)


@example("()+")
@example("(|()){2,}")
@given(st.text("ab()[]{}|*+?^$\\.-,1<P:=!dux", max_size=12))
@settings(max_examples=examples(80), deadline=None)
def test_any_text_is_an_expression_or_refused(text):
    try:
        made = grammars.write({"type": "regex", "value": text or "a"})
    except InvalidInput:
        return
    Acceptor(made)
