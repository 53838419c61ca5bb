"""Calibration: charm against the original's training on the same scores, interleaved in one run; prints JSON.

The original's algorithm (HexagonStar/CHARM, src/calibrate.py, tried: 719f0ae) in torch, as it is there: a network N-64-32-N with ReLU
reads zeros, Adam (0.01) takes 100 steps down the mean squared error between the N x N matrices of smooth win rates (temperature 0.1,
blocks of 1000 rows against the same rows) and of targets, zeros on both diagonals.

    cmake --preset bench && cmake --build --preset bench --target calibrate_bench
    .venv-golden/bin/python bench/calibrate_bench.py [--prompts 5000] [--policies 2] [--threads 2] [--rounds 3]
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
BLOCK, TEMPERATURE, EPOCHS, RATE = 1000, 0.1, 100, 0.01


def original(scores, targets, seed):
    """Offsets after training, relative to the last policy."""
    torch.manual_seed(seed)
    n, rows = scores.shape
    network = torch.nn.Sequential(torch.nn.Linear(n, 64), torch.nn.ReLU(), torch.nn.Linear(64, 32), torch.nn.ReLU(),
                                  torch.nn.Linear(32, n))
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    for _ in range(EPOCHS):
        shifted = scores + network(torch.zeros(n))[:, None]
        rates = torch.zeros(n, n)
        for i in range(n):
            for j in range(n):
                if i == j:
                    continue
                parts = []
                for first in range(0, rows, BLOCK):
                    a, b = shifted[i, first:first + BLOCK, None], shifted[j, None, first:first + BLOCK]
                    parts.append(torch.sigmoid((a - b) / TEMPERATURE).mean() * (a.shape[0] / rows))
                rates[i, j] = sum(parts)
        loss = torch.nn.functional.mse_loss(rates, targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        offsets = network(torch.zeros(n))
    return (offsets - offsets[-1]).tolist()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prompts", type=int, default=5000)
    parser.add_argument("--policies", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    elo = torch.tensor([1216.0 + 3 * p for p in range(options.policies - 1)] + [1248.0])
    targets = 1 / (1 + 10 ** ((elo[None, :] - elo[:, None]) / 400))
    targets.fill_diagonal_(0)
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder) / "scores"
        for _ in range(options.rounds):
            printed = subprocess.run(
                [ROOT / "build/bench/bench/calibrate_bench", "--prompts", str(options.prompts), "--policies", str(options.policies),
                 "--bootstrap", "0", "--threads", str(options.threads), "--modes", f"block:{BLOCK},same-prompt", "--dump", dump],
                check=True, capture_output=True, text=True).stdout
            ours.append(json.loads(printed)["modes"])
            scores = torch.frombuffer(bytearray(dump.read_bytes()), dtype=torch.float32).reshape(options.policies, options.prompts)
            start = time.perf_counter()
            offsets = original(scores, targets, seed=0)
            theirs.append(1e3 * (time.perf_counter() - start))
    block = statistics.median(modes[f"block:{BLOCK}"]["solve_ms"] for modes in ours)
    print(json.dumps({
        "num_prompts": options.prompts, "policies": options.policies, "threads": options.threads,
        "charm_block_ms": block, "charm_same_prompt_ms": statistics.median(m["same-prompt"]["solve_ms"] for m in ours),
        "original_ms": statistics.median(theirs), "original_over_charm_block": statistics.median(theirs) / block,
        "charm_block_offset": ours[0][f"block:{BLOCK}"]["offset"], "original_offset": offsets[0]}, indent=2))


if __name__ == "__main__":
    main()
