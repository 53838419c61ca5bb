"""libcharm.so: its functions, its errors, its warnings, its progress."""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, Optional

ProgressCallback = Callable[[str, int, int, str], None]
"""Called with what is done, how much, of how much (0: unknown), and the unit."""

_CAPI_VERSION = 1


class CharmError(Exception):
    """A command failed, in the words of the command line; `exit_code` is the program's."""

    exit_code = 70


class UsageError(CharmError, ValueError):
    """An option or argument is invalid."""

    exit_code = 2


class InputError(CharmError, ValueError):
    """A file, a row or a model has invalid content."""

    exit_code = 3


class IoError(CharmError, OSError):
    """A file cannot be read or written."""

    exit_code = 4


class NetworkError(CharmError, OSError):
    """A download failed."""

    exit_code = 5


class ResourceError(CharmError, MemoryError):
    """Memory, disk or a device ran out."""

    exit_code = 6


class InternalError(CharmError, RuntimeError):
    """A bug of charm."""

    exit_code = 70


class Cancelled(CharmError):
    """A progress callback raised StopIteration."""

    exit_code = 130


class CharmWarning(UserWarning):
    """A warning of the command line, in its words."""


_ERRORS = {e.exit_code: e for e in (UsageError, InputError, IoError, NetworkError, ResourceError, Cancelled)}

_Warning = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)
_Progress = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_char_p
)


def _load() -> ctypes.CDLL:
    # Development: CHARM_LIBRARY names the library of a build folder.
    path = os.environ.get("CHARM_LIBRARY") or str(Path(__file__).parent / "lib" / "libcharm.so")
    if not os.path.exists(path):
        raise ImportError(f"{path} does not exist: install the wheel of charm_rm, or set CHARM_LIBRARY to libcharm.so")
    library = ctypes.CDLL(path)
    library.charm_version.restype = ctypes.c_char_p
    library.charm_last_error.restype = ctypes.c_char_p
    if library.charm_capi_version() != _CAPI_VERSION:
        raise ImportError(f"{path}: its C interface is version {library.charm_capi_version()}, expected {_CAPI_VERSION}")
    library.charm_set_warning.argtypes = [_Warning, ctypes.c_void_p]
    library.charm_set_warning.restype = None
    p, size, texts = ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_char_p)
    library.charm_run.argtypes = [texts, size, _Progress, p]
    library.charm_reward_model_load.argtypes = [ctypes.c_char_p, texts, size, _Progress, p, ctypes.POINTER(p)]
    library.charm_reward_model_free.argtypes = [p]
    library.charm_reward_model_free.restype = None
    library.charm_reward_model_facts.argtypes = [p]
    library.charm_reward_model_facts.restype = ctypes.c_char_p
    score = [ctypes.c_int64, _Progress, p, ctypes.POINTER(p)]
    library.charm_reward_model_score_json.argtypes = [p, ctypes.c_char_p, size, *score]
    library.charm_reward_model_score_arrow.argtypes = [p, p, *score]
    library.charm_scores_size.argtypes = [p]
    library.charm_scores_size.restype = size
    for name, element in (("values", ctypes.c_float), ("num_tokens", ctypes.c_int32), ("truncated", ctypes.c_uint8)):
        function = getattr(library, f"charm_scores_{name}")
        function.argtypes = [p]
        function.restype = ctypes.POINTER(element)
    library.charm_scores_error.argtypes = [p, size]
    library.charm_scores_error.restype = ctypes.c_char_p
    library.charm_scores_free.argtypes = [p]
    library.charm_scores_free.restype = None
    return library


library = _load()
__version__: str = library.charm_version().decode()


_warned: deque[str] = deque()
"""Warnings of the calls that run now; several threads may add to it."""
_take_warning = _Warning(lambda _context, message: _warned.append(message.decode(errors="replace")))
library.charm_set_warning(_take_warning, None)


def warn(message: str) -> None:
    """A warning at the line that called this package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, CharmWarning, stacklevel=level)


def _pass_warnings_on() -> None:
    while _warned:
        warn(_warned.popleft())


def text_array(items: list[str]) -> ctypes.Array:
    return (ctypes.c_char_p * max(len(items), 1))(*[item.encode() for item in items])


def check(status: int) -> None:
    """Raises the error of a call that failed."""
    if status != 0:
        raise _ERRORS.get(status, InternalError)(library.charm_last_error().decode(errors="replace"))


class _Call:
    """Progress of one call: an exception in it ends the call, and is raised after it."""

    def __init__(self, show: Optional[ProgressCallback]):
        self.error: Optional[BaseException] = None
        self._show = show
        self.callback = _Progress(self._on_progress)

    def _on_progress(self, _context: int, what: bytes, done: int, total: int, unit: bytes) -> int:
        try:
            if self._show is not None:
                self._show(what.decode(), done, total, unit.decode())
        except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt too
            self.error = error
            return 1
        return 0


def call(function: Callable[..., int], *arguments: object, progress: Optional[ProgressCallback], out: object = None) -> None:
    """Calls a function that reports progress. KeyboardInterrupt in the main thread ends it.

    The GIL is free while it computes; Python runs signal handlers when progress is reported.
    """
    state = _Call(progress)
    rest = () if out is None else (out,)
    status = function(*arguments, state.callback, None, *rest)
    if state.error is not None and not isinstance(state.error, StopIteration):
        raise state.error
    _pass_warnings_on()
    check(status)


@contextmanager
def progress_bar(show: Optional[bool]) -> Iterator[Optional[ProgressCallback]]:
    """A tqdm bar: with True, and with None on a terminal, where tqdm is installed."""
    if show is False or (show is None and not sys.stderr.isatty()):
        yield None
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        yield None
        return
    bar = tqdm(leave=False)

    def update(what: str, done: int, total: int, unit: str) -> None:
        bar.set_description(what, refresh=False)
        bar.unit = unit
        bar.total = total or None
        bar.update(done - bar.n)

    try:
        yield update
    finally:
        bar.close()
