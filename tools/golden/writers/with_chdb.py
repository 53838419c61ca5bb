"""Cases written by chDB: ClickHouse's Parquet, Arrow, JSON and CSV writers."""

import tempfile

import chdb
from cases import *


def writer():
    w = Writer("chdb", chdb.__version__ if isinstance(chdb.__version__, str) else ".".join(map(str, chdb.__version__)))

    def export(query, form="Parquet", settings=""):
        def write(path):
            with tempfile.TemporaryDirectory() as folder:
                for name, rows in {"responses": RESPONSES, "scores": SCORES, "scored": SCORED, "battles": BATTLES, "ratings": RATINGS}.items():
                    with open(f"{folder}/{name}.jsonl", "w") as file:
                        file.write(jsonl(rows))
                text = query
                for name in ("responses", "scores", "scored", "battles", "ratings"):
                    text = text.replace("FROM " + name, f"FROM file('{folder}/{name}.jsonl', JSONEachRow)")
                result = chdb.query(text + " SETTINGS max_threads = 1" + (", " + settings if settings else ""), form)
                path.write_bytes(result.bytes())
        return write

    columns = "prompt_id, prompt, response, policy"
    w.case("text.parquet", "responses", export(f"SELECT {columns} FROM responses"), rows=RESPONSES)
    w.case("text_not_nullable.parquet", "responses", export(
        "SELECT assumeNotNull(prompt_id) AS prompt_id, assumeNotNull(prompt) AS prompt, assumeNotNull(response) AS response, "
        "assumeNotNull(policy) AS policy FROM responses"), rows=RESPONSES)
    w.case("text_binary.parquet", "responses", export(f"SELECT {columns} FROM responses", settings="output_format_parquet_string_as_string = 0"),
           rows=RESPONSES)
    w.case("text.arrow", "responses", export(f"SELECT {columns} FROM responses", "Arrow"), rows=RESPONSES)
    w.case("text.arrows", "responses", export(f"SELECT {columns} FROM responses", "ArrowStream"), rows=RESPONSES)
    w.case("text_binary.arrow", "responses", export(f"SELECT {columns} FROM responses", "Arrow", "output_format_arrow_string_as_string = 0"),
           rows=RESPONSES)
    low = "SELECT prompt_id, prompt, response, toLowCardinality(assumeNotNull(policy)) AS policy FROM responses"
    w.case("low_cardinality.parquet", "responses", export(low), rows=RESPONSES)
    w.case("low_cardinality.arrow", "responses", export(low, "Arrow", "output_format_arrow_low_cardinality_as_dictionary = 1"), rows=RESPONSES)
    fixed = "SELECT prompt_id, prompt, response, toFixedString(assumeNotNull(policy), 5) AS policy FROM responses"
    w.case("fixed.parquet", "responses", export(fixed), rows=RESPONSES, refused="'policy'",
           note="FixedString(5) pads 'beta' with a NUL: the text with it, or without, must not differ silently")
    enum = ("SELECT prompt_id, prompt, response, CAST(assumeNotNull(policy), 'Enum8(''alpha'' = 1, ''beta'' = 2)') AS policy FROM responses")
    w.case("enum.parquet", "responses", export(enum), rows=RESPONSES, refused="'policy'")
    w.case("enum.arrow", "responses", export(enum, "Arrow"), rows=RESPONSES, refused="'policy'")
    w.case("battles.parquet", "battles", export("SELECT model_a, model_b, winner FROM battles", settings="output_format_parquet_string_as_string = 0"),
           rows=BATTLES)
    winner = ("SELECT model_a, model_b, CAST(assumeNotNull(winner), 'Enum8(''model_a'' = 1, ''model_b'' = 2, ''tie'' = 3)') AS winner FROM battles")
    w.case("battles_enum.parquet", "battles", export(winner), rows=BATTLES, refused="winner")
    for name, expression, rows, refused in [
        ("uint64", "toUInt64(substring(assumeNotNull(prompt_id), 2))", [1, 2, 3], None),
        ("int128", "toInt128(substring(assumeNotNull(prompt_id), 2))", [1, 2, 3], "'prompt_id'"),
        ("uint256", "toUInt256(substring(assumeNotNull(prompt_id), 2))", [1, 2, 3], "'prompt_id'"),
        ("uuid", "toUUID(concat('00000000-0000-0000-0000-00000000000', substring(assumeNotNull(prompt_id), 2)))",
         [f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2, 3)], "'prompt_id'"),
        ("sum", "toUInt8(substring(assumeNotNull(prompt_id), 2)) + 0", [1, 2, 3], None),
    ]:
        for extension, form in (("parquet", "Parquet"), ("arrow", "Arrow")):
            w.case(f"id_{name}.{extension}", "responses", export(
                f"SELECT {expression} AS prompt_id, prompt, response, policy FROM responses", form),
                rows=with_values(RESPONSES, "prompt_id", rows), refused=refused)
    for name, expression, word in [
        ("date", "toDate('2026-11-30')", ""), ("date32", "toDate32('2026-11-30')", ""), ("datetime", "toDateTime('2026-11-30 13:05:00', 'UTC')", ""),
        ("datetime64", "toDateTime64('2026-11-30 13:05:00', 3, 'UTC')", ""), ("decimal", "toDecimal32(4.25, 2)", ""),
        ("ipv4", "toIPv4('10.0.0.1')", ""), ("bool", "true", ""), ("map", "map('a', 'Four.')", ""), ("tuple", "tuple('Four.', 1)", ""),
        ("array", "['Four.']", ""),
    ]:
        w.case(f"response_{name}.parquet", "responses", export(
            f"SELECT prompt_id, prompt, {expression} AS response, policy FROM responses"), refused=["'response'"] + ([word] if word else []))
    w.case("response_ipv6.parquet", "responses", export("SELECT prompt_id, prompt, toIPv6('2001:db8::ff') AS response, policy FROM responses"),
           refused="'response'")
    for name, kind in [("float32", "Float32"), ("float64", "Float64"), ("decimal32", "Decimal32(3)"), ("decimal64", "Decimal64(3)"),
                       ("decimal128", "Decimal128(3)"), ("decimal256", "Decimal256(3)"), ("bfloat16", "BFloat16")]:
        for extension, form in (("parquet", "Parquet"), ("arrow", "Arrow")):
            w.case(f"score_{name}.{extension}", "scores", export(
                f"SELECT prompt_id, policy, sample, CAST(assumeNotNull(score), '{kind}') AS score FROM scores", form), rows=SCORES,
                refused="'score'" if name == "bfloat16" else None)
    w.case("flag.parquet", "scored", export("SELECT * FROM scored"), rows=SCORED)
    w.case("flag_int.parquet", "scored", export("SELECT * REPLACE (toUInt8(assumeNotNull(truncated)) AS truncated) FROM scored"), rows=SCORED,
           refused="'truncated'", note="ClickHouse's comparisons are UInt8")
    chat = ("SELECT prompt_id, policy, CAST([tuple('user', prompt), tuple('assistant', response)], "
            "'Array(Tuple(role Nullable(String), content Nullable(String)))') AS messages FROM responses")
    chats = [{"prompt_id": r["prompt_id"], "policy": r["policy"],
              "messages": [message("user", r["prompt"]), message("assistant", r["response"])]} for r in RESPONSES]
    w.case("messages.parquet", "responses", export(chat), rows=chats)
    w.case("messages_binary.parquet", "responses", export(chat, settings="output_format_parquet_string_as_string = 0"), rows=chats)
    w.case("messages.arrow", "responses", export(chat, "Arrow"), rows=chats)
    maps = ("SELECT prompt_id, policy, [map('role', 'user', 'content', assumeNotNull(prompt)), map('role', 'assistant', 'content', "
            "assumeNotNull(response))] AS messages FROM responses")
    w.case("messages_map.parquet", "responses", export(maps), rows=chats, refused=["'messages'", "map"])
    w.case("text.jsonl", "responses", export(f"SELECT {columns} FROM responses", "JSONEachRow"), rows=RESPONSES)
    w.case("id_uint64.jsonl", "responses", export(
        "SELECT toUInt64(substring(assumeNotNull(prompt_id), 2)) AS prompt_id, prompt, response, policy FROM responses", "JSONEachRow",
        "output_format_json_quote_64bit_integers = 1"), rows=with_values(RESPONSES, "prompt_id", [1, 2, 3]))
    w.case("ratings.csv", "ratings", export("SELECT name, rating, rating_lower, rating_upper FROM ratings", "CSVWithNames"), rows=RATINGS,
           note="header and texts in quotes")
    w.case("ratings.tsv", "ratings", export("SELECT name, rating, rating_lower, rating_upper FROM ratings", "TabSeparatedWithNames"), rows=RATINGS)
    return w
