"""Speed of charm calibrate --votes beside statsmodels on the same design, in one run. Prints one JSON object.

    python bench/votes_bench.py build/release/bin/charm [votes] [policies]

140,000 made-up votes of 60 policies with style features unless told otherwise. `fit_s`: the command with sandwich intervals, reading
included; `fit_alone_s`: of it design, fit and covariance, as `--verbose` says; `bootstrap_s`: the command with 1,000 cluster bootstraps;
`statsmodels_s`: design, GLM(Binomial) and cluster-robust covariance of votes in memory; `ratio` is that over `fit_alone_s`.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.api as sm


def make_votes(num_votes, num_policies, seed=1):
    random = np.random.default_rng(seed)
    a = random.integers(num_policies, size=num_votes)
    b = (a + 1 + random.integers(num_policies - 1, size=num_votes)) % num_policies
    quality, offset = random.normal(size=num_policies), random.normal(size=num_policies)
    score = [np.float32(quality[m] + random.normal(size=num_votes)) for m in (a, b)]
    counts = [np.stack([np.exp(5 + 0.6 * random.normal(size=num_votes)).astype(int)] + [random.poisson(r, num_votes) for r in (1, 4, 3)], axis=1)
              for _ in "ab"]
    x = (counts[0] - counts[1]) / (counts[0] + counts[1] + 1)
    z = (score[0] - score[1] + offset[a] - offset[b]) / 1.5 + x @ np.array([0.8, 0.1, -0.2, 0.3])
    roll = random.random(num_votes)
    tie = random.random(num_votes) < 0.2
    winner = np.where(tie, "tie", np.where(roll < 1 / (1 + np.exp(-z)), "model_a", "model_b"))
    frame = {"prompt_id": [f"p{i}" for i in random.integers(num_votes * 3 // 4, size=num_votes)],
             "model_a": [f"model-{m:02d}" for m in a], "model_b": [f"model-{m:02d}" for m in b], "winner": winner,
             "score_a": score[0], "score_b": score[1]}
    for side, values in zip("ab", counts):
        frame |= {f"{name}_{side}": values[:, i] for i, name in enumerate(("length", "headers", "lists", "bold"))}
    return pd.DataFrame(frame), a, b, x, score


def timed(command):
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main(charm, num_votes=140_000, num_policies=60):
    frame, a, b, x, score = make_votes(num_votes, num_policies)
    with tempfile.TemporaryDirectory() as folder:
        votes, out = Path(folder) / "votes.parquet", Path(folder) / "calibration.json"
        frame.to_parquet(votes)
        command = [charm, "calibrate", "--votes", votes, "--reference", "model-00", "--style", "fastchat", "--output", out, "--quiet"]
        fit = timed(command + ["--bootstrap", "0"])
        run = subprocess.run([*command[:-1], "--bootstrap", "0", "--fresh", "--verbose"], check=True, capture_output=True, text=True)
        fit_alone = float(re.search(r"with its covariance: ([\d.]+) s", run.stderr)[1])
        mine = json.loads(out.read_text())
        bootstrap = timed(command + ["--bootstrap", "1000", "--interval", "bootstrap"])
    begin = time.perf_counter()
    design = np.zeros((num_votes, num_policies + 4))
    rows = np.arange(num_votes)
    design[:, 0] = score[0].astype(float) - score[1].astype(float)
    for models, sign in ((a, 1), (b, -1)):
        free = models > 0
        design[rows[free], models[free]] += sign
    design[:, num_policies:] = x
    y = frame.winner.map({"model_a": 1.0, "model_b": 0.0, "tie": 0.5}).to_numpy()
    groups = pd.factorize(frame.prompt_id)[0]
    fitted = sm.GLM(y, design, family=sm.families.Binomial()).fit(cov_type="cluster", cov_kwds={"groups": groups})
    statsmodels_s = time.perf_counter() - begin
    worst = max(abs(p["offset"] - fitted.params[i] / fitted.params[0]) for i, p in enumerate(mine["policies"]) if i > 0)
    print(json.dumps({"votes": num_votes, "policies": num_policies, "fit_s": round(fit, 3), "fit_alone_s": fit_alone, "bootstrap_s": round(bootstrap, 2),
                      "statsmodels_s": round(statsmodels_s, 2), "ratio": round(statsmodels_s / fit_alone, 1), "worst_offset_difference": worst}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
