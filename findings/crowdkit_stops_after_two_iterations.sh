#!/usr/bin/env bash
# What:     crowdkit.aggregation.BradleyTerry, iterated until a tolerance.
# Version:  crowd-kit 1.4.2 (numpy 2.3.3, pandas 3.1.1).
# Expected: with n_iter=20000 and tol=1e-12 the strengths are the maximum likelihood fit; on a chain of models, each 7:3 against the
#           next, all log ratios are ln(7/3) = 0.8473.
# Seen:     every tolerance above 0 ends the fit after its second iteration: the previous estimate is the same array as the new one,
#           so the change that is compared with the tolerance is always 0. tol=0 never ends early and gives the exact fit. The
#           unfinished fit can name another winner (`mid` instead of `fair`), because it nearly counts wins.
# Matters:  ratings from votes are the targets of a calibration; a leaderboard of this class is wrong by hundreds of Elo points
#           whatever n_iter and tol are, and no warning says so. Use tol=0 with a large n_iter.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check --no-compile --no-deps crowd-kit==1.4.2 numpy==2.3.3 pandas==3.1.1 \
  scipy==1.17.1 scikit-learn==1.9.1 joblib==1.6.0 cloudpickle==3.1.3 threadpoolctl==3.8.0 narwhals==2.29.0 attrs==26.1.0 nltk==3.10.4 \
  regex==2026.11.19 tqdm==4.70.1 click==8.5.1 defusedxml==0.7.1 python-dateutil==2.9.0.post0 six==1.17.0 tzdata==2026.6
"$dir/venv/bin/python" - > "$dir/seen" << 'EOF'
import numpy as np
import pandas as pd
from crowdkit.aggregation import BradleyTerry


def battles(*counts):
    return pd.DataFrame([(a, b, winner) for a, b, wins, losses in counts for winner in [a] * wins + [b] * losses],
                        columns=["left", "right", "label"])


chain = battles(("b", "a", 7, 3), ("c", "b", 7, 3), ("d", "c", 7, 3))
league = battles(("top", "good", 6, 4), ("top", "fair", 8, 12), ("good", "fair", 5, 5), ("fair", "mid", 9, 3), ("mid", "low", 60, 20),
                 ("low", "last", 30, 10), ("mid", "last", 36, 4))
for n_iter, tol in ((2, 1e-12), (20000, 1e-12), (20000, 1e-5), (20000, 0)):
    strengths = BradleyTerry(n_iter=n_iter, tol=tol).fit(chain).scores_
    best = BradleyTerry(n_iter=n_iter, tol=tol).fit(league).scores_.idxmax()
    print(f"n_iter={n_iter} tol={tol}: log ratios of the chain {np.diff(np.log(strengths)).round(4).tolist()}, winner of the league {best}")
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
n_iter=2 tol=1e-12: log ratios of the chain [0.6162, 0.2048, 0.4318], winner of the league mid
n_iter=20000 tol=1e-12: log ratios of the chain [0.6162, 0.2048, 0.4318], winner of the league mid
n_iter=20000 tol=1e-05: log ratios of the chain [0.6162, 0.2048, 0.4318], winner of the league mid
n_iter=20000 tol=0: log ratios of the chain [0.8473, 0.8473, 0.8473], winner of the league fair
EOF
