"""Cases written by fastparquet."""

import decimal

import fastparquet
import pandas
from cases import *


def writer():
    w = Writer("fastparquet", fastparquet.__version__)

    def case(name, kind, frame, rows=None, refused=None, note="", **write_options):
        w.case(name, kind, lambda path: fastparquet.write(str(path), frame(), **write_options), rows=rows, refused=refused, note=note)

    frame = pandas.DataFrame
    case("text.parquet", "responses", lambda: frame(RESPONSES).astype(object), RESPONSES)
    case("text_str.parquet", "responses", lambda: frame(RESPONSES), RESPONSES)
    case("text_fixed.parquet", "responses", lambda: frame(FIXED).astype(object), FIXED, refused="UTF8",
         note="FIXED_LEN_BYTE_ARRAY under UTF8, which the format does not allow", fixed_text={"response": 5})
    case("categorical.parquet", "responses", lambda: frame(RESPONSES).astype("category"), RESPONSES)
    case("bytes.parquet", "responses", lambda: frame(with_values(RESPONSES, "response", [r["response"].encode() for r in RESPONSES])).astype(
        {"response": object}), RESPONSES, object_encoding={"response": "bytes"})
    case("messages.parquet", "responses", lambda: frame(CHATS), CHATS, note="lists of objects are JSON", object_encoding={"messages": "json"})
    case("tool_calls.parquet", "responses", lambda: frame(TOOL_CHATS), TOOL_CHATS, object_encoding={"messages": "json"})
    case("parts.parquet", "responses", lambda: frame(PART_CHATS), PART_CHATS, refused="'messages'", object_encoding={"messages": "json"})
    case("messages_inferred.parquet", "responses", lambda: frame(CHATS), CHATS)
    case("pairs.parquet", "preferences", lambda: frame(PAIRS), PAIRS, object_encoding={"chosen": "json", "rejected": "json"})
    case("text_json.parquet", "responses", lambda: frame(RESPONSES).astype(object), RESPONSES, refused="'response'",
         note="texts under a JSON annotation, in quotes", object_encoding={"prompt": "json", "response": "json"})
    gaps = [RESPONSES[0] | {"prompt_id": 1}, without(RESPONSES[1:2], "prompt_id")[0], RESPONSES[2] | {"prompt_id": 3}]
    case("id_gaps.parquet", "responses", lambda: frame(gaps), gaps)
    case("id_nullable.parquet", "responses", lambda: frame(gaps).astype({"prompt_id": "Int64"}), gaps)
    case("scores.parquet", "scores", lambda: frame(SCORES), SCORES)
    case("scores_half.parquet", "scores", lambda: frame(SCORES).astype({"score": "float16"}), SCORES)
    case("scores_decimal.parquet", "scores", lambda: frame(with_values(SCORES, "score", [decimal.Decimal(str(r["score"])) for r in SCORES])),
         SCORES, note="decimals as double", object_encoding={"score": "decimal", "prompt_id": "utf8", "policy": "utf8"})
    case("scores_category.parquet", "scores", lambda: frame(SCORES).astype({"score": "category"}), SCORES)
    case("flag.parquet", "scored", lambda: frame(SCORED), SCORED)
    flags = [SCORED[0], without(SCORED[1:2], "truncated")[0]]
    case("flag_gaps.parquet", "scored", lambda: frame(flags), flags, refused="'truncated'", object_encoding={
        "truncated": "bool", "prompt_id": "utf8", "prompt": "utf8", "response": "utf8", "policy": "utf8"})
    case("response_date.parquet", "responses", lambda: frame(RESPONSES).assign(response=pandas.to_datetime("2026-11-30")),
         refused=["'response'", "timestamp"])
    case("response_timedelta.parquet", "responses", lambda: frame(RESPONSES).assign(response=pandas.to_timedelta("3s")), refused=["'response'"])
    case("response_int96.parquet", "responses", lambda: frame(RESPONSES).assign(response=pandas.to_datetime("2026-11-30")),
         refused=["'response'", "timestamp"], times="int96")
    case("dask_layout", "responses", lambda: frame(RESPONSES), RESPONSES, note="part.0.parquet beside _metadata", file_scheme="hive",
         row_group_offsets=[0, 2])
    case("dask_layout_no_policy", "responses", lambda: frame(without(RESPONSES, "policy")), without(RESPONSES, "policy"), file_scheme="hive",
         row_group_offsets=[0, 2])
    by_policy = sorted(RESPONSES, key=lambda row: row["policy"])
    case("hive_policy", "responses", lambda: frame(RESPONSES), by_policy, refused="policy=alpha", file_scheme="hive", partition_on=["policy"])
    case("battles.parquet", "battles", lambda: frame(BATTLES).astype("category"), BATTLES)
    return w
