"""Loads onnxruntime's shared library, in a thread of its own where there is other work to do meanwhile.

Loading takes 16 ms, most of it spent by the library registering its operators, and needs nothing of the bundle. So a
worker begins it first, and imports its own modules while that thread is in foreign code, without the interpreter's
lock. For the same reason the foreign types are made from ``_ctypes``: ``ctypes``, which is that and more, takes 1.5 ms.
"""

from __future__ import annotations

import os
import sys
from _ctypes import FUNCFLAG_CDECL, FUNCFLAG_PYTHONAPI, CFuncPtr, _SimpleCData, byref, dlopen, dlsym
from _thread import allocate_lock, start_new_thread

from firstlight.runtime.errors import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

API_VERSION = 5
TABLE_SIZE = 150
"""Functions in version 5 of the API."""

_GET_ERROR_MESSAGE, _CREATE_ENV = 2, 3
_LOG_FATAL = 4  # OrtLoggingLevel: a refusal reaches us as a status, it need not be printed as well
_RTLD_NOW = 2
_M_TOP_PAD, _M_ARENA_MAX = -2, -8  # mallopt(3)
_MADV_HUGEPAGE = 14  # madvise(2)
_HEAP, _HUGE, _LARGEST = 16 << 20, 2 << 20, 120 << 10  # the last is less than what malloc maps on its own
_INTERVAL = 5e-5  # seconds
_INSTALL = "install it: pip install onnxruntime"


class Int(_SimpleCData):  # type: ignore[type-arg]
    """``int``"""

    _type_ = "i"


class Int64(_SimpleCData):  # type: ignore[type-arg]
    """``int64_t``"""

    _type_ = "q"


class Size(_SimpleCData):  # type: ignore[type-arg]
    """``size_t``"""

    _type_ = "L"


class Address(_SimpleCData):  # type: ignore[type-arg]
    """``void *``; an int, or None for NULL, where a function returns it."""

    _type_ = "P"


class Text(_SimpleCData):  # type: ignore[type-arg]
    """``const char *``; bytes."""

    _type_ = "z"


class _Object(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "O"


class Function(CFuncPtr):
    """A C function at an address; it runs without the interpreter's lock."""

    _flags_ = FUNCFLAG_CDECL
    _restype_ = Address


class _PythonFunction(CFuncPtr):
    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_PYTHONAPI
    _restype_ = _Object


_program = dlopen(None, 0)  # type: ignore[arg-type]
copied = _PythonFunction(dlsym(_program, "PyBytes_FromStringAndSize"))
"""``copied(address, size)``: the bytes that lie there."""
copied.argtypes = (Address, Size)


class Library:
    """What a loaded library gives.

    Attributes:
        table: addresses of the API's functions.
        env: the environment that all sessions share.
    """

    def __init__(self, path: str) -> None:
        self.table = _table(path)
        create = Function(self.table[_CREATE_ENV])
        env = Address()
        status = create(_LOG_FATAL, b"firstlight", byref(env))
        if status:
            raise EngineError(f"onnxruntime cannot start: {message(self.table, status)}")
        self.env: int = env.value or 0


def _heap_in_huge_pages() -> None:
    """Have the heap grow at once by what the library will fill, in huge pages where the kernel has them on request.

    Registering operators makes 100,000 small allocations: in pages of 4 kB they are 2,000 faults, a tenth of all the
    time to the first answer. glibc only; it has a tunable for this since 2.35, but that must be set before a program
    starts.
    """
    try:
        mallopt, malloc, free, sbrk, madvise = (
            Function(dlsym(_program, name)) for name in ("mallopt", "malloc", "free", "sbrk", "madvise")
        )
    except OSError:
        return
    mallopt(_M_ARENA_MAX, 1)  # threads too take from the heap
    mallopt(_M_TOP_PAD, _HEAP)
    for block in [malloc(_LARGEST) for _ in range(2)]:  # the second does not fit into what there was
        free(Address(block))
    end = sbrk(0)
    start = (end - _HEAP + _HUGE - 1) // _HUGE * _HUGE
    madvise(Address(start), Size(end - start), _MADV_HUGEPAGE)


class _Loading:
    """A library that is being loaded by another thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._result: Library | EngineError | None = None
        self._running = allocate_lock()
        self._running.acquire()
        # Between foreign calls the thread needs the interpreter's lock, which is given up every 5 ms by default.
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(_INTERVAL)
        _heap_in_huge_pages()  # before there is a thread, which would get a heap of its own
        start_new_thread(self._load, ())

    def result(self) -> Library:
        """Wait for the end of it."""
        self.wait()
        if not isinstance(self._result, Library):
            raise self._result or EngineError("onnxruntime did not load")
        return self._result

    def wait(self) -> None:
        """Wait for the end of it, whatever it is."""
        with self._running:
            pass

    def _load(self) -> None:
        try:
            self._result = Library(self._path)
        except EngineError as error:
            self._result = error
        finally:
            sys.setswitchinterval(self._interval)
            self._running.release()


_loading: _Loading | None = None


def begin(bundle: str) -> None:
    """Begin to load the library if a bundle looks like one that needs it; returns at once and says nothing.

    Args:
        bundle: the folder; its ``bundle.json`` is looked at, not read.
    """
    global _loading  # noqa: PLW0603 - one library a process
    try:
        with open(f"{bundle}/bundle.json", "rb") as file:  # noqa: PTH123
            needed = b'"onnx' in file.read()
        if needed and _loading is None:
            _loading = _Loading(path())
    except (OSError, EngineError):
        return  # whoever opens the bundle next says what is wrong
    import atexit

    if _loading is not None:
        atexit.register(_loading.wait)  # a process must not end in the midst of it


def loaded() -> Library:
    """The library, waiting for it where it was begun.

    Raises:
        EngineError: it is not on ``sys.path``, or cannot be loaded.
    """
    if _loading is not None:
        return _loading.result()
    _heap_in_huge_pages()
    return Library(path())


def path() -> str:
    """Where the shared library of the installed onnxruntime is; its Python package is not imported.

    Raises:
        EngineError: no entry of ``sys.path`` holds it.
    """
    for entry in sys.path:
        folder = f"{entry or '.'}/onnxruntime/capi"
        try:
            names = os.listdir(folder)  # noqa: PTH208
        except OSError:
            continue
        for name in names:
            if name.startswith("libonnxruntime."):
                return f"{folder}/{name}"
    raise EngineError("onnxruntime is not installed", _INSTALL)


def trim() -> None:
    """Give memory that was freed back to the system, where the C library has a function for it (glibc)."""
    try:
        Function(dlsym(_program, "malloc_trim"))(0)
    except OSError:
        return


def message(table: Any, status: int) -> str:
    """The message of a status that is not NULL."""
    text = Function(table[_GET_ERROR_MESSAGE])
    text.argtypes = (Address,)
    text.restype = Text
    said: bytes = text(status)
    return said.decode("utf-8", "replace").strip()


def _table(path: str) -> Any:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # on by default in the Linux wheels; read while loading
    # The C function: ctypes' own dlopen holds the interpreter's lock.
    function = Function(dlsym(_program, "dlopen"))
    handle = function(Text(os.fsencode(path)), _RTLD_NOW)
    try:
        # Where that failed, failing again says why.
        base = Function(dlsym(handle or dlopen(path, _RTLD_NOW), "OrtGetApiBase"))()
    except OSError as error:
        raise EngineError(f"onnxruntime's library {path} cannot be loaded: {error}", _INSTALL) from error
    table = Function(Address.from_address(base).value)(API_VERSION)
    if not table:
        raise EngineError(f"onnxruntime's library {path} has no version {API_VERSION} of the C API", _INSTALL)
    return (Address * TABLE_SIZE).from_address(table)
