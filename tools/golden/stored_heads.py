"""Reward heads as training tools and the Hub publish them, on transformers' decoders. Formulas: TRL 1.16 experimental/ppo/modeling_value_head.py
and LLaMA-Factory train/rm (v_head); OpenRLHF 0.11 models/model.py; the card of Llama-3.1-Nemotron-70B-Reward-HF; allenai/reward-bench
models/qrm.py and models/ldlreward.py; SGLang models/llama_classification.py (URM)."""

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.modeling_outputs import SequenceClassifierOutput

import tiny

LLAMA_GATE, GEMMA_GATE = [36, 37, 38, 39, 5], [39, 6, 38, 37, 6]  # gating_token_pattern of the fixtures


class ByFormula(nn.Module):
    """A decoder, tensors of a head, and the published formula from final hidden states [T, D] and ids to a score."""

    def __init__(self, config, tensors, formula):
        super().__init__()
        self.config, self.formula = config, formula
        self.model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").model
        self.names = list(tensors)
        self.tensors = nn.ParameterList([nn.Parameter(t.float(), requires_grad=False) for t in tensors.values()])

    def forward(self, ids):
        head = {name: value.float() if value.dtype == torch.bfloat16 else value for name, value in zip(self.names, self.tensors)}
        hidden = self.model(ids).last_hidden_state[0]
        if hidden.dtype == torch.bfloat16:
            hidden = hidden.float()  # heads compute in float32
        return SequenceClassifierOutput(logits=self.formula(self.config, head, hidden, ids[0].tolist()).reshape(1, 1))


def pooled(config, ids):
    return max(i for i, token in enumerate(ids) if token != config.pad_token_id)


def gate_position(config, ids):
    pattern = config.gating_token_pattern
    return max(i for i in range(len(ids)) if ids[i : i + len(pattern)] == pattern)


def value_head(config, head, hidden, ids):
    return hidden[-1] @ head["v_head.summary.weight"][0] + head["v_head.summary.bias"]


def openrlhf(config, head, hidden, ids):
    reward = hidden[-1] @ next(iter(head.values()))[0]
    return (reward - config.mean) / config.std if getattr(config, "normalize_reward", False) else reward


def lm_logit(token):
    def formula(config, head, hidden, ids):
        logit = hidden[-1] @ next(iter(head.values()))[token]
        cap = getattr(config, "final_logit_softcapping", None)
        return (logit / cap).tanh() * cap if cap else logit
    return formula


def quantile_gate(config, head, x, temperature):
    numbers = sorted({int(name.split(".")[2]) for name in head if name.startswith("gating.layers.")})
    for number in numbers:
        p = f"gating.layers.{number}."
        if p + "running_mean" in head:
            x = (x - head[p + "running_mean"]) / (head[p + "running_var"] + 1e-5).sqrt() * head[p + "weight"] + head[p + "bias"]
        else:
            x = head[p + "weight"] @ x
            x = x + head[p + "bias"] if number == numbers[-1] else x.relu()
    return (x / temperature).softmax(-1) * head.get("gating.logit_scale", 1.0)


def qrm(temperature):
    def formula(config, head, hidden, ids):
        gate = quantile_gate(config, head, hidden[gate_position(config, ids)], temperature)
        rewards = (head["regression_layer.weight"] @ hidden[pooled(config, ids)]).view(gate.numel(), -1).mean(-1)
        if "reward_transform_matrix" in head:
            rewards = rewards @ head["reward_transform_matrix"]
        return (gate * rewards).sum()
    return formula


def urm(config, head, hidden, ids):
    x = hidden[pooled(config, ids)]
    means = (head["score.weight"] @ x)[0::2]
    for number in (0, 2, 4):
        x = head[f"weights.fc.{number}.weight"] @ x + head[f"weights.fc.{number}.bias"]
        x = nn.functional.selu(x) if number < 4 else x
    return (means * x).sum()


def network(head, prefix, x):
    numbers = sorted({int(name.removeprefix(prefix).split(".")[0]) for name in head if name.startswith(prefix)})
    for number in numbers:
        x = head[f"{prefix}{number}.weight"] @ x + head[f"{prefix}{number}.bias"]
        x = x if number == numbers[-1] else nn.functional.leaky_relu(x)
    return x


def ldl(softmax, temperature):
    def formula(config, head, hidden, ids):
        x = hidden[pooled(config, ids)]
        expected = network(head, "regression_layer.network.", x).view(-1, 10).softmax(-1) @ torch.linspace(0, 1, 10, dtype=x.dtype)
        gate = network(head, "gating_layer.network.", x)
        return ((gate / temperature).softmax(-1) * expected if softmax else gate * expected).sum()
    return formula


def v_head(config, head, hidden, ids):
    assert ids[-1] == config.reward_token_id
    return hidden[-1] @ head["v_head.weight"][0]


INTERNLM2_NAMES = {"embed_tokens": "tok_embeddings", "self_attn.o_proj": "attention.wo", "mlp.gate_proj": "feed_forward.w1",
                   "mlp.up_proj": "feed_forward.w3", "mlp.down_proj": "feed_forward.w2", "input_layernorm": "attention_norm",
                   "post_attention_layernorm": "ffn_norm"}


def internlm2_weights(weights, config):
    """A Llama's tensors as InternLM2 names and stores them: q heads, k and v of each key/value head one after another (its own
    modeling_internlm2.py splits wqkv as "(h gs d)", h key/value heads of gs heads of width d)."""
    out = {}
    for name, value in weights.items():
        if "q_proj" in name:
            parts = [weights[name.replace("q_proj", p)].view(config.num_key_value_heads, -1, config.head_dim, config.hidden_size)
                     for p in ("q_proj", "k_proj", "v_proj")]
            out[name.replace("self_attn.q_proj", "attention.wqkv")] = torch.cat(parts, dim=1).flatten(0, 2).contiguous()
        elif "k_proj" not in name and "v_proj" not in name:
            for old, new in INTERNLM2_NAMES.items():
                name = name.replace(old, new)
            out[name] = value
    return out


def internlm2_loader(config, head):
    """load(folder, dtype) for model_rows.describe: the trunk of the folder in a Llama."""
    def load(folder, dtype):
        model, stored = ByFormula(config, head, v_head), load_file(folder / "model.safetensors")
        trunk = {}
        for name in model.model.state_dict():
            path = "model." + name
            for old, new in INTERNLM2_NAMES.items():
                path = path.replace(old, new)
            projection = name.split(".")[-2]
            if projection in ("q_proj", "k_proj", "v_proj"):
                heads = stored[path.replace(f"self_attn.{projection}", "attention.wqkv")].view(
                    config.num_key_value_heads, -1, config.head_dim, config.hidden_size)
                part = {"q_proj": slice(0, -2), "k_proj": slice(-2, -1), "v_proj": slice(-1, None)}[projection]
                trunk[name] = heads[:, part].flatten(0, 2)
            else:
                trunk[name] = stored[path]
        model.model.load_state_dict(trunk)
        return model.to(dtype).eval()
    return load


def shapes_of_mlp(prefix, numbers, widths, bias=True):
    shapes = {}
    for number, (inputs, outputs) in zip(numbers, zip(widths, widths[1:])):
        shapes[f"{prefix}{number}.weight"] = (outputs, inputs)
        if bias:
            shapes[f"{prefix}{number}.bias"] = (outputs,)
    return shapes


def shapes_of_gate(linears, norms, widths):
    shapes = shapes_of_mlp("gating.layers.", linears, widths, bias=False)
    shapes[f"gating.layers.{linears[-1]}.bias"] = (widths[-1],)
    for number, width in zip(norms, widths[1:]):
        for name in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"gating.layers.{number}.{name}"] = (width,)
    return shapes


def random_tensors(shapes, seed, scale=1.5):
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in sorted(shapes.items()):
        noise = torch.randn(shape, generator=generator)
        if name.endswith("running_var"):
            tensors[name] = 0.5 + noise.abs()
        elif name.endswith("running_mean") or name.endswith("bias"):
            tensors[name] = 0.2 * noise
        elif len(shape) == 1:
            tensors[name] = 1 + 0.2 * noise
        else:
            tensors[name] = scale * shape[-1] ** -0.5 * noise
    return tensors


def write(folder, config, config_json, seed, head, place="model", trunk_prefix="model."):
    """A decoder with a head's tensors in the model file, or in files of their own: name -> its prefix there."""
    weights = tiny.seeded_weights(config, seed, head=False)
    weights = {trunk_prefix + name.removeprefix("model."): value for name, value in weights.items()}
    if place == "model":
        tiny.write_model(folder, config_json, {**weights, **head})
        return
    tiny.write_model(folder, config_json, weights)
    for file, prefix in place.items():
        part = {name.removeprefix(prefix): value for name, value in head.items() if name.startswith(prefix)}
        save_file(part, folder / file) if file.endswith(".safetensors") else torch.save(part, folder / file)


def loader(head, formula):
    """load(folder, dtype) for model_rows.describe."""
    def load(folder, dtype):
        config = AutoConfig.from_pretrained(folder, num_labels=1)
        model = ByFormula(config, head, formula)
        trunk = {name.removeprefix("model."): value.float() for name, value in load_file(folder / "model.safetensors").items()}
        model.model.load_state_dict({name: trunk[name] for name in model.model.state_dict()})
        return model.to(dtype).eval()
    return load
