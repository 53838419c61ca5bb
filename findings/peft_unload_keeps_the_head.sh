#!/usr/bin/env bash
# What:     unload() on a reward model with a LoRA adapter (task type SEQ_CLS, whose score head is trained and stored with the adapter).
# Version:  peft 0.21.2 (transformers 5.17.0, torch 2.11.0).
# Expected: the base model, as its description says; the scores are those of the base model, as within disable_adapter().
# Seen:     the LoRA updates are gone but the adapter's head stays: a base trunk under a trained head, whose scores are neither the base
#           model's nor the adapter's. merge_and_unload(adapter_names=[]) gives the same mixture. A copy of the adapter by
#           add_weighted_adapter(["default"], [1.0]) has the opposite one: its updates with the base model's head.
# Matters:  the score before training, the reference of a comparison, is taken from a model that never existed; nothing warns, as every
#           tensor has its place.
set -euo pipefail
tools=$(cd "$(dirname "$0")/../tools" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check --no-compile --no-deps torch==2.11.0 nvidia-cuda-runtime==13.0.96 \
  nvidia-cuda-cupti==13.0.85 peft==0.21.2 accelerate==1.15.0 psutil==7.2.2 transformers==5.17.0 huggingface-hub==1.33.0 \
  tokenizers==0.23.3 safetensors==0.8.0 numpy==2.3.3 packaging==26.3 pyyaml==6.0.3 regex==2026.11.15 tqdm==4.70.1 filelock==4.2.12 \
  fsspec==2026.9.0 typing-extensions==4.16.0 httpx==0.28.1 httpcore==1.0.9 h11==0.16.0 anyio==4.16.0 idna==3.20 certifi==2026.10.18 \
  click==8.5.1 jinja2==3.1.6 markupsafe==3.0.4 networkx==3.6.1 sympy==1.14.0 mpmath==1.4.1 typer==0.29.2 rich==15.0.0 shellingham==1.5.4 \
  annotated-doc==0.0.7 setuptools==80.9.0
"$tools/absent_cuda.sh" "$dir"/venv/lib/python3*/site-packages/torch/lib "$dir/absent"  # instead of 3 GB that no CPU uses
LD_LIBRARY_PATH=$dir/absent HF_HUB_OFFLINE=1 "$dir/venv/bin/python" -W ignore - > "$dir/seen" << 'EOF'
import copy

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForSequenceClassification

torch.manual_seed(0)
base = LlamaForSequenceClassification(LlamaConfig(vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                                                  num_attention_heads=4, num_labels=1, pad_token_id=0)).eval()
tokens = torch.randint(1, 50, (4, 9))
adapter = LoraConfig(task_type="SEQ_CLS", r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)


def trained():
    torch.manual_seed(1)
    model = get_peft_model(copy.deepcopy(base), adapter).eval()
    with torch.no_grad():
        model.base_model.model.score.modules_to_save["default"].weight.add_(1)
    return model


@torch.no_grad()
def score(model):
    return model(input_ids=tokens).logits[:, 0]


@torch.no_grad()
def mixture(trunk, head):
    """The trunk of one model under the score head of another."""
    model = copy.deepcopy(trunk)
    model.score.weight.copy_(head.score.weight)
    return score(model)


merged = trained().merge_and_unload()
names = {"the base model": score(base), "the adapter": score(merged), "base trunk, adapter's head": mixture(base, merged),
         "adapter's trunk, base head": mixture(merged, base)}
assert all((a - b).abs().max() > 0.05 for x, a in names.items() for y, b in names.items() if x < y)


def show(title, scores):
    print(f"{title}: scores of", *(name for name, expected in names.items() if torch.allclose(scores, expected, atol=1e-4)))


model = trained()
show("model", score(model))
with model.disable_adapter():
    show("disable_adapter", score(model))
show("unload", score(model.unload()))
show("merge_and_unload", score(trained().merge_and_unload()))
show("merge_and_unload of no adapter", score(trained().merge_and_unload(adapter_names=[])))
model = trained()
model.add_weighted_adapter(["default"], [1.0], "copy")
model.set_adapter("copy")
show("weighted copy", score(model))
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
model: scores of the adapter
disable_adapter: scores of the base model
unload: scores of base trunk, adapter's head
merge_and_unload: scores of the adapter
merge_and_unload of no adapter: scores of base trunk, adapter's head
weighted copy: scores of adapter's trunk, base head
EOF
