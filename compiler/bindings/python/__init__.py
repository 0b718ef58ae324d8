"""The compiled model `@name@`.

A `Model` is opened once; a `Session` is a sequence of tokens that it reads. Sessions of several threads share weights and compute
threads: steps take turns, everything else runs at once, and no call holds the interpreter's lock.

    import @package@
    model = @package@.Model()
    for part in model.session().generate(messages=[{"role": "user", "content": "Hello"}], max_tokens=64):
        print(part.text, end="", flush=True)
"""

import ctypes
import json
import os

import numpy as np

from . import _library
from ._library import library as _lib
from ._values import Candidate, Drafts, ModelMemory, SessionMemory, Stream, Token

__version__ = "@version@"
__all__ = [
    "Answer",
    "Candidate",
    "Decoder",
    "Drafts",
    "Error",
    "InputError",
    "Model",
    "ModelMemory",
    "Sampler",
    "Session",
    "SessionMemory",
    "Stopped",
    "Stream",
    "Token",
    "advance",
    "feed",
]


class Error(RuntimeError):
    """The system refused: memory, disk, threads; or a bug of the library."""


class InputError(Error, ValueError):
    """Wrong input: files, tokens, requests."""


class Stopped(Error):
    """A callback asked to stop."""


_KINDS = {_library.INPUT: InputError, _library.STOPPED: Stopped}


def _check(status, text):
    if status != _library.OK:
        raise _KINDS.get(status, Error)(text.decode("utf-8", "replace"))


def _made(pointer):
    if not pointer:
        raise InputError(_lib.error().decode("utf-8", "replace"))
    return pointer


class _Memory:
    """Memory that the library gave, freed with the last array that shows it."""

    def __init__(self, address, count, dtype):
        self._address = address
        self.__array_interface__ = {"shape": (count,), "typestr": dtype, "data": (address, False), "version": 3}

    def __del__(self, _free=_lib.free):
        _free(self._address)


def _array(call, dtype):
    """What a call gives, as an array without a copy."""
    start, count = ctypes.c_void_p(), ctypes.c_size_t()
    call(ctypes.byref(start), ctypes.byref(count))
    return np.asarray(_Memory(start.value, count.value, dtype))


def _tokens(tokens):
    return _library.numbers(tokens, np.int64).reshape(-1)


class _Caught:
    """A callback of progress; what it raises is raised by the call. Signals are handled between two steps."""

    def __init__(self, progress):
        self.error = None

        def told(_, done, total):
            try:
                return int(bool(progress and progress(done, total)))
            except BaseException as error:
                self.error = error
                return 1

        self._told = _library.Progress(told)
        self.callbacks = _library.Callbacks(ctypes.sizeof(_library.Callbacks), None, self._told, None)

    def check(self, status, text):
        if self.error is not None:
            raise self.error
        _check(status, text())


class Model:
    """A model with its weights and threads.

    With `cache_file`, a folder of a disk, what attention caches lies in a file without a name there, of which `cache_resident` bytes are in
    memory; 0: 1 GiB. `device` is the number of the GPU in wheels for CUDA, which the first model chooses for all.
    """

    def __init__(self, weights=None, tokenizer=None, threads=0, cache_file=None, cache_resident=0, device=0):
        self._pointer = None
        encoded = [None if path is None else os.fsencode(path) for path in (weights, tokenizer, cache_file)]
        size = ctypes.sizeof(_library.Options)
        options = _library.Options(size, _library.ABI, device, encoded[0], encoded[1], threads, encoded[2], cache_resident)
        self._pointer = _made(_lib.model_open_with(ctypes.byref(options)))
        self.inputs = self._streams(_lib.model_inputs, _lib.model_input)
        self.outputs = self._streams(_lib.model_outputs, _lib.model_output)
        self.sources = self._streams(_lib.model_sources, _lib.model_source)

    def __del__(self, _free=_lib.model_free):
        # Bound here: at the end of the interpreter the names of this module are gone.
        _free(self._pointer)

    def _streams(self, count, ask):
        streams = []
        for number in range(count(self._pointer)):
            found = _library.Stream(size=ctypes.sizeof(_library.Stream))
            self._done(ask(self._pointer, number, ctypes.byref(found)))
            shape = tuple(found.shape[axis] for axis in range(found.dimensions))
            dtype = np.dtype(np.int64 if found.type == 2 else np.float32)
            streams.append(Stream(found.name.decode(), dtype, shape, found.vocab or None))
        return tuple(streams)

    def _done(self, status):
        if status != _library.OK:
            _check(status, _lib.model_error(self._pointer))

    @property
    def name(self):
        return _lib.model_name(self._pointer).decode()

    @property
    def hash(self):
        return _lib.model_hash(self._pointer).decode()

    @property
    def vocab(self):
        return _lib.model_vocab(self._pointer)

    @property
    def context(self):
        limit = _lib.model_context(self._pointer)
        return None if limit == 2**64 - 1 else limit

    @property
    def causal(self):
        return _lib.model_causal(self._pointer) == 1

    @property
    def threads(self):
        return _lib.model_threads(self._pointer)

    @property
    def memory(self):
        found = _library.ModelBytes(size=ctypes.sizeof(_library.ModelBytes))
        self._done(_lib.model_memory(self._pointer, ctypes.byref(found)))
        return ModelMemory(found.weights, found.constants, found.steps)

    def _ids(self, ask):
        count = ctypes.c_size_t()
        start = _made(ask(self._pointer, ctypes.byref(count)))
        return tuple((ctypes.c_int64 * count.value).from_address(start))

    @property
    def ends(self):
        return self._ids(_lib.model_ends)

    @property
    def start(self):
        return self._ids(_lib.model_start)

    @property
    def source_rows(self):
        return _lib.model_source_rows(self._pointer)

    @property
    def drafts(self):
        found = _library.Drafts(size=ctypes.sizeof(_library.Drafts))
        self._done(_lib.model_drafts(self._pointer, ctypes.byref(found)))
        return Drafts(found.drafted, found.accepted, found.failure and found.failure.decode("utf-8", "replace"))

    def set_draft(self, program):
        """Gives the model a program of a smaller model, which drafts for answers that are asked for with `draft`; None: none."""
        self._done(_lib.model_set_draft(self._pointer, None if program is None else os.fsencode(program)))

    def session(self):
        """A sequence of no tokens yet."""
        return Session(self, _made(_lib.session_new(self._pointer)))

    def encode(self, text, start=True):
        """Tokens of a text, with those that the tokenizer puts before one that starts."""
        data = text.encode("utf-8")

        def call(to, count):
            self._done(_lib.tokenize(self._pointer, data, len(data), int(start), to, count))

        return _array(call, "<i8")

    def decode(self, tokens):
        """The text of tokens."""
        tokens = _tokens(tokens)

        def call(to, count):
            self._done(_lib.detokenize(self._pointer, tokens.ctypes.data, tokens.size, to, count))

        return _array(call, "|u1").tobytes().decode("utf-8")

    def render_chat(self, messages):
        """The text that the chat template makes of messages, with the beginning of the answer."""
        data = json.dumps(messages).encode()

        def call(to, count):
            self._done(_lib.render_chat(self._pointer, data, to, count))

        return _array(call, "|u1").tobytes().decode("utf-8")

    def encode_chat(self, messages):
        """The tokens of that text."""
        data = json.dumps(messages).encode()

        def call(to, count):
            self._done(_lib.tokenize_chat(self._pointer, data, to, count))

        return _array(call, "<i8")

    def decoder(self, before=()):
        """Turns tokens to text one by one; `before` are those of the text that stands there already."""
        return Decoder(self, before)

    def sampler(self, **request):
        """Chooses tokens by logits of the caller's."""
        return Sampler(self, request)


class Session:
    """A sequence of tokens that a model has read."""

    def __init__(self, model, pointer):
        self._pointer = pointer
        self.model = model

    def __del__(self, _free=_lib.session_free):
        # Bound here: at the end of the interpreter the names of this module are gone.
        _free(self._pointer)

    def _text(self):
        return _lib.session_error(self._pointer)

    def _done(self, status):
        if status != _library.OK:
            _check(status, self._text())

    @property
    def position(self):
        return _lib.session_position(self._pointer)

    @property
    def tokens(self):
        return _array(lambda to, count: self._done(_lib.session_tokens(self._pointer, to, count)), "<i8")

    @property
    def memory(self):
        alone, shared = ctypes.c_uint64(), ctypes.c_uint64()
        self._done(_lib.session_memory(self._pointer, ctypes.byref(alone), ctypes.byref(shared)))
        return SessionMemory(alone.value, shared.value)

    @property
    def source_rows(self):
        return _lib.session_source_rows(self._pointer)

    def reset(self):
        """Forgets everything read, but for a source."""
        self._done(_lib.session_reset(self._pointer))

    def source(self, *inputs):
        """Reads what the encoder reads: arrays, one for each of the model's `sources`, whole, before the first token."""
        arrays, count, starts = _rows(self.model.sources, inputs, "encoder")
        self._done(_lib.session_source_input(self._pointer, starts, count))

    def feed(self, *inputs, rows="last", progress=None):
        """Reads arrays, one for each input of the model: the outputs of the last token or, with rows="all", of each."""
        return feed([(self, *inputs)], rows=rows, progress=progress)[0]

    def fork(self):
        """A copy that goes on by itself. Pages of caches are shared until one of both writes them."""
        return Session(self.model, _made(_lib.session_fork(self._pointer)))

    def truncate(self, position):
        """Forgets all but the first tokens."""
        self._done(_lib.session_truncate(self._pointer, _library.count(position)))

    def end_prompt(self, tokens):
        """Says that the prompt ends after so many more tokens, before the last of them is read. Caches that are cut or stored anew at the
        end of a prompt are so there. Requests with a prompt of their own say it themselves."""
        self._done(_lib.session_end_prompt(self._pointer, _library.count(tokens)))

    def keep_snapshots(self, interval):
        """Keeps a snapshot every so many tokens from now on, of the states that cannot be cut; 0: none."""
        self._done(_lib.session_snapshots(self._pointer, _library.count(interval)))

    def save(self, path):
        """Writes everything needed to continue: a whole file, or none."""
        self._done(_lib.session_save(self._pointer, os.fsencode(path)))

    def load(self, path):
        """Continues from a file of the same model with the same weights."""
        self._done(_lib.session_load(self._pointer, os.fsencode(path)))

    def to_bytes(self):
        """Everything needed to continue, as an array of bytes."""
        return _array(lambda to, count: self._done(_lib.session_save_memory(self._pointer, to, count)), "|u1")

    def load_bytes(self, data):
        """Continues from what `to_bytes` gave."""
        data = np.frombuffer(data, dtype=np.uint8)
        self._done(_lib.session_load_memory(self._pointer, data.ctypes.data, data.size))

    def generate(self, *, progress=None, **request):
        """An answer, part by part. Keywords are the fields of a request to the server: `prompt` or `messages`, `max_tokens`, ..."""
        if isinstance(request.get("prompt"), np.ndarray):
            request["prompt"] = request["prompt"].tolist()
        caught = _Caught(progress)
        data = json.dumps(request).encode()
        status = _lib.session_start(self._pointer, data, ctypes.byref(caught.callbacks))
        caught.check(status, self._text)
        return Answer(self)

    def complete(self, **request):
        """The text of a whole answer."""
        return "".join(part.text for part in self.generate(**request))


def _rows(streams, inputs, reader):
    """Arrays of these streams, with one row for each token, how many rows they have, and where they are."""
    if len(inputs) != len(streams):
        raise InputError(f"{len(inputs)} inputs are given, the {reader} reads {len(streams)}")
    arrays = []
    for values, stream in zip(inputs, streams):
        array, wanted = _library.rows(values, stream), ", ".join(["tokens", *map(str, stream.shape)])
        if array is None:
            raise InputError(f"`{stream.name}` is an array of ({wanted}), not of {np.shape(values)}")
        arrays.append(array)
    count = len(arrays[0]) if arrays else 0
    if any(len(array) != count for array in arrays):
        raise InputError("all inputs have as many rows")
    return arrays, count, (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))


def feed(segments, rows="last", progress=None):
    """Reads for several sessions of one model in the same steps: a list of (session, array, ...), with an array for each input.

    Gives a dictionary of arrays by output for each session, which the library fills directly. Arrays of the stream's type
    are read where they are.
    """
    segments = list(segments)
    if rows not in ("last", "all"):
        raise InputError("rows must be 'last' or 'all'")
    given = (_library.Segment * len(segments))()
    kept, results = [], []
    for place, segment in zip(given, segments):
        if not isinstance(segment, (tuple, list)) or not segment or not isinstance(segment[0], Session):
            raise TypeError(f"each part must be a tuple of a Session and an array for each input, not {segment!r:.80}")
        session, *inputs = segment
        model = session.model
        arrays, count, starts = _rows(model.inputs, inputs, "model")
        shape = count if rows == "all" else 1
        outputs = {stream.name: np.empty((shape, *stream.shape), stream.dtype) for stream in model.outputs}
        places = (ctypes.c_void_p * len(outputs))(*(array.ctypes.data for array in outputs.values()))
        place.size, place.session, place.tokens = ctypes.sizeof(_library.Segment), session._pointer, count
        place.inputs, place.outputs, place.wanted = starts, places, int(rows == "all")
        kept.append((arrays, starts, places))
        results.append(outputs if rows == "all" else {name: array[0] for name, array in outputs.items()})
    caught = _Caught(progress)
    status = _lib.feed(given, len(segments), ctypes.byref(caught.callbacks))

    def text():
        wrong = [session for place, (session, *_) in zip(given, segments) if place.status]
        return wrong[0]._text() if wrong else _lib.error()

    if status != _library.OK:
        caught.check(status, text)
    return results


class Answer:
    """An answer, part by part. It may be left at any time: the session has then read what was given."""

    def __init__(self, session):
        self.session = session
        self.over = False

    def __iter__(self):
        return self

    def __next__(self):
        if self.over:
            raise StopIteration
        token = _library.Token(size=ctypes.sizeof(_library.Token))
        status = _lib.session_next(self.session._pointer, ctypes.byref(token))
        return self._part(status, token)

    def _part(self, status, token):
        self.over = status != _library.OK or bool(token.end)
        self.session._done(status)
        text = ctypes.string_at(token.text, token.length).decode("utf-8", "replace")
        best = tuple(Candidate(one.token, one.logprob) for one in token.best[: token.candidates])
        end = token.end.decode() if token.end else None
        return Token(None if token.token < 0 else token.token, text, end, token.logprob, best)


def advance(answers):
    """The next part of each of several answers of one model, which read in one step; None for those that are over."""
    running = [answer for answer in answers if not answer.over]
    sessions = (ctypes.c_void_p * len(running))(*(answer.session._pointer for answer in running))
    tokens = (_library.Token * len(running))()
    for token in tokens:
        token.size = ctypes.sizeof(_library.Token)
    status = _lib.next(sessions, len(running), tokens)
    if status != _library.OK and not any(token.status for token in tokens):
        _check(status, _lib.error())
    parts = {id(answer): answer._part(token.status, token) for answer, token in zip(running, tokens)}
    return [parts.get(id(answer)) for answer in answers]


class Decoder:
    """Turns tokens to text: whole characters come as soon as they are complete."""

    def __init__(self, model, before=()):
        self._pointer = None
        before = _tokens(before)
        self._pointer = _made(_lib.decoder_new(model._pointer, before.ctypes.data, before.size))

    def __del__(self, _free=_lib.decoder_free):
        # Bound here: at the end of the interpreter the names of this module are gone.
        _free(self._pointer)

    def _given(self, call):
        text, length = ctypes.c_void_p(), ctypes.c_size_t()
        status = call(ctypes.byref(text), ctypes.byref(length))
        if status != _library.OK:
            _check(status, _lib.decoder_error(self._pointer))
        return ctypes.string_at(text.value, length.value).decode("utf-8", "replace")

    def push(self, token):
        """The characters that are complete with this token."""
        return self._given(lambda text, length: _lib.decoder_push(self._pointer, token, text, length))

    def finish(self):
        """What is left; the decoder begins anew."""
        return self._given(lambda text, length: _lib.decoder_finish(self._pointer, text, length))


class Sampler:
    """Chooses tokens by logits."""

    def __init__(self, model, request):
        self._pointer = None
        self._pointer = _made(_lib.sampler_new(model._pointer, json.dumps(request).encode()))

    def __del__(self, _free=_lib.sampler_free):
        # Bound here: at the end of the interpreter the names of this module are gone.
        _free(self._pointer)

    def _done(self, status):
        if status != _library.OK:
            _check(status, _lib.sampler_error(self._pointer))

    def read(self, tokens):
        """Takes tokens of the prompt, which the repetition penalty counts."""
        tokens = _tokens(tokens)
        self._done(_lib.sampler_read(self._pointer, tokens.ctypes.data, tokens.size))

    def next(self, logits):
        """The next token for these logits, which counts as generated; None: the answer is over."""
        logits = np.ascontiguousarray(logits, dtype=np.float32).reshape(-1)
        token, over = ctypes.c_int64(), ctypes.c_int()
        pointers = ctypes.byref(token), ctypes.byref(over)
        self._done(_lib.sampler_next(self._pointer, logits.ctypes.data, logits.size, *pointers))
        return None if over.value else token.value
