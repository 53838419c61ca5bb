"""Cases written by Java: parquet-avro, whose enums are ENUM and whose lists are two-level by default."""

from cases import *
from with_js import run_program


def writer():
    w = Writer("java", "parquet-avro 1.18.1")
    ids = with_values(RESPONSES, "prompt_id", [1, 2, 3])
    uuids = with_values(RESPONSES, "prompt_id", [f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2, 3)])
    gap = [RESPONSES[0], without(RESPONSES[1:2], "policy")[0], RESPONSES[2]]
    cases = [
        ("text.parquet", "responses", dict(rows=RESPONSES)), ("policy_enum.parquet", "responses", dict(rows=RESPONSES)),
        ("policy_bytes.parquet", "responses", dict(rows=RESPONSES)), ("response_bytes.parquet", "responses", dict(rows=RESPONSES)),
        ("policy_nullable.parquet", "responses", dict(rows=gap)), ("id_long.parquet", "responses", dict(rows=ids)),
        ("id_int.parquet", "responses", dict(rows=ids)), ("id_uuid.parquet", "responses", dict(rows=uuids)),
        ("response_date.parquet", "responses", dict(refused=["'response'", "date"])),
        ("response_timestamp.parquet", "responses", dict(refused=["'response'", "timestamp"])),
        ("response_time.parquet", "responses", dict(refused=["'response'", "time"])),
        ("response_union.parquet", "responses", dict(refused="'response'", note="a union of string and long: a struct of two members")),
        ("response_map.parquet", "responses", dict(refused=["'response'", "map"])),
        ("scores.parquet", "scores", dict(rows=SCORES)), ("scores_decimal.parquet", "scores", dict(rows=SCORES)),
        ("battles_enum.parquet", "battles", dict(rows=BATTLES)),
        ("messages_two_level.parquet", "responses", dict(rows=CHATS, note="the old two-level list, the default")),
        ("messages.parquet", "responses", dict(rows=CHATS)),
    ]
    run_program(w, [["mvn", "-q", "-B", "compile", "dependency:copy-dependencies", "-DoutputDirectory=lib"],
                    ["java", "-cp", "target/classes:lib/*", "Write"]], cases)
    return w
