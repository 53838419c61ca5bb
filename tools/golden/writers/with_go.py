"""Cases written by Go: parquet-go and Arrow."""

from cases import *
from with_js import run_program


def writer():
    w = Writer("go", "parquet-go v0.32.0, arrow-go v18.8.0")
    ids = with_values(RESPONSES, "prompt_id", [1, 2, 3])
    uuids = with_values(RESPONSES, "prompt_id", [f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2, 3)])
    lists = with_values(RESPONSES, "prompt", [[message("user", row["prompt"])] for row in RESPONSES])
    cases = [
        ("text.parquet", "responses", dict(rows=RESPONSES)), ("text_bytes.parquet", "responses", dict(rows=RESPONSES)),
        ("policy_enum.parquet", "responses", dict(rows=RESPONSES)), ("text_fixed.parquet", "responses", dict(rows=FIXED)),
        ("id_uuid.parquet", "responses", dict(rows=uuids)), ("id_uint32.parquet", "responses", dict(rows=ids)),
        ("prompt_json.parquet", "responses", dict(rows=lists)),
        ("response_time.parquet", "responses", dict(refused=["'response'", "timestamp"])),
        ("response_date.parquet", "responses", dict(refused=["'response'", "date"])),
        ("response_duration.parquet", "responses", dict(refused="'response'")),
        ("scores.parquet", "scores", dict(rows=SCORES)), ("scores_v1.parquet", "scores", dict(rows=SCORES)),
        ("scores_float.parquet", "scores", dict(rows=SCORES)), ("scores_decimal.parquet", "scores", dict(rows=SCORES)),
        ("scores_text.parquet", "scores", dict(refused="'score'")),
        ("battles.parquet", "battles", dict(rows=BATTLES)), ("battles_enum.parquet", "battles", dict(rows=BATTLES)),
        ("battles_bytes.parquet", "battles", dict(rows=BATTLES)),
        ("messages_repeated.parquet", "responses", dict(rows=CHATS, note="a repeated group, not under LIST")),
        ("messages_list.parquet", "responses", dict(rows=CHATS)), ("messages_enum.parquet", "responses", dict(rows=CHATS)),
        ("messages_map.parquet", "responses", dict(rows=CHATS, refused=["'messages'", "map"])),
        ("pairs.parquet", "preferences", dict(rows=PAIRS)), ("scored.parquet", "scored", dict(rows=SCORED)),
    ] + [(f"arrow_{name}.{extension}", "responses", dict(rows=RESPONSES)) for name in ("text", "view", "run_end", "dictionary")
         for extension in ("arrow", "parquet")]
    run_program(w, [["go", "run", "."]], cases)
    return w
