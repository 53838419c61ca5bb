#!/usr/bin/env bash
# What:     crowdkit.aggregation.NoisyBradleyTerry, which fits a skill for every rater beside the strengths of the models.
# Version:  crowd-kit 1.4.2 (numpy 2.3.3, scipy 1.17.1).
# Expected: of three raters the one who reverses every vote gets the lowest skill, whoever that is and whatever its name.
# Seen:     the skill of the rater who comes last by name is the random start of the fit: it depends on random_state alone. One who
#           reverses votes is not found under another name either, all three skills are the same whoever it is. The library's own
#           likelihood, followed by finite differences, does find that rater (0.0 against 0.7): the gradient that the fit uses is
#           written one place too early for biases and skills, which spoils the last model's entry and leaves the last rater's
#           skill at 0, and the optimiser stops near its start without a word.
# Matters:  raters and LLM judges are weighted or excluded by such skills, and the model that comes last by name gets a wrong strength.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check --no-compile --no-deps crowd-kit==1.4.2 numpy==2.3.3 pandas==3.1.1 \
  scipy==1.17.1 scikit-learn==1.9.1 joblib==1.6.0 cloudpickle==3.1.3 threadpoolctl==3.8.0 narwhals==2.29.0 attrs==26.1.0 nltk==3.10.4 \
  regex==2026.11.19 tqdm==4.70.1 click==8.5.1 defusedxml==0.7.1 python-dateutil==2.9.0.post0 six==1.17.0 tzdata==2026.6
"$dir/venv/bin/python" -W ignore - > "$dir/seen" << 'EOF'
import itertools

import numpy as np
import pandas as pd
from crowdkit.aggregation import NoisyBradleyTerry
from crowdkit.aggregation.utils import factorize
from scipy.optimize import approx_fprime, minimize
from scipy.special import expit

RATERS = ("ann", "bob", "eve")


def votes(contrary):
    """Six votes of each rater on each pair of a > b > c > d; five of six are right, or none of a contrary rater's."""
    return pd.DataFrame([(rater, *(pair if i % 2 else pair[::-1]), pair[i == 5 or rater == contrary])
                         for rater in RATERS for pair in itertools.combinations("abcd", 2) for i in range(6)],
                        columns=["worker", "left", "right", "label"])


for seed in (0, 1):
    fits = {contrary: NoisyBradleyTerry(n_iter=1000, random_state=seed).fit(votes(contrary)).skills_ for contrary in (None, *RATERS)}
    for contrary, skills in fits.items():
        print(f"random_state {seed}, votes reversed by {contrary}: skill of eve {skills['eve']:.3f}")
    same = all(abs(fits[rater] - fits["ann"]).max() < 0.05 for rater in RATERS)
    print(f"random_state {seed}: the skills are the same whoever reverses votes: {same}")


def likelihood(data):
    names, triples = factorize(data[["left", "right", "label"]].values)
    raters, workers = factorize(data.worker.values)
    entries = ["root", *names, *(f"bias of {rater}" for rater in raters), *(f"skill of {rater}" for rater in raters)]
    return entries, (triples + 1, workers, len(names), len(raters), 1e-5)


entries, arguments = likelihood(votes(None))
point = np.random.default_rng(0).random(len(entries))
gradient = NoisyBradleyTerry._compute_gradient(point, *arguments)
numeric = approx_fprime(point, lambda x: NoisyBradleyTerry._compute_log_likelihood(x, *arguments), 1e-7)
print("entries of the gradient that are wrong:", ", ".join(name for name, a, b in zip(entries, gradient, numeric) if abs(a - b) > 0.01))
for contrary in RATERS:
    arguments = likelihood(votes(contrary))[1]
    fit = minimize(NoisyBradleyTerry._compute_log_likelihood, point, args=arguments, method="L-BFGS-B")
    skills = ", ".join(f"{rater} {skill:.1f}" for rater, skill in zip(RATERS, expit(fit.x[-len(RATERS):])))
    print(f"finite differences, votes reversed by {contrary}: skills {skills}")
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
random_state 0, votes reversed by None: skill of eve 0.688
random_state 0, votes reversed by ann: skill of eve 0.688
random_state 0, votes reversed by bob: skill of eve 0.688
random_state 0, votes reversed by eve: skill of eve 0.688
random_state 0: the skills are the same whoever reverses votes: True
random_state 1, votes reversed by None: skill of eve 0.603
random_state 1, votes reversed by ann: skill of eve 0.603
random_state 1, votes reversed by bob: skill of eve 0.603
random_state 1, votes reversed by eve: skill of eve 0.603
random_state 1: the skills are the same whoever reverses votes: True
entries of the gradient that are wrong: d, bias of ann, bias of bob, bias of eve, skill of ann, skill of bob, skill of eve
finite differences, votes reversed by ann: skills ann 0.0, bob 0.7, eve 0.7
finite differences, votes reversed by bob: skills ann 0.7, bob 0.0, eve 0.7
finite differences, votes reversed by eve: skills ann 0.7, bob 0.7, eve 0.0
EOF
