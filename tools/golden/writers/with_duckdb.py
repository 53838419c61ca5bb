"""Cases written by DuckDB's COPY."""

import json
import tempfile

import duckdb
from cases import *


def writer():
    w = Writer("duckdb", duckdb.__version__)

    def copy(query, options="FORMAT parquet", before=()):
        def write(path):
            with duckdb.connect() as connection, tempfile.TemporaryDirectory() as folder:
                connection.execute("SET threads = 1; SET TimeZone = 'UTC'")
                sources = {"responses": RESPONSES, "scores": SCORES, "scored": SCORED, "battles": BATTLES, "ratings": RATINGS, "chats": CHATS,
                           "pairs": PAIRS, "tools": TOOL_CHATS, "parts": PART_CHATS}
                for name, rows in sources.items():
                    with open(f"{folder}/{name}.jsonl", "w") as file:
                        file.write(jsonl(rows))
                    connection.execute(f"CREATE VIEW {name} AS FROM read_json_auto('{folder}/{name}.jsonl')")
                for statement in before:
                    connection.execute(statement)
                connection.execute(f"COPY ({query}) TO '{path}' ({options})")
        return write

    w.case("text.parquet", "responses", copy("FROM responses"), rows=RESPONSES)
    w.case("text_v2.parquet", "responses", copy("FROM responses", "FORMAT parquet, PARQUET_VERSION v2"), rows=RESPONSES)
    w.case("blob.parquet", "responses", copy("SELECT encode(prompt_id) AS prompt_id, encode(prompt) AS prompt, encode(response) AS response, "
                                             "encode(policy) AS policy FROM responses"), rows=RESPONSES)
    enum = ["CREATE TYPE policies AS ENUM ('beta', 'alpha')", "CREATE TYPE winners AS ENUM ('tie', 'model_b', 'model_a')"]
    w.case("enum.parquet", "responses", copy("SELECT * REPLACE (policy::policies AS policy) FROM responses", before=enum), rows=RESPONSES)
    w.case("battles_enum.parquet", "battles", copy("SELECT * REPLACE (winner::winners AS winner) FROM battles", before=enum), rows=BATTLES)
    w.case("json_text.parquet", "responses", copy("SELECT * REPLACE (to_json(prompt) AS prompt) FROM responses"), rows=RESPONSES,
           note="a JSON column that holds a text, in quotes")
    w.case("json_response.parquet", "responses", copy("SELECT * REPLACE (to_json(response) AS response) FROM responses"), rows=RESPONSES,
           refused=["'response'", "json"])
    w.case("json_messages.parquet", "responses", copy("SELECT prompt_id, policy, to_json(messages) AS messages FROM chats"), rows=CHATS)
    w.case("messages.parquet", "responses", copy("FROM chats"), rows=CHATS)
    w.case("messages_array.parquet", "responses", copy(
        "SELECT prompt_id, policy, messages::STRUCT(\"role\" VARCHAR, content VARCHAR)[2] AS messages FROM chats"), rows=CHATS)
    w.case("messages_map.parquet", "responses", copy(
        "SELECT prompt_id, policy, [MAP {'role': m.role, 'content': m.content} FOR m IN messages] AS messages FROM chats"), rows=CHATS,
        refused=["'messages'", "map"])
    w.case("pairs.parquet", "preferences", copy("FROM pairs"), rows=PAIRS)
    w.case("tool_calls.parquet", "responses", copy("FROM tools"), rows=TOOL_CHATS)
    w.case("parts.parquet", "responses", copy("FROM parts"), rows=PART_CHATS, refused="'messages'",
           note="content is a list in one message and a text in the others: a JSON column, texts in quotes")
    plain_parts = with_values(PART_CHATS, "messages", [
        [message(m["role"], m["content"]) for m in row["messages"]] for row in PART_CHATS])
    w.case("parts.jsonl", "responses", copy("FROM parts", "FORMAT json"), rows=plain_parts, refused="'messages'")
    w.case("union_response.parquet", "responses", copy(
        "SELECT * REPLACE (union_value(t := response) AS response) FROM responses"), refused="'response'")

    ids = {"integer": "INTEGER", "ubigint": "UBIGINT", "hugeint": "HUGEINT", "uhugeint": "UHUGEINT", "double": "DOUBLE", "tinyint": "TINYINT"}
    for name, kind in ids.items():
        w.case(f"id_{name}.parquet", "responses", copy(f"SELECT * REPLACE (substr(prompt_id, 2)::{kind} AS prompt_id) FROM responses"),
               rows=with_values(RESPONSES, "prompt_id", [1, 2, 3]))
    w.case("id_decimal.parquet", "responses", copy("SELECT * REPLACE (substr(prompt_id, 2)::DECIMAL(18, 0) AS prompt_id) FROM responses"),
           rows=with_values(RESPONSES, "prompt_id", [1, 2, 3]), refused=["'prompt_id'", "decimal"])
    for name in ("bignum", "varint"):
        w.case(f"id_{name}.parquet", "responses", copy(f"SELECT * REPLACE (substr(prompt_id, 2)::{name} AS prompt_id) FROM responses"),
               rows=with_values(RESPONSES, "prompt_id", [1, 2, 3]), refused="'prompt_id'")
    w.case("id_hugeint_far.parquet", "responses", copy(
        "SELECT * REPLACE (substr(prompt_id, 2)::HUGEINT + 9007199254740992 AS prompt_id) FROM responses"), refused="'prompt_id'",
        note="HUGEINT is written as DOUBLE: above 2^53 the digits are lost and ids collide")
    w.case("id_sum.parquet", "responses", copy(
        "SELECT * REPLACE (ids.total AS prompt_id) FROM responses JOIN (SELECT prompt_id, sum(substr(prompt_id, 2)::BIGINT) AS total "
        "FROM responses GROUP BY ALL) ids USING (prompt_id) ORDER BY total"), rows=with_values(RESPONSES, "prompt_id", [1, 2, 3]),
        note="sum() of integers is HUGEINT")
    uuids = [f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2, 3)]
    to_uuid = "('00000000-0000-0000-0000-00000000000' || substr({0}, 2))::UUID"
    w.case("id_uuid.parquet", "responses", copy(f"SELECT * REPLACE ({to_uuid.format('prompt_id')} AS prompt_id) FROM responses"),
           rows=with_values(RESPONSES, "prompt_id", uuids))
    w.case("score_id_uuid.parquet", "scores", copy(f"SELECT * REPLACE ({to_uuid.format('prompt_id')} AS prompt_id) FROM scores"),
           rows=[dict(row, prompt_id=uuids[int(row["prompt_id"][1]) - 1]) for row in SCORES])
    for name, value, word in [
        ("date", "DATE '2026-11-30'", "date"), ("time", "TIME '13:05:00'", "time"), ("timetz", "TIMETZ '13:05:00+00'", "time"),
        ("timestamp", "TIMESTAMP '2026-11-30 13:05:00'", "timestamp"), ("timestamptz", "TIMESTAMPTZ '2026-11-30 13:05:00+00'", "timestamp"),
        ("timestamp_s", "TIMESTAMP_S '2026-11-30 13:05:00'", "timestamp"), ("timestamp_ns", "TIMESTAMP_NS '2026-11-30 13:05:00'", "timestamp"),
        ("interval", "INTERVAL 3 DAY", ""), ("decimal", "4.25::DECIMAL(9, 2)", "decimal"),
        ("hugeint", "4::HUGEINT", ""), ("map", "MAP {'a': 'Four.'}", "map"), ("list", "['Four.']", ""), ("struct", "{'a': 'Four.'}", ""),
        ("variant", "'Four.'::VARIANT", ""), ("uuid", "'00000000-0000-0000-0000-000000000001'::UUID", "uuid"),
        ("integer", "4", ""), ("boolean", "true", ""),
    ]:
        may = {"uuid": with_values(RESPONSES, "response", [uuids[0]] * 3), "variant": with_values(RESPONSES, "response", ["Four."] * 3)}
        w.case(f"response_{name}.parquet", "responses", copy(f"SELECT * REPLACE ({value} AS response) FROM responses"),
               rows=may.get(name), refused=["'response'"] + ([word] if word else []))
    w.case("response_bit.parquet", "responses", copy("SELECT * REPLACE ('101'::BIT AS response) FROM responses"),
           rows=with_values(RESPONSES, "response", ["101"] * 3), refused="'response'")
    w.case("odd_columns.parquet", "responses", copy(
        "SELECT *, uuid() IS NULL AS n, '00000000-0000-0000-0000-000000000001'::UUID AS u, '\\xFF'::BLOB AS raw, MAP {'k': 1} AS tags, "
        "INTERVAL 3 DAY AS took, 170141183460469231731687303715884105727::HUGEINT AS far, [1.5, 2.5]::FLOAT[2] AS vector, "
        "TIMETZ '13:05:00+00' AS tz, union_value(num := 2) AS either_, NULL AS nothing, '101'::BIT AS bits FROM responses"), rows=RESPONSES)
    w.case("odd_variant.parquet", "responses", copy("SELECT *, {'a': [1, 2]}::VARIANT AS odd FROM responses"), rows=RESPONSES)
    w.case("odd_geometry.parquet", "responses", copy("SELECT *, 'POINT (1 2)'::GEOMETRY AS odd FROM responses"), rows=RESPONSES)

    for name, kind in {"float": "FLOAT", "double": "DOUBLE", "decimal": "DECIMAL(9, 3)", "decimal_wide": "DECIMAL(38, 3)"}.items():
        w.case(f"score_{name}.parquet", "scores", copy(f"SELECT * REPLACE (score::{kind} AS score) FROM scores"), rows=SCORES)
    w.case("score_hugeint.parquet", "scores", copy("SELECT * REPLACE (round(score)::HUGEINT AS score) FROM scores"),
           rows=with_values(SCORES, "score", [2.0, -2.0, 3.0]))
    w.case("score_text.parquet", "scores", copy("SELECT * REPLACE (score::VARCHAR AS score) FROM scores"), refused="'score'")
    w.case("score_default_decimal.parquet", "scores", copy("SELECT * REPLACE (sample + 1.5 AS score) FROM scores"),
           rows=with_values(SCORES, "score", [1.5, 1.5, 2.5]), note="a literal 1.5 is a DECIMAL in DuckDB")
    w.case("flag.parquet", "scored", copy("FROM scored"), rows=SCORED)
    w.case("flag_int.parquet", "scored", copy("SELECT * REPLACE (truncated::TINYINT AS truncated) FROM scored"), rows=SCORED, refused="'truncated'")

    w.case("text.jsonl", "responses", copy("FROM responses", "FORMAT json"), rows=RESPONSES)
    w.case("array.json", "responses", copy("FROM responses", "FORMAT json, ARRAY true"), rows=RESPONSES)
    w.case("tool_calls.jsonl", "responses", copy("FROM tools", "FORMAT json"), rows=TOOL_CHATS, note="absent members are null")
    w.case("hugeint.jsonl", "responses", copy("SELECT * REPLACE (substr(prompt_id, 2)::HUGEINT + 18446744073709551615 AS prompt_id) FROM responses",
                                              "FORMAT json"),
           rows=with_values(RESPONSES, "prompt_id", [str(2**64 + n) for n in (0, 1, 2)]), refused="'prompt_id'",
           note="an integer beyond 64 bits in JSON: its digits, or refused; never a rounded double")
    w.case("per_thread", "responses", copy("FROM responses", "FORMAT parquet, PER_THREAD_OUTPUT true"), rows=RESPONSES)
    w.case("per_thread_no_policy", "responses", copy("SELECT * EXCLUDE (policy) FROM responses", "FORMAT parquet, PER_THREAD_OUTPUT true"),
           rows=without(RESPONSES, "policy"), note="data_0.parquet is a part: the policy is the folder's name")
    by_policy = sorted(RESPONSES, key=lambda row: row["policy"])
    w.case("partition_by", "responses", copy("FROM responses", "FORMAT parquet, PARTITION_BY (policy)"), rows=by_policy, refused="policy=alpha")
    w.case("ratings.csv", "ratings", copy("FROM ratings", "FORMAT csv, HEADER"), rows=RATINGS)
    w.case("ratings_force_quote.csv", "ratings", copy("FROM ratings", "FORMAT csv, HEADER, FORCE_QUOTE *"), rows=RATINGS)
    w.case("ratings.tsv", "ratings", copy("FROM ratings", "FORMAT csv, HEADER, DELIMITER '\\t'"), rows=RATINGS)
    w.case("ratings.json", "ratings", copy("FROM ratings", "FORMAT json, ARRAY true"), rows=RATINGS)
    w.case("ratings_no_header.csv", "ratings", copy("FROM ratings", "FORMAT csv, HEADER false"), refused="")
    return w
