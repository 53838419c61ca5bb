"""Writes tests/data/golden/models: tiny reward models with what transformers computes from them.

Each folder is a model (config.json, safetensors) with golden.json: `tolerance`, and `rows` of token ids with
  prompt_length  tokens shared with the other rows of the same prompt
  embeddings, first_block, last_block   [T][D], hidden states after the embedding, the first and the last block (two rows; none in `chat`)
  score          *ForSequenceClassification in float32, eager attention, batch 1
  score_float64  the same with weights and activations in float64 (norms and rope tables remain float32, as in its code)
The folders of `families.py` hold `gradients` too: of the scores' sum, for each tensor its L2 norm and the sum of its elements.
  .venv-golden/bin/python tools/golden/make_model_golden.py
"""

import argparse
from pathlib import Path

import torch
from transformers import AutoTokenizer

import families
import tiny
from model_rows import describe, must_matter, token_rows

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
    families.write(root)


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
