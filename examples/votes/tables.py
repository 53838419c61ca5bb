#!/usr/bin/env python3
"""Prints the tables of docs/results.md from the results of run.sh, as Markdown. Standard library only.

usage: tables.py OUTPUT     the folder given to run.sh
"""
import glob
import json
import pathlib
import statistics
import sys

SETS = {"mt_bench": "MT-bench, experts", "vicuna80": "Vicuna-80, crowd", "pandalm": "PandaLM, annotators"}


def read(path):
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))


def row(*cells):
    print("| " + " | ".join(cells) + " |")


def header(*names):
    print()
    row(*names)
    print("|" + "---|" * len(names))


def signed(value, interval=None):
    text = f"{value:+.2f}"
    return text + (f" [{interval[0]:+.2f}, {interval[1]:+.2f}]" if interval else "")


def mismatch(pair):
    interval = pair["mismatch_before_ci95"]
    text = signed(pair["mismatch_before"], interval)
    return f"**{text}**" if interval[0] > 0 or interval[1] < 0 else text


def agreement(out):
    header("votes", "votes (decided)", "questions", "agrees with the reward model", "two people agree", "where both decide")
    for name, title in SETS.items():
        if not pathlib.Path(f"{out}/mismatch/{name}.votes.json").exists():
            continue
        result = read(f"{out}/mismatch/{name}.votes.json")
        votes = result["agreement"]
        shares = [f"{votes[k]:.3f} [{votes[k + '_ci95'][0]:.3f}, {votes[k + '_ci95'][1]:.3f}]" for k in ("accuracy", "people", "people_decided")]
        row(title, f"{votes['num_votes']} ({votes['num_decided']})", str(result["num_prompts"]), *shares)


def votes_and_ratings(out, name):
    """Every pair that has both, from the side of the higher rating."""
    by_votes, by_ratings = read(f"{out}/mismatch/{name}.votes.json"), read(f"{out}/mismatch/{name}.json")
    rating = {policy["policy"]: policy["rating"] for policy in by_ratings["policies"]}
    voted = {(pair["policy"], pair["reference"]): pair for pair in by_votes["pairs"]}
    header("pair", "votes", "people's win rate", "ratings'", "reward model's, same responses", "all responses", "MD from votes", "MD from ratings")
    both = []
    for pair in sorted(by_ratings["pairs"], key=lambda pair: (-rating[pair["policy"]], -rating[pair["reference"]])):
        key = (pair["policy"], pair["reference"])
        if key not in voted or rating[key[0]] <= rating[key[1]]:
            continue
        vote = voted[key]
        both.append((vote["mismatch_before"], pair["mismatch_before"]))
        row(" over ".join(key), str(vote["num_rows"]), f"{vote['target_win_rate']:.2f}", f"{pair['target_win_rate']:.2f}",
            f"{vote['win_rate_before']:.2f}", f"{pair['win_rate_before']:.2f}", mismatch(vote), mismatch(pair))
    one, other = zip(*both)
    print(f"\n{len(both)} pairs: mean |MD| {statistics.mean(map(abs, one)):.3f} from votes, {statistics.mean(map(abs, other)):.3f} from ratings; "
          f"correlation {statistics.correlation(one, other):.2f}; mean |difference| {statistics.mean(abs(a - b) for a, b in both):.3f}; "
          f"same sign in {sum(a * b > 0 for a, b in both)}")


def held_out(out):
    """Means over the splits whose fit was not refused."""
    header("votes", "style", "splits fitted", "T", "T = 1", "with T", "with T and offsets", "change by offsets", "lower in", "accuracy of scores", "with offsets")
    for name, title in SETS.items():
        for style in ("none", "fastchat"):
            files = sorted(glob.glob(f"{out}/splits/{name}.[0-9].{style}.json"))
            fits = [read(file) for file in files]
            plain = [read(file.replace(f".{style}.json", ".plain.json"))["without_offsets"] for file in files]
            if not fits:
                row(title, style, "0 of 10", *[""] * 8)
                continue
            mean = lambda values: f"{statistics.mean(values):.3f}"
            measure = lambda part, key: [fit[part][key] for fit in fits]
            change = measure("difference", "log_loss")
            row(title, style, f"{len(fits)} of 10", f"{statistics.mean(fit['temperature'] for fit in fits):.1f}", mean([one["log_loss"] for one in plain]),
                mean(measure("without_offsets", "log_loss")), mean(measure("with_offsets", "log_loss")), f"{statistics.mean(change):+.3f}",
                str(sum(x < 0 for x in change)), mean([one["accuracy"] for one in plain]), mean(measure("with_offsets", "accuracy")))


def audit(out):
    picks = read(f"{out}/eval/rm/best-of-n.json")["picks"]
    kept = [one for one in picks if one["n"] in (1, 2, 4, 8)]
    header("", *(f"n = {one['n']}" for one in kept))
    row("KL, nats", *(f"{one['kl']:.2f}" for one in kept))
    row("picks left as they are", *(f"{one['same_pick']:.2f}" for one in kept))
    for name in kept[0]["measures"]:
        cells = []
        for one in kept:
            measure = one["measures"][name]
            digits = 0 if abs(measure["before"]) >= 10 else 2
            change = f"{measure['difference']:+.{digits}f} [{measure['difference_ci95'][0]:+.{digits}f}, {measure['difference_ci95'][1]:+.{digits}f}]"
            cells.append(f"{measure['before']:.{digits}f}" + (f" → {measure['after']:.{digits}f} ({change})" if one["n"] > 1 else ""))
        row(name, *cells)
    last = kept[-1]["policies"]
    for name in sorted(last, key=lambda policy: -last[policy]["implied"]):
        shares = [one["policies"][name] for one in kept]
        row(name, *(f"{share['before']:.3f} → {share['after']:.3f} ({share['implied']:.3f})" for share in shares))


def judge_bench(out):
    header("reward model", "all", "Knowledge", "Reasoning", "Math", "Coding", "ties")
    for file in sorted(glob.glob(f"{out}/eval/*/judge-bench.json"), key=lambda file: -read(file)["overall"]):
        result = read(file)
        parts = [f"{100 * result['sections'][name]['score']:.2f}" for name in ("Knowledge", "Reasoning", "Math", "Coding")]
        row(result["model"], f"{100 * result['overall']:.2f}", *parts, str(result["ties"]))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = sys.argv[1]
    agreement(out)
    for name in ("mt_bench", "vicuna80"):
        if pathlib.Path(f"{out}/mismatch/{name}.json").exists():
            votes_and_ratings(out, name)
    held_out(out)
    if pathlib.Path(f"{out}/eval/rm/best-of-n.json").exists():
        audit(out)
    judge_bench(out)


main()
