"""Writes tests/data/golden/encoders: tiny DeBERTa-v2 reward models with what transformers computes from pairs of texts.

Each folder is a model with a tokenizer and golden.json: `tolerance`, and `rows` of
  prompt, response   texts
  ids, prompt_length tokenizer(prompt, response), and its tokens of type 0; 0 where it is one text
  cut                the same with truncation=True, max_length=24, by truncation side
  score              DebertaV2ForSequenceClassification in float32, batch 1
  score_float64      the same in float64
  templated          ids and score of tokenizer(text) for the text of TEMPLATE
buckets.json holds the rows of the table of relative positions, by make_log_bucket_position.
  .venv-golden/bin/python tools/golden/make_encoder_golden.py
"""

import argparse
import json
from pathlib import Path

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DebertaV2Config
from transformers.models.deberta_v2 import modeling_deberta_v2

import tiny

SCORE_TOLERANCE = 1e-5
MAX_TOKENS = 24
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
SPECIALS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
WORDS = ["\u2581the", "\u2581a", "\u2581is", "\u2581sky", "\u2581blue", "\u2581because", "\u2581light", "ing", "er", "\u2581what", "\u2581ocean", "\u2581w", "ea", "th"]
LONG = "because the light is scattered by the air, blue more than red; " * 2
ROWS = [("What is the sky?", "The sky is blue because light scatters."), ("What is the sky?", ""), ("", "an answer"), ("", ""),
        ("What is the sky?", LONG), (LONG, "blue"), (LONG, LONG[:30]), ("name the ocean \n\n twice  ", "  the ocean [SEP] the ocean\t"),
        ("[CLS] \u00fc\u4f60\u597d", "\ufb01ne \U0001f31e"), ("a", "a")]
SHAPE = dict(vocab_size=64, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=96,
             layer_norm_eps=1e-7, num_labels=1, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1, initializer_range=0.02)
# The keys of microsoft/deberta-v3-base, of which the open reward models are fine-tunes.
V3 = dict(relative_attention=True, position_buckets=16, norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type="p2c|c2p",
          type_vocab_size=0, max_relative_positions=-1, position_biased_input=False, pooler_dropout=0, pooler_hidden_act="gelu")


def write_tokenizer(folder):
    letters = "\u2581abcdefghijklmnopqrstuvwxyzTWN.,;?:"
    pieces = [(token, 0.0) for token in SPECIALS] + [(word, -3.0 - 0.1 * i) for i, word in enumerate(WORDS)]
    pieces += [(letter, -6.0 - 0.01 * i) for i, letter in enumerate(letters)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Replace("\n", " "), normalizers.NFKC(), normalizers.Strip(left=False, right=True)])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in [*SPECIALS, "[MASK]"]])
    tokenizer.save(str(folder / "tokenizer.json"))
    # A class that takes tokenizer.json as it is written: DebertaV2Tokenizer of transformers 5 makes a normalizer of its own.
    tiny.write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]",
        "mask_token": "[MASK]", "model_max_length": 96})
    assert tokenizer.get_vocab_size() <= SHAPE["vocab_size"], tokenizer.get_vocab_size()


def seeded(config, seed, dtype):
    """Weights large enough that every part moves the score."""
    model = AutoModelForSequenceClassification.from_config(config)
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, value in sorted(model.state_dict().items()):
        noise = torch.randn(value.shape, generator=generator)
        if name.endswith("bias"):
            noise = 0.2 * noise
        elif "LayerNorm" in name:
            noise = 1.0 + 0.2 * noise
        elif "embeddings" not in name:
            noise = noise * 1.5 * (value[0].numel() ** -0.5)
        weights[name] = noise.to(dtype).contiguous()
    return weights


def load(folder, dtype, **attributes):
    config = transformers.AutoConfig.from_pretrained(folder)
    for key, value in attributes.items():
        setattr(config, key, value)
    return AutoModelForSequenceClassification.from_pretrained(folder, config=config, dtype=dtype, ignore_mismatched_sizes=bool(attributes)).to(dtype).eval()


def score(model, ids, prompt_length):
    types = [0] * prompt_length + [1 if prompt_length else 0] * (len(ids) - prompt_length)
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), token_type_ids=torch.tensor([types])).logits[0, 0].item()


def must_matter(folder, rows, **attributes):
    """A program without the feature fails on this fixture."""
    torch.manual_seed(0)
    model = load(folder, torch.float32, **attributes)
    worst = max(abs(score(model, row["ids"], row["prompt_length"]) - row["score"]) for row in rows)
    assert worst > 50 * SCORE_TOLERANCE, (folder, attributes, worst)


def case(root, name, seed, features=(), dtype=torch.float32, as_bin=False, early_names=False, json_changes=None, **changes):
    folder = root / name
    config = DebertaV2Config(**{**SHAPE, **changes})
    value = tiny.v5_json(config)
    if dtype == torch.bfloat16:
        value["dtype"] = "bfloat16"
    value.update(json_changes or {})
    weights = seeded(config, seed, dtype)
    if early_names:
        rename = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        for new, old in rename.items():
            weights = {key.replace(new, old): tensor for key, tensor in weights.items()}
    tiny.write_model(folder, value, weights)
    if as_bin:
        (folder / "model.safetensors").unlink()
        torch.save(weights, folder / "pytorch_model.bin")
    write_tokenizer(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model, model64, model16 = (load(folder, d) for d in (torch.float32, torch.float64, torch.bfloat16))
    rows, worst16 = [], 0.0
    for prompt, response in ROWS:
        inputs = tokenizer(prompt, response, return_token_type_ids=True)
        ids, types = inputs["input_ids"], inputs["token_type_ids"]
        prompt_length = types.count(0) if 1 in types else 0  # an empty second text is none, in the tokenizer's call
        assert len(ids) <= SHAPE["max_position_embeddings"], (prompt, len(ids))
        cut = {}
        for side in ("left", "right"):
            tokenizer.truncation_side = side
            cut[side] = tokenizer(prompt, response, truncation=True, max_length=MAX_TOKENS)["input_ids"]
        text = f"user: {prompt}\nassistant: {response}\n"
        templated = tokenizer(text)["input_ids"]
        if len(templated) > SHAPE["max_position_embeddings"]:
            templated = None
        numbers = [score(m, ids, prompt_length) for m in (model, model64)]
        assert abs(numbers[0] - numbers[1]) < SCORE_TOLERANCE / 2, (name, numbers)
        worst16 = max(worst16, abs(score(model16, ids, prompt_length) - numbers[1]))
        values = tiny.numbers(torch.tensor(numbers, dtype=torch.float64))
        row = {"prompt": prompt, "response": response, "ids": ids, "prompt_length": prompt_length, "cut": cut,
               "score": values[0], "score_float64": values[1]}
        if templated:
            row["templated"] = {"ids": templated, "score": tiny.numbers(torch.tensor([score(model64, templated, 0)]))[0]}
        rows.append(row)
    # Rows that are not written, but count for bfloat16's error, which few rows say little about.
    generator = torch.Generator().manual_seed(seed + 1000)
    draw = lambda n: torch.randint(4, 40, (n,), generator=generator).tolist()
    for n in range(64):
        prompt = [1, *draw(1 + n % 20), 2]
        ids = [*prompt, *draw(1 + 5 * n % 40), 2]
        worst16 = max(worst16, abs(score(model16, ids, len(prompt)) - score(model64, ids, len(prompt))))
    assert torch.tensor([row["score"] for row in rows]).std() > 0.05, name
    for attributes in features:
        must_matter(folder, rows, **attributes)
    tiny.write_compact_json(folder / "golden.json", {
        "made_by": f"tools/golden/make_encoder_golden.py, transformers {transformers.__version__}, torch {torch.__version__}",
        # bfloat16: twice the worst error that transformers' own bfloat16 makes on these rows and others.
        "tolerance": {"score": SCORE_TOLERANCE, "score_bfloat16": float(f"{2 * worst16:.2g}")},
        "max_tokens": MAX_TOKENS, "template": TEMPLATE, "rows": rows})
    print(f"{name}: bfloat16 {worst16:.2g}")


def write_buckets(path):
    cases = []
    for buckets, max_position in ((256, 512), (16, 96), (8, 20), (32, 512), (256, 4096), (7, 64)):
        length = 2 * max_position if max_position < 1000 else 1024
        distances = torch.arange(1 - length, length)
        found = modeling_deberta_v2.make_log_bucket_position(distances, buckets, max_position).to(torch.long)
        rows = torch.clamp(found + buckets, 0, 2 * buckets - 1)
        cases.append({"buckets": buckets, "max_position": max_position, "first_distance": 1 - length, "rows": rows.tolist()})
    path.write_text(json.dumps({"made_by": f"tools/golden/make_encoder_golden.py, transformers {transformers.__version__}",
                                "cases": cases}, separators=(",", ":")) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[2] / "tests/data/golden/encoders")
    root = parser.parse_args().output
    root.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    write_buckets(root / "buckets.json")
    # position_buckets changes the table's size, the others the formula alone.
    case(root, "deberta-v3", 1, json_changes={"pos_att_type": "p2c|c2p"}, **V3,
         features=[{"norm_rel_ebd": "none"}, {"pos_att_type": ["c2p"]}, {"pos_att_type": ["p2c"]}, {"share_att_key": False}, {"max_relative_positions": 40}])
    case(root, "deberta-v3-bf16", 2, dtype=torch.bfloat16, **V3)
    # Absolute positions, two types, a narrow embedding, a table without buckets that long rows go beyond; names and file of early versions.
    case(root, "absolute-positions", 3, as_bin=True, early_names=True, relative_attention=True, max_relative_positions=10, pos_att_type=["c2p"],
         position_biased_input=True, type_vocab_size=2, embedding_size=12, hidden_act="gelu_new", pooler_hidden_act="tanh",
         features=[{"pos_att_type": ["p2c"]}, {"hidden_act": "gelu"}, {"pooler_hidden_act": "gelu"}, {"position_biased_input": False}, {"type_vocab_size": 0}])
    case(root, "own-projections", 4, relative_attention=True, position_buckets=8, max_relative_positions=64, pos_att_type=["p2c", "c2p"],
         position_biased_input=False, type_vocab_size=0, hidden_act="relu", norm_rel_ebd="none",
         features=[{"share_att_key": True}, {"pos_att_type": ["p2c"]}, {"hidden_act": "gelu"}])
    case(root, "key-terms", 5, relative_attention=True, position_buckets=8, pos_att_type=["p2c"], position_biased_input=False, type_vocab_size=0)
    # The terms named still divide the logits.
    case(root, "no-relative-positions", 6, relative_attention=False, pos_att_type=["c2p", "p2c"], position_biased_input=True, type_vocab_size=2,
         layer_norm_eps=1e-2, features=[{"pos_att_type": []}, {"layer_norm_eps": 1e-7}])
    # The keys of microsoft/deberta-v2-xlarge.
    case(root, "deberta-v2-xlarge", 7, relative_attention=True, position_buckets=16, norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"],
         position_biased_input=False, type_vocab_size=0, conv_kernel_size=3, conv_act="gelu", attention_head_size=8, embedding_size=16, features=[{"conv_act": "tanh"}, {"conv_kernel_size": 0}])


if __name__ == "__main__":
    main()
