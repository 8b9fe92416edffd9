"""Runs a pickle over an allow-list of opcodes and names; everything else ends it.

The opcodes are those of Python's ``pickletools``, whose documentation is their definition. Python's own unpickler is
not used: it can be kept from looking names up, but what it builds are objects, with methods a pickle may set and call.
Here there are only lists, dictionaries, tuples, numbers, texts, and the classes of ``tensors``.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

from firstlight.build.convert.pickled import tensors
from firstlight.build.convert.pickled.tensors import Named
from firstlight.runtime.errors import ConversionError

LARGEST = 64 << 20
"""Bytes of a pickle; those of models with thousands of tensors have less than one hundredth."""

_PLAIN = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "UNICODE",
    "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "STRING", "SHORT_BINSTRING", "BINSTRING",
}  # fmt: skip
_CONSTANTS: Mapping[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_MARK = object()


def run(pickle: BytesIO) -> Any:
    """What one pickle describes; the stream stands behind it afterwards.

    Raises:
        ConversionError: it asks for something that is not on the lists, or is not a pickle.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(pickle):
            if opcode.name == "STOP":
                return machine.pop()
            machine.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise ConversionError(f"it is not a pickle of weights: {error}") from error
    raise ConversionError("it is not a pickle of weights: it has no end")


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def step(self, opcode: str, argument: Any) -> None:
        if opcode in _PLAIN:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode])
        elif opcode in _STEPS:
            _STEPS[opcode](self, argument)
        elif opcode not in ("PROTO", "FRAME"):
            raise ConversionError(f"its pickle uses {opcode}, which weights have no need of")

    def pop(self) -> Any:
        found = self.stack.pop()
        if found is _MARK:
            raise ValueError("a mark in place of a value")
        return found

    def _top(self, kind: type) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise ConversionError(
                f"its pickle changes a {type(self.stack[-1]).__name__}, not a {kind.__name__}"
            )
        return self.stack[-1]

    def since_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("a mark is missing")
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def tuple(self, count: int) -> None:
        self.stack.append(tuple(reversed([self.pop() for _ in range(count)])))

    def remember(self, place: int | None) -> None:
        self._memo[len(self._memo) if place is None else int(place)] = self.stack[-1]

    def recall(self, place: int) -> None:
        self.stack.append(self._memo[int(place)])

    def extend(self, values: list[Any]) -> None:
        self._top(list).extend(values)

    def update(self, values: list[Any]) -> None:
        _fill(self._top(dict), list(zip(values[::2], values[1::2], strict=True)))

    def dictionary(self) -> None:
        values = self.since_mark()
        self.stack.append({})
        self.update(values)

    def name(self) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ConversionError("its pickle asks for something that has no name")
        self.stack.append(_allowed(module, name))

    def reduce(self) -> None:
        arguments, called = self.pop(), self.pop()
        if not isinstance(called, Named) or called not in _CALLS or not isinstance(arguments, tuple):
            what = str(called)[:80] if isinstance(called, Named) else f"a {type(called).__name__}"
            raise ConversionError(f"its pickle calls {what}, which is not done")
        self.stack.append(_CALLS[called](arguments))

    def build(self) -> None:
        """Attributes of a dictionary (torch notes the versions of layers there) are left out."""
        self.pop()
        self._top(dict)


def _fill(found: dict[Any, Any], pairs: list[Any]) -> None:
    """Keys of other kinds could be tuples in tuples, whose hash is computed as deep as they go."""
    for pair in pairs:
        match pair:
            case (str() | int() as key, value):
                found[key] = value
            case _:
                raise ConversionError(
                    "its pickle has a dictionary with keys that are neither texts nor numbers"
                )


def _allowed(module: str, name: str) -> Named:
    found = Named(module, name)
    if found not in _CALLS and not (module == "torch" and name.endswith("Storage")):
        raise ConversionError(f"its pickle asks for {str(found)[:80]}, which weights have no need of")
    return found


def _ordered(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    match arguments:
        case ():
            return {}
        case (list() as pairs,):
            found: dict[Any, Any] = {}
            _fill(found, pairs)
            return found
        case _:
            raise ConversionError("its pickle has a dictionary made of something else than pairs")


def _parameter(arguments: tuple[Any, ...]) -> tensors.Tensor:
    match arguments:
        case (tensors.Tensor() as found, *_):
            return found
        case _:
            raise ConversionError("its pickle has a parameter that is no tensor")


def _size(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    match arguments:
        case ((list() | tuple()) as sizes,):
            return tuple(sizes)
        case _:
            raise ConversionError("its pickle has a size made of something else than numbers")


_CALLS: Mapping[Named, Callable[[tuple[Any, ...]], Any]] = {
    Named("collections", "OrderedDict"): _ordered,
    Named("torch._utils", "_rebuild_tensor_v2"): tensors.tensor,
    Named("torch._utils", "_rebuild_tensor"): tensors.tensor,
    Named("torch._utils", "_rebuild_parameter"): _parameter,
    Named("torch", "Size"): _size,
}
"""All that can be called; none of it is what the name means in Python."""

_STEPS: Mapping[str, Callable[[_Machine, Any], object]] = {
    "MARK": lambda machine, _: machine.stack.append(_MARK),
    "POP": lambda machine, _: machine.stack.pop(),
    "POP_MARK": lambda machine, _: machine.since_mark(),
    "DUP": lambda machine, _: machine.stack.append(machine.stack[-1]),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "LIST": lambda machine, _: machine.stack.append(machine.since_mark()),
    "DICT": lambda machine, _: machine.dictionary(),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.tuple(1),
    "TUPLE2": lambda machine, _: machine.tuple(2),
    "TUPLE3": lambda machine, _: machine.tuple(3),
    "APPEND": lambda machine, _: machine.extend([machine.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.update([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.update(machine.since_mark()),
    "PUT": lambda machine, place: machine.remember(place),
    "BINPUT": lambda machine, place: machine.remember(place),
    "LONG_BINPUT": lambda machine, place: machine.remember(place),
    "MEMOIZE": lambda machine, _: machine.remember(None),
    "GET": lambda machine, place: machine.recall(place),
    "BINGET": lambda machine, place: machine.recall(place),
    "LONG_BINGET": lambda machine, place: machine.recall(place),
    "GLOBAL": lambda machine, named: machine.stack.append(_allowed(*named.split(" ", 1))),
    "STACK_GLOBAL": lambda machine, _: machine.name(),
    "BINPERSID": lambda machine, _: machine.stack.append(tensors.storage(machine.pop())),
    "REDUCE": lambda machine, _: machine.reduce(),
    "BUILD": lambda machine, _: machine.build(),
}
