#!/usr/bin/env python3
"""Compares the bridge with transformers on real templates and tokenizers, byte by byte and id by id.

Build the bridge as a shared library first, then run in the golden environment:

    cargo rustc --release --locked --lib --crate-type cdylib --manifest-path rust/charm_text/Cargo.toml
    compare_text.py --bridge .../libcharm_text.so --data ../shared/data [--rows 200]

Prints one line per template and tokenizer; exit status 1 when anything differs.
"""

import argparse
import ctypes
import gzip
import json
import pathlib
import random
import sys

import tokenizers
from transformers.utils import chat_template_utils

import make_text_golden as golden

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


class String(ctypes.Structure):
    _fields_ = [("data", ctypes.POINTER(ctypes.c_char)), ("length", ctypes.c_size_t)]


class Ids(ctypes.Structure):
    _fields_ = [("data", ctypes.POINTER(ctypes.c_int32)), ("length", ctypes.c_size_t)]


class Bridge:
    def __init__(self, path):
        self.lib = ctypes.CDLL(path)
        self.lib.charm_text_string_free.argtypes = [String]
        self.lib.charm_text_ids_free.argtypes = [Ids]

    def check(self, status):
        if status != 0:
            out = String()
            self.lib.charm_text_last_error(ctypes.byref(out))
            raise ValueError(self.take(out))

    def take(self, out):
        text = ctypes.string_at(out.data, out.length).decode("utf-8")
        self.lib.charm_text_string_free(out)
        return text

    def call(self, name, *texts, handle=None, flag=None, out):
        arguments = [] if handle is None else [handle]
        for text in texts:
            data = text.encode("utf-8")
            arguments += [ctypes.c_char_p(data), ctypes.c_size_t(len(data))]
        if flag is not None:
            arguments.append(ctypes.c_int32(flag))
        self.check(getattr(self.lib, name)(*arguments, ctypes.byref(out)))
        return out

    def template(self, source, tokens):
        return self.call("charm_text_template_new", source, json.dumps(tokens), f"{golden.DATE:%Y-%m-%d}",
                         out=ctypes.c_void_p())

    def render(self, handle, conversation, generation):
        messages = json.dumps(conversation, ensure_ascii=False)
        return self.take(self.call("charm_text_template_render", messages, handle=handle, flag=int(generation), out=String()))

    def tokenizer(self, source):
        return self.call("charm_text_tokenizer_new", source, out=ctypes.c_void_p())

    def encode(self, handle, text, specials):
        out = self.call("charm_text_tokenizer_encode", text, handle=handle, flag=int(specials), out=Ids())
        ids = out.data[:out.length]
        self.lib.charm_text_ids_free(out)
        return ids


def outcome(function, *arguments):
    """("text", result) or ("refused", None): whose words an error uses is no matter of bytes, except for raise_exception."""
    try:
        return "text", function(*arguments)
    except ValueError as error:
        return "refused", str(error)
    except Exception as error:  # jinja2's own errors
        return "refused", str(error)


def conversations(data, rows):
    result = list(golden.CONVERSATIONS)
    files = sorted((data / "alpaca_eval").glob("*.jsonl.gz"))
    texts = []
    for file in files[:4]:
        with gzip.open(file, "rt", encoding="utf-8", newline="\n") as lines:
            texts += [json.loads(line) for line in lines][:rows]
    rng = random.Random(0)
    for row in texts:
        turns = [golden.user(row["prompt"]), golden.assistant(row["response"])]
        if rng.random() < 0.3:
            other = rng.choice(texts)
            turns = [golden.user(other["prompt"]), golden.assistant(other["response"]), *turns]
        if rng.random() < 0.3:
            turns.insert(0, {"role": "system", "content": rng.choice(texts)["prompt"]})
        result.append(turns)
    return result


def templates(data):
    for path in [*sorted(golden.TEMPLATES.glob("*.jinja")), *sorted((data / "chat_templates").glob("*.jinja"))]:
        yield path.name, path.read_bytes().decode("utf-8")
    for path in sorted((data / "tokenizers").glob("*/tokenizer_config.json")):
        source = json.loads(path.read_text(encoding="utf-8")).get("chat_template")
        if source:
            yield f"{path.parent.name}/tokenizer_config.json", source


def compare_templates(bridge, data, talks):
    differences = 0
    for name, source in templates(data):
        handle = bridge.template(source, TOKENS)
        same = refused = 0
        shown = None
        for talk in talks:
            for generation in (False, True):
                theirs = outcome(lambda t, g: chat_template_utils.render_jinja_template(
                    [t], chat_template=source, add_generation_prompt=g, **TOKENS)[0][0], talk, generation)
                ours = outcome(bridge.render, handle, talk, generation)
                equal = theirs[0] == ours[0] and (theirs[0] == "refused" or theirs[1] == ours[1])
                same += equal
                refused += theirs[0] == "refused"
                if not equal and shown is None:
                    shown = (talk, generation, theirs, ours)
        total = 2 * len(talks)
        differences += total - same
        print(f"template {name}: {same} of {total} equal ({refused} refused by both)", flush=True)
        if shown:
            print(f"  first difference: {json.dumps(shown[0])[:300]} generation={shown[1]}\n  theirs {shown[2]!r:.600}\n  ours   {shown[3]!r:.600}")
        bridge.lib.charm_text_template_free(handle)
    return differences


def compare_tokenizers(bridge, data, talks):
    differences = 0
    texts = [turn["content"] for talk in talks for turn in talk]
    for path in sorted((data / "tokenizers").glob("*/tokenizer.json.gz")):
        source = gzip.decompress(path.read_bytes()).decode("utf-8")
        theirs = tokenizers.Tokenizer.from_str(source)
        theirs.no_truncation()
        theirs.no_padding()
        handle = bridge.tokenizer(source)
        same = sum(theirs.encode(text, add_special_tokens=specials).ids == bridge.encode(handle, text, specials)
                   for text in texts for specials in (False, True))
        differences += 2 * len(texts) - same
        print(f"tokenizer {path.parent.name}: {same} of {2 * len(texts)} equal", flush=True)
        bridge.lib.charm_text_tokenizer_free(handle)
    return differences


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bridge", required=True, help="libcharm_text.so")
    parser.add_argument("--data", required=True, type=pathlib.Path, help="folder with chat_templates, tokenizers, alpaca_eval")
    parser.add_argument("--rows", type=int, default=50, help="conversations from each response file")
    options = parser.parse_args()
    chat_template_utils.datetime = golden.PinnedClock
    bridge = Bridge(options.bridge)
    talks = conversations(options.data, options.rows)
    differences = compare_templates(bridge, options.data, talks) + compare_tokenizers(bridge, options.data, talks)
    print(f"{differences} differences")
    sys.exit(differences != 0)


if __name__ == "__main__":
    main()
