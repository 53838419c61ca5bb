#!/usr/bin/env python3
"""Extracts the inputs of this example from AlpacaEval data (tatsu-lab/alpaca_eval, CC BY-NC 4.0; not part of this repository).

usage: make_data.py DATA OUTPUT

DATA holds
  preference/split.json                        prompt indices: `train_clean` and `test_clean` share no prompt with RewardBench or RM-Bench
  preference/{train,davinci003_train}.jsonl.gz {"prompt","chosen","rejected","prompt_index",...}: annotated pairs
  alpaca_eval/<policy>.jsonl.gz                {"prompt","response"}, 805 rows in the same order in every file
OUTPUT receives
  rm_pairs.jsonl   pairs that train the reward model: half of the prompts of `train_clean`, two annotators and baselines in equal parts
  prompts.jsonl    the 337 other prompts, on which policies are compared: the 85 of `test_clean` and the other half of `train_clean`
No prompt is in both files, and none is in RewardBench or RM-Bench. Standard library only; the same input gives the same bytes.
"""
import gzip
import json
import pathlib
import random
import sys

PAIRS_PER_SOURCE = 1000
MAX_CHARACTERS = 4000  # of prompt, chosen and rejected together: keeps the run within an hour of two cores


def rows_of(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    data, output = map(pathlib.Path, sys.argv[1:])
    output.mkdir(parents=True, exist_ok=True)
    rng = random.Random(20260117)
    split = json.loads((data / "preference" / "split.json").read_text())
    train = sorted(split["train_clean"])
    rng.shuffle(train)
    rm_prompts = set(train[: len(train) // 2])
    other = sorted(split["test_clean"]) + train[len(train) // 2 :]

    pairs = []
    for source in ("train", "davinci003_train"):
        rows = [row for row in rows_of(data / "preference" / f"{source}.jsonl.gz") if row["prompt_index"] in rm_prompts]
        rows = [row for row in rows if sum(len(row[k]) for k in ("prompt", "chosen", "rejected")) <= MAX_CHARACTERS]
        rng.shuffle(rows)
        pairs += rows[:PAIRS_PER_SOURCE]
    rng.shuffle(pairs)
    write(output / "rm_pairs.jsonl", [{k: row[k] for k in ("prompt", "chosen", "rejected")} for row in pairs])

    prompts = [row["prompt"] for row in rows_of(data / "alpaca_eval" / "gpt4_1106_preview.jsonl.gz")]
    write(output / "prompts.jsonl", [{"prompt": prompts[index]} for index in sorted(other)])


main()
