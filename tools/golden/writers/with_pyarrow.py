"""Cases written by pyarrow: every Arrow type in every role."""

import datetime
import decimal
import json
import math
import uuid

import pyarrow as pa
import pyarrow.dataset
import pyarrow.feather
import pyarrow.parquet as pq
from cases import *

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])


def arrow_array(values, kind):
    if isinstance(kind, pa.RunEndEncodedType):
        return pa.RunEndEncodedArray.from_arrays(pa.array(range(1, len(values) + 1), kind.run_end_type),
                                                 pa.array(values, kind.value_type))
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))
    if kind == pa.float16():
        import numpy
        return pa.array([None if value is None else numpy.float16(value) for value in values], kind)
    return pa.array(values, kind)


def arrow_table(rows, **types):
    return pa.table({name: arrow_array(values, types[name]) if name in types else pa.array(values)
                     for name, values in columns_of(rows).items()})


def write_arrow(table, path):
    if path.suffix == ".arrow":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    elif path.suffix == ".arrows":
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table)
    else:
        pq.write_table(table, path)


def run_end(kind):
    return pa.run_end_encoded(pa.int32(), kind)


def writer():
    w = Writer("pyarrow", pa.__version__)

    def table_case(name, kind, rows_written, types, rows=None, refused=None, note="", formats=("parquet", "arrow"), **options):
        for extension in formats:
            w.case(f"{name}.{extension}", kind, lambda path: write_arrow(arrow_table(rows_written, **types), path),
                   rows=rows, refused=refused, note=note, **options)

    texts = {
        "string": pa.string(), "large_string": pa.large_string(), "string_view": pa.string_view(),
        "dictionary": pa.dictionary(pa.int8(), pa.string()), "dictionary_large": pa.dictionary(pa.uint32(), pa.large_string()),
        "run_end": run_end(pa.string()), "binary": pa.binary(), "large_binary": pa.large_binary(), "binary_view": pa.binary_view(),
        "dictionary_binary": pa.dictionary(pa.int32(), pa.binary()), "dictionary_view": pa.dictionary(pa.int32(), pa.string_view()),
    }
    for name, kind in texts.items():
        rows = [{k: v.encode() for k, v in row.items()} if "binary" in name else row for row in RESPONSES]
        types = {column: kind for column in RESPONSES[0]}
        table_case(f"text_{name}", "responses", rows, types, RESPONSES)
        if name in ("string", "large_string", "run_end", "large_binary", "binary_view", "dictionary_large", "dictionary_view"):
            continue
        battles = [{k: v.encode() for k, v in row.items()} if "binary" in name else row for row in BATTLES]
        table_case(f"battles_{name}", "battles", battles, {column: kind for column in BATTLES[0]}, BATTLES, formats=("parquet",))
        scores = [dict(row, **{k: row[k].encode() for k in ("prompt_id", "policy")}) if "binary" in name else row for row in SCORES]
        table_case(f"scores_text_{name}", "scores", scores,
                   {"prompt_id": kind, "policy": kind, "score": pa.float32(), "sample": pa.int32()}, SCORES, formats=("parquet",))
    fixed = [{k: v.encode() for k, v in row.items()} for row in FIXED]
    table_case("text_fixed_binary", "responses", fixed, {k: pa.binary(len(v)) for k, v in fixed[0].items()}, FIXED)
    broken = [dict(row, response=b"\xff\xfe!") for row in RESPONSES]
    table_case("text_binary_not_utf8", "responses", broken, {"response": pa.binary()}, refused=["'response'", "UTF-8"], formats=("parquet",))

    gaps = with_values(RESPONSES, "prompt_id", ["p1", None, "p3"])
    for name in ("string", "dictionary", "run_end", "string_view"):
        table_case(f"nulls_{name}", "responses", gaps, {"prompt_id": texts[name]}, without(gaps[1:2], "prompt_id") and [
            gaps[0], without([gaps[1]], "prompt_id")[0], gaps[2]], note="null is absent: the id comes from the prompt")
    value_null = pa.table({**{k: pa.array(v) for k, v in columns_of(without(RESPONSES, "policy")).items()},
                           "policy": pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), pa.array(["alpha", None]))})
    for extension in ("parquet", "arrow"):
        w.case(f"nulls_in_dictionary.{extension}", "responses", lambda path: write_arrow(value_null, path),
               rows=[RESPONSES[0] | {"policy": "alpha"}, without([RESPONSES[1]], "policy")[0], RESPONSES[2] | {"policy": "alpha"}],
               note="the null is a value of the dictionary; the policy is then the file's name")
    table_case("nulls_response_null_type", "responses", with_values(RESPONSES, "response", [None] * 3), {"response": pa.null()},
               refused="response", formats=("parquet",))

    # JSON columns: the value, not its text.
    json_prompt = with_values(RESPONSES, "prompt", [json.dumps([message("user", row["prompt"])]) for row in RESPONSES])
    table_case("json_prompt_messages", "responses", json_prompt, {"prompt": pa.json_()},
               with_values(RESPONSES, "prompt", [[message("user", row["prompt"])] for row in RESPONSES]))
    json_text = with_values(RESPONSES, "prompt", [json.dumps(row["prompt"]) for row in RESPONSES])
    table_case("json_prompt_text", "responses", json_text, {"prompt": pa.json_()}, RESPONSES, note="a JSON text, in quotes")
    table_case("json_response_text", "responses", with_values(RESPONSES, "response", [json.dumps(r["response"]) for r in RESPONSES]),
               {"response": pa.json_()}, RESPONSES, refused=["'response'", "json"])
    table_case("json_messages", "responses", with_values(TOOL_CHATS, "messages", [json.dumps(r["messages"]) for r in TOOL_CHATS]),
               {"messages": pa.json_()}, TOOL_CHATS)
    table_case("json_broken", "responses", with_values(RESPONSES, "prompt", ["[{", "no json", "x"]), {"prompt": pa.json_()},
               rows=with_values(RESPONSES, "prompt", ["[{", "no json", "x"]), refused=["'prompt'", "JSON"],
               note="no JSON at all under the annotation: the texts, or refused", formats=("parquet",))
    plain_json = with_values(RESPONSES, "prompt", [json.dumps([message("user", row["prompt"])]) for row in RESPONSES])
    table_case("plain_text_that_is_json", "responses", plain_json, {}, plain_json,
               note="a plain string column: a text, as in JSON lines", formats=("parquet",))

    # Typed columns that look like text.
    day, time = datetime.date(2026, 11, 30), datetime.time(13, 5)
    moment = datetime.datetime(2026, 11, 30, 13, 5)
    typed = {
        "date32": (pa.date32(), day), "date64": (pa.date64(), day), "time32": (pa.time32("s"), time), "time64": (pa.time64("us"), time),
        "timestamp": (pa.timestamp("us"), moment), "timestamp_tz": (pa.timestamp("ms", "UTC"), moment),
        "timestamp_ns": (pa.timestamp("ns"), moment), "duration": (pa.duration("s"), datetime.timedelta(seconds=90)),
        "decimal32": (pa.decimal32(7, 2), decimal.Decimal("4.00")), "decimal64": (pa.decimal64(12, 2), decimal.Decimal("4.00")),
        "decimal128": (pa.decimal128(20, 2), decimal.Decimal("4.00")), "decimal256": (pa.decimal256(50, 2), decimal.Decimal("4.00")),
        "int64": (pa.int64(), 4), "double": (pa.float64(), 4.0), "half": (pa.float16(), 4.0), "bool": (pa.bool_(), True),
    }
    said = {"decimal": "decimal", "date": "date", "time32": "time", "time64": "time", "timestamp": "timestamp", "duration": "duration",
            "int64": "", "double": "", "half": "", "bool": ""}
    for name, (kind, value) in typed.items():
        word = next(said[key] for key in said if name.startswith(key))
        refused = ["'response'"] + ([word] if word else [])
        note = "Parquet has no duration: plain INT64, a duration only by ARROW:schema" if name == "duration" else ""
        table_case(f"response_{name}", "responses", with_values(RESPONSES, "response", [value] * 3), {"response": kind},
                   refused=refused, note=note, formats=("parquet", "arrow") if name in ("date64", "duration", "half") else ("parquet",))
        if name not in ("int64", "date64", "time32", "timestamp_tz", "timestamp_ns"):
            may = {"double": with_values(RESPONSES, "prompt_id", [4, 5, 6])}.get(name)
            values = [4.0, 5.0, 6.0] if name == "double" else [value] * 3
            if name.startswith("decimal") or name in ("half",):
                continue
            table_case(f"id_{name}", "responses", with_values(RESPONSES, "prompt_id", values), {"prompt_id": kind}, rows=may,
                       refused=None if may else ["'prompt_id'"] + ([word] if word else []), formats=("parquet",))
            table_case(f"policy_{name}", "responses", with_values(RESPONSES, "policy", [value] * 3), {"policy": kind},
                       refused=["'policy'"] + ([word] if word else []), formats=("parquet",))
        if name in ("date32", "time64", "timestamp", "duration", "bool"):
            table_case(f"score_{name}", "scores", with_values(SCORES, "score", [value] * 3), {"score": kind},
                       refused=["'score'"] + ([word] if word else []), formats=("parquet",))
    table_case("response_interval", "responses", with_values(RESPONSES, "response", [pa.MonthDayNano([1, 2, 3])] * 3),
               {"response": pa.month_day_nano_interval()}, refused=["'response'", "interval"], formats=("arrow",))
    table_case("response_map", "responses", with_values(RESPONSES, "response", [[("en", "Four.")]] * 3),
               {"response": pa.map_(pa.string(), pa.string())}, refused=["'response'", "map"])
    table_case("response_list_of_text", "responses", with_values(RESPONSES, "response", [["Four."]] * 3), {}, refused="'response'", formats=("parquet",))
    table_case("response_struct", "responses", with_values(RESPONSES, "response", [{"text": "Four."}] * 3), {}, refused="'response'", formats=("parquet",))
    identifiers = [uuid.UUID(int=(n << 64) + 0xABCDEF) for n in (1, 2, 3)]
    table_case("response_uuid", "responses", with_values(RESPONSES, "response", [i.bytes for i in identifiers]),
               {"response": pa.uuid()}, rows=with_values(RESPONSES, "response", [str(i) for i in identifiers]),
               refused=["'response'", "uuid"])
    table_case("id_uuid", "responses", with_values(RESPONSES, "prompt_id", [i.bytes for i in identifiers]), {"prompt_id": pa.uuid()},
               rows=with_values(RESPONSES, "prompt_id", [str(i) for i in identifiers]))
    table_case("score_id_uuid", "scores", with_values(SCORES, "prompt_id", [i.bytes for i in identifiers]), {"prompt_id": pa.uuid()},
               rows=with_values(SCORES, "prompt_id", [str(i) for i in identifiers]))

    # Ids.
    for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
        kind = getattr(pa, name)()
        values = [7, 2**(kind.bit_width - (1 if name[0] == "i" else 0)) - 1, 0]
        table_case(f"id_{name}", "responses", with_values(RESPONSES, "prompt_id", values), {"prompt_id": kind},
                   with_values(RESPONSES, "prompt_id", values), formats=("parquet",))
        if name not in ("int16", "int64", "uint32", "uint64"):
            continue
        table_case(f"score_id_{name}", "scores", with_values(SCORES, "prompt_id", values), {"prompt_id": kind},
                   with_values(SCORES, "prompt_id", values), formats=("parquet",))
        table_case(f"sample_{name}", "scores", with_values(SCORES, "sample", [0, 1, 2]), {"sample": kind},
                   with_values(SCORES, "sample", [0, 1, 2]), formats=("parquet",))
    table_case("id_double_gaps", "responses", with_values(RESPONSES, "prompt_id", [1.0, None, 3.0]), {"prompt_id": pa.float64()},
               [RESPONSES[0] | {"prompt_id": 1}, without([RESPONSES[1]], "prompt_id")[0], RESPONSES[2] | {"prompt_id": 3}])
    table_case("id_float", "responses", with_values(RESPONSES, "prompt_id", [1.0, 2.0, 3.0]), {"prompt_id": pa.float32()},
               with_values(RESPONSES, "prompt_id", [1, 2, 3]), refused=["'prompt_id'"], formats=("parquet",))
    table_case("id_double_fraction", "responses", with_values(RESPONSES, "prompt_id", [1.5, 2.0, 3.0]), {"prompt_id": pa.float64()},
               refused=["'prompt_id'", "1.5"], formats=("parquet",))
    table_case("id_double_above_2_53", "responses", with_values(RESPONSES, "prompt_id", [2.0**53, 2.0**60, 3.0]),
               {"prompt_id": pa.float64()}, refused=["'prompt_id'"], note="a double above 2^53 may stand for several integers", formats=("parquet",))
    table_case("id_double_nan", "responses", with_values(RESPONSES, "prompt_id", [1.0, math.nan, 3.0]), {"prompt_id": pa.float64()},
               [RESPONSES[0] | {"prompt_id": 1}, without([RESPONSES[1]], "prompt_id")[0], RESPONSES[2] | {"prompt_id": 3}],
               refused=["'prompt_id'"], note="NaN as a gap")
    table_case("id_decimal", "responses", with_values(RESPONSES, "prompt_id", [decimal.Decimal(n) for n in (1, 2, 3)]),
               {"prompt_id": pa.decimal128(20, 0)}, with_values(RESPONSES, "prompt_id", [1, 2, 3]), refused=["'prompt_id'", "decimal"], formats=("parquet",))
    table_case("id_decimal_fraction", "responses",
               with_values(RESPONSES, "prompt_id", [decimal.Decimal(n) for n in ("1.00", "2.00", "3.00")]),
               {"prompt_id": pa.decimal128(20, 2)}, with_values(RESPONSES, "prompt_id", [1, 2, 3]), refused=["'prompt_id'"], formats=("parquet",))
    table_case("id_dictionary_of_int", "responses", with_values(RESPONSES, "prompt_id", [1, 2, 3]),
               {"prompt_id": pa.dictionary(pa.int32(), pa.int64())}, with_values(RESPONSES, "prompt_id", [1, 2, 3]))
    table_case("id_bytes", "responses", with_values(RESPONSES, "prompt_id", [i.bytes[:8] + b"\xff" * 8 for i in identifiers]),
               {"prompt_id": pa.binary(16)}, with_values(RESPONSES, "prompt_id", [(i.bytes[:8] + b"\xff" * 8).hex() for i in identifiers]),
               refused=["'prompt_id'", "UTF-8"], note="bytes that are no text: in hexadecimal, or refused")
    table_case("id_double_2_53", "responses", with_values(RESPONSES, "prompt_id", [2.0**53, 2.0, 3.0]), {"prompt_id": pa.float64()},
               refused=["'prompt_id'"], note="2^53 as a double may have been 2^53 + 1", formats=("parquet",))

    # Numbers.
    for name, kind in {"half": pa.float16(), "float": pa.float32(), "double": pa.float64(), "decimal32": pa.decimal32(7, 3),
                       "decimal64": pa.decimal64(12, 3), "decimal128": pa.decimal128(20, 3), "decimal256": pa.decimal256(50, 3),
                       "dictionary": pa.dictionary(pa.int8(), pa.float64()), "run_end": run_end(pa.float32())}.items():
        rows = with_values(SCORES, "score", [decimal.Decimal(str(row["score"])) for row in SCORES]) if "decimal" in name else SCORES
        table_case(f"score_{name}", "scores", rows, {"score": kind}, SCORES)
        rows = with_values(SCORED, "score", [decimal.Decimal(str(row["score"])) for row in SCORED]) if "decimal" in name else SCORED
        table_case(f"scored_{name}", "scored", rows, {"score": kind}, SCORED, formats=("parquet",))
    for name in ("int8", "int64", "uint16", "uint64"):
        table_case(f"score_{name}", "scores", WHOLE_SCORES, {"score": getattr(pa, name)()}, WHOLE_SCORES, formats=("parquet",))
    for name, kind in {"text": pa.string(), "large_text": pa.large_string(), "binary": pa.binary(),
                       "dictionary_text": pa.dictionary(pa.int8(), pa.string())}.items():
        values = [str(row["score"]).encode() if name == "binary" else str(row["score"]) for row in SCORES]
        table_case(f"score_{name}", "scores", with_values(SCORES, "score", values), {"score": kind}, refused="'score'",
                   formats=("parquet",))
    table_case("score_nan", "scores", with_values(SCORES, "score", [1.0, math.nan, 2.0]), {"score": pa.float32()}, refused="'score'",
               formats=("parquet",))
    doubled = pa.Table.from_arrays([pa.array(["p1", "p2"]), pa.array(["alpha", "alpha"]), pa.array([1.5, 2.5], pa.float32()),
                                    pa.array([-1.5, -2.5], pa.float32())], ["prompt_id", "policy", "score", "score"])
    for extension in ("parquet", "arrow"):
        w.case(f"score_twice.{extension}", "scores", lambda path: write_arrow(doubled, path), refused="'score'",
               note="two columns of one name")
    doubled_text = pa.Table.from_arrays([pa.array(["p1"]), pa.array(["Q?"]), pa.array(["yes"]), pa.array(["no"])],
                                        ["prompt_id", "prompt", "response", "response"])
    for extension in ("parquet", "arrow"):
        w.case(f"response_twice.{extension}", "responses", lambda path: write_arrow(doubled_text, path), refused="'response'")

    # Flags.
    for name, kind, values in [("bool", pa.bool_(), [True, False]), ("dictionary", pa.dictionary(pa.int8(), pa.bool_()), [True, False]),
                               ("run_end", run_end(pa.bool_()), [True, False])]:
        table_case(f"flag_{name}", "scored", with_values(SCORED, "truncated", values), {"truncated": kind}, SCORED)
    for name, kind, values in [("int8", pa.int8(), [1, 0]), ("double", pa.float64(), [1.0, 0.0])]:
        table_case(f"flag_{name}", "scored", with_values(SCORED, "truncated", values), {"truncated": kind}, SCORED,
                   refused="'truncated'", formats=("parquet",), note="0 and 1 for a flag: as the flag, or refused")
    table_case("flag_text", "scored", with_values(SCORED, "truncated", ["true", "false"]), {}, refused="'truncated'",
               formats=("parquet",))
    table_case("flag_int_two", "scored", with_values(SCORED, "truncated", [2, 0]), {}, refused="'truncated'", formats=("parquet",))

    # Counts.
    for name, kind, values in [("int64", pa.int64(), [12, 9]), ("uint16", pa.uint16(), [12, 9]), ("double", pa.float64(), [12.0, 9.0]),
                               ("decimal", pa.decimal128(10, 0), [decimal.Decimal(12), decimal.Decimal(9)])]:
        table_case(f"count_{name}", "scored", with_values(SCORED, "num_tokens", values), {"num_tokens": kind}, SCORED,
                   formats=("parquet",), refused=["'num_tokens'", "decimal"] if name == "decimal" else None)
    table_case("count_text", "scored", with_values(SCORED, "num_tokens", ["12", "9"]), {}, refused="'num_tokens'", formats=("parquet",))

    # Message lists.
    view = pa.struct([("role", pa.dictionary(pa.int8(), pa.string())), ("content", pa.string_view())])
    large = pa.struct([("role", pa.large_string()), ("content", pa.large_string())])
    binary = pa.struct([("role", pa.binary()), ("content", pa.binary())])
    lists = {"list": pa.list_(MESSAGE), "large_list": pa.large_list(large), "fixed_list": pa.list_(MESSAGE, 2),
             "list_view": pa.list_view(MESSAGE), "large_list_view": pa.large_list_view(large), "view_members": pa.list_(view),
             "binary_members": pa.list_(binary), "list_extra_member": pa.list_(pa.struct([*MESSAGE, ("name", pa.string())]))}
    for name, kind in lists.items():
        table_case(f"messages_{name}", "responses", CHATS, {"messages": kind}, CHATS)
        if name != "fixed_list":
            table_case(f"pairs_{name}", "preferences", PAIRS, {"chosen": kind, "rejected": kind}, PAIRS, formats=("parquet",))
    parallel = with_values(CHATS, "messages", [{"role": [m["role"] for m in row["messages"]],
                                                "content": [m["content"] for m in row["messages"]]} for row in CHATS])
    table_case("messages_parallel_lists", "responses", parallel, {}, CHATS, formats=("parquet",))
    maps = with_values(CHATS, "messages", [[list(m.items()) for m in row["messages"]] for row in CHATS])
    table_case("messages_list_of_map", "responses", maps, {"messages": pa.list_(pa.map_(pa.string(), pa.string()))}, CHATS,
               refused=["'messages'", "map"])
    table_case("messages_null_item", "responses", with_values(CHATS, "messages", [[None, *row["messages"]] for row in CHATS]),
               {"messages": pa.list_(MESSAGE)}, refused="'messages'", formats=("parquet",))
    table_case("messages_null_content", "responses",
               with_values(CHATS, "messages", [[message("user", None), row["messages"][1]] for row in CHATS]),
               {"messages": pa.list_(MESSAGE)}, refused="'messages'", formats=("parquet",))
    table_case("messages_content_date", "responses",
               with_values(CHATS, "messages", [[message("user", day), message("assistant", day)] for row in CHATS]),
               {}, refused=["'messages'", "date"], formats=("parquet",))
    table_case("messages_content_int", "responses",
               with_values(CHATS, "messages", [[message("user", 2), message("assistant", 4)] for row in CHATS]), {}, refused="'messages'", formats=("parquet",))
    table_case("messages_text_json", "responses", with_values(CHATS, "messages", [json.dumps(r["messages"]) for r in CHATS]), {},
               rows=CHATS, refused="'messages'", note="JSON text in a plain string column", formats=("parquet",))
    keys = pa.struct([("role", pa.string()), ("content", pa.string()), ("name", pa.string()), ("reasoning_content", pa.string()),
                      ("tool_calls", pa.list_(pa.struct([("id", pa.string()), ("type", pa.string()), (
                          "function", pa.struct([("name", pa.string()), ("arguments", pa.string())]))])))])
    table_case("messages_tool_calls", "responses", TOOL_CHATS, {"messages": pa.list_(keys)}, TOOL_CHATS,
               note="members that a message lacks are null")
    parts = pa.struct([("role", pa.string()), ("content", pa.list_(pa.struct([("type", pa.string()), ("text", pa.string())])))])
    all_parts = with_values(CHATS, "messages", [[message(m["role"], [{"type": "text", "text": m["content"]}]) for m in row["messages"]]
                                                for row in CHATS])
    table_case("messages_parts", "responses", all_parts, {"messages": pa.list_(parts)}, all_parts, refused="'messages'", formats=("parquet",))
    table_case("response_one_message", "responses", with_values(RESPONSES, "response", [[message("assistant", r["response"])]
               for r in RESPONSES]), {}, RESPONSES, formats=("parquet",))

    # Columns that no role uses.
    odd = arrow_table(RESPONSES)
    extras = {
        "id": arrow_array([i.bytes for i in identifiers], pa.uuid()), "image": pa.array([{"bytes": b"\xff\xd8\x00", "path": None}] * 3),
        "tags": pa.array([[("k", 1)]] * 3, pa.map_(pa.string(), pa.int64())), "at": pa.array([moment] * 3, pa.timestamp("ns", "UTC")),
        "took": pa.array([datetime.timedelta(seconds=1)] * 3), "nothing": pa.nulls(3), "raw": pa.array([b"\xff\xff"] * 3),
        "far": pa.array([2**63 + 1] * 3, pa.uint64()), "vector": pa.array([[1.0, 2.0]] * 3, pa.list_(pa.float32(), 2)),
        "empty": pa.array([{}] * 3, pa.struct([])),
        "day": pa.array([datetime.date(1, 1, 1)] * 3), "money": pa.array([decimal.Decimal("1.10")] * 3),
    }
    for name, array in extras.items():
        if name != "empty":
            odd = odd.append_column(name, array)
    for extension in ("parquet", "arrow", "arrows"):
        w.case(f"odd_columns.{extension}", "responses", lambda path: write_arrow(odd, path), rows=RESPONSES)
    w.case("odd_int96.parquet", "responses",
           lambda path: pq.write_table(arrow_table(RESPONSES).append_column("at", extras["at"]), path, use_deprecated_int96_timestamps=True),
           rows=RESPONSES)
    union = pa.UnionArray.from_dense(pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32()),
                                     [pa.array([1, 2]), pa.array(["x"])])
    sparse = pa.UnionArray.from_sparse(pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, 3]), pa.array(["x", "y", "z"])])
    for name, array in {"union": union, "sparse_union": sparse, "interval": pa.array([pa.MonthDayNano([1, 2, 3])] * 3),
                        "empty_struct": extras["empty"], "run_end": arrow_array([1.0, 2.0, 3.0], run_end(pa.float64())),
                        "list_view": pa.array([[1]] * 3, pa.list_view(pa.int8())),
                        "bool8": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, 1], pa.int8())),
                        "opaque": pa.ExtensionArray.from_storage(pa.opaque(pa.binary(), "geometry", "somewhere"), pa.array([b"\x01"] * 3)),
                        "tensor": pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float32(), [2]),
                                                                 pa.array([[1.0, 2.0]] * 3, pa.list_(pa.float32(), 2)))}.items():
        for extension in ("parquet", "arrow"):
            w.case(f"odd_{name}.{extension}", "responses", lambda path: write_arrow(arrow_table(RESPONSES).append_column("odd", array), path),
                   rows=RESPONSES)
    w.case("response_union.arrow", "responses",
           lambda path: write_arrow(arrow_table(without(RESPONSES, "response")).append_column("response", union), path),
           refused=["'response'", "union"])
    w.case("flag_bool8.arrow", "scored",
           lambda path: write_arrow(arrow_table(without(SCORED, "truncated")).append_column(
               "truncated", pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8()))), path),
           rows=SCORED, refused="'truncated'")
    w.case("opaque_response.arrow", "responses",
           lambda path: write_arrow(arrow_table(without(RESPONSES, "response")).append_column("response", pa.ExtensionArray.from_storage(
               pa.opaque(pa.string(), "hstore", "PostgreSQL"), pa.array(['"a"=>"1"'] * 3))), path),
           rows=with_values(RESPONSES, "response", ['"a"=>"1"'] * 3), refused=["'response'"])

    # Encodings and codecs.
    scores = arrow_table(SCORES, score=pa.float32(), sample=pa.int32())
    for codec in ("none", "snappy", "gzip", "brotli", "zstd", "lz4"):
        w.case(f"codec_{codec}.parquet", "scores", lambda path: pq.write_table(scores, path, compression=codec), rows=SCORES)
    w.case("pages_v2.parquet", "scores", lambda path: pq.write_table(scores, path, data_page_version="2.0"), rows=SCORES)
    w.case("delta.parquet", "scores", lambda path: pq.write_table(
        scores, path, use_dictionary=False, column_encoding={"prompt_id": "DELTA_BYTE_ARRAY", "policy": "DELTA_LENGTH_BYTE_ARRAY",
                                                             "score": "BYTE_STREAM_SPLIT", "sample": "DELTA_BINARY_PACKED"}), rows=SCORES)
    w.case("no_arrow_schema.parquet", "responses",
           lambda path: pq.write_table(arrow_table(RESPONSES, response=pa.large_string()), path, store_schema=False), rows=RESPONSES)
    w.case("version_1.parquet", "scores", lambda path: pq.write_table(scores, path, version="1.0"), rows=SCORES)
    for codec in ("lz4", "zstd", "uncompressed"):
        w.case(f"feather_{codec}.feather", "scores", lambda path: pyarrow.feather.write_feather(scores, path, compression=codec), rows=SCORES)
    w.case("row_groups.parquet", "scores", lambda path: pq.write_table(scores, path, row_group_size=1), rows=SCORES)
    w.case("no_rows.parquet", "scores", lambda path: pq.write_table(scores.slice(0, 0), path), refused="no rows")

    # Folders.
    first, second = arrow_table(RESPONSES[:2]), arrow_table(RESPONSES[2:])
    plain = [arrow_table(without(RESPONSES[:2], "policy")), arrow_table(without(RESPONSES[2:], "policy"))]

    def spark(tables, empty=False):
        def write(path):
            path.mkdir(parents=True)
            for i, table in enumerate(([tables[0].slice(0, 0)] if empty else []) + tables):
                name = f"part-{i:05d}-5d0f1c3e-8a4b-4c9e-9f0a-0123456789ab-c000.snappy.parquet"
                pq.write_table(table, path / name, compression="snappy")
                (path / f".{name}.crc").write_bytes(b"crc\x00\x00\x00\x02\x00")
            (path / "_SUCCESS").write_bytes(b"")
            (path / "._SUCCESS.crc").write_bytes(b"crc\x00\x00\x00\x02\x00")
        return write

    w.case("spark_layout", "responses", spark([first, second]), rows=RESPONSES, note="the layout of Spark, written by pyarrow")
    w.case("spark_layout_no_policy", "responses", spark(plain), rows=without(RESPONSES, "policy"),
           note="part files are shards: the policy is the folder's name")
    w.case("spark_layout_empty_part", "responses", spark([first, second], empty=True), rows=RESPONSES)

    def hive(column):
        def write(path):
            rows = RESPONSES if column == "policy" else [dict(row, lang="en") for row in RESPONSES]
            pyarrow.dataset.write_dataset(arrow_table(rows), path, format="parquet", partitioning=pyarrow.dataset.partitioning(
                pa.schema([(column, pa.string())]), flavor="hive"), existing_data_behavior="overwrite_or_ignore")
        return write

    by_policy = sorted(RESPONSES, key=lambda row: row["policy"])
    w.case("hive_policy", "responses", hive("policy"), rows=by_policy, refused="policy=alpha",
           note="the partition column is in the folders' names only")
    w.case("hive_lang", "responses", hive("lang"), rows=RESPONSES, refused="lang=en")

    def write_parts(path):
        pyarrow.dataset.write_dataset(arrow_table(RESPONSES), path, format="parquet", max_rows_per_file=2, max_rows_per_group=2)

    w.case("dataset_parts", "responses", write_parts, rows=RESPONSES)

    def write_with_metadata(path):
        path.mkdir(parents=True)
        collector = []
        pq.write_to_dataset(arrow_table(RESPONSES), path, metadata_collector=collector,
                            basename_template="part-{i}.parquet")
        pq.write_metadata(arrow_table(RESPONSES).schema, path / "_common_metadata")
        pq.write_metadata(arrow_table(RESPONSES).schema, path / "_metadata", metadata_collector=collector)

    w.case("dataset_metadata", "responses", write_with_metadata, rows=RESPONSES, note="_metadata and _common_metadata beside the part")

    def write_arrow_folder(path):
        path.mkdir(parents=True)
        write_arrow(first, path / "part-0.arrow")
        write_arrow(second, path / "part-1.arrow")

    w.case("arrow_folder", "responses", write_arrow_folder, rows=RESPONSES, refused="parquet")
    w.case("ratings.parquet", "ratings", lambda path: pq.write_table(arrow_table(RATINGS), path), rows=RATINGS, refused="Parquet",
           note="ratings are JSON or CSV; a Parquet table must be read, or refused as Parquet")
    w.case("prompts_large_list.parquet", "prompts", lambda path: pq.write_table(arrow_table(
        [{"prompt_id": 5, "prompt": [message("user", "Hi")]}], prompt=pa.large_list(MESSAGE)), path),
        rows=[{"prompt_id": 5, "prompt": [message("user", "Hi")]}])
    return w
