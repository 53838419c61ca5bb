"""Writes tests/data/golden/eval/: made-up scores and what the benchmarks' own code and scipy, statsmodels say about them.

Takes rewardbench 0.1.4 as installed (tools/golden/requirements.txt) and a checkout of THU-KEG/RM-Bench (tried: 73c52d7b27b3). Their
modules import far more than the few functions needed here, so those are taken out of the source by name.

    .venv-golden/bin/python tools/golden/make_eval_golden.py RM_BENCH_DIR tests/data/golden/eval
"""

import ast
import importlib.util
import json
import math
import sys
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests


class Dataset:
    """As much of datasets.Dataset as the functions below touch."""

    def __init__(self, frame):
        self.frame = frame

    def to_pandas(self):
        return self.frame

    @staticmethod
    def from_pandas(frame):
        return Dataset(frame)

    @staticmethod
    def from_dict(columns):
        return columns


def definitions(path, names, **more):
    """The functions and constants `names` of a module, run apart from the rest of it."""
    tree = ast.parse(Path(path).read_text())
    wanted = [node for node in tree.body
              if getattr(node, "name", None) in names
              or (isinstance(node, ast.Assign) and node.targets[0].id in names)]
    space = {"np": np, "pd": pd, "math": math, "Dataset": Dataset, "Any": Any, "Dict": Dict, "List": List,
             "print": lambda *args: None, **more}
    exec(compile(ast.Module(wanted, []), str(path), "exec"), space)
    return [space[name] for name in names]


def reward_bench(folder, random):
    counts, mapping = definitions(folder / "rewardbench/constants.py", ["EXAMPLE_COUNTS", "SUBSET_MAPPING"])
    sections_of, = definitions(folder / "rewardbench/utils.py", ["calculate_scores_per_section"])
    rows = []
    for subset in counts:
        for i in range(random.integers(3, 9)):
            chosen, rejected = np.round(random.normal([0.4, 0.0]), 1)
            rows.append({"id": i, "subset": subset, "prompt": f"prompt {random.integers(0, 40)}", "chosen": f"{subset} {i} yes",
                         "rejected": f"{subset} {i} no", "score_chosen": chosen, "score_rejected": rejected})

    def evaluate(rows):
        metrics = {}
        for subset in sorted({row["subset"] for row in rows}):
            results = [1 if row["score_chosen"] > row["score_rejected"] else 0 for row in rows if row["subset"] == subset]
            metrics[subset] = sum(results) / len(results)
        return {"subsets": metrics, "sections": sections_of(counts, mapping, metrics)}

    average, = definitions(folder / "analysis/get_benchmark_results.py", ["get_average_over_rewardbench"],
                           EXAMPLE_COUNTS=counts, SUBSET_MAPPING=mapping)
    frame = lambda values: pd.DataFrame([{"model": "rm", "model_type": "Seq. Classifier", **values}])
    prior_sets = {"anthropic_helpful": 0.5, "anthropic_hhh": 0.75, "shp": 0.25, "summarize": 1.0}
    table = average(frame(evaluate(rows)["subsets"]), frame(prior_sets)).iloc[0]

    without_one = [row for row in rows if row["subset"] != "math-prm"]
    return {"prior_sets": prior_sets, "expected_prior_sets": table["Prior Sets (0.5 weight)"],
            "expected_with_prior_sets": table["average"],
            "rows": rows, "expected": evaluate(rows), "expected_without_math_prm": evaluate(without_one),
            "example_counts": counts,
            "ties": sum(row["score_chosen"] == row["score_rejected"] for row in rows)}


def rm_bench(folder, random):
    compute, split = definitions(folder / "scripts/utils.py", ["compute_accuracy", "split_dataset_by_domain"])
    compute.__globals__["split_dataset_by_domain"] = split
    rows = []
    for domain, count in [("chat", 7), ("math", 5), ("code", 6), ("safety-refuse", 8), ("safety-response", 4)]:
        for i in range(count):
            scores = np.round(random.normal(size=6) * 2) / 2
            rows.append({"id": f"{domain}/{i}", "domain": domain, "prompt": f"question {random.integers(0, 20)}",
                         "chosen": [f"{domain} {i} good {k}" for k in range(3)],
                         "rejected": [f"{domain} {i} bad {k}" for k in range(3)],
                         "score_chosen": list(scores[:3]), "score_rejected": list(scores[3:])})
    copy = lambda rows: [dict(row) for row in rows]  # compute_accuracy pops `domain`
    of = lambda domain: [{k: v for k, v in row.items() if k != "domain"} for row in rows if row["domain"].startswith(domain)]
    return {"rows": rows, "expected": compute(copy(rows)),
            "expected_domains": {domain: compute(of(domain)) for domain in ["chat", "math", "code", "safety"]}}


def best_of(folder, rows):
    """What scripts/run_v2.py reports for every subset of `rows`, and the share of every row."""
    reroll, ties = definitions(folder / "rewardbench/utils.py", ["reroll_and_score_dataset", "process_single_model"])
    ties.__globals__["sample_stats"], = definitions(folder / "rewardbench/utils.py", ["sample_stats"])
    texts, counts = [], []
    for number, row in enumerate(rows):
        scores = row["score_chosen"] + row["score_rejected"]
        counts.append(len(scores))
        texts += [{"text": f"{number}.{i}", "scores": score, "subset": row["subset"], "id": row["id"], "number": number}
                  for i, score in enumerate(scores)]
    rolled = reroll(Dataset(pd.DataFrame(texts)), counts).frame
    report = {}
    for subset in sorted({row["subset"] for row in rows}):
        if subset.lower() == "ties":
            samples = [{"id": row["id"], "scores": row["score_chosen"] + row["score_rejected"],
                        "num_correct": len(row["score_chosen"])} for row in rows if row["subset"] == subset]
            report[subset] = ties(samples)[1]
        else:
            results = rolled[rolled["subset"] == subset]["results"]
            report[subset] = sum(results) / len(results)
    return {"subsets": report, "results": list(rolled["results"])}


def reward_bench_2(folder, random):
    def row(subset, number, correct, incorrect, decimals=0):
        scores = np.round(random.normal(size=correct + incorrect) * 2 + np.repeat([1.5, 0.0], [correct, incorrect]), decimals)
        return {"id": str(number), "subset": subset, "score_chosen": list(scores[:correct]), "score_rejected": list(scores[correct:])}

    rows = [row(subset, i, 1, 3) for subset in ["Factuality", "Precise IF", "Math", "Safety", "Focus"] for i in range(9)]
    ties = []
    for i in range(14):
        ties += [row("Ties", f"ref:{i}", 1, 1 + i % 4, 1), row("Ties", f"tied:{i}", 2 + i % 5, 1 + i % 6, 1)]
    for i in range(4):  # clearly right, hardly any spread between the correct ones
        ties.append({"id": f"ref:{20 + i}", "subset": "Ties", "score_chosen": [9.0 - i], "score_rejected": [1.0, 2.0]})
        ties.append({"id": f"tied:{20 + i}", "subset": "Ties", "score_chosen": [8.0, 8.5, 8.25], "score_rejected": [4.0, 7.0 - 2 * i]})
    flat = [{"id": "ref:40", "subset": "Ties", "score_chosen": [3.0], "score_rejected": [1.0]},
            {"id": "tied:40", "subset": "Ties", "score_chosen": [2.0, 2.0], "score_rejected": [1.0]},
            {"id": "tied:41", "subset": "Ties", "score_chosen": [2.0, 3.0], "score_rejected": [1.0]},
            {"id": "ref:42", "subset": "Ties", "score_chosen": [0.0], "score_rejected": [0.0]},
            {"id": "ref:43", "subset": "Ties", "score_chosen": [1.0], "score_rejected": [0.0]},
            {"id": "tied:43", "subset": "Ties", "score_chosen": [1.0], "score_rejected": [0.5]}]
    cases = {"all": rows + ties, "flat": ties[:6] + flat, "unpaired": [r for r in ties if r["id"].startswith("ref")]}
    return {name: {"rows": case, "expected": best_of(folder, case)} for name, case in cases.items()}


def pair_probabilities(margins):
    """Of pairs whose first text is the better one: p = 1 / (1 + exp(-margin))."""
    margins = np.asarray(margins)
    confidence = 1 / (1 + np.exp(-np.minimum(np.abs(margins), 700)))
    right = np.where(margins > 0, 1.0, np.where(margins == 0, 0.5, 0.0))
    bins = np.minimum(((confidence - 0.5) * 20).astype(int), 9)
    ece = sum((bins == k).mean() * abs(right[bins == k].mean() - confidence[bins == k].mean()) for k in set(bins))
    p = np.where(margins >= 0, confidence, 1 - confidence)
    return {"ece": ece, "brier": np.mean((1 - p) ** 2), "log_loss": np.mean(np.logaddexp(0, -margins)),
            "bin_counts": [int((bins == k).sum()) for k in range(10)]}


def statistics(random):
    margins = list(np.round(random.normal(0.6, 2.0, size=400), 2)) + [0.0, 0.0, 35.0, -30.0]
    scores = np.round(random.normal(size=60), 1)
    lengths = np.round(20 * scores + random.gamma(2, 40, size=60))
    ratings = random.normal(1100, 80, size=9)
    values = ratings / 100 + np.round(random.normal(size=9), 0)
    flips = [(3, 9), (0, 6), (12, 12), (7, 17), (20, 41), (300, 250), (0, 0), (30, 30), (24, 1)]
    tests = []
    for gained, lost in flips:
        exact = gained + lost < 25
        found = mcnemar([[50, gained], [lost, 50]], exact=exact, correction=True)
        tests.append({"gained": gained, "lost": lost, "p_value": found.pvalue if gained + lost else 1.0,
                      "statistic": None if exact else found.statistic})
    # Durkalski et al. 2003, equal cluster sizes: (sum of d)^2 / sum of d^2, one degree of freedom.
    clusters = [(int(a), int(b)) for a, b in random.integers(0, 5, size=(40, 2))]
    d = np.array([a - b for a, b in clusters], float)
    clustered = d.sum() ** 2 / (d ** 2).sum()
    p_values = [0.001, 0.2, 0.012, 0.5, 0.03, 0.012, 1.0, 0.0004, 0.049, 0.9]
    return {
        "pair_probabilities": {"margins": margins, "expected": pair_probabilities(margins)},
        "length": {"scores": list(scores), "lengths": list(lengths), "spearman": stats.spearmanr(scores, lengths).statistic,
                   "pearson": stats.pearsonr(scores, lengths).statistic},
        "arena": {"ratings": list(ratings), "values": list(values), "spearman": stats.spearmanr(values, ratings).statistic,
                  "kendall": stats.kendalltau(values, ratings).statistic, "pearson": stats.pearsonr(values, ratings).statistic},
        "mcnemar": tests,
        "mcnemar_clustered": {"clusters": clusters, "statistic": clustered, "p_value": stats.chi2.sf(clustered, 1)},
        "multiplicity": {"p_values": p_values, "holm": list(multipletests(p_values, method="holm")[1]),
                         "benjamini_hochberg": list(multipletests(p_values, method="fdr_bh")[1])},
    }


def write(path, golden):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"tolerance": 1e-12, **golden}, indent=1, default=float) + "\n")


def main():
    rm_bench_dir, output = map(Path, sys.argv[1:])
    reward_bench_dir = Path(importlib.util.find_spec("rewardbench").submodule_search_locations[0]).parent
    random = np.random.default_rng(20250410)
    write(output / "benchmarks.json", {"reward_bench": reward_bench(reward_bench_dir, random), "rm_bench": rm_bench(rm_bench_dir, random)})
    write(output / "reward_bench_2.json", reward_bench_2(reward_bench_dir, np.random.default_rng(20250602)))
    write(output / "statistics.json", statistics(np.random.default_rng(20261124)))


if __name__ == "__main__":
    main()
