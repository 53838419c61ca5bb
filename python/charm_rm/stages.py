"""The commands on tables in memory: each writes its input files into a temporary folder, runs the command, and reads its result."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Optional, Union

from . import _native
from ._tables import PathLike, Rows, to_dicts, write_json, write_rows
from .model import RewardModel
from .options import spelled_options

Scored = Union[Mapping[str, Rows], Iterable[PathLike], PathLike]
"""By policy, a table with `prompt_id` (or `prompt`) and `score`; or files of `charm score`."""
Ratings = Union[Mapping[str, float], PathLike, Any]
"""Elo points by policy, a ratings file, or the result of `rate`."""


def run(*arguments: Union[str, PathLike], progress: Optional[bool] = None) -> None:
    """Runs `charm ARGUMENTS...` in this process: `run("score", "--model", "rm", ...)`."""
    texts = [str(argument) for argument in arguments]
    with _native.progress_bar(progress) as show:
        _native.call(_native.library.charm_run, _native.text_array(texts), len(texts), progress=show)


def _files(scores: Scored, folder: Path) -> list[str]:
    if isinstance(scores, (str, Path)):
        return [str(scores)]
    if not isinstance(scores, Mapping):
        return [str(path) for path in scores]
    files = []
    for number, (policy, table) in enumerate(scores.items()):
        files.append(str(write_rows(table, folder / f"scores-{number}", policy)))
    return files


def _result(command: str, folder: Path, progress: Optional[bool], options: Mapping[str, Any]) -> Any:
    output = folder / f"{command}.json"
    run(command, *spelled_options({**options, "output": output}), progress=progress)
    return json.loads(output.read_text(encoding="utf-8"))


def measure(scores: Scored, ratings: Ratings, *, progress: Optional[bool] = None, **options: Any) -> dict[str, Any]:
    """Mismatch degrees of all ordered pairs of policies, as `charm measure` writes them.

    Args:
        scores: by policy, a table with `prompt_id` (or `prompt`) and `score`.
        ratings: Elo points by policy.
        options: of `charm measure`, with underscores: ties="half", min_prompts=30, bootstrap=1000, ...

    Returns:
        mismatch.json: `pairs` with `target_win_rate`, `win_rate_before`, `mismatch_before` (fractions).
    """
    with tempfile.TemporaryDirectory(prefix="charm-") as name:
        folder = Path(name)
        given = {"scores": _files(scores, folder), "ratings": write_json(ratings, folder / "ratings.json")}
        return _result("measure", folder, progress, {**given, **options})


def calibrate(
    scores: Scored, ratings: Ratings, *, reference: str, progress: Optional[bool] = None, **options: Any
) -> dict[str, Any]:
    """Offsets that make the win rates those of the ratings, as `charm calibrate` writes them.

    Args:
        scores, ratings: as in `measure`.
        reference: the policy with offset 0.
        options: of `charm calibrate`, with underscores: mode="all-pairs", ties="half", seed=7, ...

    Returns:
        calibration.json: `policies` with `offset` (score units, added to the policy's scores), `pairs`
        before and after. `offsets` takes the offsets out.
    """
    with tempfile.TemporaryDirectory(prefix="charm-") as name:
        folder = Path(name)
        given = {
            "scores": _files(scores, folder),
            "ratings": write_json(ratings, folder / "ratings.json"),
            "reference": reference,
        }
        return _result("calibrate", folder, progress, {**given, **options})


def offsets(calibration: Mapping[str, Any]) -> dict[str, float]:
    """Offset by policy, in score units, of a calibration."""
    return {policy["policy"]: policy["offset"] for policy in calibration["policies"]}


def rate(battles: Union[Rows, PathLike], *, progress: Optional[bool] = None, **options: Any) -> Any:
    """Bradley-Terry ratings (Elo points) of battles: rows with `model_a`, `model_b`, `winner`.

    Args:
        options: of `charm rate`, with underscores: anchor={"gpt-4o": 1285}, bootstrap=100, ...

    Returns:
        ratings.json, which `measure` and `calibrate` take.
    """
    with tempfile.TemporaryDirectory(prefix="charm-") as name:
        folder = Path(name)
        file = write_rows(battles, folder / "battles")
        return _result("rate", folder, progress, {"battles": file, **options})


def prefer(
    scores: Scored,
    calibration: Union[Mapping[str, Any], PathLike, None] = None,
    *,
    returns: Literal["rows", "pandas", "arrow"] = "rows",
    progress: Optional[bool] = None,
    **options: Any,
) -> Any:
    """Preference pairs from calibrated scores, as `charm prefer` writes them.

    Args:
        scores: by policy, a table with `prompt`, `response` and `score`; or files of `charm score`.
        calibration: the result of `calibrate`, or its file; None: the scores as they are.
        returns: a list of dicts, a DataFrame, or a pyarrow Table, with `chosen` and `rejected` (lists of
            messages), `score_chosen`, `score_rejected`, `margin` (score units).
        options: of `charm prefer`, with underscores: pairs="all", min_margin=0.5, ...
    """
    with tempfile.TemporaryDirectory(prefix="charm-") as name:
        folder = Path(name)
        given: dict[str, Any] = {"scores": _files(scores, folder)}
        if calibration is not None:
            given["calibration"] = write_json(calibration, folder / "calibration.json")
        output = folder / ("pairs.jsonl" if returns == "rows" else "pairs.parquet")
        run("prefer", *spelled_options({**given, **options, "output": output}), progress=progress)
        if returns == "rows":
            return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
        import pyarrow.parquet as pq

        table = pq.read_table(output)
        return table.to_pandas() if returns == "pandas" else table


def evaluate(
    benchmark: Literal["reward-bench", "reward-bench-2", "rm-bench", "arena"],
    *,
    model: Union[RewardModel, PathLike, None] = None,
    data: Union[PathLike, list[PathLike], None] = None,
    scores: Optional[Scored] = None,
    ratings: Optional[Ratings] = None,
    progress: Optional[bool] = None,
    **options: Any,
) -> dict[str, Any]:
    """A benchmark's result, as `charm evaluate` writes it: `overall` and its parts are fractions.

    Args:
        model, data: a reward model and the benchmark's files; or
        scores: rows or files of saved scores; for "arena" by policy, with `ratings`.
        options: of `charm evaluate`, with underscores.
    """
    with tempfile.TemporaryDirectory(prefix="charm-") as name:
        folder = Path(name)
        given: dict[str, Any] = {"benchmark": benchmark}
        if isinstance(model, RewardModel):
            given["model"] = model.path
        elif model is not None:
            given["model"] = model
        else:
            given["model_name"] = "scores"  # unless the caller names them
        if data is not None:
            given["data"] = data
        if scores is not None and not isinstance(scores, Mapping) and _is_table(scores):
            given["scores"] = write_rows(scores, folder / "scores")
        elif scores is not None:
            given["scores"] = _files(scores, folder)
        if ratings is not None:
            given["ratings"] = write_json(ratings, folder / "ratings.json")
        return _result("evaluate", folder, progress, {**given, **options})


def _is_table(scores: Any) -> bool:
    if isinstance(scores, (str, Path)):
        return False
    if isinstance(scores, (list, tuple)):
        return bool(scores) and isinstance(scores[0], Mapping)
    return bool(to_dicts(scores))
