"""onnxruntime's C API: the functions of its table by name, and graphs that run.

``OrtGetApiBase()->GetApi(version)`` returns a struct of function pointers. The struct only ever grows at its end
(onnxruntime_c_api.cc asserts the offsets of every version that has shipped), so a function is its index in it.
The newest function used here came with version 5 of the API. Neither numpy nor the Python package is imported.
"""

from __future__ import annotations

import os
from _ctypes import byref
from _struct import calcsize, pack, unpack
from _struct import error as StructError  # type: ignore[attr-defined]  # noqa: N812

from firstlight.runtime.engines import library
from firstlight.runtime.engines.library import Address, Function, Int, Int64, Size, Text, copied
from firstlight.runtime.errors import EngineError
from firstlight.runtime.tensor import Tensor, make

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

# ONNXTensorElementDataType -> format character of struct; memoryview knows all of them but e (float16).
FORMATS = {1: "f", 2: "B", 3: "b", 4: "H", 5: "h", 6: "i", 7: "q", 9: "?", 10: "e", 11: "d", 12: "I", 13: "Q"}
_ELEMENTS = {code: element for element, code in FORMATS.items()} | {"l": 7, "L": 13}

_OUT = Address  # an address that receives a result
# Name -> (index in the struct, argument types). Names that begin with Release return nothing, the others a status.
_FUNCTIONS: dict[str, tuple[int, tuple[Any, ...]]] = {
    "CreateSession": (7, (Address, Text, Address, _OUT)),
    "Run": (9, (Address, Address, Address, Address, Size, Address, Size, Address)),
    "CreateSessionOptions": (10, (_OUT,)),
    "SetSessionGraphOptimizationLevel": (23, (Address, Int)),
    "SetIntraOpNumThreads": (24, (Address, Int)),
    "SessionGetInputCount": (30, (Address, _OUT)),
    "SessionGetOutputCount": (31, (Address, _OUT)),
    "SessionGetInputTypeInfo": (33, (Address, Size, _OUT)),
    "SessionGetInputName": (36, (Address, Size, Address, _OUT)),
    "SessionGetOutputName": (37, (Address, Size, Address, _OUT)),
    "CreateTensorWithDataAsOrtValue": (49, (Address, Text, Size, Address, Size, Int, _OUT)),
    "GetTensorMutableData": (51, (Address, _OUT)),
    "CastTypeInfoToTensorInfo": (55, (Address, _OUT)),
    "GetTensorElementType": (60, (Address, _OUT)),
    "GetDimensionsCount": (61, (Address, _OUT)),
    "GetDimensions": (62, (Address, Address, Size)),
    "GetTensorTypeAndShape": (65, (Address, _OUT)),
    "CreateCpuMemoryInfo": (69, (Int, Int, _OUT)),
    "AllocatorFree": (76, (Address, Address)),
    "GetAllocatorWithDefaultOptions": (78, (_OUT,)),
    "ReleaseStatus": (93, (Address,)),
    "ReleaseSession": (95, (Address,)),
    "ReleaseValue": (96, (Address,)),
    "ReleaseTypeInfo": (98, (Address,)),
    "ReleaseTensorTypeAndShapeInfo": (99, (Address,)),
    "ReleaseSessionOptions": (100, (Address,)),
    "AddSessionConfigEntry": (130, (Address, Text, Text)),
}
_GET_ERROR_MESSAGE = 2


class Api:
    """The functions of the table as attributes, each bound at its first use; a bad status is an ``EngineError``.

    Args:
        loaded: the library with its environment.
    """

    def __init__(self, loaded: library.Library) -> None:
        self._table = loaded.table
        self.env = loaded.env
        self.memory = self.made("CreateCpuMemoryInfo", 0, 0)

    def __getattr__(self, name: str) -> Any:
        index, arguments = _FUNCTIONS[name]
        function = Function(self._table[index])
        function.argtypes = arguments
        if name.startswith("Release"):
            function.restype = None
        else:
            function.errcheck = self._check
        setattr(self, name, function)
        return function

    def made(self, name: str, *arguments: Any) -> int:
        """Call a function whose last argument receives a handle; return the handle."""
        handle = Address()
        getattr(self, name)(*arguments, byref(handle))
        return handle.value or 0

    def _check(self, status: Any, _function: Any, _arguments: Any) -> Any:
        if status:
            message = library.message(self._table, status)
            self.ReleaseStatus(status)
            raise EngineError(f"onnxruntime: {message}")


_opened: Api | None = None


def opened() -> Api:
    """The library of this process, loaded at the first call.

    Raises:
        EngineError: the library is not on ``sys.path`` or is too old.
    """
    global _opened  # noqa: PLW0603 - one library and one environment a process, as onnxruntime asks
    if _opened is None:
        _opened = Api(library.loaded())
    return _opened


library_path = library.path


class Session:
    """A graph with its weights, ready to run.

    Args:
        path: the .onnx file; external data lies beside it and is memory-mapped.
        threads: threads inside one operator.
        level: graph optimisation at load, 0 (none) to 99 (all).
        settings: session configuration entries by key.

    Attributes:
        inputs, outputs: names in the graph's order.
    """

    def __init__(self, path: str, threads: int, level: int, settings: Mapping[str, str]) -> None:
        api = self._api = opened()
        self._handle = 0
        options = api.made("CreateSessionOptions")
        try:
            api.SetSessionGraphOptimizationLevel(options, level)
            api.SetIntraOpNumThreads(options, threads)
            for key, value in settings.items():
                api.AddSessionConfigEntry(options, key.encode(), value.encode())
            self._handle = api.made("CreateSession", api.env, os.fsencode(path), options)
        finally:
            api.ReleaseSessionOptions(options)
        self.inputs = self._names("Input")
        self.outputs = self._names("Output")
        self._elements = {name: self._element(index) for index, name in enumerate(self.inputs)}

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory of the session back; it cannot run any more."""
        handle, self._handle = self.__dict__.get("_handle", 0), 0
        if handle:
            self._api.ReleaseSession(handle)

    def _names(self, side: str) -> tuple[str, ...]:
        api, count = self._api, Size()
        getattr(api, f"SessionGet{side}Count")(self._handle, byref(count))
        allocator = api.made("GetAllocatorWithDefaultOptions")
        names = []
        for index in range(count.value):
            address = api.made(f"SessionGet{side}Name", self._handle, index, allocator)
            names.append((Text.from_buffer(Address(address)).value or b"").decode())
            api.AllocatorFree(allocator, address)
        return tuple(names)

    def _element(self, index: int) -> int:
        """The element type (ONNXTensorElementDataType) of an input; 0 for an input that is no tensor."""
        api, element = self._api, Int()
        kind = api.made("SessionGetInputTypeInfo", self._handle, index)
        tensor = api.made("CastTypeInfoToTensorInfo", kind)
        if tensor:
            api.GetTensorElementType(tensor, byref(element))
        api.ReleaseTypeInfo(kind)
        return int(element.value)

    def run(self, feeds: Mapping[str, Tensor], outputs: Sequence[str]) -> list[Tensor]:
        """Run the graph once.

        Args:
            feeds: a tensor for every input of the graph; numbers of another type than the input's are converted.
            outputs: names of the outputs that are wanted.

        Raises:
            EngineError: a name, type or shape is not the graph's, or the run failed.
        """
        for name in self.inputs:
            if name not in feeds:
                raise EngineError(
                    f"the graph needs the input {name!r}", f"its inputs are {', '.join(self.inputs)}"
                )
        api, count, wanted = self._api, len(feeds), len(outputs)
        values, results = (Address * count)(), (Address * wanted)()
        alive = []  # the bytes behind the inputs, until the run is over
        try:
            for index, (name, tensor) in enumerate(feeds.items()):
                raw, element = self._fed(name, tensor.data)
                alive.append(raw)
                values[index] = self._value(tensor.shape, raw, element)
            names = (Text * count)(*[name.encode() for name in feeds])
            asked = (Text * wanted)(*[name.encode() for name in outputs])
            api.Run(self._handle, None, names, values, count, asked, wanted, results)
            return [self._tensor(value) for value in results]
        finally:
            for value in (*values, *results):
                if value:
                    api.ReleaseValue(value)

    def _fed(self, name: str, data: memoryview) -> tuple[bytes, int]:
        """The bytes of an input and their element type; without a copy where a view shows all of a bytes object."""
        given = _ELEMENTS.get(data.format, 0)
        wanted = self._elements.get(name, given)
        if given != wanted or not given:
            if wanted not in FORMATS:
                raise EngineError(f"input {name!r} has ONNX element type {wanted}, which is not supported")
            try:
                return pack(f"{len(data)}{FORMATS[wanted]}", *data.tolist()), wanted
            except (StructError, OverflowError, NotImplementedError) as reason:
                message = f"input {name!r} takes numbers of format {FORMATS[wanted]!r}, got {data.format!r}"
                raise EngineError(message) from reason
        owner = data.obj
        return (owner if type(owner) is bytes and len(owner) == data.nbytes else data.tobytes()), given

    def _value(self, shape: tuple[int, ...], raw: bytes, element: int) -> int:
        rank = len(shape)
        sizes = (Int64 * rank)(*shape)
        made = self._api.made
        return made("CreateTensorWithDataAsOrtValue", self._api.memory, raw, len(raw), sizes, rank, element)

    def _tensor(self, value: int) -> Tensor:
        """A copy of a result, whose own memory is the library's again when the run is over."""
        api, element, rank = self._api, Int(), Size()
        info = api.made("GetTensorTypeAndShape", value)
        try:
            api.GetTensorElementType(info, byref(element))
            api.GetDimensionsCount(info, byref(rank))
            sizes = (Int64 * rank.value)()
            api.GetDimensions(info, sizes, rank.value)
        finally:
            api.ReleaseTensorTypeAndShapeInfo(info)
        code = FORMATS.get(element.value)
        if code is None:
            raise EngineError(f"an output has ONNX element type {element.value}, which is not supported")
        shape, count = tuple(sizes), 1
        for size in shape:
            count *= size
        raw = copied(api.made("GetTensorMutableData", value), count * calcsize(code)) if count else b""
        if code == "e":
            return make("f", unpack(f"{count}e", raw), shape)
        return Tensor(memoryview(raw).cast(code), shape)  # type: ignore[call-overload]
