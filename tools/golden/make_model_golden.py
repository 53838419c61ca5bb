"""Writes tests/data/golden/models: tiny reward models with what transformers computes from them.

Each folder is a model (config.json, safetensors) with golden.json: `tolerance`, and `rows` of token ids with
  prompt_length  tokens shared with the other rows of the same prompt
  embeddings, first_block, last_block   [T][D], hidden states after the embedding, the first and the last block (two rows; none in `chat`)
  score          LlamaForSequenceClassification in float32, eager attention, batch 1
  score_float64  the same with weights and activations in float64 (norms and rope tables remain float32, as in its code)
  .venv-golden/bin/python tools/golden/make_model_golden.py
"""

import argparse
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import tiny

SCORE_TOLERANCE = 1e-4
LAYER_TOLERANCE = 1e-5


def token_rows(config, seed, pad_cases):
    """Groups of rows with a common prompt; every id from 3 up, so that pad and BOS appear only where a case wants them."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda n: torch.randint(3, config.vocab_size, (n,), generator=generator).tolist()
    rows = []
    for prompt_length, response_lengths in [(7, [1, 5, 12]), (20, [3, 30]), (0, [9]), (40, [50, 2])]:
        prompt = [1] + draw(prompt_length - 1) if prompt_length else []
        rows += [(prompt + draw(n), prompt_length) for n in response_lengths]
    if pad_cases:
        prompt, pad = [1] + draw(5), config.pad_token_id
        rows.append((prompt + draw(4) + [pad], 6))            # closing token equals pad: the one before it is pooled
        rows.append((prompt + draw(4) + [pad, pad, pad], 6))  # several
        rows.append((prompt + draw(2) + [pad] + draw(2), 6))  # pad inside stays part of the sequence
        rows.append((prompt + [pad], 6))                      # an empty response: the pooled token is the prompt's last
    return rows


def capture(model, ids):
    """Hidden states after the embedding and after every block (before the final norm), and the score."""
    states = []
    hooks = [model.model.embed_tokens.register_forward_hook(lambda m, i, out: states.append(out[0]))]
    for layer in model.model.layers:
        hooks.append(layer.register_forward_hook(
            lambda m, i, out: states.append((out[0] if isinstance(out, tuple) else out)[0])))
    with torch.no_grad():
        score = model(torch.tensor([ids])).logits[0, 0].item()
    for hook in hooks:
        hook.remove()
    return states, score


def load(folder, dtype):
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype, attn_implementation="eager")
    return model.to(dtype).eval()


def describe(folder, rows, texts=None):
    """golden.json of one folder."""
    model, model64, model16 = (load(folder, d) for d in (torch.float32, torch.float64, torch.bfloat16))
    out, worst16 = [], 0.0
    for number, (ids, prompt_length) in enumerate(rows):
        states, score = capture(model, ids)
        _, score64 = capture(model64, ids)
        _, score16 = capture(model16, ids)
        assert abs(score - score64) < SCORE_TOLERANCE / 4, (folder, number, score, score64)
        worst16 = max(worst16, abs(score16 - score64))
        row = {"ids": ids, "prompt_length": prompt_length}
        if texts:
            row.update(texts[number])
        row["score"], row["score_float64"] = tiny.numbers(torch.tensor([score, score64], dtype=torch.float64))
        if number in (1, 3) and not texts:
            row["embeddings"] = tiny.numbers(states[0])
            row["first_block"] = tiny.numbers(states[1])
            row["last_block"] = tiny.numbers(states[-1])
        out.append(row)
    scores = torch.tensor([r["score"] for r in out])
    assert scores.std() > 0.2, (folder, scores)
    tiny.write_compact_json(folder / "golden.json", {
        "made_by": f"tools/golden/make_model_golden.py, transformers {transformers.__version__}, torch {torch.__version__}",
        # bfloat16: twice the worst error that transformers' own bfloat16 makes on these rows.
        "tolerance": {"layer": LAYER_TOLERANCE, "score": SCORE_TOLERANCE, "score_bfloat16": float(f"{2 * worst16:.2g}")},
        "rows": out})
    return scores


def must_matter(folder, rows, scores, **attributes):
    """A fixture of a feature is worth keeping only if a program without the feature fails on it."""
    config = transformers.LlamaConfig.from_pretrained(folder)
    for key, value in attributes.items():
        setattr(config, key, value)
    model = AutoModelForSequenceClassification.from_pretrained(folder, config=config, dtype=torch.float32,
                                                               attn_implementation="eager").eval()
    changed = torch.tensor([capture(model, ids)[1] for ids, _ in rows])
    difference = (changed - scores).abs().max().item()
    assert difference > 100 * SCORE_TOLERANCE, (folder, attributes, difference)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[2] / "tests/data/golden/models")
    root = parser.parse_args().output
    torch.set_num_threads(1)
    default_rope = {"rope_type": "default", "rope_theta": 10000.0}
    llama3 = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 32}

    def case(name, seed, write, pad_cases=False, **changes):
        config = tiny.tiny_config(**changes)
        write(root / name, config, seed)
        rows = token_rows(config, seed, pad_cases)
        return root / name, rows, describe(root / name, rows)

    plain = lambda folder, config, seed: tiny.write_model(folder, tiny.v5_json(config), tiny.seeded_weights(config, seed))
    v4 = lambda folder, config, seed: tiny.write_model(folder, tiny.v4_json(config), tiny.seeded_weights(config, seed))

    case("gqa", 1, plain, pad_cases=True)
    case("mha-v4", 2, v4, num_key_value_heads=4, pad_token_id=None)
    # A folder's only embedding copy is model.embed_tokens; tying must not make the loader look for another.
    case("tied-sharded", 3, lambda f, c, s: tiny.write_model(f, tiny.v5_json(c), tiny.seeded_weights(c, s), 24000),
         tie_word_embeddings=True, num_key_value_heads=1)
    made = case("llama3-rope", 4, plain, rope_parameters=llama3)
    must_matter(*made, rope_parameters={"rope_type": "default", "rope_theta": 500000.0})
    made = case("llama3-rope-v4", 4, v4, rope_parameters=llama3)
    made = case("linear-rope-v4", 5, lambda f, c, s: tiny.write_model(
        f, tiny.v4_json(c, rope_scaling={"type": "linear", "factor": 4.0}), tiny.seeded_weights(c, s)))
    must_matter(*made, rope_parameters=default_rope)
    made = case("biases", 6, plain, attention_bias=True, mlp_bias=True)
    made = case("head-dim", 7, plain, head_dim=12)
    case("bf16", 8, lambda f, c, s: tiny.write_model(f, tiny.v5_json(c, dtype="bfloat16"),
                                                     tiny.seeded_weights(c, s, torch.bfloat16)))
    chat(root / "chat")


def chat(folder):
    """Tokenizer and template too: conversations as text. The template closes with the pad token, so an earlier one is pooled."""
    config = tiny.tiny_config(vocab_size=267, hidden_size=16, intermediate_size=24, pad_token_id=2, bos_token_id=0)
    tiny.write_model(folder, tiny.v5_json(config), tiny.seeded_weights(config, 9))
    assert tiny.write_tokenizer(folder) == config.vocab_size
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompts = [[("user", "Name the largest ocean.")],
               [("system", "Be brief."), ("user", "Why is the sky blue?"), ("assistant", "Scattering."), ("user", "Go on.")],
               [("user", "Übersetze: 天气很好 🌞\n")]]
    responses = ["The Pacific Ocean.", "", "  I am thinking the answer is: the Pacific,\nbigger than all land.", "Das Wetter ist schön."]
    rows, texts = [], []
    for turns in prompts:
        prompt = [{"role": role, "content": content} for role, content in turns]
        rendered = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False)
        for response in responses:
            ids = tokenizer.apply_chat_template(prompt + [{"role": "assistant", "content": response}], return_dict=False)
            common = 0
            while common < min(len(ids), len(rendered)) and ids[common] == rendered[common]:
                common += 1
            rows.append((ids, common))
            texts.append({"prompt": prompt, "response": response})
    describe(folder, rows, texts)


if __name__ == "__main__":
    main()
