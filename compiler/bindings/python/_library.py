"""The C interface of the library in this package, by ctypes: its functions run without the interpreter's lock."""

import ctypes
import operator
import os
from ctypes import POINTER, c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

import numpy as np

ABI = 1
OK, INPUT, FAILED, STOPPED = range(4)
ZERO_TERMINATED = c_size_t(-1).value


class Options(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("abi", c_uint32),
        ("device", c_uint32),
        ("weights", c_char_p),
        ("tokenizer", c_char_p),
        ("threads", c_size_t),
        ("cache_file", c_char_p),
        ("cache_resident", c_size_t),
    ]


class ModelBytes(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("weights", c_uint64), ("constants", c_uint64), ("steps", c_uint64)]


class Drafts(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("drafted", c_uint64), ("accepted", c_uint64), ("failure", c_char_p)]


class Stream(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("type", c_int32),
        ("reserved", c_int32),
        ("width", c_size_t),
        ("dimensions", c_size_t),
        ("shape", POINTER(c_size_t)),
        ("vocab", c_size_t),
    ]


class Candidate(ctypes.Structure):
    _fields_ = [("token", c_int64), ("logprob", c_double)]


class Token(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("token", c_int64),
        ("text", c_void_p),
        ("length", c_size_t),
        ("end", c_char_p),
        ("logprob", c_double),
        ("candidates", c_size_t),
        ("best", POINTER(Candidate)),
        ("status", c_int32),
        ("reserved", c_int32),
    ]


Progress = ctypes.CFUNCTYPE(c_int, c_void_p, c_uint64, c_uint64)


class Callbacks(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("user", c_void_p), ("progress", Progress), ("token", c_void_p)]


class Segment(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("session", c_void_p),
        ("tokens", c_size_t),
        ("inputs", POINTER(c_void_p)),
        ("outputs", POINTER(c_void_p)),
        ("wanted", c_int32),
        ("status", c_int32),
    ]


_OUT = {
    "version": (c_char_p, []),
    "abi": (c_uint32, []),
    "error": (c_char_p, []),
    "free": (None, [c_void_p]),
    "model_open_with": (c_void_p, [POINTER(Options)]),
    "model_free": (None, [c_void_p]),
    "model_error": (c_char_p, [c_void_p]),
    "model_name": (c_char_p, [c_void_p]),
    "model_hash": (c_char_p, [c_void_p]),
    "model_vocab": (c_size_t, [c_void_p]),
    "model_context": (c_uint64, [c_void_p]),
    "model_causal": (c_int, [c_void_p]),
    "model_threads": (c_size_t, [c_void_p]),
    "model_memory": (c_int, [c_void_p, POINTER(ModelBytes)]),
    "model_set_draft": (c_int, [c_void_p, c_char_p]),
    "model_drafts": (c_int, [c_void_p, POINTER(Drafts)]),
    "model_inputs": (c_size_t, [c_void_p]),
    "model_outputs": (c_size_t, [c_void_p]),
    "model_input": (c_int, [c_void_p, c_size_t, POINTER(Stream)]),
    "model_output": (c_int, [c_void_p, c_size_t, POINTER(Stream)]),
    "model_sources": (c_size_t, [c_void_p]),
    "model_source": (c_int, [c_void_p, c_size_t, POINTER(Stream)]),
    "model_source_rows": (c_uint64, [c_void_p]),
    "model_start": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "model_ends": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "session_new": (c_void_p, [c_void_p]),
    "session_free": (None, [c_void_p]),
    "session_error": (c_char_p, [c_void_p]),
    "session_reset": (c_int, [c_void_p]),
    "session_position": (c_uint64, [c_void_p]),
    "session_source_input": (c_int, [c_void_p, POINTER(c_void_p), c_size_t]),
    "session_source_rows": (c_uint64, [c_void_p]),
    "session_tokens": (c_int, [c_void_p, POINTER(c_void_p), POINTER(c_size_t)]),
    "session_fork": (c_void_p, [c_void_p]),
    "session_truncate": (c_int, [c_void_p, c_uint64]),
    "session_end_prompt": (c_int, [c_void_p, c_uint64]),
    "session_snapshots": (c_int, [c_void_p, c_uint64]),
    "session_save": (c_int, [c_void_p, c_char_p]),
    "session_load": (c_int, [c_void_p, c_char_p]),
    "session_save_memory": (c_int, [c_void_p, POINTER(c_void_p), POINTER(c_size_t)]),
    "session_load_memory": (c_int, [c_void_p, c_void_p, c_size_t]),
    "session_memory": (c_int, [c_void_p, POINTER(c_uint64), POINTER(c_uint64)]),
    "session_start": (c_int, [c_void_p, c_char_p, POINTER(Callbacks)]),
    "session_next": (c_int, [c_void_p, POINTER(Token)]),
    "next": (c_int, [POINTER(c_void_p), c_size_t, POINTER(Token)]),
    "feed": (c_int, [POINTER(Segment), c_size_t, POINTER(Callbacks)]),
    "tokenize": (c_int, [c_void_p, c_char_p, c_size_t, c_int, POINTER(c_void_p), POINTER(c_size_t)]),
    "detokenize": (c_int, [c_void_p, c_void_p, c_size_t, POINTER(c_void_p), POINTER(c_size_t)]),
    "render_chat": (c_int, [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_size_t)]),
    "tokenize_chat": (c_int, [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_size_t)]),
    "decoder_new": (c_void_p, [c_void_p, c_void_p, c_size_t]),
    "decoder_free": (None, [c_void_p]),
    "decoder_error": (c_char_p, [c_void_p]),
    "decoder_push": (c_int, [c_void_p, c_int64, POINTER(c_void_p), POINTER(c_size_t)]),
    "decoder_finish": (c_int, [c_void_p, POINTER(c_void_p), POINTER(c_size_t)]),
    "sampler_new": (c_void_p, [c_void_p, c_char_p]),
    "sampler_free": (None, [c_void_p]),
    "sampler_error": (c_char_p, [c_void_p]),
    "sampler_read": (c_int, [c_void_p, c_void_p, c_size_t]),
    "sampler_next": (c_int, [c_void_p, c_void_p, c_size_t, POINTER(c_int64), POINTER(c_int)]),
}


class _Library:
    """Functions of the library, with the types of their arguments."""

    def __init__(self):
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "@file@")
        # CDLL gives the interpreter's lock away while a function runs.
        library = ctypes.CDLL(path)
        for name, (result, arguments) in _OUT.items():
            function = getattr(library, "@prefix@_" + name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)


library = _Library()


def numbers(values, dtype):
    """An array of a stream's type. Where integers are wanted, others are refused: numpy would cut them silently."""
    array = np.asarray(values)
    if np.issubdtype(dtype, np.integer) and array.size and array.dtype.kind not in "iub":
        raise TypeError(f"integers are wanted, not {array.dtype}")
    return np.ascontiguousarray(array, dtype=dtype)


def rows(values, stream):
    """An array of a stream with a row for each token, of a row alone that of one; None where the shape is another one."""
    array, shape = numbers(values, stream.dtype), tuple(stream.shape)
    if array.shape == shape:
        return array[np.newaxis]
    return array if array.ndim > 0 and array.shape[1:] == shape else None


def count(number):
    """A number of tokens, of which ctypes would take the last 64 bits."""
    if not 0 <= operator.index(number) < 1 << 64:
        raise OverflowError(f"{number} is not a number of tokens")
    return operator.index(number)
