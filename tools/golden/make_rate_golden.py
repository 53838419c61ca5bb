"""Writes tests/data/golden/rate/{battles.jsonl.gz,ratings.json,styles.json}: made-up battles and what others make of them.

Ratings: the package arena-rank 0.1.1 (jax 0.8.1), its optimiser run until nothing moves instead of to its default 1e-9; FastChat's
style control by scipy, from its formula; FastChat's counts of Markdown by its own functions, taken out of a checkout's
fastchat/serve/monitor/add_markdown_info.py by name (tried: 0e6d3e4b).

    python tools/golden/make_rate_golden.py FASTCHAT_DIR tests/data/golden/rate
"""

import ast
import gzip
import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from arena_rank.models.bradley_terry import BradleyTerry
from arena_rank.models.contextual_bradley_terry import ContextualBradleyTerry
from arena_rank.utils.data_utils import ContextualPairDataset, PairDataset
from scipy.optimize import minimize
from scipy.special import expit

MODELS = ["oak", "elm", "ash", "fir", "yew", "bay"]
COUNTS = ["sum_assistant_{}_tokens", "header_count_{}", "list_count_{}", "bold_count_{}"]


def make_battles(count, seed):
    """Votes by strength and length, so that style control has something to find."""
    random = np.random.default_rng(seed)
    strength = np.linspace(1.0, -1.0, len(MODELS))
    wordiness = random.normal(size=len(MODELS)) * 0.5
    rows = []
    for _ in range(count):
        a, b = random.choice(len(MODELS), 2, replace=False, p=np.array([6, 5, 4, 3, 2, 1]) / 21)
        sides = {}
        lengths = []
        for side, model in (("a", a), ("b", b)):
            length = int(np.exp(4.5 + wordiness[model] + 0.5 * random.normal()))
            lengths.append(length)
            sides[f"sum_assistant_{side}_tokens"] = length
            sides[f"header_count_{side}"] = {f"h{level}": int(random.poisson(0.4)) for level in range(1, 7)}
            sides[f"list_count_{side}"] = {"ordered": int(random.poisson(1)), "unordered": int(random.poisson(length / 60))}
            sides[f"bold_count_{side}"] = {"**": int(random.poisson(1 + wordiness[model] ** 2)), "__": 0}
        logit = strength[a] - strength[b] + 0.8 * math.log(lengths[0] / lengths[1])
        roll = random.random()
        winner = ["tie", "tie (bothbad)"][random.integers(2)]
        if roll > 0.15:
            winner = "model_a" if random.random() < expit(logit) else "model_b"
        rows.append({"model_a": MODELS[a], "model_b": MODELS[b], "winner": winner, "conv_metadata": sides})
    return rows


def totals(metadata, side):
    values = [metadata[name.format(side)] for name in COUNTS]
    return [value if isinstance(value, int) else sum(value.values()) for value in values]


def differences(rows, add_one):
    a = np.array([totals(row["conv_metadata"], "a") for row in rows], float)
    b = np.array([totals(row["conv_metadata"], "b") for row in rows], float)
    divisor = a + b + 1 if add_one else np.where(a + b == 0, 1, a + b)
    return (a - b) / divisor


def as_lists(result):
    return {name: np.asarray(result[key]).tolist()
            for name, key in (("rating", "ratings"), ("lo", "rating_lower"), ("hi", "rating_upper"))}


def plain(frame):
    data = PairDataset.from_pandas(frame)
    model = BradleyTerry(len(data.competitors), ftol=0.0, gtol=1e-13, max_iter=5000)
    return {"models": data.competitors, **as_lists(model.compute_ratings_and_cis(data))}


def arena_rank_style(frame, rows):
    raw = differences(rows, add_one=False)
    names = ["length", "headers", "lists", "bold"]
    frame = frame.assign(**{name: raw[:, i] for i, name in enumerate(names)})
    data = ContextualPairDataset.from_pandas(frame, names)
    model = ContextualBradleyTerry(len(data.competitors), len(names), ftol=0.0, gtol=1e-13, max_iter=5000)
    result = model.compute_ratings_and_cis(data)
    return {"models": data.competitors, **as_lists(result), "coefficients": np.asarray(result["coeffs"]).tolist()}


def fastchat_style(rows):
    """Ratings of compute_style_control: logit = ln 10 (r_a - r_b) + f'c, sum loss + 0.25 |(r, c)|^2, 400 r + 1000."""
    names = sorted(MODELS)
    a = np.array([names.index(row["model_a"]) for row in rows])
    b = np.array([names.index(row["model_b"]) for row in rows])
    y = np.array([{"model_a": 1.0, "model_b": 0.0}.get(row["winner"], 0.5) for row in rows])
    raw = differences(rows, add_one=True)
    design = np.zeros((len(rows), len(names) + raw.shape[1]))
    design[np.arange(len(rows)), a] += math.log(10)
    design[np.arange(len(rows)), b] -= math.log(10)
    design[:, len(names):] = (raw - raw.mean(0)) / raw.std(0)

    def loss(p):
        z = design @ p
        return (np.logaddexp(0, z) - y * z).sum() + 0.25 * p @ p, -design.T @ (y - expit(z)) + 0.5 * p

    p = minimize(loss, np.zeros(design.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    for _ in range(20):  # Newton to the last digit
        z = design @ p
        hessian = (design * (expit(z) * expit(-z))[:, None]).T @ design + 0.5 * np.eye(len(p))
        p = p - np.linalg.solve(hessian, loss(p)[1])
    return {"models": names, "rating": (400 * p[:len(names)] + 1000).tolist(), "coefficients": p[len(names):].tolist()}


def fastchat_counts(folder):
    tree = ast.parse((folder / "fastchat/serve/monitor/add_markdown_info.py").read_text())
    wanted = {"count_markdown_elements", "remove_pattern"}
    body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in wanted]
    space = {"re": re}
    exec(compile(ast.Module(body, []), "add_markdown_info", "exec"), space)
    fence = re.compile("```([^`]*)```")
    texts = [
        "", "plain text", "# one\n## two\n###### six\n####### seven\n#none\n # indented\n#\ttab\n#\n",
        "1. a\n2. b\n 3.  c\n10.d\n- e\n* f\n  + g\n-h\n\n\n- i\n1.\n2. x\n",
        "**bold** *not* ****no**** ***odd** __under__ ___three___ ** spaced ** **a\nb** **c*d** __a_b__ **x****y**",
        "before\n```\n# not a header\n- no item\n**no bold**\n```\nafter **yes**\n```python\nx = 1\n``` end",
        "```\n```\n# glued\n- one\n- two\n", "``````**a**``` ```**b**```", "```open\n# counted?\n- yes\n",
        "a\u00a0b\n#\u00a0nbsp header\n-\u3000wide item\n1.\u2003em\n#\u200bno\n", "# caf\u00e9 **\u00fcber** \U0001f600\n- \u4e2d\u6587\n",
        "x `code` **b**\n```a`b```\n* * *\n---\n- [ ] task\n", "#\r\n- a\r\n- b\r\n", "x\n```js\n- a\n```\n- a\n",
        "\u0661. a\n\uff11\uff12. b\n \u0967\u0966.\u3000c\n\U0001d7d8\U0001d7e1. d\n"
        "1\u0662. e\n\u00b2. no\n\u2460. no\n\u2163. no\n\u4e00. no\n\u0661.no\n\u066b. no\n",  # digits of other scripts, and what is none
    ]
    rows = []
    for text in texts:
        counts = space["count_markdown_elements"](space["remove_pattern"](text, fence), suffix="")
        rows.append({"text": text, "length": len(text), "headers": sum(counts["header_count"].values()),
                     "lists": sum(counts["list_count"].values()), "bold": sum(counts["bold_count"].values())})
    return rows


def main():
    fastchat, output = Path(sys.argv[1]), Path(sys.argv[2])
    rows = make_battles(1200, seed=5)
    frame = pd.DataFrame([{key: row[key] for key in ("model_a", "model_b", "winner")} for row in rows])
    text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
    (output / "battles.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    golden = {"plain": plain(frame), "arena-rank": arena_rank_style(frame, rows), "fastchat": fastchat_style(rows)}
    (output / "ratings.json").write_text(json.dumps(golden, indent=1) + "\n")
    (output / "styles.json").write_text(json.dumps(fastchat_counts(fastchat), indent=1) + "\n")


if __name__ == "__main__":
    main()
