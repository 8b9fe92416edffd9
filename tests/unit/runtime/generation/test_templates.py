"""Chat templates: transformers' dialect (tests/parity compares with it), and programs that mean harm."""

from time import monotonic

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstlight.runtime.errors import BundleError, InvalidInput
from firstlight.runtime.generation import budget, templates
from firstlight.runtime.generation.templates import ChatTemplate
from trying import examples

CHAT = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": " hello "},
    {"role": "user", "content": "bye"},
]


def render(source, messages=CHAT, more=False, **values):
    return ChatTemplate(source).render(messages, values, 1_700_000_000, more)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "{% for m in messages %}\n  {% if true %}\n{{ m.role }}\n  {% endif %}\n{% endfor %}",
            "user\nassistant\nuser\n",
        ),
        ("{{ messages[:1] | tojson }}", '[{"role": "user", "content": "hi"}]'),
        ("{{ {'a': '<é>'} | tojson }}{{ [1] | tojson(indent=1) }}", '{"a": "<é>"}[\n 1\n]'),
        (
            "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.role }}{% break %}{% endfor %}",
            "assistant",
        ),
        ("{{ add_generation_prompt }}{{ tools }}{{ documents }}", "TrueNoneNone"),
        ("{{ bos_token }}{{ eos_token is defined }}", "<s>False"),
        ("{{ strftime_now('%Y') }}", "2023"),
        ("{% generation %}a{% endgeneration %}", "a"),
        (
            "{% set a = namespace(n=0) %}{% for m in messages %}{% set a.n = a.n + loop.length %}{% endfor %}{{ a.n }}",
            "9",
        ),
        (
            "{{ 'a' ~ 1 ~ none }}{{ 'a,b'.split(',')[1] }}{{ '%s-%d' % ('x', 3) }}{{ '{}{}'.format(1, 'z') }}",
            "a1Nonebx-31z",
        ),
        ("{{ messages | map(attribute='role') | unique | join('+') }}", "user+assistant"),
        ("{{ ' a\nb' | indent(2) }}|{{ 'a\n\nb' | indent(1, true, true) }}", " a\n  b| a\n \n b"),
        (
            "{{ 'aaa' | replace('a', 'b', 2) }}{{ 'aaa'.replace('a', 'b') }}{{ '-'.join(['x', 'y']) }}",
            "bbabbbx-y",
        ),
        ("{{ (2.567 | round(1)) }} {{ [1, 2] | sum }} {{ 3 | string }} {{ '<' | safe }}", "2.6 3 3 <"),
        (
            "{% macro say(m) %}{{ m.content | trim }}{% endmacro %}{% for m in messages[1:] %}{{ say(m) }}{% endfor %}",
            "hellobye",
        ),
        ("{% for m in messages recursive %}{{ m.role[0] }}{{ loop(m.inner or []) }}{% endfor %}", "uau"),
        (
            "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{% set j = joiner(',') %}{{ j() }}x{{ j() }}y",
            "abx,y",
        ),
        ("{{ nothing }}{{ messages[9] }}{{ messages[0].nothing }}", ""),
    ],
)
def test_the_dialect(source, expected):
    assert render(source, bos_token="<s>") == expected


def test_an_answer_goes_on_from_the_last_message():
    source = "{% for m in messages %}[{{ m.content }}]{% endfor %}{% if add_generation_prompt %}>{% endif %}"
    assert render(source, CHAT[:2], True) == "[hi][ hello "
    assert render(source.replace("m.content", "m.content | trim"), CHAT[:2], True) == "[hi][hello"
    assert render(source, CHAT[:1], False) == "[hi]>"
    with pytest.raises(InvalidInput, match="leaves the last message out"):
        render("nothing", CHAT[:2], True)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ raise_exception('only users') }}", "refuses the messages: only users"),
        ("{{ messages[0].content.none.none }}", "cannot do with these messages"),
        ("{{ 1 / 0 }}", "cannot do with these messages: division by zero"),
        ("{{ 'a' + 1 }}", "cannot do with these messages"),
        ("{% include 'x' %}", "cannot do with these messages"),
    ],
)
def test_messages_a_template_cannot_take(source, message):
    with pytest.raises(InvalidInput, match=message):
        render(source)


@pytest.mark.parametrize(
    "source",
    [
        "{% if",
        "{{ }}",
        "{% for %}",
        "{{ 'a' | center(9) }}",
        "{{ x | attr('y') }}",
        "{{" + "(" * 4000 + ")" * 4000 + "}}",
        "{% if x %}" * 150 + "{% endif %}" * 150,
        "{% for a in b %}" * 30 + "{% endfor %}" * 30,
        "x" * 400_000,
    ],
    ids=lambda source: source[:12],
)
def test_what_is_no_template(source):
    with pytest.raises(BundleError, match="the chat template is"):
        ChatTemplate(source)


LOOPS = "{% for i in range(50) %}"


def growing(value, before=""):
    return "{% set n = namespace(x='aaaa') %}" + LOOPS + before + "{% set n.x = " + value + " %}{% endfor %}"


HARM = {
    "loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "range": "{% for i in range(999999999) %}{% endfor %}",
    "macros": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "recursive loop": "{% for m in messages recursive %}{{ loop([m, m]) }}{% endfor %}",
    "times": "{{ 'a' * 10000000000 }}",
    "times list": "{{ [1] * 10000000000 }}",
    "left times": "{{ 10000000000 * 'a' }}",
    "power": "{{ 9 ** (9 ** 9) }}",
    "squares": "{% set n = namespace(x=3) %}" + LOOPS + "{% set n.x = n.x * n.x %}{% endfor %}",
    "doubled by ~": growing("n.x ~ n.x"),
    "doubled by +": growing("n.x + n.x"),
    "doubled list": "{% set n = namespace(x=[1]) %}" + LOOPS + "{% set n.x = n.x + n.x %}{% endfor %}",
    "doubled by set": growing("x", "{% set x %}{{ n.x }}{{ n.x }}{% endset %}"),
    "doubled by replace": growing("n.x | replace('a', 'aaaaaaaa')"),
    "doubled by method": growing("n.x.replace('a', 'aaaaaaaa')"),
    "doubled by join": growing("[n.x, n.x, n.x] | join(n.x)"),
    "doubled by list": growing("n.x.join([n.x, n.x])"),
    "doubled by tojson": growing("[n.x, n.x] | tojson"),
    "doubled by string": growing("[n.x, n.x] | string"),
    "doubled by format": growing("'{0}{0}'.format(n.x)"),
    "doubled by %": growing("'%s%s' % (n.x, n.x)"),
    "literals": "{% for i in range(99999) %}" + "x" * 9999 + "{% endfor %}",
    "center": "{{ 'a'.center(10000000000) }}",
    "zfill": "{{ 'a'.zfill(10000000000) }}",
    "expandtabs": "{{ '\\t'.expandtabs(10000000000) }}",
    "to_bytes": "{{ (1).to_bytes(10000000000, 'big') }}",
    "width": "{{ '{:>1000000000}'.format(1) }}",
    "nested width": "{{ '{:>{}}'.format(1, 1000000000) }}",
    "width %": "{{ '%1000000000d' % 1 }}",
    "star %": "{{ '%*d' % (1000000000, 1) }}",
    "format filter": "{{ '%1000000000d' | format(1) }}",
    "indent": "{{ 'a' | indent(1000000000) }}",
    "tojson indent": "{{ [1] | tojson(indent=1000000000) }}",
    "round": "{{ 1.5 | round(400000000, 'ceil') }}",
    "sum": "{{ [[1], [2]] | sum(start=[]) }}",
    "time": "{{ strftime_now('%Y' * 1000) }}",
    "class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "private": "{{ self._TemplateReference__context.environment.globals }}",
    "append": "{{ messages.append(1) }}",
    "format class": "{{ '{0.__class__.__mro__}'.format('').x.y }}{{ ''.__class__() }}",
    "fromkeys": "{{ dict.fromkeys('abc') }}",
    "encode": "{{ 'a'.encode() }}",
    "call text": "{{ 'a'() }}",
}


@pytest.mark.parametrize("name", HARM)
def test_harm_is_stopped_at_once(name):
    begun = monotonic()
    with pytest.raises(BundleError, match="the chat template was stopped"):
        render(HARM[name])
    assert (
        monotonic() - begun < budget.SECONDS + 5
    )  # a ceiling, not a measurement: without bounds these never end


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages.__class__ }}",
        "{{ raise_exception.__globals__ }}",
        "{{ strftime_now.__self__ }}",
        "{{ self.__init__ }}",
        "{{ namespace.__init__ }}",
        "{{ messages.append }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ range.__self__ }}",
    ],
)
def test_nothing_is_found_outside(source):
    assert render(source) == ""


def test_the_time_is_up(monkeypatch):
    monkeypatch.setattr(budget, "SECONDS", -1.0)
    with pytest.raises(BundleError, match="takes longer than"):
        render("{% for i in range(200) %}{% endfor %}")


def test_a_long_chat_is_within_bounds():
    chat = [{"role": ("user", "assistant")[at % 2], "content": "word " * 500} for at in range(1000)]
    source = (
        "{% for m in messages %}{% if m.role == 'user' and 'x' not in m.content %}"
        "{{ '<' ~ m['role'] ~ '>' + m.content.split('</think>')[-1].lstrip('\n') | trim + '</>' }}"
        "{% else %}{{ m.content | tojson }}{% endif %}{% endfor %}"
    )
    assert len(render(source, chat)) > 2_000_000


@given(st.text("{}%() abc'.|[]~*+-\n", max_size=40))
@settings(max_examples=examples(80), deadline=None)
def test_any_text_is_a_template_or_refused(source):
    try:
        text = render(source)
    except (BundleError, InvalidInput):
        return
    assert isinstance(text, str)


def test_a_template_is_chosen_by_its_name():
    both = {"default": "a", "tool_use": "b"}
    assert [templates.chosen(both, tools) for tools in (False, True)] == ["a", "b"]
    assert templates.chosen([{"name": "default", "template": "a"}], True) == "a"
    assert templates.chosen("c", True) == "c"
    for wrong in ({}, {"other": "a"}, [1], 5, {"default": 3}):
        with pytest.raises(BundleError, match="neither a text nor has a 'default'"):
            templates.chosen(wrong, False)
