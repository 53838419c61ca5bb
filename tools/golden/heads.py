"""Reward heads that transformers has no class for, on its decoders. Descriptions: the model cards of INF-ORM, Qwen2.5-Math-RM, Eurus-RM
and UltraRM; GRM, arXiv 2406.10216; ArmoRM, arXiv 2406.12845 section 3 and its modeling_custom.py."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForSequenceClassification
from transformers.modeling_outputs import SequenceClassifierOutput

LLAMA3_HEADER = [128009, 128006, 78191, 128007, 271]  # where ArmoRM's gating network reads
LAST_TOKEN = ("v_head.summary", "regression_head")  # their own code reads the last token, whatever it is


def two_layer_head(config):
    return nn.Sequential(nn.Linear(config.hidden_size, config.hidden_size), nn.ReLU(), nn.Linear(config.hidden_size, 1))


def grm_head(config):
    if config.vhead_layer_type == "linear":
        return nn.Linear(config.hidden_size, 1)
    layers, width = [], config.hidden_size
    for _ in range(config.vhead_num_layers):
        layers += [nn.Linear(width, config.vhead_num_neurons), nn.ReLU()]
        width = config.vhead_num_neurons
    return nn.Sequential(*layers, nn.Linear(width, 1))


class Gating(nn.Module):
    """Weights of the objectives, from the hidden state at the end of the last user turn."""

    def __init__(self, config):
        super().__init__()
        widths = [config.hidden_size, *[config.gating_hidden_dim] * config.gating_n_hidden, config.num_objectives]
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in zip(widths, widths[1:]))
        self.logit_scale = nn.Parameter(torch.ones(1))
        self.temperature = config.gating_temperature

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return (self.layers[-1](x) / self.temperature).softmax(dim=-1) * self.logit_scale


class GatedModel(nn.Module):
    """A decoder whose score mixes objectives: the sum of gating(h_gate) * (regression_layer(h_last) @ reward_transform_matrix)."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").model
        self.regression_layer = nn.Linear(config.hidden_size, config.num_objectives, bias=False)
        self.reward_transform_matrix = nn.Parameter(torch.eye(config.num_objectives))
        self.gating = Gating(config)
        self.pattern = getattr(config, "gating_token_pattern", None) or LLAMA3_HEADER

    def forward(self, ids):
        assert len(ids) == 1
        row, hidden = ids[0].tolist(), self.model(ids).last_hidden_state[0]
        last = max(i for i, id in enumerate(row) if id != self.config.pad_token_id)
        gate = max(i for i in range(len(row)) if row[i : i + len(self.pattern)] == self.pattern)
        rewards = self.regression_layer(hidden[last]) @ self.reward_transform_matrix
        return SequenceClassifierOutput(logits=(self.gating(hidden[gate]) * rewards).sum().reshape(1, 1))


class TextTrunk(nn.Module):
    """A model of which transformers 5.17 has no sequence classifier: its trunk with a linear head on the right-most token that
    is no pad."""

    def __init__(self, wrapper):
        super().__init__()
        self.config, self.model = wrapper.config, wrapper.model
        self.score = nn.Linear(self.config.get_text_config().hidden_size, 1, bias=False)
        self.wrapper = [wrapper]  # in a list: as a submodule the trunk would be there twice

    @classmethod
    def of_config(cls, config):
        return cls(causal_class(config).from_config(config, attn_implementation="eager"))

    @classmethod
    def of_folder(cls, folder, config=None):
        config = config or AutoConfig.from_pretrained(folder)
        model = cls(causal_class(config).from_pretrained(folder, config=config, dtype=torch.float32, attn_implementation="eager"))
        model.score.weight = nn.Parameter(load_file(folder / "model.safetensors")["score.weight"].float())
        return model

    def forward(self, input_ids):
        hidden, pad = self.model(input_ids).last_hidden_state[0], self.config.get_text_config().pad_token_id
        last = max(i for i, id in enumerate(input_ids[0].tolist()) if id != pad)
        return SequenceClassifierOutput(logits=self.score(hidden[last]).reshape(1, 1))

    def save_pretrained(self, folder):
        self.wrapper[0].save_pretrained(folder)
        file = Path(folder) / "model.safetensors"
        weights = {k: v for k, v in load_file(file).items() if k != "lm_head.weight"}
        save_file({**weights, "score.weight": self.score.weight.data}, file, metadata={"format": "pt"})


def causal_class(config):
    return AutoModelForCausalLM if config.model_type == "gemma4_text" else AutoModelForImageTextToText


def has_no_classifier(config):
    name = config.architectures[0]
    return name.startswith("Gemma4") or name.startswith("Qwen") and "VLFor" in name


def is_gated(config):
    return config.architectures[0] == "LlamaForRewardModelWithGating"


def head_of(config):
    """The head of a config.json and its name there; none where transformers has the class."""
    if config.architectures[0] in ("INFORMForSequenceClassification", "Qwen2ForRewardModel"):
        return two_layer_head(config), "score"
    if config.architectures[0] in ("EurusRewardModel", "LlamaRewardModel"):
        return nn.Linear(config.hidden_size, 1, bias=False), "regression_head"
    if getattr(config, "vhead_layer_type", None):
        return grm_head(config), "v_head.summary"
    return None, None


def is_own(config):
    return is_gated(config) or head_of(config)[0] is not None


def load_own(folder):
    config = AutoConfig.from_pretrained(folder, num_labels=1)
    if has_no_classifier(config):
        return TextTrunk.of_folder(folder)
    if not is_own(config):
        return None
    weights = load_file(folder / "model.safetensors")
    if is_gated(config):
        model = GatedModel(config)
        model.load_state_dict({k: v.float() for k, v in weights.items()})
        return model
    head, name = head_of(config)
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
    model.score = head
    model.names_in_files = lambda own: own.replace("score.", name + ".")
    model.load_state_dict({k.replace(name + ".", "score."): v for k, v in weights.items()})
    if name in LAST_TOKEN:
        model.config.pad_token_id = None
    return model


def own_weights(weights, config_json, config, seed):
    """`weights` with the head that `config_json` asks for in place of the linear one."""
    for key in ("architectures", "vhead_layer_type", "vhead_num_layers", "vhead_num_neurons"):
        setattr(config, key, config_json.get(key))
    weights = {k: v for k, v in weights.items() if k != "score.weight"}
    if is_gated(config):
        state = {k: v for k, v in GatedModel(config).state_dict().items() if not k.startswith("model.")}
    else:
        head, name = head_of(config)
        state = {f"{name}.{key}": value for key, value in head.state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    for key, value in sorted(state.items()):
        scale = 0.2 if key.endswith("bias") else 1.5 * value.shape[-1] ** -0.5
        weights[key] = scale * torch.randn(value.shape, generator=generator)
    return weights
