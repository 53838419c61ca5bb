#!/usr/bin/env python3
"""Scores twins of published reward models (twins.py) with charm and with transformers, from conversation to score, and writes the
table of docs/compatibility.md.

    .venv-golden/bin/python tools/golden/check_twins.py --data ../shared/data

A twin here has the published config.json with a narrow model, the whole vocabulary, and a real tokenizer and template, which are not
part of this repository. Needs no network. Exit status 1 when a score differs by more than the tolerance, a token count at all, or one
side refuses what the other scores.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import jinja2
import transformers

import compare_text
import twins
from reference import ReferenceScorer, read_scores

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAX_TOKENS = 768
TOLERANCE = 1e-4
HEAD_DIM = 16


def rows_of(texts):
    """Conversations of each shape, each prompt with three responses; one is empty, some are longer than MAX_TOKENS."""
    cases = compare_text.conversations(texts)
    talks = [messages for case, count in (("one turn", 24), ("several turns", 8), ("system", 8)) for messages, _ in cases[case][:count]]
    rows = []
    for number, messages in enumerate(talks):
        others = [talks[(number + shift) % len(talks)][-1]["content"] for shift in (1, 2)]
        if number % 8 == 0:
            others[1] = ""
        if number % 8 == 1:
            others[1] = "\n".join(texts[number : number + 12])
        for sample, response in enumerate([messages[-1]["content"], *others]):
            rows.append({"prompt_id": f"{number}", "sample": sample, "prompt": messages[:-1], "response": response, "policy": "real"})
    return rows


def write_folder(twin, models, data, folder, seed):
    config = twins.write(twin, folder, seed, head_dim=HEAD_DIM)
    write_text_files(twin, models, data, folder)
    return config


def write_text_files(twin, models, data, folder):
    """Tokenizer and template."""
    source = models[twin.tokenizer].folder
    for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        if (source / file).exists():
            (folder / file).write_bytes((source / file).read_bytes())
    # tokenizer.json as it is written: for some class names AutoTokenizer builds another tokenizer from the vocabulary (Llama-2's: other ids).
    settings = folder / "tokenizer_config.json"
    known = json.loads(settings.read_text(encoding="utf-8")) if settings.exists() else {}
    settings.write_text(json.dumps({**known, "tokenizer_class": "PreTrainedTokenizerFast"}), encoding="utf-8")
    name, _, change = twin.template.partition(" ")
    template = (data / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")
    if change == "-bos":
        without = template.replace("{{- bos_token }}\n", "")
        assert without != template, twin
        template = without
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


def charm_scores(charm, folder, rows, dtype):
    sample = folder / "rows.jsonl"
    sample.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    output = folder / f"scores-{dtype}"
    outcome = subprocess.run([charm, "score", "--model", folder, "--responses", sample, "--output", output, "--dtype", dtype, "--device",
                              "cpu", "--max-tokens", str(MAX_TOKENS), "--max-bad-rows", str(len(rows)), "--quiet"],
                             capture_output=True, text=True)
    if outcome.returncode != 0:
        sys.exit(f"{folder.name}: charm score: {outcome.stderr}")
    return {(row["prompt_id"], row["sample"]): row for row in read_scores(output)}


def compare(twin, rows, folder, charm, reference=None):
    """(compared, refused by both, what differs, worst difference in float32, the same in bfloat16, the scores' deviation)."""
    ours, ours16 = (charm_scores(charm, folder, rows, dtype) for dtype in ("float32", "bfloat16"))
    reference = reference or ReferenceScorer(folder, max_tokens=MAX_TOKENS)
    compared = refused = 0
    worst = worst16 = 0.0
    different, scores = [], []
    for row in rows:
        key = row["prompt_id"], row["sample"]
        found = ours[key]
        try:
            ids = reference.ids(row["prompt"], row["response"])
            score = reference.score(ids)
        except (jinja2.TemplateError, ValueError) as error:  # the template's, or a row without the gate of a gating network
            refused += 1
            if found["error"] is None:
                different.append((key, f"transformers refuses: {error}"))
            continue
        compared += 1
        if found["error"] is not None:
            different.append((key, f"charm refuses: {found['error']}"))
            continue
        scores.append(score)
        difference = abs(found["score"] - score)
        worst, worst16 = max(worst, difference), max(worst16, abs(ours16[key]["score"] - score))
        if found["num_tokens"] != len(ids) or difference > TOLERANCE:
            different.append((key, f"tokens {found['num_tokens']} / {len(ids)}, scores {found['score']} / {score}"))
    return compared, refused, different, worst, worst16, statistics.pstdev(scores)


def section(results):
    cells = [[twin.repository, f"{twin.tokenizer}, {twin.template.replace(' -bos', ' without its BOS')}", twin.why,
              f"{compared}{f' ({refused} refused)' if refused else ''}", f"{deviation:.2f}",
              f"{worst:.1e}", f"{worst16:.1e}"] for twin, (compared, refused, _, worst, worst16, deviation) in results]
    return f"""{compare_text.MODELS_SECTION}
Written by `tools/golden/check_twins.py`: twin models with every key of the published config.json (as known from model cards and base models:
none was downloaded), narrow, with random weights in the published type, the whole vocabulary, a real tokenizer and a real template.
Rows are real conversations with three responses each, some empty, some cut at {MAX_TOKENS} tokens from the left. Scores of `charm score`
against transformers' in float32; token counts are equal in every row. The columns are the scores' standard
deviation and the worst difference with `--dtype float32` and `--dtype bfloat16`.

{compare_text.table(["twin of", "tokenizer, template", "specifics", "rows", "deviation", "float32", "bfloat16"], cells)}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=pathlib.Path, help="folder with chat_templates, tokenizers, alpaca_eval, ...")
    parser.add_argument("--build", default=ROOT / "build/release", type=pathlib.Path, help="build folder of charm")
    parser.add_argument("--only", help="twins whose repository contains this; the page stays as it is")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    charm = options.build / "bin/charm"
    models = compare_text.models(options.data, charm)
    rows = rows_of(compare_text.real_texts(options.data)[0])
    results = []
    for number, twin in enumerate(twins.TWINS):
        if options.only and options.only not in twin.repository:
            continue
        with tempfile.TemporaryDirectory(prefix=f"charm-{twin.folder}-") as name:
            folder = pathlib.Path(name)
            write_folder(twin, models, options.data, folder, seed=200 + number)
            result = compare(twin, rows, folder, charm)
        results.append((twin, result))
        print(f"{twin.repository}: {result[0]} rows, {result[1]} refused, worst {result[3]:.2e}, bfloat16 {result[4]:.2e}, "
              f"{len(result[2])} differ {result[2][:3]}", flush=True)
    if not options.only:
        path = ROOT / "docs/compatibility.md"
        before, _, after = path.read_text(encoding="utf-8").partition(compare_text.MODELS_SECTION)
        after = after[after.index("\n## "):] if "\n## " in after else ""
        path.write_text(f"{before.rstrip(chr(10))}\n\n{section(results)}{after}", encoding="utf-8")
    sys.exit(any(result[2] for _, result in results))


if __name__ == "__main__":
    main()
