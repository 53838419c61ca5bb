"""Tables of any kind as JSON lines, as Arrow streams, or as files that the commands read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Union

import numpy as np

from ._native import InputError, UsageError, warn

Rows = Union[Iterable[Mapping[str, Any]], Mapping[str, Any], Any]
"""Rows of a table: dicts; a dict of columns; a pandas DataFrame; a pyarrow Table or RecordBatch; or
anything else with `__arrow_c_stream__` (polars, DuckDB)."""

PathLike = Union[str, "os.PathLike[str]"]


def has_arrow(table: Any) -> bool:
    if not hasattr(table, "__arrow_c_stream__"):
        return False
    if type(table).__module__.partition(".")[0] != "pandas":
        return True
    try:  # pandas hands out streams through pyarrow
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True


def _plain(value: Any) -> Any:
    """What json cannot write by itself."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} is no value of a row")


def to_dicts(table: Any) -> list[Mapping[str, Any]]:
    """The rows as dicts. Missing values of pandas become None."""
    if isinstance(table, Mapping):
        columns = {name: list(values) for name, values in table.items()}
        lengths = {len(values) for values in columns.values()}
        if len(lengths) > 1:
            raise UsageError(f"columns of different lengths: { {name: len(v) for name, v in columns.items()} }")
        return [dict(zip(columns, row)) for row in zip(*columns.values())]
    if type(table).__module__.partition(".")[0] == "pandas":
        objects = table.astype(object)
        return objects.where(objects.notna(), None).to_dict("records")
    if hasattr(table, "to_pylist"):
        return table.to_pylist()
    if hasattr(table, "to_dicts"):
        return table.to_dicts()
    if isinstance(table, (str, bytes)):
        raise UsageError("expected rows, found a text; a path is given as a pathlib.Path")
    rows = list(table)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise InputError(f"row {number}: expected a dict with the columns of a row, found {type(row).__name__}")
    return rows


def to_json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    lines = []
    for number, row in enumerate(rows, start=1):
        try:
            lines.append(json.dumps(row, ensure_ascii=False, default=_plain).encode())
        except (TypeError, ValueError, UnicodeEncodeError) as error:
            raise InputError(f"row {number}: {error}") from error
    return b"\n".join(lines)


def write_rows(table: Any, path_without_suffix: Path, policy: Union[str, None] = None) -> Path:
    """A file that the commands read; with `policy`, all rows are that policy's."""
    if isinstance(table, (str, os.PathLike)) and policy is None:
        return Path(table)
    if isinstance(table, (str, os.PathLike)):
        raise UsageError(f"policy '{policy}': expected a table, found a path; a list of paths is read as it is")
    if has_arrow(table):
        try:
            return _write_arrow(table, path_without_suffix, policy)
        except ImportError:
            pass
    rows = to_dicts(table)
    if policy is not None:
        _tell_renamed_policy(policy, (row.get("policy") for row in rows))
        rows = [{**row, "policy": policy} for row in rows]
    path = path_without_suffix.with_name(path_without_suffix.name + ".jsonl")
    path.write_bytes(to_json_lines(rows))
    return path


def _tell_renamed_policy(policy: str, found: Iterable[Any]) -> None:
    """A table is the policy's it is given for, whatever its own column says."""
    name = next((name for name in found if name is not None and name != policy), None)
    if name is not None:
        warn(f"policy '{policy}': its table has rows of policy '{name}'; they are taken as those of '{policy}'")


def _write_arrow(table: Any, path_without_suffix: Path, policy: Union[str, None]) -> Path:
    import pyarrow as pa

    with pa.RecordBatchReader.from_stream(table) as reader:
        data = reader.read_all()
    if policy is not None:
        if "policy" in data.column_names:
            _tell_renamed_policy(policy, data["policy"].unique().to_pylist())
            data = data.drop_columns(["policy"])
        data = data.append_column("policy", pa.array([policy] * data.num_rows, pa.string()))
    path = path_without_suffix.with_name(path_without_suffix.name + ".arrow")
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, data.schema) as writer:
        writer.write_table(data)
    return path


def write_json(value: Any, path: Path) -> Path:
    """Ratings, battles or a calibration as a file; paths are returned as they are."""
    if isinstance(value, (str, os.PathLike)):
        return Path(value)
    if not isinstance(value, (Mapping, list)):
        value = to_dicts(value)
    path.write_text(json.dumps(value, ensure_ascii=False, default=_plain), encoding="utf-8")
    return path
