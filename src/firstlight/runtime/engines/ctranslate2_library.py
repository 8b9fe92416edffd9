"""CTranslate2's compiled module, without the package around it, and runs of it that hand over each step.

``import ctranslate2`` takes 65 ms, of which the compiled module is 15: the rest is asyncio, queues and converters that
answering has no use for. The module finds its own libraries, which lie beside it in the wheel.
"""

from __future__ import annotations

import sys
from _queue import SimpleQueue
from _thread import start_new_thread

from firstlight.runtime.errors import EngineError, MissingExtra

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from firstlight.runtime.deadline import Deadline

_MODULE = "ctranslate2._ext"
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE, _LARGEST = 1 << 16, 32 << 20


def load() -> Any:
    """The compiled module, loaded once a process; ``import ctranslate2`` finds the same one afterwards.

    Raises:
        MissingExtra: it is not installed.
        EngineError: it is, and cannot be loaded.
    """
    if _MODULE in sys.modules:
        return sys.modules[_MODULE]
    path = _path()
    if not path:
        raise MissingExtra("ctranslate2 is not installed", "pip install ctranslate2")
    try:
        if sys.platform == "win32":  # the package says where its libraries are
            return __import__(_MODULE, fromlist=["Translator"])
        import _imp
        from _frozen_importlib import ModuleSpec

        module = _imp.create_dynamic(ModuleSpec(_MODULE, None, origin=path))
        _imp.exec_dynamic(module)
    except ImportError as error:
        hint = "install it again: pip install --force-reinstall ctranslate2"
        raise EngineError(f"ctranslate2's library {path} cannot be loaded: {error}", hint) from error
    sys.modules[_MODULE] = module
    return module


def _path() -> str:
    """Where the compiled module of the installed ctranslate2 is; empty where it is not on ``sys.path``."""
    import _imp
    import os

    endings = tuple(_imp.extension_suffixes())
    for entry in sys.path:
        folder = f"{entry or '.'}/ctranslate2"
        try:
            names = os.listdir(folder)  # noqa: PTH208
        except OSError:
            continue
        for name in names:
            if name.startswith("_ext.") and name.endswith(endings):
                return f"{folder}/{name}"
    return ""


def opened(kind: str, path: str, threads: int) -> Any:
    """A ``Translator`` or a ``Generator`` over a model's folder, for one answer at a time.

    Raises:
        MissingExtra, EngineError: the library is not there, or refuses the model.
    """
    make = getattr(load(), kind)
    large_apart = sys.platform == "linux" and _allocate(_LARGE)
    try:
        return make(path, device="cpu", inter_threads=1, intra_threads=threads)
    except (RuntimeError, ValueError) as error:
        raise EngineError(f"ctranslate2 cannot load {path}: {error}") from error
    finally:
        if large_apart:
            _allocate(_LARGEST)


def _allocate(apart: int) -> bool:
    """Have the C library take blocks of so many bytes or more from the system one by one (mallopt(3); glibc).

    Weights have to begin where a page begins for ``shrink``. What is allocated while a model runs has not, and would be
    given back after each step: so the limit is as high as it gets afterwards. By itself it rises as blocks are freed.
    """
    from _ctypes import dlopen, dlsym

    from firstlight.runtime.engines.library import Function

    try:
        mallopt = Function(dlsym(dlopen(None, 0), "mallopt"))  # type: ignore[arg-type]
    except OSError:
        return False
    mallopt(_M_MMAP_THRESHOLD, apart)
    mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST)
    return True


def shrink(weights: str) -> int:
    """Let the file of a loaded model stand in for the copy of it in memory, where the system allows it.

    Args:
        weights: model.bin.

    Returns:
        Bytes that no longer belong to this process alone.
    """
    if sys.platform != "linux":
        return 0
    from firstlight.runtime.engines import library
    from firstlight.runtime.engines.ctranslate2_sharing import share

    shared = share(weights)
    library.trim()
    return shared


class Run:
    """One run in a thread of its own, so that each step can be handed over when it is known.

    Args:
        work: runs the library, with a function to be called after each step that says whether to end.
        deadline: after which the run ends with the step it is at.
    """

    def __init__(self, work: Callable[[Callable[[Any], bool]], Any], deadline: Deadline) -> None:
        self._work = work
        self._deadline = deadline
        self._steps: SimpleQueue[Any] = SimpleQueue()
        self._left = self._over = False
        self._problem: Exception | None = None
        start_new_thread(self._go, ())

    def steps(self) -> Iterator[Any]:
        """Each step.

        Raises:
            EngineError: the library refuses.
        """
        while not self._over:
            step = self._steps.get()
            if step is None:
                self._over = True
                if isinstance(self._problem, (RuntimeError, ValueError)):
                    problem = self._problem
                    raise EngineError(f"ctranslate2 cannot run this input: {problem}") from problem
                if self._problem is not None:
                    raise self._problem
                return
            yield step

    def stop(self) -> None:
        """End the work after the step it is at, and wait for that."""
        self._left = True
        while not self._over:
            self._over = self._steps.get() is None

    def _go(self) -> None:
        try:
            self._work(self._stepped)
        except Exception as error:  # handed to the thread that reads
            self._problem = error
        finally:
            self._steps.put(None)

    def _stepped(self, step: Any) -> bool:
        self._steps.put(step)
        return self._left or self._deadline.passed
