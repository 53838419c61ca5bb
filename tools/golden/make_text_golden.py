#!/usr/bin/env python3
"""Makes the text module's fixtures: three tiny tokenizers of our own, and what transformers makes of our templates with them.

    make_text_golden.py --fixtures     tests/data/tokenizers/{byte_bpe,bos_bpe,spm_bpe} (plain Python)
    make_text_golden.py                tests/data/golden/{text_templates,text_hard}.json (needs transformers 5.17.0)
"""

import argparse
import datetime
import json
import pathlib

from hard_texts import HARD_TEXTS, mixed_texts

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKENIZERS = ROOT / "tests/data/tokenizers"
TEMPLATES = ROOT / "tests/data/templates"
GOLDEN = ROOT / "tests/data/golden/text_templates.json"
HARD_GOLDEN = ROOT / "tests/data/golden/text_hard.json"
DATE = datetime.datetime(2024, 7, 26)
VERSION = "5.17.0"

SPECIAL = ["<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>"]
MERGES = ["h e", "l l", "he ll", "hell o", "Ġ t", "Ġt he", "i n", "Ġ w", "a n", "r e", "o r", "Ġw or", "Ċ Ċ", "Ġ Ġ"]


def byte_characters():
    """GPT-2's printable stand-ins for the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, spare = {}, 256
    for byte in range(256):
        if byte in printable:
            table[byte] = chr(byte)
        else:
            table[byte] = chr(spare)
            spare += 1
    return table


def tokenizer_json(pre_tokenizer, post_processor):
    vocab = {character: byte for byte, character in byte_characters().items()}
    for merge in MERGES:
        vocab[merge.replace(" ", "")] = len(vocab)
    added = [
        {"id": len(vocab) + i, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for i, token in enumerate(SPECIAL)
    ]
    # Truncation and padding are there to be ignored: a reader that obeys them fails every test.
    return {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                    "pad_type_id": 0, "pad_token": "<pad>"},
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": vocab, "merges": [merge.split(" ") for merge in MERGES]},
    }


def byte_level(**options):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, **options}


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def make_fixtures():
    first_special = 256 + len(MERGES)
    split = {"type": "Split", "behavior": "Isolated", "invert": False,
             "pattern": {"Regex": r"\p{N}{1,3}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"}}
    write_json(
        TOKENIZERS / "byte_bpe/tokenizer.json",
        tokenizer_json({"type": "Sequence", "pretokenizers": [split, byte_level(use_regex=False)]},
                       byte_level(use_regex=True)))
    template = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "</s>", "type_id": 0}}]
    special_tokens = {token: {"id": token, "ids": [first_special + i], "tokens": [token]}
                      for i, token in enumerate(SPECIAL[:2])}
    write_json(
        TOKENIZERS / "bos_bpe/tokenizer.json",
        tokenizer_json(byte_level(use_regex=True),
                       {"type": "TemplateProcessing", "single": template, "pair": template,
                        "special_tokens": special_tokens}))
    for name in ("byte_bpe", "bos_bpe"):
        write_json(TOKENIZERS / name / "tokenizer_config.json", {
            "tokenizer_class": "PreTrainedTokenizerFast", "added_tokens_decoder": {},
            "bos_token": {"__type": "AddedToken", "content": "<s>", "lstrip": False, "normalized": False,
                          "rstrip": False, "single_word": False},
            "eos_token": "</s>", "pad_token": "<pad>", "unk_token": None,
        })


def make_spm_fixture():
    """As tokenizer.json files made from SentencePiece models: spaces as U+2581, bytes for what the vocabulary lacks, NFKC forms kept."""
    characters = "\u2581abcdefghijklmnopqrstuvwxyzABCDEFGHI0123456789.,!?'\"<>|/[]_\u00e9\u0645\u6f22\U0001f600"
    vocab = {token: i for i, token in enumerate(["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *characters])}
    merges = ["\u2581 \u2581", "\u2581\u2581 \u2581\u2581", "h e", "l l", "he ll", "hell o", "\u2581 hello", "\u2581 a", "i n", "r e"]
    for merge in merges:
        vocab[merge.replace(" ", "")] = len(vocab)
    added = [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
             for i, token in enumerate(["<unk>", "<s>", "</s>"])]
    sequence = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    write_json(TOKENIZERS / "spm_bpe/tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
        "pre_tokenizer": None,
        "post_processor": {"type": "TemplateProcessing", "single": sequence, "pair": sequence,
                           "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": True, "byte_fallback": True, "ignore_merges": False, "vocab": vocab, "merges": merges},
    })
    # The configuration adds two tokens that tokenizer.json lacks, one of them with white space rules.
    write_json(TOKENIZERS / "spm_bpe/tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": True, "bos_token": "<s>", "eos_token": "</s>",
        "unk_token": "<unk>", "pad_token": "[PAD]", "clean_up_tokenization_spaces": False,
        "added_tokens_decoder": {str(len(vocab)): {"content": "<|im_end|>", "lstrip": True, "rstrip": True, "normalized": False,
                                                   "single_word": False, "special": True}},
    })


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


CONVERSATIONS = [
    [user("hello the world")],
    [user("hello"), assistant("the\n\nworld")],
    [{"role": "system", "content": "  Be in order. \u001f"}, user("\u200b hi\u0000 \u001c"), assistant("<s>  </s> <|im_end|>")],
    [user("one"), assistant("two"), user("thr\u00e9\u00e9 \U0001f999 \u6f22"), assistant("")],
    [user("a" * 70 + "\t'\"\\"), assistant("<think>in\nor</think>\n\nan\r\nswer\u2028\u0085")],
    [user("<s>starts with BOS"), user("twice the user")],
    [{"role": "tool", "content": "{\"a\": [1, 2]}"}, {"role": "system", "content": "late"}, assistant("<&>")],
    [user("   "), assistant(" \ufeff \n")],
]


class PinnedClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return DATE


def make_hard_golden():
    """Ids of hard texts and of the tokenizers' own special tokens inside texts."""
    import transformers

    names = ["byte_bpe", "bos_bpe", "spm_bpe"]
    tokenizers = {name: transformers.AutoTokenizer.from_pretrained(TOKENIZERS / name) for name in names}
    texts = list(HARD_TEXTS)
    for token in [*SPECIAL, "<unk>", "[PAD]"]:
        texts += [token, token * 2, f"a{token}b", f"a  {token}  b", f"\n{token}\n", token[:-1]]
    texts += [text for text in mixed_texts(60, seed=3) if len(text) < 200]
    cases = []
    for text in dict.fromkeys(texts):
        case = {"text": text}
        for name, tokenizer in tokenizers.items():
            case[name] = tokenizer(text, add_special_tokens=False)["input_ids"]
        cases.append(case)
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    HARD_GOLDEN.write_text(f'{{"transformers":"{VERSION}","tokenizers":{json.dumps(names)},"cases":[\n{lines}\n]}}\n')
    print(f"{len(cases)} hard texts")


def make_golden():
    import transformers
    from transformers.utils import chat_template_utils

    if transformers.__version__ != VERSION:
        raise SystemExit(f"transformers {VERSION} is expected, found {transformers.__version__}")
    chat_template_utils.datetime = PinnedClock
    cases = []
    for name, bos_in_front in (("byte_bpe", False), ("bos_bpe", True)):
        tokenizer = transformers.AutoTokenizer.from_pretrained(TOKENIZERS / name)
        for template in sorted(TEMPLATES.glob("*.jinja")):
            if template.stem == "tools" or (template.stem == "features" and bos_in_front):
                continue  # make_members_golden.py; its point is the text: once is enough
            tokenizer.chat_template = template.read_text(encoding="utf-8")
            for conversation in CONVERSATIONS:
                for generation in (False, True):
                    case = {"tokenizer": name, "template": template.name, "conversation": conversation,
                            "add_generation_prompt": generation}
                    try:
                        text = tokenizer.apply_chat_template(conversation, tokenize=False,
                                                             add_generation_prompt=generation)
                        ids = tokenizer.apply_chat_template(conversation, tokenize=True, return_dict=False,
                                                            add_generation_prompt=generation)
                    except Exception as error:  # jinja2.TemplateError
                        case["error"] = str(error)
                    else:
                        case["text"] = text
                        once = ids
                        if bos_in_front and ids[:1] != [tokenizer.bos_token_id]:
                            once = [tokenizer.bos_token_id, *ids]
                        case["ids_bos_once"] = once
                        case["ids_as_template"] = tokenizer(text)["input_ids"]
                    cases.append(case)
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
    GOLDEN.write_text(f'{{"transformers":"{VERSION}","date":"{DATE:%Y-%m-%d}","cases":[\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{len(cases)} cases, {sum('error' in case for case in cases)} of them refusals")
    for message in sorted({case["error"] for case in cases if "error" in case}):
        print("  ", message)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fixtures", action="store_true", help="make the tokenizers instead of the goldens")
    if parser.parse_args().fixtures:
        make_fixtures()
        make_spm_fixture()
    else:
        make_golden()
        make_hard_golden()


if __name__ == "__main__":
    main()
