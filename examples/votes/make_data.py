#!/usr/bin/env python3
"""Extracts the inputs of this example from published votes, answers and benchmarks (none of them part of this repository).

usage: make_data.py DATA OUTPUT

DATA holds, all gzipped JSON lines but the JSON files
  votes/mt_bench_human     {"prompt","turn","model_a","model_b","winner","judge","conversation_a","conversation_b",...}, two turns
  votes/vicuna80_human, votes/pandalm_human     the same, one turn
  votes/vicuna80_arena_scores.json, mt_bench/arena_scores.json, alpaca_eval/arena_scores.json     Chatbot Arena scores
  mt_bench/answers         {"model","conversation",...}, 33 models, two turns
  alpaca_eval/<policy>     {"prompt","response"}, 805 rows in the same order in every file
  preference/split.json, preference/{train,davinci003_train}     as in examples/alpaca
  judgebench/gpt, judgebench/claude     pairs as published
  judgebench/rm_scores     {"pair_id","scores":{model:[score of response_A, score of response_B]}}, of the pairs in gpt
OUTPUT receives
  rm_pairs.jsonl                      fewer pairs than in examples/alpaca; none of their prompts is in a vote
  mt_bench.jsonl     votes on first turns: second turns continue each model's own first answer, so no two models answer the same prompt there
  vicuna80.jsonl, pandalm.jsonl      all votes
  mt_bench/, vicuna80/<policy>.jsonl  first-turn answers of the policies that have votes and an Arena score
  alpaca_fit/, alpaca_held_out/<policy>.jsonl     eight policies, 64 prompts each that are neither in rm_pairs.jsonl nor in a vote
  judgebench/<reward model>.jsonl     the pairs with the published scores
Standard library only; the same input gives the same bytes.
"""
import gzip
import json
import pathlib
import random
import sys

PAIRS_PER_SOURCE = 500
MAX_CHARACTERS = 4000  # of prompt, chosen and rejected together: keeps the run within an hour of two cores
NUM_FIT, NUM_HELD_OUT = 64, 64  # prompts of the audit
AUDITED = ["gpt-4o-mini-2024-07-18", "claude-3-5-sonnet-20240620", "Meta-Llama-3.1-70B-Instruct-Turbo", "gemma-2-9b-it-SimPO",
           "gpt4_0613", "Starling-LM-7B-alpha", "Mistral-7B-Instruct-v0.2", "gemma-2b-it"]


def rows_of(path):
    with gzip.open(f"{path}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def folded(text):
    """Prompts of two sets are compared without case and white space."""
    return "".join(text.lower().split())


def rated(path):
    return [row["model_name"] for row in json.loads(path.read_text(encoding="utf-8"))]


def first_turn(conversation):
    return {"prompt": conversation[0]["content"], "response": conversation[1]["content"]}


def write_votes(data, output):
    """Returns the votes by set."""
    votes = {name: rows_of(data / "votes" / f"{name}_human") for name in ("mt_bench", "vicuna80", "pandalm")}
    write(output / "mt_bench.jsonl", [row for row in votes["mt_bench"] if row["turn"] == 1])
    write(output / "vicuna80.jsonl", votes["vicuna80"])
    write(output / "pandalm.jsonl", votes["pandalm"])

    for policy in rated(data / "votes" / "vicuna80_arena_scores.json"):
        answers = {}
        for row in votes["vicuna80"]:
            for side in "ab":
                if row[f"model_{side}"] == policy:
                    answers[row["question_id"]] = first_turn(row[f"conversation_{side}"])
        write(output / "vicuna80" / f"{policy}.jsonl", [answers[question] for question in sorted(answers)])
    return votes


def write_mt_bench(data, output, voted):
    answers = rows_of(data / "mt_bench" / "answers")
    for policy in set(rated(data / "mt_bench" / "arena_scores.json")) & voted:
        write(output / "mt_bench" / f"{policy}.jsonl", [first_turn(row["conversation"]) for row in answers if row["model"] == policy])


def write_alpaca(data, output, voted_prompts):
    rng = random.Random(20260117)
    prompts = [row["prompt"] for row in rows_of(data / "alpaca_eval" / "gpt4_1106_preview")]
    split = json.loads((data / "preference" / "split.json").read_text())
    is_free = lambda index: folded(prompts[index]) not in voted_prompts
    train = sorted(filter(is_free, split["train_clean"]))
    rng.shuffle(train)
    rm_prompts = set(train[: len(train) // 2])
    other = sorted(filter(is_free, split["test_clean"])) + train[len(train) // 2 :]
    rng.shuffle(other)
    print(f"prompts: {len(rm_prompts)} train the reward model, {len(other)} others", file=sys.stderr)

    pairs = []
    for source in ("train", "davinci003_train"):
        rows = [row for row in rows_of(data / "preference" / source) if row["prompt_index"] in rm_prompts]
        rows = [row for row in rows if sum(len(row[k]) for k in ("prompt", "chosen", "rejected")) <= MAX_CHARACTERS]
        rng.shuffle(rows)
        pairs += rows[:PAIRS_PER_SOURCE]
    rng.shuffle(pairs)
    write(output / "rm_pairs.jsonl", [{k: row[k] for k in ("prompt", "chosen", "rejected")} for row in pairs])

    parts = {"alpaca_fit": sorted(other[:NUM_FIT]), "alpaca_held_out": sorted(other[NUM_FIT : NUM_FIT + NUM_HELD_OUT])}
    for policy in AUDITED:
        rows = rows_of(data / "alpaca_eval" / policy)
        for part, indices in parts.items():
            write(output / part / f"{policy}.jsonl", [rows[index] for index in indices])


def write_judgebench(data, output):
    scores = {row["pair_id"]: row["scores"] for row in rows_of(data / "judgebench" / "rm_scores")}
    pairs = rows_of(data / "judgebench" / "gpt")
    for model in sorted(next(iter(scores.values()))):
        rows = []
        for pair in pairs:
            score_a, score_b = scores[pair["pair_id"]][model]
            rows.append(pair | {"score_A": score_a, "score_B": score_b})
        write(output / "judgebench" / f"{model.split('/')[-1]}.jsonl", rows)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    data, output = map(pathlib.Path, sys.argv[1:])
    votes = write_votes(data, output)
    write_mt_bench(data, output, {row[f"model_{side}"] for row in votes["mt_bench"] for side in "ab"})
    write_alpaca(data, output, {folded(row["prompt"]) for rows in votes.values() for row in rows})
    write_judgebench(data, output)


main()
