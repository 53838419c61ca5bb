#!/usr/bin/env bash
# What:     the sandwich intervals of arena_rank's BradleyTerry when one model has won all its battles.
# Version:  arena-rank 0.1.1 (jax 0.8.1), the code behind the Arena leaderboard.
# Expected: the undefeated model's rating is arbitrary, so its interval is very wide, infinite or missing.
# Seen:     it gets 3331 points and the narrowest interval of all, 3331 to 3331: where probabilities saturate, both halves of the
#           sandwich vanish and only the ridge (hessian_reg) is left between them. The mean of all ratings stays 1000, so every other
#           model's rating is 670 points lower, with an interval of 33 to either side. With one battle lost the same model is at
#           1312 with the widest interval, 1048 to 1576.
# Matters:  a calibration that draws ratings from their intervals takes the least known rating for the most certain one.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check --no-compile --no-deps arena-rank==0.1.1 jax==0.8.1 jaxlib==0.8.1 ml-dtypes==0.6.0 \
  opt-einsum==3.4.0 optax==0.2.8 absl-py==2.5.1 jaxtyping==0.3.11 wadler-lindig==0.1.8 numpy==2.3.3 scipy==1.17.1 pandas==3.1.1 \
  python-dateutil==2.9.0.post0 six==1.17.0 typing-extensions==4.16.0
JAX_PLATFORMS=cpu "$dir/venv/bin/python" - > "$dir/seen" << 'EOF'
import sys

import pandas as pd
from arena_rank.models.bradley_terry import BradleyTerry
from arena_rank.utils.data_utils import PairDataset


def show(title, *counts):
    rows = [(a, b, winner) for a, b, wins, losses in counts for winner in ["model_a"] * wins + ["model_b"] * losses]
    data = PairDataset.from_pandas(pd.DataFrame(rows, columns=["model_a", "model_b", "winner"]))
    result = BradleyTerry(n_competitors=len(data.competitors)).compute_ratings_and_cis(data)
    for name, rating, low, high in zip(*(result[key] for key in ("competitors", "ratings", "rating_lower", "rating_upper"))):
        print(f"{title}: {name} {rating:.0f}, interval {low:.0f} to {high:.0f}", file=sys.stderr)
        where = "above 2000" if rating > 2000 else "below 500" if rating < 500 else f"{rating:.0f}"
        print(f"{title}: {name} {where}, interval {(high - low) / 2:.0f} to either side")


others = ("fair", "good", 40, 60), ("fair", "weak", 55, 45), ("good", "weak", 70, 30)
show("undefeated", ("best", "fair", 5, 0), ("best", "good", 5, 0), *others)
show("one loss", ("best", "fair", 5, 0), ("best", "good", 4, 1), *others)
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
undefeated: best above 2000, interval 0 to either side
undefeated: fair below 500, interval 33 to either side
undefeated: good below 500, interval 34 to either side
undefeated: weak below 500, interval 33 to either side
one loss: best 1312, interval 264 to either side
one loss: fair 883, interval 92 to either side
one loss: good 969, interval 95 to either side
one loss: weak 836, interval 95 to either side
EOF
