"""The environment chat templates run in: transformers' dialect of Jinja, with bounds on the work a template makes.

A chat template is a program out of a model repository. Jinja's sandbox keeps it from attributes that lead out of the
template; here it also cannot take the worker's time or memory: every loop, call, filter and operator is counted, texts
are weighed before they are made, and only filters and methods whose cost is known can be called.

Dialect: transformers ``utils/chat_template_utils.py`` (``trim_blocks``, ``lstrip_blocks``, loop controls, ``tojson``
that escapes no HTML, ``raise_exception``, ``strftime_now``, the ``generation`` block).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import wraps
from string import Formatter
from types import BuiltinMethodType, MethodType
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.parser import Parser
from jinja2.runtime import LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner

from firstlight.runtime.generation.budget import LETTERS, Budget, TooMuch

_BITS = 4096

_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items",
    "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "select",
    "selectattr", "sort", "title", "trim", "unique", "upper",
)  # fmt: skip
_METHODS: dict[type, frozenset[str]] = {
    str: frozenset((
        "capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha", "isascii",
        "isdecimal", "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper", "join", "lower",
        "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rpartition",
        "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase", "title", "upper",
    )),
    dict: frozenset(("copy", "get", "items", "keys", "values")),
    list: frozenset(("copy", "count", "index")),
    tuple: frozenset(("count", "index")),
}  # fmt: skip


class Refused(TemplateError):
    """A template has called ``raise_exception``."""


class _Generation(Extension):
    """``{% generation %}``: marks an assistant's words for training; here they are words like any others."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own way

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of one template. It renders one text at a time, at the cost of ``budget``.

    Args:
        strftime_now: gives the time, formatted.
    """

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self, strftime_now: Callable[[str], str]) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, optimized=False, extensions=[_Generation, loopcontrols]
        )
        self.budget = Budget(LETTERS)
        self.finalize = self._written
        self.globals = {
            name: self.globals[name] for name in ("range", "dict", "namespace", "cycler", "joiner")
        }
        self.globals |= {"raise_exception": _refuse, "strftime_now": strftime_now}
        self._functions = tuple(self.globals.values())
        own = {"indent": self._indent, "join": self._join, "replace": self._replace, "round": _round}
        own |= {"format": self._format, "string": self._string, "safe": self._string, "sum": _sum}
        own |= {"tojson": self._tojson, _EACH: self._each, _JOINED: self._joined}
        found = {name: FILTERS[name] for name in _FILTERS} | own
        self.filters = {name: self._counted(function) for name, function in found.items()}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """The template's tree, with its loops and ``~`` turned into filters that count."""
        tree = super()._parse(source, name, filename)
        for loop in list(tree.find_all(nodes.For)):
            weight = sum(len(text.data) for text in loop.find_all(nodes.TemplateData))
            loop.iter = _filter(loop.iter, _EACH, [nodes.Const(weight)])
        for node in list(tree.find_all(nodes.Node)):
            for field, value in node.iter_fields():
                if isinstance(value, list):
                    value[:] = map(_not_concat, value)
                else:
                    setattr(node, field, _not_concat(value))
        return tree.set_environment(self)  # type: ignore[return-value]

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - Jinja's own way
        """Call what a template may call."""
        __self.budget.spend()
        owner = getattr(__obj, "__self__", None)
        if not isinstance(__obj, Undefined) and not __self._may_call(__obj, owner):
            raise SecurityError(f"it may not call {getattr(__obj, '__name__', type(__obj).__name__)!r}")
        if isinstance(owner, str) and __obj.__name__ in ("replace", "join"):
            # Weighed before, not after: a short text can become too long in one call.
            given = {
                name: value for name, value in kwargs.items() if name not in ("_loop_vars", "_block_vars")
            }
            if __obj.__name__ == "join":
                return __self._join(*args, **{**given, "d": owner})
            return __self._replace(owner, *args, **given)
        result = super().call(__context, __obj, *args, **kwargs)
        __self.budget.spend(_size(result))
        return result

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """An operator, where its result is not too large."""
        if operator == "%" and isinstance(left, str):
            return self._format(left, *right) if isinstance(right, tuple) else self._format(left, right)
        size = _size(left) + _size(right)
        if operator == "*":
            texts = [one for one in (left, right) if isinstance(one, (str, list, tuple))]
            times = [one for one in (left, right) if isinstance(one, int)]
            size = len(texts[0]) * max(times[0], 0) if texts and times else size
        if operator in ("*", "**") and isinstance(left, int) and isinstance(right, int):
            bits = (
                left.bit_length() * max(right, 0)
                if operator == "**"
                else left.bit_length() + right.bit_length()
            )
            if bits > _BITS:
                raise TooMuch("it calculates with too large numbers")
        self.budget.spend(size)
        return super().call_binop(context, operator, left, right)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """``"{} {}".format(...)``, for plain fields only."""
        if not isinstance(value, (MethodType, BuiltinMethodType)) or not isinstance(value.__self__, str):
            return None
        if value.__name__ not in ("format", "format_map"):
            return None
        text: str = value.__self__
        write = super().wrap_str_format(value)

        def bounded(*args: Any, **kwargs: Any) -> str:
            fields = list(Formatter().parse(text))
            if write is None or any(form for _, _, form, _ in fields):
                raise SecurityError("it may not format with widths")
            for _ in fields:
                self.budget.weigh((args, kwargs))
            return write(*args, **kwargs)

        bounded.bounded_by = self  # type: ignore[attr-defined]
        return bounded

    def _may_call(self, function: Any, owner: Any) -> bool:
        if isinstance(function, (Macro, LoopContext, Joiner)):
            return True
        if (
            any(function is known for known in self._functions)
            or getattr(function, "bounded_by", None) is self
        ):
            return True
        if isinstance(function, BuiltinMethodType):
            return function.__name__ in _METHODS.get(type(owner), ())
        return isinstance(function, MethodType) and isinstance(owner, (LoopContext, Cycler))

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.budget.spend()
            result = function(*args, **kwargs)
            self.budget.spend(_size(result))
            return result

        return counted

    def _written(self, value: Any) -> str:
        self.budget.weigh(value)
        return str(value)

    def _each(self, values: Any, weight: int) -> Iterator[Any]:
        for value in values:
            self.budget.spend(weight)
            yield value

    def _joined(self, values: list[Any]) -> str:
        self.budget.weigh(values)
        return "".join(map(str, values))

    def _join(self, value: Any, d: str = "", attribute: str | int | None = None) -> str:
        if attribute is not None:
            value = map(make_attrgetter(self, attribute), value)
        parts = list(self._each(value, len(d)))
        self.budget.weigh(parts)
        return str(d).join(map(str, parts))

    def _replace(self, text: Any, old: Any, new: Any, count: int | None = -1) -> str:
        text, old, new = self._string(text), str(old), str(new)
        times = text.count(old) if count is None or count < 0 else min(text.count(old), count)
        self.budget.spend(times * len(new))
        return str(text.replace(old, new, -1 if count is None else count))

    def _indent(self, text: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
        if isinstance(width, int) and width > 1000:
            raise SecurityError("it may indent by 1000 at most")
        margin = width if isinstance(width, str) else " " * width
        text = self._string(text)
        self.budget.spend((text.count("\n") + 1) * len(margin))
        lines = (text + "\n").splitlines()
        rest = (margin + line if line or blank else line for line in lines[1:])
        return (margin if first else "") + "\n".join([*lines[:1], *rest])

    def _format(self, text: Any, *values: Any, **named: Any) -> str:
        """``%s`` and ``%d`` without widths."""
        text = str(text)
        for part in text.replace("%%", "").split("%")[1:]:
            if named or part[:1] not in ("s", "d", "i"):
                raise SecurityError("it may format with %s and %d alone")
        self.budget.weigh((text, values))
        return str(text % values)

    def _string(self, value: Any) -> str:
        self.budget.weigh(value)
        return str(value)

    def _tojson(
        self,
        value: Any,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        self.budget.weigh(value)
        if indent is not None and (not isinstance(indent, int) or indent > 16):
            raise SecurityError("it may indent JSON by 16 at most")
        return json.dumps(
            value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )


_EACH = "each of"
_JOINED = "joined"


def _filter(node: Any, name: str, args: list[nodes.Expr]) -> nodes.Filter:
    return nodes.Filter(node, name, args, [], None, None, lineno=node.lineno)


def _not_concat(node: Any) -> Any:
    if not isinstance(node, nodes.Concat):
        return node
    return _filter(nodes.List(node.nodes, lineno=node.lineno), _JOINED, [])


def _refuse(message: object) -> None:
    raise Refused(str(message))


def _size(value: Any) -> int:
    return len(value) if isinstance(value, (str, list, tuple, dict)) else 0


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    if not isinstance(precision, int) or abs(precision) > 20:
        raise SecurityError("it may round to 20 places at most")
    return float(FILTERS["round"](value, precision, method))


def _sum(values: Any, attribute: str | int | None = None, start: float = 0) -> Any:
    if attribute is not None or not isinstance(start, (int, float)):
        raise SecurityError("it may sum numbers alone")
    return sum(values, start)
