#!/usr/bin/env python3
"""Compares charm's text side with transformers on real tokenizers and templates, and writes docs/compatibility.md.

    .venv-golden/bin/python tools/golden/compare_text.py --data ../shared/data

Ids and bytes go through the library that charm links (--bridge); whole conversations through `charm inspect --sample` (--charm).
Needs no network. Exit status 1 when anything differs that the page does not explain.
"""

import argparse
import datetime
import gzip
import importlib.metadata
import json
import os
import pathlib
import random
import re
import shlex
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import jinja2
import transformers
from transformers.utils import chat_template_utils

from hard_texts import HARD_TEXTS, mixed_texts, special_texts
from text_bridge import Bridge, Refused

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSION = "5.17.0"
DATE = datetime.datetime(2024, 7, 26)
NUM_REAL_TEXTS = 1000
NUM_CONVERSATIONS = 100  # of each template case
MODELS_SECTION = "## Published reward models\n"  # of the page; check_twins.py writes it
TEST_VECTORS = {"llama-3": "llama-bpe", "qwen2": "qwen2", "llama-2": "llama-spm"}


# Tokens do not depend on the architecture; this one needs no weights and holds every tokenizer.
ANY_CONFIG = json.dumps({
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
    "num_attention_heads": 1, "num_key_value_heads": 1, "vocab_size": 300000, "max_position_embeddings": 100000,
    "rms_norm_eps": 1e-6, "hidden_act": "silu", "pad_token_id": 0}).encode()


class PinnedClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return DATE


def read_text(path):
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")


# --- What is compared -------------------------------------------------------------------------------------------------------------

KINDS = {
    "emoji": re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]"),
    "right to left": re.compile("[\u0590-\u08ff]"),
    "Chinese, Japanese, Korean": re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"),
    "control characters": re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff]"),
    "code": re.compile(r"```|^\s*(def |#include|function |public |import |return )", re.M),
    "special-token text": re.compile(r"<\|\w+\|>|</?s>|\[/?INST\]|<\w+_of_turn>"),
    "other beyond ASCII": re.compile("[^\x00-\x7f]"),
}


def all_real_texts(data):
    texts = []
    for path in sorted((data / "alpaca_eval").glob("*.jsonl.gz")):
        for line in read_text(path).split("\n"):
            if line:
                row = json.loads(line)
                texts += [row["prompt"], row["response"]]
    for path in sorted((data / "reward_bench").glob("*.jsonl.gz")):
        for line in read_text(path).split("\n"):
            if line:
                row = json.loads(line)
                texts += [row["prompt"], row["chosen"], row["rejected"]]
    for path in sorted((data / "rm_bench").glob("*.json.gz")):
        for row in json.loads(read_text(path)):
            texts += [row["prompt"], *row["chosen"], *row["rejected"]]
    return list(dict.fromkeys(texts))


def real_texts(data):
    """NUM_REAL_TEXTS of the data, with up to 100 of each kind; also how many there are of each kind."""
    rng = random.Random(0)
    pool = all_real_texts(data)
    rng.shuffle(pool)
    chosen = {}
    for pattern in KINDS.values():
        chosen.update(dict.fromkeys([text for text in pool if pattern.search(text)][:100]))
    for text in pool:
        if len(chosen) >= NUM_REAL_TEXTS:
            break
        chosen.setdefault(text)
    texts = list(chosen)[:NUM_REAL_TEXTS]
    return texts, {kind: sum(bool(pattern.search(text)) for text in texts) for kind, pattern in KINDS.items()}


def turn(role, content):
    return {"role": role, "content": content}


def conversations(texts):
    """{case: [(messages, add_generation_prompt)]}; every hard text is somewhere."""
    rng = random.Random(1)
    short = [text for text in texts if len(text) < 4000]
    hard = iter(HARD_TEXTS * 100)
    result = {}

    def content():
        return next(hard) if rng.random() < 0.4 else rng.choice(short)

    def turns(count):
        return [turn("assistant" if i % 2 else "user", content()) for i in range(count)]

    shapes = {
        "one turn": lambda: (turns(2), False),
        "several turns": lambda: (turns(rng.choice([4, 6])), False),
        "system": lambda: ([turn("system", content()), *turns(rng.choice([2, 4]))], False),
        "generation prompt": lambda: ([turn("system", content())] * (rng.random() < 0.2) + turns(rng.choice([1, 3])), True),
        "out of order": lambda: (rng.choice([
            lambda: [turn("assistant", content()), *turns(2)],
            lambda: [turn("user", content()), *turns(2)],
            lambda: [*turns(2), turn("system", content()), *turns(2)],
            lambda: [turn("system", content()), turn("assistant", content())],
            lambda: [turn("system", content())],
            lambda: [turn("tool", content()), *turns(1)],
            lambda: [turn("critic", content())],
            lambda: [turn("system", content()), turn("system", content()), *turns(2)],
        ])(), rng.random() < 0.5),
    }
    for case, make in shapes.items():
        result[case] = [make() for _ in range(NUM_CONVERSATIONS)]
    return result


# --- Tokenizers -------------------------------------------------------------------------------------------------------------------

class Model:
    """A folder with tokenizer files, unpacked, as a model folder that both sides can read."""

    def __init__(self, name, note=""):
        self.name, self.note = name, note
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"charm-{name}-"))
        self.refusal = None  # what charm says to the folder as it was published

    def write(self, file, content):
        (self.folder / file).write_bytes(content)

    @property
    def json(self):
        return (self.folder / "tokenizer.json").read_text(encoding="utf-8")


def unpack(source, name):
    model = Model(name)
    for path in source.iterdir():
        data = path.read_bytes()
        if path.name.startswith("config-"):
            model.write("config.json", data)
        elif path.suffix == ".gz":
            model.write(path.name[:-3], gzip.decompress(data))
        else:
            model.write(path.name, data)
    return model


def llama_32(data, llama_3):
    """Llama-3.2's tokenizer.json as published: that of Llama-3 with other added tokens and a post-processor that writes BOS."""
    model = Model("llama-3.2", "tokenizer.json merged from Llama-3's and the added tokens of tokenizer_config.json")
    source = json.loads(llama_3.json)
    config = json.loads((data / "tokenizers/llama-3.2/tokenizer_config.json").read_text(encoding="utf-8"))
    source["added_tokens"] = [{"id": int(id), **token} for id, token in config["added_tokens_decoder"].items()]
    bos = config["bos_token"]
    sequence = [{"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    source["post_processor"] = {"type": "Sequence", "processors": [
        source["post_processor"],
        {"type": "TemplateProcessing", "single": sequence, "pair": sequence,
         "special_tokens": {bos: {"id": bos, "ids": [128000], "tokens": [bos]}}}]}
    model.write("tokenizer.json", json.dumps(source, ensure_ascii=False).encode())
    for file in ("tokenizer_config.json", "special_tokens_map.json", "config.json"):
        model.write(file, (data / "tokenizers/llama-3.2" / file).read_bytes())
    return model


def models(data, charm):
    """Every tokenizer of the data; where tokenizer.json is missing, made by the command that charm's refusal names."""
    result = {}
    for folder in sorted((data / "tokenizers").iterdir()):
        if folder.name in ("test_vectors", "llama-3.2"):
            continue
        model = unpack(folder, folder.name)
        result[model.name] = model
        if (model.folder / "tokenizer.json").exists():
            continue
        config = model.folder / "config.json"
        original = config.read_bytes()
        config.write_bytes(ANY_CONFIG)
        outcome = subprocess.run([charm, "inspect", model.folder, "--config-only"], capture_output=True, text=True)
        config.write_bytes(original)
        command = re.search(r"once with (python3? (?:-c \".*\"|[^()]*'))", outcome.stderr)
        if outcome.returncode != 3 or command is None:
            sys.exit(f"{model.name}: expected a refusal with a command, found exit code {outcome.returncode}: {outcome.stderr}")
        model.refusal = command[1]
        made = subprocess.run([sys.executable, *shlex.split(command[1])[1:]], cwd=ROOT, capture_output=True, text=True)
        if made.returncode != 0:
            sys.exit(f"{model.name}: the command of the refusal fails (pip install sentencepiece protobuf?):\n{made.stderr}")
        model.note = "published without tokenizer.json; converted with the command in charm's error message"
    result["llama-3.2"] = llama_32(data, result["llama-3"])
    return dict(sorted(result.items()))


def test_vectors(data, name):
    base = data / "tokenizers/test_vectors" / TEST_VECTORS[name]
    texts = base.with_suffix(".inp").read_bytes().decode("utf-8").split("\n__ggml_vocab_test__\n")
    ids = [[int(id) for id in line.split()] for line in base.with_suffix(".out").read_text().split("\n")]
    return list(zip(texts, ids))[:47]


class Count:
    """How many of how many are equal, and the first that is not."""

    def __init__(self):
        self.equal = self.total = self.refused = 0
        self.first = None

    def add(self, equal, what=None, refused=False):
        self.total += 1
        self.equal += bool(equal)
        self.refused += bool(equal and refused)
        if not equal and self.first is None:
            self.first = what

    @property
    def differ(self):
        return self.total - self.equal

    def __str__(self):
        text = f"{self.equal} / {self.total}"
        return f"{text} ({self.refused} refused)" if self.refused else text


def compare_tokenizer(model, bridge, data, texts):
    """{column: Count}. `as written` is tokenizer.json without the rebuilding that some tokenizer classes of transformers do."""
    handle = bridge.tokenizer(model.json)
    as_written = transformers.PreTrainedTokenizerFast(tokenizer_file=str(model.folder / "tokenizer.json"))
    auto = transformers.AutoTokenizer.from_pretrained(model.folder)
    columns = {column: Count() for column in ("vectors", "real", "hard", "special", "auto")}
    if model.name in TEST_VECTORS:
        for text, ids in test_vectors(data, model.name):
            ours = bridge.encode(handle, text, False)
            columns["vectors"].add(ours == ids, (text, ids, ours))
    for column, group in texts.items():
        for text in group:
            for specials in (False, True):
                ours = bridge.encode(handle, text, specials)
                theirs = as_written(text, add_special_tokens=specials)["input_ids"]
                columns[column].add(ours == theirs, (text, theirs, ours))
                if not specials:
                    rebuilt = auto(text, add_special_tokens=False)["input_ids"]
                    columns["auto"].add(ours == rebuilt, (text, rebuilt, ours))
    bridge.free_tokenizer(handle)
    columns["class"] = type(auto).__name__
    return columns


# --- Templates --------------------------------------------------------------------------------------------------------------------

def templates(data):
    """{name: source}, each source once."""
    result = {}
    for path in sorted((data / "chat_templates").glob("*.jinja")):
        result[path.stem] = path.read_bytes().decode("utf-8")
    for path in sorted((data / "tokenizers").glob("*/tokenizer_config.json")):
        source = json.loads(path.read_text(encoding="utf-8")).get("chat_template")
        if source and source not in result.values():
            result[f"tokenizer_config.json of {path.parent.name}"] = source
    return result


def rendered(tokenizer, source, messages, generation):
    """(text, None), or (None, what raise_exception said), or (None, "") for any other error of the template."""
    try:
        return tokenizer.apply_chat_template(messages, chat_template=source, tokenize=False, add_generation_prompt=generation), None
    except jinja2.TemplateError as error:
        return None, str(error) if type(error) is jinja2.TemplateError else ""
    except TypeError:  # Python's own, from inside the template
        return None, ""


def rendered_by_us(bridge, handle, messages, generation):
    try:
        return bridge.render(handle, messages, generation), None
    except Refused as error:
        return None, str(error) if error.by_template else ""


def compare_template(source, bridge, tokenizer, cases):
    tokens = {name: value for name, value in tokenizer.special_tokens_map.items() if isinstance(value, str)}
    handle = bridge.template(source, tokens, f"{DATE:%Y-%m-%d}")
    columns = {}
    for case, talks in cases.items():
        columns[case] = Count()
        for messages, generation in talks:
            theirs = rendered(tokenizer, source, messages, generation)
            ours = rendered_by_us(bridge, handle, messages, generation)
            columns[case].add(theirs == ours, (messages, theirs, ours), refused=theirs[0] is None)
    bridge.free_template(handle)
    return columns


# --- Whole conversations ----------------------------------------------------------------------------------------------------------

# Model folder -> template file where the tokenizer's own configuration has none, or is of another model.
TEMPLATE_OF = {"qwen2": "community-qwen2.5-instruct", "qwen2.5": "Qwen-Qwen2.5-7B-Instruct"}


def whole_folder(model, data):
    """The model's tokenizer with a configuration that needs no support for its architecture."""
    whole = Model(model.name)
    for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        if (model.folder / file).exists():
            whole.write(file, (model.folder / file).read_bytes())
    if model.name in TEMPLATE_OF:
        whole.write("chat_template.jinja", (data / "chat_templates" / f"{TEMPLATE_OF[model.name]}.jinja").read_bytes())
    elif (model.folder / "chat_template.jinja").exists():
        whole.write("chat_template.jinja", (model.folder / "chat_template.jinja").read_bytes())
    if not (whole.folder / "tokenizer_config.json").exists():
        whole.write("tokenizer_config.json", b"{}")
    whole.write("config.json", ANY_CONFIG)
    return whole


def compare_whole(model, data, charm, cases):
    """Ids of `charm inspect --sample` against apply_chat_template(tokenize=True); a leading BOS that charm adds is counted apart."""
    whole = whole_folder(model, data)
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(whole.folder)
    talks = [messages for case in ("one turn", "several turns", "system") for messages, _ in cases[case]]
    rows = [{"prompt": messages[:-1], "response": messages[-1]["content"]} for messages in talks]
    sample = whole.folder / "sample.jsonl"
    sample.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    outcome = subprocess.run([charm, "inspect", whole.folder, "--config-only", "--json", "--max-tokens", "100000", "--sample", sample],
                             capture_output=True, text=True)
    if outcome.returncode != 0:
        sys.exit(f"{model.name}: charm inspect: {outcome.stderr}")
    counts = {"same": Count(), "bos": 0}
    for messages, ours in zip(talks, json.loads(outcome.stdout)["samples"], strict=True):
        try:
            theirs = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False)
        except jinja2.TemplateError:
            counts["same"].add(ours.get("error") is not None, (messages, "refused", ours), refused=True)
            continue
        ids = ours.get("ids")
        with_bos = ids is not None and ids != theirs and ids[1:] == theirs and ids[0] == tokenizer.bos_token_id
        counts["bos"] += with_bos
        counts["same"].add(ids == theirs or with_bos, (messages, theirs, ours))
    return counts


# --- The page ---------------------------------------------------------------------------------------------------------------------

def crate_version(name):
    lock = (ROOT / "rust/charm_text/Cargo.lock").read_text()
    return re.search(rf'name = "{name}"\nversion = "([^"]+)"', lock)[1]


def installed_version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def page(tokenizers, whole, template_counts, models_, kinds):
    rebuilt = [name for name, counts in tokenizers.items() if counts["auto"].differ]
    notes = [f"- {name}: {model.note}." for name, model in models_.items() if model.note]
    for name in rebuilt:
        notes.append(f"- {name}: `AutoTokenizer` builds a {tokenizers[name]['class']} anew from the vocabulary and leaves the normalizer "
                     f"of tokenizer.json out; {tokenizers[name]['auto'].differ} texts come out otherwise (white space at the start, text "
                     "after special tokens). charm follows tokenizer.json, as llama.cpp's test vectors do.")
    commands = "\n".join(f"- {name}: `{re.sub('charm-[^ /]*' , 'MODEL_DIR', model.refusal.replace(str(model.folder), 'MODEL_DIR'))}`"
                         for name, model in models_.items() if model.refusal)
    return f"""# Compatibility

Generated by `tools/golden/compare_text.py` (the last section by `check_twins.py`), which compares charm with transformers on published
tokenizers and templates (not part of this repository). Cells are equal / compared. Small test cases are in `tests/data/golden/text_templates.json` and
`text_hard.json` and run with every test.

Versions: transformers {transformers.__version__}, tokenizers {installed_version("tokenizers")}, Jinja2 {installed_version("Jinja2")},
sentencepiece {installed_version("sentencepiece")} on one side; the crates tokenizers {crate_version("tokenizers")}, minijinja
{crate_version("minijinja")}, minijinja-contrib {crate_version("minijinja-contrib")} on the other.

## Tokenizers

Ids against `PreTrainedTokenizerFast`, which takes tokenizer.json as it is written; each text with and without the tokenizer's own
special tokens. Published test vectors are llama.cpp's. The {NUM_REAL_TEXTS} real texts hold: {", ".join(f"{kind} {count}" for kind, count in kinds.items())}.
Hard texts (`tools/golden/hard_texts.py`) are emoji sequences, right-to-left marks, control characters, odd spaces and code;
special-token text is thirty tokens of these families, each tokenizer's own and foreign ones, complete, truncated, repeated and inside words. The last column is
`AutoTokenizer`.

{table(["tokenizer", "test vectors", "real texts", "hard texts", "special-token text", "AutoTokenizer"],
       [[name, counts["vectors"] if counts["vectors"].total else "none published", counts["real"], counts["hard"], counts["special"],
         f"{counts['auto']} {counts['class']}"] for name, counts in tokenizers.items()])}

{chr(10).join(notes)}

Folders with a SentencePiece model or vocabulary files alone are refused with the command that makes a tokenizer.json:

{commands}

## Whole conversations

Ids of `charm inspect --sample` (template, tokenizer and BOS together, as `charm score` uses them) against
`apply_chat_template(tokenize=True)`: one turn, several turns and system messages. "BOS added" counts conversations whose template
writes no BOS while the tokenizer does: charm adds it (docs/decisions/0002-bos-once.md), `apply_chat_template` does not; the
other ids are equal.

{table(["tokenizer and template", "equal", "of these, BOS added"], [[name, counts["same"], counts["bos"]] for name, counts in whole.items()])}

## Templates

Bytes against `apply_chat_template(tokenize=False)`, and equal error messages if the template calls `raise_exception`.
"Out of order": assistant first, two users in a row, a late or second system message, only a system message, unknown roles. The
clock is pinned to {DATE:%Y-%m-%d} on both sides.

{table(["template", *next(iter(template_counts.values()))], [[name, *counts.values()] for name, counts in template_counts.items()])}

Messages with tools, tool calls, reasoning and lists of parts (`make_members_golden.py --bridge LIB FOLDER...`, 13 conversations with and
without a generation prompt), on the 72 templates of TRL 1.16 and the 18 above: 1796 texts equal, 544 refused by both, none different.

### Not as in Jinja2

minijinja has no ranges, dictionary views and bytes: a template that prints one of them, such as `{{{{ x.items() }}}}`, prints a list.
Comparing none or something undefined with `<`, and slicing none, is no error. Filters and methods that are missing are errors, not other
texts: `center`, `wordwrap`, `truncate`, `striptags`, `urlencode`, `xmlattr`, `filesizeformat`, `wordcount`, `random`, the test `callable`,
`%` on strings, `str.index`, `center`, `ljust`, `zfill`, `casefold`, `swapcase`, `expandtabs`, `encode`, `dict.copy`; and `int` of a text that
is no number, which is 0 in Jinja2. `pprint` and the attributes of Python objects (`x.upper` without a call) print differently.
"""


def report(name, count):
    if count.differ:
        print(f"{name}: {count.differ} of {count.total} differ, first:\n  text   {count.first[0]!r:.400}\n  theirs {count.first[1]!r:.400}\n"
              f"  ours   {count.first[2]!r:.400}", flush=True)
    return count.differ


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=pathlib.Path, help="folder with chat_templates, tokenizers, alpaca_eval, ...")
    parser.add_argument("--build", default=ROOT / "build/dev", type=pathlib.Path, help="build folder of charm")
    parser.add_argument("--output", default=ROOT / "docs/compatibility.md", type=pathlib.Path)
    options = parser.parse_args()
    if transformers.__version__ != VERSION:
        sys.exit(f"transformers {VERSION} is expected, found {transformers.__version__}")
    transformers.logging.set_verbosity_error()
    chat_template_utils.datetime = PinnedClock
    bridge = Bridge(options.build / "rust/libcharm_text.a")
    charm = options.build / "bin/charm"

    real, kinds = real_texts(options.data)
    texts = {"real": real, "hard": HARD_TEXTS + mixed_texts(200, seed=2), "special": special_texts()}
    cases = conversations(real)
    failures = 0

    template_counts = {}
    tokenizer = transformers.AutoTokenizer.from_pretrained(ROOT / "tests/data/tokenizers/byte_bpe")
    for name, source in templates(options.data).items():
        template_counts[name] = compare_template(source, bridge, tokenizer, cases)
        failures += sum(report(f"{name}, {case}", count) for case, count in template_counts[name].items())
    print(f"{len(template_counts)} templates compared", flush=True)

    tokenizers, whole = {}, {}
    models_ = models(options.data, charm)
    for name, model in models_.items():
        tokenizers[name] = compare_tokenizer(model, bridge, options.data, texts)
        failures += sum(report(f"{name}, {column}", tokenizers[name][column]) for column in ("vectors", "real", "hard", "special"))
        whole[name] = compare_whole(model, options.data, charm, cases)
        failures += report(f"{name}, whole", whole[name]["same"])
        print(f"{name} compared", flush=True)
    before = options.output.read_text(encoding="utf-8") if options.output.exists() else ""
    _, heading, section = before.partition("\n" + MODELS_SECTION)
    options.output.write_text(page(tokenizers, whole, template_counts, models_, kinds) + heading + section, encoding="utf-8")
    print(f"{failures} differences; wrote {options.output}")
    sys.exit(failures != 0)


if __name__ == "__main__":
    main()
