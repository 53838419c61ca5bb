"""Causal LM folder -> reward model folder (…ForSequenceClassification) with a head drawn from a seed.

Its scores mean nothing; they serve to compare two programs on a real trunk.
  .venv-golden/bin/python tools/golden/seed_head.py --model runs/smollm2 --output runs/smollm2-rm [--seed 0]
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--std", type=float, help="standard deviation of the head (default: 1/sqrt(hidden size))")
    args = parser.parse_args()
    if args.output.exists():
        sys.exit(f"seed_head: {args.output} exists")

    config = json.loads((args.model / "config.json").read_text())
    weights = {}
    for shard in sorted(args.model.glob("*.safetensors")):
        weights.update(load_file(shard))
    weights.pop("lm_head.weight", None)
    if "score.weight" in weights:
        sys.exit(f"seed_head: {args.model} has a head already")
    hidden = config["hidden_size"]
    generator = torch.Generator().manual_seed(args.seed)
    head = torch.randn(1, hidden, generator=generator) * (args.std or hidden**-0.5)
    weights["score.weight"] = head.to(weights["model.norm.weight"].dtype)

    config["architectures"] = [config["architectures"][0].replace("ForCausalLM", "ForSequenceClassification")]
    config["id2label"] = {"0": "LABEL_0"}
    config["label2id"] = {"LABEL_0": 0}
    partial = args.output.with_name(args.output.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file(weights, partial / "model.safetensors", metadata={"format": "pt"})
    (partial / "model.safetensors").chmod(0o644)
    (partial / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json"):
        if (args.model / name).exists():
            shutil.copy(args.model / name, partial / name)
    partial.rename(args.output)
    print(f"{args.output}: head of {hidden} values, seed {args.seed}")


if __name__ == "__main__":
    main()
