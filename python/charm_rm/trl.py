"""A reward model as a reward function of TRL's trainers."""

from __future__ import annotations

import math
from typing import Any, Callable, Optional, Union

from .model import RewardModel

Text = Union[str, list[dict[str, Any]]]


def _row(prompt: Text, completion: Text) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    if isinstance(completion, str):
        completion = [{"role": "assistant", "content": completion}]
    return {"messages": [*messages, *completion]}


def trl_reward(rm: RewardModel, *, max_bad_rows: int = 0, name: str = "charm") -> Callable[..., list[Optional[float]]]:
    """`GRPOTrainer(reward_funcs=[trl_reward(rm)])`: the score of each completion.

    Prompts and completions are texts or lists of messages, as TRL gives them; the completions of one
    prompt share its computation. Rows without a score are None, which TRL leaves out, up to
    `max_bad_rows` of a call; one more raises InputError.
    """

    def reward(prompts: list[Text], completions: list[Text], **_: Any) -> list[Optional[float]]:
        rows = [_row(prompt, completion) for prompt, completion in zip(prompts, completions)]
        scores = rm.score(rows, max_bad_rows=max_bad_rows, progress=False).tolist()
        return [None if math.isnan(score) else score for score in scores]

    reward.__name__ = name
    return reward
