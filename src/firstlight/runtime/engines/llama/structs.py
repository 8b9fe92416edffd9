"""The types of llama.h, and where the fields that are set lie in its large structs."""

from __future__ import annotations

from _ctypes import FUNCFLAG_CDECL, CFuncPtr, Structure, _SimpleCData
from _struct import pack_into, unpack_from

from firstlight.runtime.engines.library import Address, Int, Int64, Size, Text


class Byte(_SimpleCData):  # type: ignore[type-arg]
    """``uint8_t``"""

    _type_ = "B"


class Bool(_SimpleCData):  # type: ignore[type-arg]
    """``bool``"""

    _type_ = "?"


class Float(_SimpleCData):  # type: ignore[type-arg]
    """``float``"""

    _type_ = "f"


class Unsigned(_SimpleCData):  # type: ignore[type-arg]
    """``uint32_t``"""

    _type_ = "I"


class Parameters(Structure):
    """``llama_model_params`` or ``llama_context_params``: bytes, with room for fields that are not known."""

    _fields_ = [("bytes", Byte * 512)]  # noqa: RUF012


class Batch(Structure):
    """``llama_batch``: tokens that follow what was read before; the logits of the last one are wanted."""

    _fields_ = [  # noqa: RUF012
        ("count", Int),
        ("tokens", Address),
        ("embeddings", Address),
        ("positions", Address),
        ("sequence_counts", Address),
        ("sequences", Address),
        ("logits", Address),
    ]


class Candidate(Structure):
    """``llama_token_data``"""

    _fields_ = [("id", Int), ("logit", Float), ("probability", Float)]  # noqa: RUF012


class Candidates(Structure):
    """``llama_token_data_array``"""

    _fields_ = [("first", Address), ("count", Size), ("selected", Int64), ("sorted", Bool)]  # noqa: RUF012


class ChainParameters(Structure):
    """``llama_sampler_chain_params``"""

    _fields_ = [("no_timing", Bool)]  # noqa: RUF012


class LogCallback(CFuncPtr):
    """``void (*)(enum ggml_log_level, const char *, void *)``"""

    _flags_ = FUNCFLAG_CDECL
    _restype_ = None
    _argtypes_ = (Int, Text, Address)


class AbortCallback(CFuncPtr):
    """``bool (*)(void *)``: whether a computation shall stop."""

    _flags_ = FUNCFLAG_CDECL
    _restype_ = Bool
    _argtypes_ = (Address,)


# llama_model_params and llama_context_params of llama.cpp 0.5 and 0.6, to the end of what is looked at.
_MODEL, _MODEL_DEFAULTS = (
    "<2q5i4x4q6?",
    (0, 0, -1, 1, -1, 1, 0, 0, 0, 0, 0, False, False, True, False, False, False),
)
_CONTEXT = "<14i6fIf2q2i"
_CONTEXT_DEFAULTS = (
    512,
    2048,
    512,
    1,
    0,
    0,
    1,
    4,
    4,
    0,
    -1,
    -1,
    -1,
    -1,
    0,
    0,
    -1,
    -1,
    -1,
    -1,
    0,
    -1,
    0,
    0,
    1,
    1,
)
_LOAD_MODE, _EXTRA_BUFFERS = 24, 74
_SIZES, _THREADS, _FUSED_ATTENTION, _MEMORY_TYPES = 0, 28, 52, 104
_MEMORY_MAPPED = 1  # LLAMA_LOAD_MODE_MMAP
_FLOAT32, _FLOAT16 = 0, 1  # ggml_type


def known(model: Parameters, context: Parameters) -> bool:
    """Whether a library's default parameters stand where this module sets others."""
    return (
        unpack_from(_MODEL, model) == _MODEL_DEFAULTS and unpack_from(_CONTEXT, context) == _CONTEXT_DEFAULTS
    )


def set_model(parameters: Parameters, repack: bool) -> Parameters:
    """Have the weights memory-mapped, and rearranged for this CPU (in memory of their own) or not."""
    pack_into("<i", parameters, _LOAD_MODE, _MEMORY_MAPPED)
    pack_into("<?", parameters, _EXTRA_BUFFERS, repack)
    return parameters


def set_context(parameters: Parameters, size: int, batch: int, threads: int, exact: bool) -> Parameters:
    """Set the number of tokens that are remembered, the most that are read at once, and the threads.

    ``exact`` keeps keys and values as float32 and attention in its separate steps. Fused, with float16, it is an eighth
    faster and leaves logits some hundredths off, which is little beside what quantised weights do.
    """
    pack_into("<3I", parameters, _SIZES, size, batch, batch)
    pack_into("<2i", parameters, _THREADS, threads, threads)
    pack_into("<i", parameters, _FUSED_ATTENTION, 0 if exact else 1)
    pack_into("<2i", parameters, _MEMORY_TYPES, *((_FLOAT32, _FLOAT32) if exact else (_FLOAT16, _FLOAT16)))
    return parameters
