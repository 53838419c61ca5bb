"""A model folder written by charm -> transformers -> charm.

  1. `charm score` on the folder against AutoModelForSequenceClassification: within the tolerance.
  2. transformers loads the folder and saves it again; `charm score` on that copy: equal bit for bit.
  .venv-golden/bin/python tools/golden/check_roundtrip.py --model runs/trained --responses responses.jsonl \\
      --charm build/release/bin/charm
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from transformers import AutoModelForSequenceClassification

from reference import ReferenceScorer, compare, print_worst, read_scores


def charm_scores(args, model, output):
    subprocess.run([args.charm, "score", "--model", model, "--responses", args.responses, "--output", output, "--dtype",
                    "float32", "--threads", str(args.threads), "--quiet"], check=True)
    return read_scores(output)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--responses", required=True)
    parser.add_argument("--charm", default="build/release/bin/charm")
    parser.add_argument("--threads", type=int, default=0, help="of charm; 0: all processors")
    parser.add_argument("--limit", type=int, help="compare this many rows with transformers (default: all)")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        first = charm_scores(args, args.model, work / "first")
        results = compare(first, ReferenceScorer(args.model), args.limit)
        if not results:
            sys.exit(f"check_roundtrip: no scored row of {args.responses}")
        worst = max(r[0] for r in results)
        print(f"charm against transformers: {len(results)} rows, worst difference {worst:.2e}")
        print_worst(results)

        copy = work / "copy"
        AutoModelForSequenceClassification.from_pretrained(args.model, dtype="auto").save_pretrained(copy)
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json"):
            if (args.model / name).exists():
                shutil.copy(args.model / name, copy / name)
        second = charm_scores(args, copy, work / "second")
        changed = [a["prompt_id"] for a, b in zip(first, second, strict=True) if a["score"] != b["score"]]
        print(f"saved by transformers and scored again: {len(changed)} of {len(second)} scores changed")
    sys.exit(1 if changed or worst > args.tolerance or any(r[1] for r in results) else 0)


if __name__ == "__main__":
    main()
