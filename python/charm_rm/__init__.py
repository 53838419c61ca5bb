"""Calibrated reward models: scores, mismatch degrees, offsets and preference pairs.

The same engine and the same bits as the program `charm`. Scores are raw outputs of the reward head
(float32, unbounded); ratings are Elo points; win rates and mismatch degrees are fractions.

    >>> import charm_rm as charm
    >>> prompts = range(100)
    >>> over = [{"prompt_id": str(i), "score": 0.3 + 0.01 * (i % 7)} for i in prompts]
    >>> reference = [{"prompt_id": str(i), "score": 0.1 * (i % 5)} for i in prompts]
    >>> mismatch = charm.measure({"simpo": over, "gpt": reference}, {"simpo": 1200, "gpt": 1300})
    >>> pair = next(pair for pair in mismatch["pairs"] if pair["policy"] == "simpo")
    >>> round(pair["target_win_rate"], 4)
    0.3599
    >>> pair["mismatch_before"] > 0  # over-valued
    True
    >>> scores = {"simpo": over, "gpt": reference}
    >>> calibration = charm.calibrate(scores, {"simpo": 1200, "gpt": 1300}, reference="gpt")
    >>> charm.offsets(calibration)["gpt"], charm.offsets(calibration)["simpo"] < 0
    (0.0, True)

Scoring needs a model:

    rm = charm.RewardModel("my-rm")
    scores = rm.score([{"prompt": "Hi", "response": "Hello!"}])  # float32, [1]
"""

from ._native import (
    Cancelled,
    CharmError,
    CharmWarning,
    InputError,
    InternalError,
    IoError,
    NetworkError,
    ResourceError,
    UsageError,
    __version__,
)
from .model import RewardModel, Scores
from .stages import calibrate, evaluate, measure, offsets, prefer, rate, run
from .trl import trl_reward

__all__ = [
    "Cancelled",
    "CharmError",
    "CharmWarning",
    "InputError",
    "InternalError",
    "IoError",
    "NetworkError",
    "ResourceError",
    "RewardModel",
    "Scores",
    "UsageError",
    "__version__",
    "calibrate",
    "evaluate",
    "measure",
    "offsets",
    "prefer",
    "rate",
    "run",
    "trl_reward",
]
