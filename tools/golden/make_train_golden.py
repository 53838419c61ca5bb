"""Writes tests/data/golden/train: a Bradley-Terry training run of a tiny reward model as transformers' Trainer would do it.

  model/           the starting point, with tokenizer and template
  preferences.jsonl  six pairs on three prompts; every step uses all of them, so their order does not matter
  golden.json      scores, loss, gradient norm; options and the ten steps' loss, norm and rate; tolerances
  gradients/       d loss / d weight at the start, unclipped, under the weights' names
  step1/ step10/   weights after one step without warm-up, and after ten with two warm-up steps and cosine decay, on the rates of
                   transformers' schedule without its step 0, whose rate is 0 (docs/decisions/0060-steps-of-a-training.md)
  .venv-golden/bin/python tools/golden/make_train_golden.py
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, get_cosine_schedule_with_warmup

import tiny

OPTIONS = {"learning_rate": 1e-3, "weight_decay": 0.1, "adam_beta1": 0.9, "adam_beta2": 0.999, "adam_eps": 1e-8,
           "clip_norm": 0.25}  # below the first gradient norms: clipping takes part
PAIRS = [
    ("What floats on water?", "Wood floats, and so does ice.", "Iron."),
    ("What floats on water?", "A duck.", "I am not able to think about the water today, sorry."),
    ("Count to three.", "One, two, three.", "One, three."),
    ("Count to three.", "1 2 3", ""),
    ("Where is the moon?", "Going around the earth.", "Under the earth, in the outer ring, the other one."),
    ("Where is the moon?", "In the sky: 月.", "In the cellar."),
]


def load(folder, dtype):
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype, attn_implementation="eager")
    return model.to(dtype).train()  # no dropout in these configs: train() and eval() compute the same


def rows_of(tokenizer):
    conversation = lambda prompt, response: [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
    encode = lambda prompt, response: tokenizer.apply_chat_template(conversation(prompt, response), return_dict=False)
    return [(encode(p, chosen), encode(p, rejected)) for p, chosen, rejected in PAIRS]


def pair_loss(model, rows):
    """-log sigmoid(r_chosen - r_rejected), mean over pairs; every sequence alone, so that padding plays no part."""
    score = lambda ids: model(torch.tensor([ids])).logits[0, 0]
    scores = torch.stack([torch.stack([score(c), score(r)]) for c, r in rows])
    return -torch.nn.functional.logsigmoid(scores[:, 0] - scores[:, 1]).mean(), scores.detach()


def optimizer_of(model):
    """Parameter groups of transformers.Trainer.create_optimizer: no decay for biases and norms."""
    decayed = set(Trainer.get_decay_parameter_names(None, model))
    named = list(model.named_parameters())
    groups = [{"params": [p for n, p in named if n in decayed], "weight_decay": OPTIONS["weight_decay"]},
              {"params": [p for n, p in named if n not in decayed], "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=OPTIONS["learning_rate"], betas=(OPTIONS["adam_beta1"], OPTIONS["adam_beta2"]),
                             eps=OPTIONS["adam_eps"])


def train(folder, rows, dtype, num_steps, warmup_steps):
    model = load(folder, dtype)
    optimizer = optimizer_of(model)
    schedule = get_cosine_schedule_with_warmup(optimizer, warmup_steps + 1, num_steps + 1)
    schedule.step()  # past the step of rate 0
    steps = []
    for _ in range(num_steps):
        loss, _ = pair_loss(model, rows)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), OPTIONS["clip_norm"])
        steps.append({"loss": loss.item(), "grad_norm": norm.item(), "learning_rate": schedule.get_last_lr()[0]})
        optimizer.step()
        schedule.step()
    return {n: p.detach().clone() for n, p in model.named_parameters()}, steps


def worst(a, b):
    return max((a[n].double() - b[n].double()).abs().max().item() for n in a)


def save(folder, weights):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_file({n: w.float().contiguous() for n, w in weights.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[2] / "tests/data/golden/train")
    root = parser.parse_args().output
    torch.set_num_threads(1)

    config = tiny.tiny_config(vocab_size=267, hidden_size=16, intermediate_size=24, num_attention_heads=2,
                              num_key_value_heads=1, pad_token_id=2, bos_token_id=0, attention_bias=True)
    model_dir = root / "model"
    tiny.write_model(model_dir, tiny.v5_json(config), tiny.seeded_weights(config, 11))
    tiny.write_tokenizer(model_dir)
    rows = rows_of(AutoTokenizer.from_pretrained(model_dir))
    with open(root / "preferences.jsonl", "w", encoding="utf-8") as f:
        for prompt, chosen, rejected in PAIRS:
            turns = lambda r: [{"role": "user", "content": prompt}, {"role": "assistant", "content": r}]
            f.write(json.dumps({"chosen": turns(chosen), "rejected": turns(rejected)}, ensure_ascii=False) + "\n")

    gradients, golden = {}, {}
    for dtype in (torch.float64, torch.float32):  # float32 last: its values are kept
        model = load(model_dir, dtype)
        loss, scores = pair_loss(model, rows)
        loss.backward()
        gradients[dtype] = {n: p.grad for n, p in model.named_parameters()}
        golden[dtype] = {"loss": loss.item(), "scores": scores.tolist()}
    norm = torch.sqrt(sum((g.double() ** 2).sum() for g in gradients[torch.float64].values())).item()
    assert norm > 2 * OPTIONS["clip_norm"], norm
    runs = {dtype: (train(model_dir, rows, dtype, 1, 0), train(model_dir, rows, dtype, 10, 2))
            for dtype in (torch.float32, torch.float64)}
    (step1, first), (step10, steps) = runs[torch.float32]
    (step1_64, _), (step10_64, _) = runs[torch.float64]
    start = load_file(model_dir / "model.safetensors")
    assert worst(start, step1) > 5e-4 and steps[-1]["loss"] < steps[0]["loss"] - 0.01

    save(root / "gradients", gradients[torch.float32])
    save(root / "step1", step1)
    save(root / "step10", step10)
    # Adam divides by the gradient's size, so a weight whose gradient is all rounding moves by a share of the rate: the tolerance of
    # a step is ten times what float32 itself loses against float64 here, at least 1e-5.
    step_tolerance = lambda a, b: float(f"{max(1e-5, 10 * worst(a, b)):.2g}")
    tiny.write_compact_json(root / "golden.json", {
        "made_by": f"tools/golden/make_train_golden.py, transformers {transformers.__version__}, torch {torch.__version__}",
        "tolerance": {"score": 1e-4, "loss": 1e-5, "gradient": 1e-5, "step1": step_tolerance(step1, step1_64),
                      "step10": step_tolerance(step10, step10_64)},
        "options": OPTIONS,
        "pairs": [{"chosen": c, "rejected": r} for c, r in rows],
        "scores": [tiny.numbers(torch.tensor(pair)) for pair in golden[torch.float32]["scores"]],
        "loss": golden[torch.float32]["loss"],
        "grad_norm": norm,
        "step1": first,
        "step10": {"warmup_steps": 2, "steps": steps},
    })
    print("gradient float32 - float64:", worst(gradients[torch.float32], gradients[torch.float64]),
          "step1:", worst(step1, step1_64), "step10:", worst(step10, step10_64), "norm:", norm)


if __name__ == "__main__":
    main()
