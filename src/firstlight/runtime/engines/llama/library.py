"""libllama's C API: the shared library and its functions by name.

llama.h promises no stable ABI, so a library is asked for its default parameters first, and is used only where they
stand where they are expected (``structs``). What it would print is kept instead: why it refuses is told nowhere else.
"""

from __future__ import annotations

import os
from _ctypes import addressof, byref, dlopen, dlsym

from firstlight.runtime.engines.library import Address, Function, Int, Size, Text
from firstlight.runtime.engines.llama import finding, structs, variants
from firstlight.runtime.engines.llama.structs import Bool, Candidate, Candidates, Float, Parameters, Unsigned
from firstlight.runtime.errors import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KNOWN = "0.5 and 0.6"
"""Versions of llama.cpp that were tried."""

_RTLD_NOW = 2
_WARNING, _CONTINUED = 3, 5  # ggml_log_level
_LINES = 4

# Name without ``llama_`` -> (what it returns, what it takes).
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "version": (Text, ()),
    "backend_init": (None, ()),
    "print_system_info": (Text, ()),
    "log_set": (None, (structs.LogCallback, Address)),
    "model_default_params": (Parameters, ()),
    "context_default_params": (Parameters, ()),
    "model_load_from_file": (Address, (Text, Parameters)),
    "model_free": (None, (Address,)),
    "model_get_vocab": (Address, (Address,)),
    "model_n_ctx_train": (Int, (Address,)),
    "model_has_encoder": (Bool, (Address,)),
    "model_has_decoder": (Bool, (Address,)),
    "model_is_diffusion": (Bool, (Address,)),
    "model_meta_val_str": (Int, (Address, Text, Address, Size)),
    "model_chat_template": (Text, (Address, Text)),
    "vocab_type": (Int, (Address,)),
    "vocab_n_tokens": (Int, (Address,)),
    "vocab_get_text": (Text, (Address, Int)),
    "vocab_is_eog": (Bool, (Address, Int)),
    "tokenize": (Int, (Address, Text, Int, Address, Int, Bool, Bool)),
    "token_to_piece": (Int, (Address, Int, Address, Int, Int, Bool)),
    "init_from_model": (Address, (Address, Parameters)),
    "free": (None, (Address,)),
    "set_n_threads": (None, (Address, Int, Int)),
    "set_abort_callback": (None, (Address, structs.AbortCallback, Address)),
    "decode": (Int, (Address, structs.Batch)),
    "get_logits_ith": (Address, (Address, Int)),
    "get_memory": (Address, (Address,)),
    "memory_clear": (None, (Address, Bool)),
    "memory_seq_rm": (Bool, (Address, Int, Int, Int)),
    "memory_seq_pos_max": (Int, (Address, Int)),
    "state_seq_get_size": (Size, (Address, Int)),
    "state_seq_get_data": (Size, (Address, Address, Size, Int)),
    "state_seq_set_data": (Size, (Address, Address, Size, Int)),
    "sampler_chain_init": (Address, (structs.ChainParameters,)),
    "sampler_chain_add": (None, (Address, Address)),
    "sampler_chain_remove": (Address, (Address, Int)),
    "sampler_init_greedy": (Address, ()),
    "sampler_init_dist": (Address, (Unsigned,)),
    "sampler_init_temp": (Address, (Float,)),
    "sampler_init_top_k": (Address, (Int,)),
    "sampler_init_top_p": (Address, (Float, Size)),
    "sampler_init_min_p": (Address, (Float, Size)),
    "sampler_init_penalties": (Address, (Int, Int, Float, Float, Float)),
    "sampler_init_grammar": (Address, (Address, Text, Text)),
    "sampler_sample": (Int, (Address, Address, Int)),
    "sampler_apply": (None, (Address, Address)),
    "sampler_accept": (None, (Address, Int)),
    "sampler_free": (None, (Address,)),
}


_said: list[str] = []


def _keep(level: int, text: bytes | None, _: Any) -> None:
    """Keep a warning or an error; called by the library in the midst of its work."""
    if _WARNING <= level < _CONTINUED:
        line = " ".join((text or b"").decode("utf-8", "replace").split())
        _said[:] = [*_said[1 - _LINES :], line.partition(": ")[2] or line]


_LOG = structs.LogCallback(_keep)  # the library calls it for as long as the process lives


class Library:
    """A loaded libllama; its functions are attributes, without their prefix and each bound at its first use.

    Args:
        found: where it is.

    Attributes:
        found: the same.
        variant: the kind of CPU that its kernels are for; empty where they are part of the library.

    Raises:
        EngineError: it cannot be loaded, is of a version with another layout, or has no kernels for this CPU.
    """

    def __init__(self, found: finding.Found) -> None:
        os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # where it aborts it would start a debugger first
        self.found = found
        self._handle = _opened(found.path)
        try:
            self.log_set(_LOG, None)
            self._check_layout()
            self.backend_init()
            self.variant = variants.load(self._handle, found.folder)
        except OSError as error:  # a function is missing
            raise self._unknown(str(error)) from error

    def __getattr__(self, name: str) -> Any:
        if name not in _FUNCTIONS:
            raise AttributeError(name)
        function = Function(dlsym(self._handle, f"llama_{name}"))
        function.restype, function.argtypes = _FUNCTIONS[name]
        setattr(self, name, function)
        return function

    def said(self) -> str:
        """What the library complained of since it was last asked, in one line."""
        lines = "; ".join(_said)
        _said.clear()
        return lines or "it does not say why"

    def _check_layout(self) -> None:
        if not structs.known(self.model_default_params(), self.context_default_params()):
            raise self._unknown("its parameters are laid out differently")
        # The likelier of two candidates is taken only if they, too, are laid out as expected.
        pair = (Candidate * 2)(Candidate(0, 1.0, 0.0), Candidate(1, 2.0, 0.0))
        candidates = Candidates(addressof(pair), 2, -1, False)
        sampler = self.sampler_init_greedy()
        self.sampler_apply(sampler, byref(candidates))
        self.sampler_free(sampler)
        if candidates.selected != 1:
            raise self._unknown("its candidates are laid out differently")

    def _unknown(self, why: str) -> EngineError:
        return EngineError(
            f"{self.found.path} is not a libllama of a version that is known here: {why}",
            f"known are {KNOWN} of llama.cpp: pip install {finding.WHEEL}, and unset {finding.VARIABLE}",
        )


_library: Library | None = None


def loaded() -> Library:
    """The library of this process, loaded at the first call.

    Raises:
        EngineError, MissingExtra: see ``finding.find`` and ``Library``.
    """
    global _library  # noqa: PLW0603 - a library is loaded once, and it keeps a list of its own kernels
    if _library is None:
        _library = Library(finding.find())
    return _library


def _opened(path: str) -> int:
    # The C function lets other threads of Python run meanwhile, _ctypes' own does not. Where it failed, failing again
    # says why.
    function = Function(dlsym(dlopen(None, 0), "dlopen"))  # type: ignore[arg-type]
    try:
        return function(Text(os.fsencode(path)), _RTLD_NOW) or dlopen(path, _RTLD_NOW)
    except OSError as error:
        hint = "install the library it names, or another libllama"
        raise EngineError(f"libllama cannot be loaded: {error}", hint) from error
