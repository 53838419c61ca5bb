"""Cases written by JavaScript: hyparquet-writer and apache-arrow."""

import json
import subprocess
import tempfile

from cases import *


def run_program(w, commands, cases):
    """Runs a program that writes all cases' files into a folder, and enters those it could write."""
    with tempfile.TemporaryDirectory() as folder:
        rows = pathlib.Path(folder) / "rows.json"
        rows.write_text(json.dumps(SHARED, ensure_ascii=False))
        out = pathlib.Path(folder) / "out"
        out.mkdir()
        work = pathlib.Path(folder) / "program"
        shutil.copytree(PROGRAMS / w.name, work)
        for command in commands[:-1]:
            subprocess.run(command, cwd=work, check=True, stdout=subprocess.DEVNULL)
        result = subprocess.run([*commands[-1], str(rows), str(out)], cwd=work, check=True, capture_output=True, text=True)
        w.failures += [f"{w.name}/{failure}" for failure in json.loads(result.stdout.splitlines()[-1])]
        for file, kind, answer in cases:
            if (out / file).exists():
                w.case(file, kind, lambda path: path.write_bytes((out / file).read_bytes()), **answer)


def writer():
    w = Writer("js", "hyparquet-writer 0.17.0, apache-arrow 21.2.0")
    ids = with_values(RESPONSES, "prompt_id", [1, 2, 3])
    gaps = [ids[0], without(RESPONSES[1:2], "prompt_id")[0], ids[2]]
    uuids = with_values(RESPONSES, "prompt_id", [f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2, 3)])
    lists = with_values(RESPONSES, "prompt", [[message("user", row["prompt"])] for row in RESPONSES])
    cases = [
        ("text.parquet", "responses", dict(rows=RESPONSES)), ("text_string.parquet", "responses", dict(rows=RESPONSES)),
        ("text_bytes.parquet", "responses", dict(rows=RESPONSES)),
        ("prompt_messages.parquet", "responses", dict(rows=lists, note="lists of objects are JSON")),
        ("prompt_json_text.parquet", "responses", dict(rows=RESPONSES, note="texts as JSON, in quotes")),
        ("response_json_text.parquet", "responses", dict(rows=RESPONSES, refused="'response'")),
        ("messages.parquet", "responses", dict(rows=CHATS)),
        ("messages_variant.parquet", "responses", dict(rows=CHATS, refused="'messages'")),
        ("pairs.parquet", "preferences", dict(rows=PAIRS)), ("tool_chats.parquet", "responses", dict(rows=TOOL_CHATS)),
        ("part_chats.parquet", "responses", dict(rows=PART_CHATS, refused="'messages'")),
        ("id_number.parquet", "responses", dict(rows=ids)), ("id_bigint.parquet", "responses", dict(rows=ids)),
        ("id_gaps.parquet", "responses", dict(rows=gaps)), ("id_uuid.parquet", "responses", dict(rows=uuids)),
        ("response_date.parquet", "responses", dict(refused=["'response'", "timestamp"])),
        ("response_variant.parquet", "responses", dict(rows=RESPONSES, refused="'response'")),
        ("response_object.parquet", "responses", dict(refused="'response'", note="JSON objects")),
        ("scores.parquet", "scores", dict(rows=SCORES)), ("scores_half.parquet", "scores", dict(rows=SCORES)),
        ("scores_float.parquet", "scores", dict(rows=SCORES)), ("scores_split.parquet", "scores", dict(rows=SCORES)),
        ("scores_whole.parquet", "scores", dict(rows=WHOLE_SCORES)), ("scores_text.parquet", "scores", dict(refused="'score'")),
        ("scores_plain.parquet", "scores", dict(rows=SCORES)), ("score_decimal.parquet", "scores", dict(rows=SCORES)),
        ("scored.parquet", "scored", dict(rows=SCORED)), ("battles.parquet", "battles", dict(rows=BATTLES)),
        ("battles_enum.parquet", "battles", dict(rows=BATTLES)), ("odd_columns.parquet", "responses", dict(rows=RESPONSES)),
        ("text.arrow", "responses", dict(rows=RESPONSES)), ("text.arrows", "responses", dict(rows=RESPONSES)),
        ("scores.arrow", "scores", dict(rows=SCORES)), ("scored.arrow", "scored", dict(rows=SCORED)),
        ("battles.arrow", "battles", dict(rows=BATTLES)), ("from_json.arrow", "responses", dict(rows=RESPONSES)),
        ("messages.arrow", "responses", dict(rows=CHATS)),
        ("id_bigint.arrow", "responses", dict(rows=ids)), ("id_number.arrow", "responses", dict(rows=ids)),
        ("response_date.arrow", "responses", dict(refused=["'response'", "timestamp"])),
    ]
    run_program(w, [["npm", "install", "--silent", "--no-fund", "--no-audit"], ["node", "write.mjs"]], cases)
    return w
