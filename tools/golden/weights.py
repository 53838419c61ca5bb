"""The same tiny reward model as it lies on disk elsewhere: PEFT adapters, files of torch.save, names of training frameworks."""

import json
import shutil

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, LlamaConfig

import tiny

SIZES = dict(vocab_size=40, hidden_size=16, intermediate_size=24, num_attention_heads=2, num_key_value_heads=1, head_dim=8)


def base_config(**changes):
    return tiny.tiny_config(LlamaConfig, **{**SIZES, **changes})


def write_base(folder, seed, dtype=torch.float32, causal_lm=False, **changes):
    config = base_config(**changes)
    weights = tiny.seeded_weights(config, seed, dtype, head=not causal_lm)
    value = tiny.v5_json(config, dtype=str(dtype).removeprefix("torch."))
    if causal_lm:
        value["architectures"] = ["LlamaForCausalLM"]
        for key in ("num_labels", "id2label", "label2id"):
            value.pop(key, None)
        generator = torch.Generator().manual_seed(seed + 1)
        weights["lm_head.weight"] = (torch.randn(config.vocab_size, config.hidden_size, generator=generator) * 0.3).to(dtype)
    tiny.write_model(folder, value, weights)
    return config


def load_base(folder, dtype=None):
    return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=dtype, attn_implementation="eager")


def write_adapter(folder, base, seed, safe=True, **lora):
    """An adapter of `base` with random factors; its base_model_name_or_path is relative to its own folder."""
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(seed)
    model = get_peft_model(load_base(base), LoraConfig(**lora))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, value in sorted(model.named_parameters()):
            if value.requires_grad:
                value.copy_(0.5 * torch.randn(value.shape, generator=generator))
    model.save_pretrained(folder, safe_serialization=safe)
    if not safe and not (folder / "adapter_model.bin").exists():
        weights = load_file(folder / "adapter_model.safetensors")
        (folder / "adapter_model.safetensors").unlink()
        torch.save(weights, folder / "adapter_model.bin")
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    value = json.loads(path.read_text())
    value["base_model_name_or_path"] = f"../{base.name}"
    for key in ("target_modules", "modules_to_save"):  # written in the order of a set
        if isinstance(value.get(key), list):
            value[key] = sorted(value[key])
    tiny.write_json(path, value)


def merged(folder, dtype):
    """The adapter of `folder` merged by peft in float32."""
    base = (folder / json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]).resolve()
    model = PeftModel.from_pretrained(load_base(base, torch.float32), folder).merge_and_unload()
    return model.to(dtype).eval()


def torch_save(folder, names=lambda name: name, shards=1, strided=False):
    """Replaces model.safetensors by pytorch_model.bin: parameters and plain tensors, or views of larger and transposed storages."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    out = {}
    for number, (name, value) in enumerate(sorted(weights.items())):
        if strided and value.dim() == 2:
            value = value.t().contiguous().t() if number % 2 else torch.cat([value, value])[value.shape[0]:]
        out[names(name)] = torch.nn.Parameter(value) if number % 3 == 0 and not strided else value
    if shards == 1:
        torch.save(out, folder / "pytorch_model.bin")
        return
    items, index = list(out.items()), {}
    for shard in range(shards):
        file = f"pytorch_model-{shard + 1:05d}-of-{shards:05d}.bin"
        part = dict(items[shard::shards])
        torch.save(part, folder / file)
        index.update({name: file for name in part})
    tiny.write_json(folder / "pytorch_model.bin.index.json", {"metadata": {"total_size": 1}, "weight_map": dict(sorted(index.items()))})
