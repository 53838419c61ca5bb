"""The same tiny reward model as it lies on disk elsewhere: PEFT adapters, files of torch.save, names of training frameworks."""

import json
import os
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


def load_base(folder, dtype=None, vocabulary=None):
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=dtype, attn_implementation="eager",
                                                               experts_implementation="eager")
    if vocabulary is not None:
        model.resize_token_embeddings(vocabulary, mean_resizing=False)
    return model


def write_adapter(folder, base, seed, safe=True, edit=None, vocabulary=None, **lora):
    """An adapter of `base` with random factors; its base_model_name_or_path is relative to its own folder. `edit` changes its
    adapter_config.json."""
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(seed)
    model = get_peft_model(load_base(base, vocabulary=vocabulary), LoraConfig(**lora))
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
    value["base_model_name_or_path"] = os.path.relpath(base, folder)
    for key in ("target_modules", "exclude_modules", "modules_to_save", "target_parameters"):  # written in the order of a set
        if isinstance(value.get(key), list):
            value[key] = sorted(value[key])
    value.update(edit or {})
    tiny.write_json(path, value)


def write_expert_adapter(folder, base, seed, r, lora_alpha):
    """Factors of every expert of a Mixtral by itself."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, value in sorted(load_file(base / "model.safetensors").items()):
        if ".experts." in name:
            module = "base_model.model." + name.removesuffix(".weight")
            tensors[module + ".lora_A.weight"] = 0.5 * torch.randn(r, value.shape[1], generator=generator)
            tensors[module + ".lora_B.weight"] = 0.5 * torch.randn(value.shape[0], r, generator=generator)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    tiny.write_json(folder / "adapter_config.json", {
        "peft_type": "LORA", "base_model_name_or_path": os.path.relpath(base, folder), "r": r, "lora_alpha": lora_alpha,
        "target_modules": ["w1", "w2", "w3"], "bias": "none", "init_lora_weights": True, "task_type": None})


def merged(folder, dtype):
    """The adapter of `folder` merged by peft in float32, where merging gives what peft computes without."""
    base = (folder / json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]).resolve()
    embedding = [v for k, v in stored(folder).items() if k.endswith(("embed_tokens.weight", "embed_tokens.base_layer.weight"))]
    model = load_base(base, torch.float32, embedding[0].shape[0] if embedding else None)
    model = PeftModel.from_pretrained(model, folder).eval()
    ids = torch.tensor([[1, 5, 7, 9, 11]])
    before = model(ids).logits.item()
    model = model.merge_and_unload().eval()
    assert abs(model(ids).logits.item() - before) < 1e-4, (folder, before)
    return model.to(dtype)


def stored(folder):
    """The adapter's tensors as they lie in its file."""
    path = folder / "adapter_model.safetensors"
    return load_file(path) if path.exists() else torch.load(folder / "adapter_model.bin")


def write_fused(folder, source):
    """The model of `source` with its experts in single tensors, as transformers 5 holds them in memory."""
    shutil.rmtree(folder, ignore_errors=True)
    model = AutoModelForSequenceClassification.from_pretrained(source, dtype=torch.float32)
    model.save_pretrained(folder, save_original_format=False)
    shutil.copy(source / "config.json", folder / "config.json")
    (folder / "model.safetensors").chmod(0o644)


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
