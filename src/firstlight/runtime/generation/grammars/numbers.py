"""Numbers within limits, as rules: JSON's spelling of them, digit by digit."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from firstlight.runtime.generation.grammars import gbnf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

DIGITS = 16
"""Before the decimal point at most, and as many after it: a model that likes digits would not end."""

_EXPONENT = "[eE] [-+]? [0-9]{1,2}"


class Limits:
    """What a number may be.

    Args:
        low, high: None is no limit.
        above, below: whether the limit itself is left out.
    """

    __slots__ = ("above", "below", "high", "low")

    def __init__(
        self,
        low: Decimal | None = None,
        high: Decimal | None = None,
        above: bool = False,
        below: bool = False,
    ) -> None:
        self.low = low
        self.high = high
        self.above = above
        self.below = below

    def takes(self, number: float) -> bool:
        """Whether a number is within them."""
        value = Decimal(repr(number))
        low = self.low is None or value > self.low or (value == self.low and not self.above)
        return low and (self.high is None or value < self.high or (value == self.high and not self.below))

    @property
    def none(self) -> bool:
        """Whether every number is within them."""
        return self.low is None and self.high is None


def integer(rules: gbnf.Rules, limits: Limits) -> str | None:
    """A symbol for a whole number within limits; None where there is none."""
    low, high = limits.low, limits.high
    first = (
        None if low is None else int(low.to_integral_value(ROUND_CEILING)) + (limits.above and low % 1 == 0)
    )
    last = (
        None if high is None else int(high.to_integral_value(ROUND_FLOOR)) - (limits.below and high % 1 == 0)
    )
    options = []
    if first is None or first < 0:
        nearest, farthest = 1 if last is None else max(1, -last), None if first is None else -first
        options += [f'"-" {_grouped(body)}' for body in _naturals(nearest, farthest)]
    if last is None or last >= 0:
        options += _naturals(max(0, first or 0), last)
    return rules.any_of("integer", options) if options else None


def number(rules: gbnf.Rules, limits: Limits) -> str | None:
    """A symbol for a number within limits, written without an exponent where there are some; None where none is."""
    if limits.none:
        whole = rules.add("whole", '"0" | [1-9] [0-9]' + f"{{0,{DIGITS - 1}}}")
        fraction = rules.add("fraction", f'("." [0-9]{{1,{DIGITS}}})? ({_EXPONENT})?')
        return rules.add("number", f'"-"? {whole} {fraction}')
    low, high = limits.low, limits.high
    options = []
    if low is None or low < 0:
        # From what is nearest to zero; zero itself has no minus.
        nearest = Limits(Decimal(0), None if low is None else -low, True, limits.above)
        if high is not None and high < 0:
            nearest.low, nearest.above = -high, limits.below
        options += [f'"-" {body}' for body in _decimals(rules, nearest)]
    if high is None or high >= 0:
        positive = low is not None and low >= 0
        rest = Limits(low if positive else Decimal(0), high, limits.above and positive, limits.below)
        options += list(_decimals(rules, rest))
    return rules.any_of("number", options) if options else None


def _naturals(first: int, last: int | None) -> list[str]:
    """Whole numbers from ``first``, which is not negative, to ``last``."""
    longest = max(DIGITS, len(str(first)) + 1)
    end = min(last, 10 ** (longest + 1) - 1) if last is not None else 10**longest - 1
    options = []
    size = len(str(first))
    while first <= end:
        top = 10**size - 1
        if last is None and first == 10 ** (size - 1) and size > 1:
            options.append(f"[1-9] [0-9]{{{size - 1},{longest - 1}}}")
            break
        options.append(_same_length(str(first), str(min(top, end))))
        first, size = top + 1, size + 1
    return options


def _same_length(low: str, high: str) -> str:
    """Numbers of as many digits as both ends have."""
    if low == high:
        return f'"{low}"'
    if low[0] == high[0]:
        return f'"{low[0]}" {_grouped(_same_length(low[1:], high[1:]))}'
    rest = len(low) - 1
    first, last = int(low[0]), int(high[0])
    if not rest:
        return _digit(first, last)
    options = []
    if low[1:].strip("0"):
        options.append(f'"{first}" {_grouped(_same_length(low[1:], "9" * rest))}')
        first += 1
    upper = None
    if high[1:].strip("9"):
        upper = f'"{last}" {_grouped(_same_length("0" * rest, high[1:]))}'
        last -= 1
    if first <= last:
        options.append(f"{_digit(first, last)} [0-9]{{{rest}}}")
    return " | ".join([*options, upper] if upper else options)


def _grouped(body: str) -> str:
    return f"({body})" if "|" in body else body


def _digit(low: int, high: int) -> str:
    return f"[{low}-{high}]" if low < high else f'"{low}"'


def _decimals(rules: gbnf.Rules, limits: Limits) -> Iterator[str]:
    """Decimal numbers from ``limits.low``, which is not negative, up."""
    low, high = limits.low or Decimal(0), limits.high
    if high is not None and (high < low or (high == low and (limits.above or limits.below))):
        return
    first, above = _split(low)
    if high is None:
        yield from _with_fraction(rules, str(first), above, limits.above, None, False)
        for body in _naturals(first + 1, None):
            yield f"{_grouped(body)} {_free(rules)}"
        return
    last, below = _split(high)
    if first == last:
        yield from _with_fraction(rules, str(first), above, limits.above, below, limits.below)
        return
    yield from _with_fraction(rules, str(first), above, limits.above, None, False)
    for body in _naturals(first + 1, last - 1):
        yield f"{_grouped(body)} {_free(rules)}"
    yield from _with_fraction(rules, str(last), "", False, below, limits.below)


def _split(value: Decimal) -> tuple[int, str]:
    """The whole part and the digits behind the point, without zeros at the end."""
    whole, _, fraction = f"{value:f}".partition(".")
    return int(whole), fraction.rstrip("0")


def _free(rules: gbnf.Rules) -> str:
    return rules.add("decimals", f'("." [0-9]{{1,{DIGITS}}})?')


def _with_fraction(
    rules: gbnf.Rules, whole: str, low: str, above: bool, high: str | None, below: bool
) -> Iterator[str]:
    """A whole part and what may follow it, from the digits ``low`` to the digits ``high``."""
    state = _Fraction(rules, above, below)
    size = max(DIGITS, len(low) + 1, len(high or "") + 1)
    digits = state.digits(low, high, size)
    if state.may_end(low, high):
        yield f'"{whole}" ("." {digits})?' if digits else f'"{whole}"'
    elif digits:
        yield f'"{whole}" "." {digits}'


class _Fraction:
    """Digits behind a point as an automaton: a state is what is left of both limits, None where one is behind us."""

    def __init__(self, rules: gbnf.Rules, above: bool, below: bool) -> None:
        self._rules = rules
        self._above = above
        self._below = below
        self._known: dict[tuple[str | None, str | None, int], str | None] = {}

    def may_end(self, low: str | None, high: str | None) -> bool:
        """Whether the number may be over here: the digits left are zeros then."""
        enough = low is None or (not low and not self._above)
        return enough and (high is None or bool(high) or not self._below)

    def digits(self, low: str | None, high: str | None, room: int) -> str | None:
        """A symbol for one to ``room`` digits more; None where no digit fits."""
        if not room:
            return None
        if low == "" and not self._above:
            low = None
        if low is None and high == "" and not self._below:
            return f"[0]{{1,{room}}}" if room > 1 else "[0]"
        if low is None and high is None:
            return f"[0-9]{{1,{room}}}" if room > 1 else "[0-9]"
        key = (low, high, room)
        if key not in self._known:
            options = list(self._options(low, high, room))
            self._known[key] = self._rules.any_of("digits", options) if options else None
        return self._known[key]

    def _options(self, low: str | None, high: str | None, room: int) -> Iterator[str]:
        least = int(low[0]) if low else 0
        most = 9 if high is None else int(high[0]) if high else 0
        nexts: dict[tuple[str | None, str | None], list[int]] = {}
        for digit in range(least, most + 1):
            after_low = low[1:] if low is not None and digit == least else None
            after_high = high[1:] if high is not None and digit == most else None
            nexts.setdefault((after_low, after_high), []).append(digit)
        for (after_low, after_high), found in nexts.items():
            more = self.digits(after_low, after_high, room - 1)
            first = _digit(found[0], found[-1])
            if self.may_end(after_low, after_high):
                yield f"{first} ({more})?" if more else first
            elif more:
                yield f"{first} {more}"
