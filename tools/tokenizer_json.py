#!/usr/bin/env python3
"""Makes the tokenizer.json of a folder that holds a SentencePiece model alone (tokenizer.model), as the model file itself says.

    python3 tools/tokenizer_json.py MODEL_DIR          (needs pip install sentencepiece protobuf)

For BPE models without a text normalisation of their own: LLaMA, Llama-2, Mistral, Gemma and their relatives. transformers' own
conversion depends on its version: 5.17 makes tokenizers of LLaMA and Mistral that put no space in front of a text, unlike the ones the
models were trained with and published with.
"""

import argparse
import json
import sys
from pathlib import Path

SPACE = "\u2581"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6  # SentencePiece's kinds of pieces


def read_model(path):
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(path.read_bytes())
    normalizer, trainer = model.normalizer_spec, model.trainer_spec
    if trainer.model_type != 2 or normalizer.precompiled_charsmap or normalizer.remove_extra_whitespaces:
        sys.exit(f"{path}: expected a BPE model that keeps the text as it is; convert this one with the tools it came with")
    return model


def merges_of(vocab, scores):
    """Every way to make a piece of two others: those of better pieces first, then longer left and right parts; ties by ids."""
    merges = []
    for piece, score in scores.items():
        splits = [(piece[:i], piece[i:]) for i in range(1, len(piece))]
        splits = sorted((s for s in splits if s[0] in vocab and s[1] in vocab), key=lambda s: (vocab[s[0]], vocab[s[1]]))
        merges += [(score, len(left), len(right), left, right) for left, right in splits]
    merges.sort(key=lambda m: m[:3], reverse=True)
    return [[left, right] for *_, left, right in merges]


def flags_of(config):
    """Contents of tokens that tokenizer_config.json describes -> how text around them counts."""
    named = [config.get(key) for key in ("bos_token", "eos_token", "unk_token", "pad_token")]
    tokens = [*config.get("added_tokens_decoder", {}).values(), *(token for token in named if isinstance(token, dict))]
    return {token["content"]: {key: token.get(key, False) for key in ("single_word", "lstrip", "rstrip", "normalized")} for token in tokens}


def tokenizer_of(model, config):
    vocab = {piece.piece: id for id, piece in enumerate(model.pieces)}
    scores = {piece.piece: piece.score for piece in model.pieces}
    plain, flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False), flags_of(config)
    added = [{"id": id, "content": piece.piece, **flags.get(piece.piece, plain), "special": piece.type != USER_DEFINED}
             for id, piece in enumerate(model.pieces) if piece.type in (UNKNOWN, CONTROL, USER_DEFINED)]
    prefix, first_only = model.normalizer_spec.add_dummy_prefix, config.get("legacy") is False
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    normalizer, pre_tokenizer = replace, None
    if prefix and first_only:  # a space before the text, but not behind special tokens
        normalizer, pre_tokenizer = None, {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "first", "split": False}
    elif prefix:
        normalizer = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE}, replace]}
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefix else []
    bos = next(piece.piece for id, piece in enumerate(model.pieces) if id == model.trainer_spec.bos_id)
    token = {"SpecialToken": {"id": bos, "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    sequence = [text] if config.get("add_bos_token") is False else [token, text]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": {"type": "TemplateProcessing", "single": sequence, "pair": [*sequence, {"Sequence": {"id": "B", "type_id": 1}}],
                           "special_tokens": {bos: {"id": bos, "ids": [vocab[bos]], "tokens": [bos]}}},
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                                                     {"type": "ByteFallback"}, {"type": "Fuse"}, *strip]},
        "model": {"type": "BPE", "dropout": None, "unk_token": model.trainer_spec.unk_piece, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": model.trainer_spec.byte_fallback, "ignore_merges": False,
                  "vocab": vocab, "merges": merges_of(vocab, scores)},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model_dir", type=Path)
    folder = parser.parse_args().model_dir
    path = next((p for p in (folder / "tokenizer.model", folder / "tokenizer.model.v3") if p.exists()), None)
    if path is None:
        sys.exit(f"{folder}: no tokenizer.model")
    config = folder / "tokenizer_config.json"
    settings = json.loads(config.read_text(encoding="utf-8")) if config.exists() else {}
    tokenizer = tokenizer_of(read_model(path), settings)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    print(f"{folder / 'tokenizer.json'}: {len(tokenizer['model']['vocab'])} pieces, {len(tokenizer['model']['merges'])} merges")


if __name__ == "__main__":
    main()
