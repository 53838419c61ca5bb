#!/usr/bin/env python3
"""Where bfloat16's differences of a mixture of experts come from: counts the tokens that bfloat16 sends to other experts than float32, and
scores the same rows in bfloat16 with float32's choices. Twins and rows of check_twins.py, by transformers with its router in float32 as
charm's; the first numbers are charm's own.

    .venv-golden/bin/python tools/golden/check_routing.py --data ../shared/data
"""

import argparse
import pathlib
import tempfile

import torch
import transformers

import check_twins
import compare_text
import model_rows
import twins
from reference import ReferenceScorer


def route(router, normalise, choices, record):
    """The router's forward pass in float32; `choices` of another run in place of its own."""
    def forward(hidden):
        hidden = hidden.reshape(-1, router.hidden_dim)
        logits = hidden.float() @ router.weight.float().T
        probabilities = logits.softmax(dim=-1)
        indices = choices.pop(0) if choices is not None else probabilities.topk(router.top_k, dim=-1).indices
        record.append(indices)
        weights = probabilities.gather(-1, indices)
        if normalise:
            weights = weights / weights.sum(dim=-1, keepdim=True)
        return logits, weights.to(hidden.dtype), indices
    return forward


def run(model, ids, choices=None):
    """The score, and the experts of each layer and token."""
    record = []
    for layer in model.model.layers:
        layer.mlp.gate.forward = route(layer.mlp.gate, getattr(model.config, "norm_topk_prob", True), choices, record)
    with torch.inference_mode():
        return model(torch.tensor([ids])).logits.item(), record


def flips(a, b):
    """Tokens of each layer whose set of experts differs."""
    return [(x.sort(-1).values != y.sort(-1).values).any(-1) for x, y in zip(a, b)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--build", default=check_twins.ROOT / "build/release", type=pathlib.Path)
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    charm = options.build / "bin/charm"
    models = compare_text.models(options.data, charm)
    rows = check_twins.rows_of(compare_text.real_texts(options.data)[0])
    for number, twin in enumerate(twins.TWINS):
        if "num_experts_per_tok" not in twin.published:
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            check_twins.write_folder(twin, models, options.data, folder, seed=200 + number)
            ours, ours16 = (check_twins.charm_scores(charm, folder, rows, dtype) for dtype in ("float32", "bfloat16"))
            reference = ReferenceScorer(folder, max_tokens=check_twins.MAX_TOKENS)
            model, model16 = reference.model, model_rows.load(folder, torch.bfloat16)
            own, free, forced, tokens, flipped, last, still = [], [], [], 0, 0, 0, []
            for row in rows:
                key = row["prompt_id"], row["sample"]
                if ours[key]["error"] is not None:
                    continue
                ids = reference.ids(row["prompt"], row["response"])
                score, experts = run(model, ids)
                score16, experts16 = run(model16, ids)
                changed = flips(experts, experts16)
                own.append(abs(ours16[key]["score"] - ours[key]["score"]))
                free.append(abs(score16 - score))
                forced.append(abs(run(model16, ids, list(experts))[0] - score))
                tokens += sum(len(c) for c in changed)
                flipped += sum(int(c.sum()) for c in changed)
                last += any(bool(c[-1]) for c in changed)
                if not any(bool(c[-1]) for c in changed):
                    still.append(free[-1])
            print(f"{twin.repository}: {len(own)} rows; worst difference of charm in bfloat16 {max(own):.3f}, of transformers {max(free):.3f}, with "
                  f"float32's experts {max(forced):.3f}; {flipped} of {tokens} choices differ ({100 * flipped / tokens:.2f} %), in {last} rows of "
                  f"the pooled token; worst of the other rows {max(still):.3f}", flush=True)


if __name__ == "__main__":
    main()
