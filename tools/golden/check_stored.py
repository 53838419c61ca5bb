#!/usr/bin/env python3
"""Twins of published reward models whose head or adapter transformers does not load by itself, with the whole vocabulary, a real
tokenizer and a real template, as check_twins.py: from conversation to score, charm against peft or the published code's formula
(stored_heads.py). Prints the rows of a table of docs/compatibility.md.

    python tools/golden/check_stored.py --data ../shared/data      # an environment with requirements.txt, peft included
"""

import argparse
import json
import pathlib
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoConfig

import check_twins
import compare_text
import model_rows
import stored_heads
import tiny
import twins
import weights
from reference import ReferenceScorer
from twins import Twin

LLAMA31, LLAMA3, GEMMA = "meta-llama-Llama-3.1-8B-Instruct", "trl-llama3", "google-gemma-2-2b-it"


def causal(published, architecture, **changes):
    value = {**published, "architectures": [architecture], **changes}
    return {key: v for key, v in value.items() if key not in ("id2label", "label2id", "num_labels")}


def sizes(twin):
    return twins.shrink(twin.published, check_twins.HEAD_DIM)


def by_formula(shapes_of, formula, place="model", trunk_prefix="model."):
    """Writes a folder with a head of these shapes; returns its reference."""
    def make(twin, folder, seed):
        value = sizes(twin)
        config = AutoConfig.for_model(value["model_type"], **{k: v for k, v in value.items() if k != "model_type"})
        config.gating_token_pattern = stored_heads_pattern(config)
        config.dtype = torch.float32  # the weights are stored so
        head = stored_heads.random_tensors(shapes_of(config.hidden_size, config.vocab_size), seed)
        stored_heads.write(folder, config, value, seed, head, place, trunk_prefix)
        model = stored_heads.ByFormula(config, head, formula)
        trunk = {name.removeprefix("model."): v.float() for name, v in load_file(folder / "model.safetensors").items()}
        model.model.load_state_dict({name: trunk[name] for name in model.model.state_dict()})
        return folder, model.eval()
    return make


def stored_heads_pattern(config):
    """The header that the published code looks for, by ids."""
    return [107, 108, 106, 2516, 108] if config.model_type == "gemma2" else [128009, 128006, 78191, 128007, 271]


def qrm(objectives, quantiles, matrix, hidden=24):
    linears, norms = ((0, 3, 6, 9), (2, 5, 8)) if matrix else ((0, 4, 8, 11), (2, 6, 10))
    def shapes(width, vocab):
        of = stored_heads.shapes_of_gate(linears, norms, (width, hidden, hidden, hidden, objectives))
        of["regression_layer.weight"] = (objectives * quantiles, width)
        if matrix:
            of.update({"reward_transform_matrix": (objectives, objectives), "gating.logit_scale": (1,)})
        return of
    return shapes


def urm_shapes(width, vocab):
    return {**stored_heads.shapes_of_mlp("weights.fc.", (0, 2, 4), (width, width, width, 5)), "score.weight": (10, width)}


def ldl_shapes(width, vocab):
    return {**stored_heads.shapes_of_mlp("regression_layer.network.", (0, 2, 4), (width, 24, 24, 50)),
            **stored_heads.shapes_of_mlp("gating_layer.network.", (0, 3, 6), (width, 24, 24, 5))}


def value_head_shapes(width, vocab):
    return {"v_head.summary.weight": (1, width), "v_head.summary.bias": (1,)}


def as_bin(twin, folder, seed):
    twins.write(twin, folder, seed, head_dim=check_twins.HEAD_DIM)
    reference = model_rows.load(folder, torch.float32)
    weights.torch_save(folder, shards=2)
    return folder, reference


def adapter(causal_lm, vocabulary=None, **lora):
    """A base beside the folder, and the adapter in it; tokenizer and template are the adapter's."""
    def make(twin, folder, seed):
        base = folder / "base"
        value = sizes(twin)
        config = AutoConfig.for_model(value["model_type"], **{k: v for k, v in value.items() if k != "model_type"})
        tensors = tiny.seeded_weights(config, seed, head=not causal_lm)
        tiny.write_model(base, value, tensors)
        weights.write_adapter(folder / "adapter", base, seed + 1, vocabulary=vocabulary, task_type="SEQ_CLS", r=4, lora_alpha=8, **lora)
        return folder / "adapter", weights.merged(folder / "adapter", torch.float32)
    return make


FORMS = [
    (Twin("allenai/Llama-3.1-8B-Instruct-RM-RB2", twins.llama31(), "llama-3.2", LLAMA31, "`pytorch_model.bin` in shards"), as_bin),
    (Twin("nvidia/Llama-3.1-Nemotron-70B-Reward-HF", causal(twins.llama31(), "LlamaForCausalLM"), "llama-3.2", LLAMA31, "logit of token 0"),
     by_formula(lambda width, vocab: {"lm_head.weight": (vocab, width)}, stored_heads.lm_logit(0))),
    (Twin("nicolinho/QRM-Llama3.1-8B-v2", causal(twins.llama31(), "LlamaForRewardModelWithGating", num_quantiles=19, num_objectives=5),
          "llama-3.2", LLAMA31, "ArmoRM's class name; the gate at Llama-3's header"), by_formula(qrm(5, 19, True), stored_heads.qrm(10.0))),
    (Twin("nicolinho/QRM-Llama3-8B", causal(twins.llama3(), "LlamaForRewardModelWithGating3", num_quantiles=19, num_objectives=19),
          "llama-3", LLAMA3, "RewardBench's class name"), by_formula(qrm(19, 19, True), stored_heads.qrm(10.0))),
    (Twin("nicolinho/QRM-Gemma-2-27B", causal(twins.gemma2(), "Gemma2ForQuantileSequenceClassification"), "gemma-2", GEMMA,
          "the gate at Gemma's header"), by_formula(qrm(5, 19, False), stored_heads.qrm(1.0))),
    (Twin("LxzGordon/URM-LLaMa-3.1-8B", causal(twins.llama31(), "LlamaForSequenceClassificationWithNormal_Weights"), "llama-3.2", LLAMA31,
          "means and variances"), by_formula(urm_shapes, stored_heads.urm)),
    (Twin("ShikaiChen/LDL-Reward-Gemma-2-27B-v0.1", causal(twins.gemma2(), "LDLRewardModel27B", softmax=True, temperature=0.6), "gemma-2", GEMMA,
          "networks in files of their own"), by_formula(ldl_shapes, stored_heads.ldl(True, 0.6), {
              "regression_layer.pt": "regression_layer.", "gating_layer.pt": "gating_layer."}, trunk_prefix="")),
    (Twin("an OpenRLHF export", causal(twins.llama3(), "RewardModel"), "llama-3", LLAMA3, "class `RewardModel`"),
     by_formula(lambda width, vocab: {"score.weight": (1, width)}, stored_heads.openrlhf)),
    (Twin("a LLaMA-Factory export", causal(twins.qwen2(), "Qwen2ForCausalLM"), "qwen2.5", "Qwen-Qwen2.5-7B-Instruct", "`value_head.safetensors`"),
     by_formula(value_head_shapes, stored_heads.value_head, {"value_head.safetensors": ""})),
    (Twin("a value head of TRL", causal(twins.mistral(pad_token_id=None, vocab_size=32768), "MistralForCausalLM"), "mistral-7b-v0.3",
          "mistralai-Mistral-7B-Instruct-v0.3", "`v_head.*` in the model's file"), by_formula(value_head_shapes, stored_heads.value_head)),
    (Twin("a LoRA reward model of TRL", causal(twins.llama31(), "LlamaForCausalLM"), "llama-3.2", LLAMA31, "the adapter brings the head"),
     adapter(True, target_modules="all-linear")),
    (Twin("a LoRA reward model with a pad token of its own", causal(twins.llama3(pad_token_id=None, vocab_size=128256), "LlamaForCausalLM"),
          "llama-3", LLAMA3, "the adapter brings an embedding of 128257 rows"),
     adapter(True, vocabulary=128257, target_modules=["q_proj", "v_proj"], modules_to_save=["embed_tokens", "score"])),
    (Twin("a LoRA of a mixture's experts", twins.mixtral(), "mistral-7b-v0.2", "mistralai-Mistral-7B-Instruct-v0.2",
          "`target_parameters` of transformers 5"),
     adapter(False, target_modules=["q_proj", "v_proj"], target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"])),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=pathlib.Path, help="folder with chat_templates, tokenizers, alpaca_eval, ...")
    parser.add_argument("--build", default=check_twins.ROOT / "build/release", type=pathlib.Path, help="build folder of charm")
    parser.add_argument("--only", help="forms whose name contains this")
    parser.add_argument("--rows", type=int, default=120)
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    charm = options.build / "bin/charm"
    models = compare_text.models(options.data, charm)
    rows = check_twins.rows_of(compare_text.real_texts(options.data)[0])[: options.rows]
    failed, cells = False, []
    for number, (twin, make) in enumerate(FORMS):
        if options.only and options.only not in twin.repository:
            continue
        with tempfile.TemporaryDirectory() as name:
            folder, model = make(twin, pathlib.Path(name) / twin.repository.rpartition("/")[2].replace(" ", "-"), seed=500 + 3 * number)
            check_twins.write_text_files(twin, models, options.data, folder)
            reference = ReferenceScorer(folder, max_tokens=check_twins.MAX_TOKENS, model=model)
            compared, refused, different, worst, worst16, deviation = check_twins.compare(twin, rows, folder, charm, reference)
        failed |= bool(different)
        print(f"{twin.repository}: {compared} rows, {refused} refused, worst {worst:.2e}, bfloat16 {worst16:.2e}, {len(different)} differ "
              f"{different[:3]}", file=sys.stderr, flush=True)
        cells.append([twin.repository, f"{twin.tokenizer}, {twin.template}", twin.why, f"{compared}{f' ({refused} refused)' if refused else ''}",
                      f"{deviation:.2f}", f"{worst:.1e}", f"{worst16:.1e}"])
    print(compare_text.table(["twin of", "tokenizer, template", "specifics", "rows", "deviation", "float32", "bfloat16"], cells))
    sys.exit(failed)


if __name__ == "__main__":
    main()
