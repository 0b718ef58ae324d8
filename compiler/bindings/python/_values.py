"""What models, sessions and answers tell."""

from typing import NamedTuple

import numpy as np


class Stream(NamedTuple):
    """What a model reads or gives: a row of `shape` for each token."""

    name: str
    dtype: np.dtype
    shape: tuple
    vocab: object


class ModelMemory(NamedTuple):
    """Bytes that all sessions share."""

    weights: int
    constants: int
    steps: int


class Drafts(NamedTuple):
    """Tokens of drafts that were read, those that the model chose, and why its program drafts no more, or None."""

    drafted: int
    accepted: int
    failure: object


class SessionMemory(NamedTuple):
    """Bytes of a session: those that are freed with it, and those that forks use as well."""

    alone: int
    shared: int


class Candidate(NamedTuple):
    """A token with the natural logarithm of its probability."""

    token: int
    logprob: float


class Token(NamedTuple):
    """A part of an answer. In the last one, `token` is None, `text` had been held back, and `end` says why the answer is over."""

    token: object
    text: str
    end: object
    logprob: float
    best: tuple
