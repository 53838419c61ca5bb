"""Reward heads that transformers has no class for, on its decoders. Descriptions: INF-ORM's model card; GRM, arXiv 2406.10216."""

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification


def inf_orm_head(config):
    return nn.Sequential(nn.Linear(config.hidden_size, config.hidden_size), nn.ReLU(), nn.Linear(config.hidden_size, 1))


def grm_head(config):
    if config.vhead_layer_type == "linear":
        return nn.Linear(config.hidden_size, 1)
    layers, width = [], config.hidden_size
    for _ in range(config.vhead_num_layers):
        layers += [nn.Linear(width, config.vhead_num_neurons), nn.ReLU()]
        width = config.vhead_num_neurons
    return nn.Sequential(*layers, nn.Linear(width, 1))


def head_of(config):
    """The head of a config.json and its name there; none where transformers has the class."""
    if config.architectures[0] == "INFORMForSequenceClassification":
        return inf_orm_head(config), "score"
    if getattr(config, "vhead_layer_type", None):
        return grm_head(config), "v_head.summary"
    return None, None


def load_own(folder):
    config = AutoConfig.from_pretrained(folder, num_labels=1)
    head, name = head_of(config)
    if head is None:
        return None
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
    model.score = head
    model.names_in_files = lambda own: own.replace("score.", name + ".")
    model.load_state_dict({k.replace(name + ".", "score."): v for k, v in load_file(folder / "model.safetensors").items()})
    if name == "v_head.summary":
        model.config.pad_token_id = None  # its own code reads the last token, whatever it is
    return model


def own_weights(weights, config_json, config, seed):
    """`weights` with the head that `config_json` asks for in place of the linear one."""
    for key in ("architectures", "vhead_layer_type", "vhead_num_layers", "vhead_num_neurons"):
        setattr(config, key, config_json.get(key))
    head, name = head_of(config)
    generator = torch.Generator().manual_seed(seed)
    weights = {k: v for k, v in weights.items() if k != "score.weight"}
    for key, value in sorted(head.state_dict().items()):
        scale = 0.2 if key.endswith("bias") else 1.5 * value.shape[-1] ** -0.5
        weights[f"{name}.{key}"] = scale * torch.randn(value.shape, generator=generator)
    return weights
