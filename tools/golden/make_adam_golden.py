"""Writes tests/data/golden/calibrate/adam.json: offsets of the original's training on made-up scores, for several seeds.

An implementation of its own, in numpy, of what HexagonStar/CHARM's src/calibrate.py (tried: 719f0ae) does: a network N-64-32-N with
ReLU and PyTorch's default start reads zeros; Adam (0.01) takes 100 steps down the mean squared error between the N x N matrices of
smooth win rates (temperature 0.1, blocks of 1000 rows) and of targets, zeros on both diagonals. float32 as there.

    python tools/golden/make_adam_golden.py tests/data/golden/calibrate/adam.json
"""

import json
import sys
from pathlib import Path

import numpy as np

BLOCK, TEMPERATURE, EPOCHS, RATE = 1000, 0.1, 100, 0.01
SEEDS = 12

CASES = [  # name, mean score and rating of each policy (the last is the reference), rows
    ("near", [0.4, 0.0], [1216, 1248], 1100),
    ("far", [3.0, 0.0], [1216, 1248], 1100),
    ("three", [0.7, -0.5, 0.0], [1216, 1190, 1248], 1050),
]


def win_rates(scores, offsets):
    """[i, j] smooth win rate and its slope in offset i (minus that in offset j)."""
    n, rows = len(scores), len(scores[0])
    rates, slopes = np.zeros((n, n), np.float32), np.zeros((n, n), np.float32)
    for i in range(n):
        for j in range(i + 1, n):  # the other triangle mirrors: sigmoid(-z) = 1 - sigmoid(z)
            for first in range(0, rows, BLOCK):
                a = scores[i][first:first + BLOCK, None] + offsets[i]
                b = scores[j][None, first:first + BLOCK] + offsets[j]
                share = np.float32(min(BLOCK, rows - first) / rows)
                with np.errstate(over="ignore"):
                    p = 1 / (1 + np.exp(-(a - b) / np.float32(TEMPERATURE)))
                rates[i, j] += share * p.mean(dtype=np.float64)
                slopes[i, j] += share * (p * (1 - p)).mean(dtype=np.float64) / TEMPERATURE
            rates[j, i], slopes[j, i] = 1 - rates[i, j], slopes[i, j]
    return rates, slopes


def train(scores, targets, seed):
    n = len(scores)
    random = np.random.default_rng(seed)
    sizes = [n, 64, 32, n]
    parameters = []
    for fan_in, fan_out in zip(sizes, sizes[1:]):
        bound = 1 / np.sqrt(fan_in)
        parameters.append(random.uniform(-bound, bound, (fan_out, fan_in)).astype(np.float32))
        parameters.append(random.uniform(-bound, bound, fan_out).astype(np.float32))
    first, second = [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters]

    def forward():
        activations = [np.zeros(n, np.float32)]
        for layer in range(3):
            out = parameters[2 * layer] @ activations[-1] + parameters[2 * layer + 1]
            activations.append(np.maximum(out, 0) if layer < 2 else out)
        return activations

    for step in range(1, EPOCHS + 1):
        activations = forward()
        rates, slopes = win_rates(scores, activations[-1])
        pull = 2 * (rates - targets) / (n * n) * slopes
        gradient = (pull.sum(axis=1) - pull.sum(axis=0)).astype(np.float32)
        for layer in (2, 1, 0):
            gradients = (np.outer(gradient, activations[layer]), gradient)
            gradient = (parameters[2 * layer].T @ gradient) * (activations[layer] > 0)
            for k, g in zip((2 * layer, 2 * layer + 1), gradients):
                first[k] = 0.9 * first[k] + 0.1 * g
                second[k] = 0.999 * second[k] + 0.001 * g * g
                scale = np.sqrt(second[k] / (1 - 0.999**step)) + 1e-8
                parameters[k] = (parameters[k] - RATE * first[k] / (1 - 0.9**step) / scale).astype(np.float32)
    offsets = forward()[-1]
    return (offsets - offsets[-1]).tolist()


def main():
    cases = []
    for name, means, ratings, rows in CASES:
        random = np.random.default_rng(7)
        prompts = 0.7 * random.normal(size=rows)
        scores = [np.round(mean + prompts + random.normal(size=rows), 3).astype(np.float32) for mean in means]
        elo = np.array(ratings, float)
        targets = 1 / (1 + 10 ** ((elo[None, :] - elo[:, None]) / 400))
        np.fill_diagonal(targets, 0)
        offsets = [train(scores, targets.astype(np.float32), seed) for seed in range(SEEDS)]
        cases.append({"name": name, "ratings": ratings, "scores": [[round(float(s), 3) for s in row] for row in scores],
                      "offsets_of_seeds": offsets})
        print(name, np.mean(offsets, axis=0), np.std(offsets, axis=0, ddof=1), file=sys.stderr)
    Path(sys.argv[1]).write_text(json.dumps({"cases": cases}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
