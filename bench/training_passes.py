"""What a training step costs in forward passes: the factor of charm check's estimate; prints JSON.

Scores both sides of the pairs and trains on them, interleaved in one run, in the same dtype on the same threads. The rates are those of the
computed tokens (a shared prompt counts once on both sides), without loading and saving; medians over the rounds.
  python3 bench/training_passes.py --model RM --preferences pairs.parquet [--pairs 64] [--dtype bfloat16] [--threads 1] [--rounds 3]
The ratio is kTrainingPasses in src/charm/pipeline/check_estimates.cpp.
"""

import argparse
import json
import re
import statistics
import subprocess
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from generate_bench import cpu_name

ROOT = Path(__file__).parents[1]


def responses(table, path):
    """Both sides of the pairs as responses: charm score shares a pair's prompt as training does."""
    with open(path, "w", encoding="utf-8") as file:
        for number, row in enumerate(table.to_pylist()):
            for side in ("chosen", "rejected"):
                *prompt, response = [{key: value for key, value in turn.items() if value is not None} for turn in row[side]]
                file.write(json.dumps({"prompt_id": str(number), "prompt": prompt, "response": response["content"], "policy": side}) + "\n")


def rate(args, pattern, *arguments):
    run = subprocess.run([args.charm, *arguments, "--model", args.model, "--max-tokens", str(args.max_tokens), "--dtype", args.dtype,
                          "--threads", str(args.threads), "--fresh"], capture_output=True, text=True, check=True)
    return float(re.findall(pattern, run.stderr)[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--charm", default=ROOT / "build/release/bin/charm", type=Path)
    parser.add_argument("--model", required=True, help="Hugging Face folder of a reward model")
    parser.add_argument("--preferences", required=True, help="Parquet file of charm prefer")
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--pairs-per-step", type=int, default=16)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--max-tokens", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    rates = {"score": [], "train": []}
    with tempfile.TemporaryDirectory() as folder:
        pairs, texts = f"{folder}/pairs.parquet", f"{folder}/texts.jsonl"
        table = pq.read_table(args.preferences).slice(0, args.pairs)
        pq.write_table(table, pairs)
        responses(table, texts)
        for _ in range(args.rounds):
            rates["score"].append(rate(args, r"([\d.]+) computed tokens/s", "score", "--responses", texts, "--output", f"{folder}/scores"))
            rates["train"].append(rate(args, r"([\d.]+) tokens/s", "train", "--preferences", pairs, "--output", f"{folder}/model",
                                       "--eval-fraction", "0", "--pairs-per-step", str(args.pairs_per_step)))
    median = {name: statistics.median(values) for name, values in rates.items()}
    print(json.dumps({"cpu": cpu_name(), "threads": args.threads, "dtype": args.dtype, "pairs": args.pairs,
                      "score_tokens_per_s": median["score"], "train_tokens_per_s": median["train"],
                      "training_passes": round(median["score"] / median["train"], 2), "rates": rates}, indent=1))


if __name__ == "__main__":
    main()
