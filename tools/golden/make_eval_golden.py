"""Writes tests/data/golden/eval/benchmarks.json: made-up scores and what the benchmarks' own code says about them.

Takes checkouts of allenai/reward-bench (tried: 05a9005efb60, rewardbench 0.1.4) and THU-KEG/RM-Bench (tried: 73c52d7b27b3). Their
modules import far more than the few functions needed here, so those are taken out of the source by name.

    python tools/golden/make_eval_golden.py REWARD_BENCH_DIR RM_BENCH_DIR tests/data/golden/eval/benchmarks.json
"""

import ast
import json
import sys
from pathlib import Path
from typing import Any, Dict, List

import numpy as np


def definitions(path, names):
    """The functions and constants `names` of a module, run apart from the rest of it."""
    tree = ast.parse(Path(path).read_text())
    wanted = [node for node in tree.body
              if getattr(node, "name", None) in names
              or (isinstance(node, ast.Assign) and node.targets[0].id in names)]
    space = {"np": np, "Any": Any, "Dict": Dict, "List": List, "print": lambda *args: None}
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

    without_one = [row for row in rows if row["subset"] != "math-prm"]
    return {"rows": rows, "expected": evaluate(rows), "expected_without_math_prm": evaluate(without_one),
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


def main():
    reward_bench_dir, rm_bench_dir, output = map(Path, sys.argv[1:])
    random = np.random.default_rng(20250410)
    golden = {"tolerance": 1e-12, "reward_bench": reward_bench(reward_bench_dir, random), "rm_bench": rm_bench(rm_bench_dir, random)}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(golden, indent=1, default=float) + "\n")


if __name__ == "__main__":
    main()
