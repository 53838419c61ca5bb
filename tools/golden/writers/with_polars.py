"""Cases written by polars, by its own Parquet, IPC, JSON and CSV writers."""

import datetime
import decimal

import polars as pl
from cases import *


def writer():
    w = Writer("polars", pl.__version__)

    def both(name, kind, frame, rows=None, refused=None, note="", **options):
        w.case(f"{name}.parquet", kind, lambda path: frame().write_parquet(path), rows=rows, refused=refused, note=note, **options)
        w.case(f"{name}.arrow", kind, lambda path: frame().write_ipc(path), rows=rows, refused=refused, note=note, **options)

    texts = pl.DataFrame(RESPONSES)
    both("text", "responses", lambda: texts, RESPONSES)
    both("categorical", "responses", lambda: texts.cast(pl.Categorical), RESPONSES)
    both("enum", "responses", lambda: texts.with_columns(pl.col("policy").cast(pl.Enum(["beta", "alpha"]))), RESPONSES)
    both("binary", "responses", lambda: texts.cast(pl.Binary), RESPONSES)
    w.case("text.arrows", "responses", lambda path: texts.write_ipc_stream(path), rows=RESPONSES)
    w.case("compat.arrow", "responses", lambda path: texts.write_ipc(path, compat_level=pl.CompatLevel.oldest()), rows=RESPONSES)
    w.case("text.jsonl", "responses", lambda path: texts.write_ndjson(path), rows=RESPONSES)
    w.case("text.json", "responses", lambda path: texts.write_json(path), rows=RESPONSES)
    gaps = [RESPONSES[0] | {"prompt_id": 1}, without(RESPONSES[1:2], "prompt_id")[0], RESPONSES[2] | {"prompt_id": 3}]
    both("id_gaps", "responses", lambda: pl.DataFrame(gaps), gaps)
    big = with_values(RESPONSES, "prompt_id", [1, 2, 2**100])
    both("id_int128", "responses", lambda: pl.DataFrame(without(RESPONSES, "prompt_id")).with_columns(
        pl.Series("prompt_id", [1, 2, 2**100], pl.Int128)), big, refused="64 bits",
        note="128-bit integers: the digits, or refused; Arrow cannot open the file")
    both("id_uint128", "responses", lambda: pl.DataFrame(without(RESPONSES, "prompt_id")).with_columns(
        pl.Series("prompt_id", [1, 2, 3], pl.UInt128)), with_values(RESPONSES, "prompt_id", [1, 2, 3]), refused="64 bits")
    for name, values, word in [
        ("date", [datetime.date(2026, 11, 30)] * 3, "date"), ("datetime", [datetime.datetime(2026, 11, 30, 1)] * 3, "timestamp"),
        ("time", [datetime.time(1, 2)] * 3, "time"), ("duration", [datetime.timedelta(seconds=3)] * 3, "duration"),
        ("decimal", [decimal.Decimal("4.00")] * 3, "decimal"), ("list", [["Four."]] * 3, ""), ("struct", [{"a": "Four."}] * 3, ""),
    ]:
        both(f"response_{name}", "responses", lambda: texts.with_columns(pl.Series("response", values)),
             refused=["'response'"] + ([word] if word else []))
    both("response_null", "responses", lambda: texts.with_columns(pl.Series("response", [None] * 3, pl.Null)), refused="response")
    for name, kind in [("half", getattr(pl, "Float16", None)), ("float", pl.Float32), ("double", pl.Float64), ("decimal", pl.Decimal(10, 3))]:
        both(f"score_{name}", "scores", lambda: pl.DataFrame(SCORES).with_columns(pl.col("score").cast(kind)), SCORES)
    both("score_int", "scores", lambda: pl.DataFrame(WHOLE_SCORES), WHOLE_SCORES)
    both("score_int128", "scores", lambda: pl.DataFrame(WHOLE_SCORES).with_columns(pl.col("score").cast(pl.Int128)), WHOLE_SCORES,
         refused="64 bits")
    both("score_text", "scores", lambda: pl.DataFrame(SCORES).with_columns(pl.col("score").cast(pl.String)), refused="'score'")
    both("flag", "scored", lambda: pl.DataFrame(SCORED), SCORED)
    both("messages", "responses", lambda: pl.DataFrame(CHATS), CHATS)
    both("messages_array", "responses", lambda: pl.DataFrame(CHATS, schema_overrides={
        "messages": pl.Array(pl.Struct({"role": pl.String, "content": pl.String}), 2)}), CHATS)
    both("messages_enum_role", "responses", lambda: pl.DataFrame(CHATS, schema_overrides={
        "messages": pl.List(pl.Struct({"role": pl.Enum(["user", "assistant"]), "content": pl.Categorical}))}), CHATS)
    both("pairs", "preferences", lambda: pl.DataFrame(PAIRS), PAIRS)
    both("tool_calls", "responses", lambda: pl.DataFrame(TOOL_CHATS, infer_schema_length=None), TOOL_CHATS,
         note="polars keeps the members of the first messages it sees")
    w.case("messages.jsonl", "responses", lambda path: pl.DataFrame(CHATS).write_ndjson(path), rows=CHATS)
    both("object_column", "responses", lambda: texts.with_columns(pl.Series("odd", [datetime.timedelta(1)] * 3),
         pl.Series("raw", [b"\xff"] * 3), pl.Series("pair", [[1, 2]] * 3, pl.Array(pl.Int8, 2)),
         pl.Series("nothing", [None] * 3), pl.Series("cat", ["x", "y", "x"], pl.Categorical)), RESPONSES)
    both("odd_int128", "responses", lambda: texts.with_columns(pl.Series("far", [2**100] * 3)), RESPONSES, refused="64 bits",
         note="a column that no role uses, inferred as Int128: Arrow cannot open the file at all")
    both("battles", "battles", lambda: pl.DataFrame(BATTLES).with_columns(pl.col("winner").cast(pl.Enum(["model_b", "tie", "model_a"])),
         pl.col("model_a", "model_b").cast(pl.Categorical)), BATTLES)

    def partitioned(path):
        pl.DataFrame(RESPONSES).write_parquet(path, partition_by=["policy"], mkdir=True)

    by_policy = sorted(RESPONSES, key=lambda row: row["policy"])
    w.case("partition_by", "responses", partitioned, rows=by_policy, refused="policy=alpha")
    for style in ("necessary", "always", "non_numeric", "never"):
        rows = RATINGS if style != "never" else RATINGS[:2]
        w.case(f"ratings_{style}.csv", "ratings", lambda path: pl.DataFrame(rows).write_csv(path, quote_style=style), rows=rows)
    w.case("ratings_bom.csv", "ratings", lambda path: pl.DataFrame(RATINGS).write_csv(path, include_bom=True), rows=RATINGS)
    w.case("ratings.jsonl", "ratings", lambda path: pl.DataFrame(RATINGS).write_ndjson(path), rows=RATINGS)
    return w
