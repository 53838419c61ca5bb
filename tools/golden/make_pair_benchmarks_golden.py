"""Writes tests/data/golden/eval/pair_benchmarks.json: made-up scores of JudgeBench, RMB and PPE, and what the benchmarks' own code counts.

Of two benchmarks the published code is run, at a pinned commit, from a bare clone in CLONES (made where it is missing):
- ScalerLab/JudgeBench: `compute_final_metrics` (utils/metrics.py) over two games a pair, whose decisions are those of the statement in its
  judge SkyworkReward (utils/judges.py); the sources are those that run_judge.py reports.
- Zhou-Zoey/RMB-Reward-Model-Benchmark: the statements of `main` (eval/scripts/my_run_rm.py) that count a run, over the files that its
  `find_json_files` takes from the folder of a section. The script has no best-of-n: a list counts where every pair of the best response and
  a loser does (arXiv 2410.09893). The overall score is the mean of the four sections, as in the paper's table.
PPE's code (lmarena/PPE) was not to be had when this was written: the shares of its sampled pairs are counted here, AUC is scipy's
Mann-Whitney statistic and best-of-k an average over all orders of equal scores (arXiv 2410.14872).

    .venv-golden/bin/python tools/golden/make_pair_benchmarks_golden.py CLONES tests/data/golden/eval
"""

import ast
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
from scipy.stats import mannwhitneyu

JUDGE_BENCH = ("ScalerLab/JudgeBench", "e2c52c284e735e139b3daa61c206ee208f36c461")
RMB = ("Zhou-Zoey/RMB-Reward-Model-Benchmark", "2be3180857f2190b7ffa929d43190835627f1f4d")
RMB_SECTIONS = {"BoN helpfulness": "BoN_set/Helpfulness", "pairwise helpfulness": "Pairwise_set/Helpfulness",
                "BoN harmlessness": "BoN_set/Harmlessness", "pairwise harmlessness": "Pairwise_set/Harmlessness"}
PPE_SUBSETS = ["mmlu-pro", "math", "gpqa", "ifeval", "mbpp-plus"]
NUM_PPE_RESPONSES = 5


def published(clones, repository, path):
    """The syntax tree of a file of the repository at its pinned commit."""
    name, commit = repository
    clone = clones / (name.split("/")[1] + ".git")
    if not clone.exists():
        subprocess.run(["git", "clone", "-q", "--bare", "--filter=blob:none", f"https://github.com/{name}.git", str(clone)], check=True)
    return ast.parse(subprocess.run(["git", "--git-dir", str(clone), "show", f"{commit}:{path}"], check=True, capture_output=True).stdout)


def run(statements, **names):
    """The names after running some statements of a published file."""
    exec(compile(ast.Module(statements, []), "published", "exec"), names)
    return names


def assignments(tree, target):
    """The statements that assign this name."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == target]


def definition(tree, name):
    return next(node for node in ast.walk(tree) if getattr(node, "name", None) == name)


def score(random):
    return float(np.round(random.normal() * 2) / 2)  # ties occur


def judge_bench(clones, random):
    names = run([node for node in published(clones, JUDGE_BENCH, "utils/metrics.py").body], List=List, Dict=Dict, Any=Any)
    judge = definition(published(clones, JUDGE_BENCH, "utils/judges.py"), "SkyworkReward")
    decide = assignments(judge, "judgement")
    rows, judged = [], []
    for source, count in [("mmlu-pro-law", 7), ("mmlu-pro-math", 6), ("livebench-reasoning", 9), ("livebench-math", 8), ("livecodebench", 7)]:
        for i in range(count):
            a, b = score(random), score(random)
            row = {"pair_id": f"{source}/{i}", "original_id": i, "source": source, "question": f"question {random.integers(0, 25)}",
                   "response_model": "made-up", "response_A": f"{source} {i} A", "response_B": f"{source} {i} B",
                   "label": str(random.choice(["A>B", "B>A"])), "score_A": a, "score_B": b}
            rows.append(row)
            games = [(a, b), (b, a)]  # in both orders
            judged.append(row | {"judgments": [{"decision": run(decide, score1=one, score2=other)["judgement"]} for one, other in games]})
    percent = lambda source: names["compute_final_metrics"](judged, True, include_fn=lambda row: row["source"].startswith(source))
    sources = {"Knowledge": "mmlu-pro", "Reasoning": "livebench-reasoning", "Math": "livebench-math", "Coding": "livecodebench"}
    return {"rows": rows, "ties": sum(row["score_A"] == row["score_B"] for row in rows),
            "expected": {"overall": percent("") / 100, "sections": {name: percent(source) / 100 for name, source in sources.items()}}}


def rmb_rows(random):
    answer = lambda text: {"llm_name": "made-up", "answer": text}
    rows = []
    for path, count in [("Helpfulness/Chat/Discussion", 6), ("Helpfulness/Code/Documentation", 5), ("Harmlessness/S1", 7), ("Harmlessness/S2", 4)]:
        for i in range(count):
            turns = [{"role": "user", "content": f"{path} {i}", "language": "English"}]
            rows.append({"pair_uid": f"pair {path} {i}", "conversation_input": turns, "chosen": answer(f"{path} {i} good"),
                         "reject": answer(f"{path} {i} bad"), "category_path": f"Pairwise_set/{path}",
                         "score_chosen": [score(random) + 0.5], "score_rejected": [score(random)]})
            losers = [answer(f"{path} {i} bad {k}") for k in range(2 + i % 3)]
            rows.append({"bon_uid": f"bon {path} {i}", "conversation_input": turns, "bon_best": answer(f"{path} {i} best"),
                         "loser_list": losers, "category_path": f"BoN_set/{path}",
                         "score_chosen": [score(random) + 1.5], "score_rejected": [score(random) for _ in losers]})
    return rows


def rmb(clones, random):
    tree = published(clones, RMB, "eval/scripts/my_run_rm.py")
    find_json_files = run([definition(tree, "find_json_files")], os=os)["find_json_files"]
    by_pair = [node for node in assignments(tree, "results") if isinstance(node.value, ast.ListComp)]
    accuracy = assignments(tree, "model_acc")
    right_of = lambda chosen, rejected: run(by_pair, scores_chosen=chosen, scores_rejected=rejected)["results"]
    rows, expected = rmb_rows(random), {}
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted({row["category_path"] for row in rows}):
            file = Path(folder) / f"{path}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps([row for row in rows if row["category_path"] == path]))
        for section, path in RMB_SECTIONS.items():
            results = []
            for file in find_json_files(f"{folder}/{path}"):
                for row in json.loads(Path(file).read_text()):
                    pairs = right_of(row["score_chosen"] * len(row["score_rejected"]), row["score_rejected"])
                    results.append(int(all(pairs)))
            expected[section] = run(accuracy, results=results)["model_acc"]
    return {"rows": rows, "expected": {"overall": sum(expected.values()) / len(expected), "sections": expected}}


def best_of_k(right, scores):
    """Rightness of the best-scored response, every response among equally good ones alike."""
    best = [r for r, s in zip(right, scores) if s == max(scores)]
    return sum(best) / len(best)


def ppe(random):
    rows, expected = [], {"sections": {}, "auc": {}, "best_of_k": {}}
    for subset in PPE_SUBSETS:
        wins, areas, picked = [], [], []
        for i in range(6):
            right = [bool(x) for x in random.integers(0, 2, NUM_PPE_RESPONSES)] if i else [True] * NUM_PPE_RESPONSES
            scores = [score(random) + (0.5 if x else 0.0) for x in right]
            good = [k for k, x in enumerate(right) if x]
            bad = [k for k, x in enumerate(right) if not x]
            pairs = [list(pair) if random.integers(0, 2) else list(pair)[::-1] for pair in itertools.product(good, bad)][:4]
            row = {"question_id": f"{subset} {i}", "subset": subset, "prompt": f"{subset} question {i}", "scores": right,
                   "sampled_conflict_pairs": pairs, "reward": scores}
            row |= {f"response_{k + 1}": f"{subset} {i} response {k}" for k in range(NUM_PPE_RESPONSES)}
            rows.append(row)
            for a, b in pairs:
                wins.append(scores[a if right[a] else b] > scores[b if right[a] else a])
            if good and bad:
                statistic = mannwhitneyu([scores[k] for k in good], [scores[k] for k in bad]).statistic
                areas.append(float(statistic) / (len(good) * len(bad)))
            picked.append(best_of_k(right, scores))
        expected["sections"][subset] = sum(wins) / len(wins)
        expected["auc"][subset] = math.fsum(areas) / len(areas)
        expected["best_of_k"][subset] = math.fsum(picked) / len(picked)
    expected["overall"] = math.fsum(expected["sections"].values()) / len(PPE_SUBSETS)
    return {"rows": rows, "expected": expected}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    clones, output = map(Path, sys.argv[1:])
    random = np.random.default_rng(20261130)
    golden = {"commits": {name: commit for name, commit in (JUDGE_BENCH, RMB)}, "judge_bench": judge_bench(clones, random),
              "rmb": rmb(clones, random), "ppe": ppe(random)}
    (output / "pair_benchmarks.json").write_text(json.dumps(golden, indent=1) + "\n")


main()
