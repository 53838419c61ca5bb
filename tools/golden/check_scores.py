"""Compares a scores file of `charm score` with transformers on the same model folder.

  .venv-golden/bin/python tools/golden/check_scores.py --model runs/smollm2-rm --scores runs/check/scores [--limit 200]
Exit status 1 when a row differs by more than the tolerance, or in its number of tokens.
"""

import argparse
import sys

from reference import ReferenceScorer, compare, print_worst, read_scores


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--scores", required=True, help="a scores file, or a folder of them")
    parser.add_argument("--limit", type=int, help="compare this many rows, spread over the files (default: all)")
    parser.add_argument("--max-tokens", type=int, default=4096)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    args = parser.parse_args()

    results = compare(read_scores(args.scores), ReferenceScorer(args.model, max_tokens=args.max_tokens), args.limit)
    if not results:
        sys.exit(f"check_scores: no scored row in {args.scores}")
    wrong = sum(difference > args.tolerance or lengths for difference, lengths, _, _ in results)
    print(f"{len(results)} rows, worst difference {max(r[0] for r in results):.2e}, "
          f"{wrong} rows beyond {args.tolerance:g} or of another length")
    print_worst(results)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
