"""Keyword arguments as options of the command line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any


def spelled_options(options: Mapping[str, Any]) -> list[str]:
    """`--name=value` texts: underscores become dashes, lists repeat the option, dicts are A=B pairs.

    >>> spelled_options({"min_prompts": 30, "ties": "half", "alias": {"a": "b"}, "fresh": True, "seed": None})
    ['--min-prompts=30', '--ties=half', '--alias=a=b', '--fresh=true']
    """
    spelled = []
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if value is None:
            continue
        if isinstance(value, Mapping):
            spelled += [f"{option}={key}={item}" for key, item in value.items()]
        elif isinstance(value, (list, tuple)):
            spelled += [f"{option}={_text(item)}" for item in value]
        else:
            spelled.append(f"{option}={_text(value)}")
    return spelled


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
