"""Scoring with a reward model in memory."""

from __future__ import annotations

import ctypes
import json
import os
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from . import _native
from ._tables import PathLike, Rows, has_arrow, to_dicts, to_json_lines
from .options import spelled_options


@dataclass(frozen=True)
class Scores:
    """Results of N rows, in their order."""

    score: np.ndarray
    """float32, [N]: raw head output, unbounded; NaN for rows with an error."""
    num_tokens: np.ndarray
    """int32, [N]: tokens of the templated conversation, as the model saw them."""
    truncated: np.ndarray
    """bool, [N]: whether the conversation was cut to max_tokens."""
    error: list[Optional[str]]
    """[N]: why a row has no score."""


class RewardModel:
    """A reward model in memory. Calls from several threads wait for each other.

    Args:
        model: a Hugging Face folder, or "hub:OWNER/NAME".
        dtype: "auto" (bfloat16 where the machine has it natively), "float32" or "bfloat16".
        threads: CPU threads; 0: all of this process. Scores do not depend on it.
        max_tokens: longer conversations are cut, on the side that `truncation` names ("left", "right"),
            or have an error ("error"). None: 4096, or the model's positions where they are fewer.
        options: the others of `charm score`, with underscores: truncation, template, template_date,
            strip_thinking, bos, pooling, budget_tokens, device, adapter, offline.
    """

    def __init__(self, model: PathLike, *, dtype: str = "auto", threads: int = 0, max_tokens: Optional[int] = None, **options: Any):
        self._handle = ctypes.c_void_p()
        self.path = os.fspath(model)
        given = spelled_options({"dtype": dtype, "threads": threads, "max_tokens": max_tokens, **options})
        with _native.progress_bar(None) as progress:
            _native.call(
                _native.library.charm_reward_model_load,
                self.path.encode(),
                _native.text_array(given),
                len(given),
                progress=progress,
                out=ctypes.byref(self._handle),
            )
        self.options = given

    def close(self) -> None:
        """Frees the model."""
        if self._handle:
            _native.library.charm_reward_model_free(self._handle)
            self._handle = ctypes.c_void_p()

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self.close()

    def __enter__(self) -> RewardModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RewardModel({self.path!r})" if self._handle else f"RewardModel({self.path!r}, closed)"

    @property
    def facts(self) -> dict[str, str]:
        """What `charm score` records: hashes, dtype, template, length limit."""
        return json.loads(_native.library.charm_reward_model_facts(self._open()).decode())

    def score(self, rows: Rows, *, max_bad_rows: int = 0, progress: Optional[bool] = None) -> np.ndarray:
        """Scores rows with `prompt` and `response`, or `messages`.

        Rows with equal prompts share its computation: give them in one call.

        Args:
            rows: dicts, a dict of columns, a DataFrame, a Table. A prompt is a text (one user turn) or
                a list of messages with role and content.
            max_bad_rows: rows without a score to tolerate; they are NaN. One more raises InputError.
            progress: a tqdm bar; None: on a terminal.

        Returns:
            float32, [number of rows], in their order: raw head output, the same bits as `charm score`.
        """
        return self.score_rows(rows, max_bad_rows=max_bad_rows, progress=progress).score

    def score_rows(self, rows: Rows, *, max_bad_rows: int = 0, progress: Optional[bool] = None) -> Scores:
        """As `score`, with the number of tokens, truncation and errors of each row."""
        handle = self._open()
        scores = ctypes.c_void_p()
        with _native.progress_bar(progress) as show:
            if has_arrow(rows):
                capsule = rows.__arrow_c_stream__()
                pointer = ctypes.pythonapi.PyCapsule_GetPointer
                pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
                function, source = _native.library.charm_reward_model_score_arrow, (pointer(capsule, b"arrow_array_stream"),)
            else:
                text = to_json_lines(to_dicts(rows))
                function, source = _native.library.charm_reward_model_score_json, (text, len(text))
            _native.call(function, handle, *source, max_bad_rows, progress=show, out=ctypes.byref(scores))
        try:
            taken = _take(scores)
        finally:
            _native.library.charm_scores_free(scores)
        if num_truncated := int(taken.truncated.sum()):
            facts = self.facts
            _native.warn(
                f"{num_truncated} of {len(taken.score)} texts were cut to {facts['max-tokens']} tokens "
                f"(truncation: {facts['truncation']}); score_rows(...).truncated says which"
            )
        return taken

    def _open(self) -> ctypes.c_void_p:
        if not self._handle:
            raise _native.UsageError(f"{self!r}: cannot be used any more")
        return self._handle


def _take(scores: ctypes.c_void_p) -> Scores:
    """A copy of what the library holds."""
    library, count = _native.library, _native.library.charm_scores_size(scores)

    def column(name: str, dtype: type) -> np.ndarray:
        if count == 0:
            return np.empty(0, dtype)
        return np.ctypeslib.as_array(getattr(library, f"charm_scores_{name}")(scores), (count,)).astype(dtype)

    errors = [library.charm_scores_error(scores, row) for row in range(count)]
    return Scores(
        score=column("values", np.float32),
        num_tokens=column("num_tokens", np.int32),
        truncated=column("truncated", np.bool_),
        error=[None if error is None else error.decode() for error in errors],
    )
