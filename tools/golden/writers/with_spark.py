"""Cases written by Spark (a local session): part files, INT96, VARIANT, JSON lines without nulls."""

import json
import os
import pathlib
import tempfile

import pyspark
from cases import *
from pyspark.sql import SparkSession, functions


def writer():
    w = Writer("spark", pyspark.__version__)
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    session = (SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.sql.session.timeZone", "UTC")
               .config("spark.driver.bindAddress", "127.0.0.1").config("spark.log.level", "OFF").getOrCreate())
    with tempfile.TemporaryDirectory() as folder:
        def frame(rows, parts=2):
            source = pathlib.Path(folder) / f"{abs(hash(jsonl(rows)))}.jsonl"
            source.write_text(jsonl(rows))
            return session.read.json(str(source)).repartition(1).coalesce(1) if parts == 1 else session.read.json(str(source))

        def case(name, kind, data, rows=None, refused=None, note="", form="parquet", **options):
            def write(path):
                target = pathlib.Path(folder) / name
                data().write.options(**options).format(form).save(str(target))
                path.mkdir()
                for i, file in enumerate(sorted(target.iterdir())):
                    plain = steady(file.name)
                    (path / plain).write_bytes(file.read_bytes())
            w.case(name, kind, write, rows=rows, refused=refused, note=note)

        def steady(name):
            """The file's name with Spark's random identifier set to a fixed one."""
            import re
            return re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "01234567-89ab-4cde-8f01-23456789abcd", name)

        case("parts", "responses", lambda: frame(RESPONSES).repartitionByRange(2, "prompt_id"), RESPONSES,
             note="part-*.snappy.parquet, _SUCCESS and .crc files")
        case("parts_no_policy", "responses", lambda: frame(without(RESPONSES, "policy")).repartitionByRange(2, "prompt_id"),
             without(RESPONSES, "policy"), note="parts are shards: the policy is the folder's name")
        case("json_parts", "responses", lambda: frame(RESPONSES).coalesce(1), RESPONSES, refused="parquet", form="json")
        case("binary", "responses", lambda: frame(RESPONSES).withColumn("policy", functions.col("policy").cast("binary")).coalesce(1), RESPONSES)
        case("messages", "responses", lambda: frame(CHATS).coalesce(1), CHATS)
        case("tool_calls", "responses", lambda: frame(TOOL_CHATS).coalesce(1), json.loads(json.dumps(TOOL_CHATS, sort_keys=True)),
             note="the members of structs are in alphabetical order")
        case("messages_map", "responses", lambda: frame(CHATS).withColumn("messages", functions.expr(
            "transform(messages, m -> map('role', m.role, 'content', m.content))")).coalesce(1), CHATS, refused=["'messages'", "map"])
        case("score_decimal", "scores", lambda: frame(SCORES).withColumn("score", functions.col("score").cast("decimal(9,3)")).coalesce(1), SCORES)
        case("score_decimal_wide", "scores", lambda: frame(SCORES).withColumn("score", functions.col("score").cast("decimal(38,3)")).coalesce(1),
             SCORES)
        case("score_float", "scores", lambda: frame(SCORES).withColumn("score", functions.col("score").cast("float")).coalesce(1), SCORES)
        case("id_int", "responses", lambda: frame(with_values(RESPONSES, "prompt_id", [1, 2, 3])).coalesce(1),
             with_values(RESPONSES, "prompt_id", [1, 2, 3]))
        case("response_timestamp", "responses", lambda: frame(RESPONSES).withColumn("response", functions.lit("2026-11-30").cast("timestamp"))
             .coalesce(1), refused="'response'", note="INT96")
        case("response_date", "responses", lambda: frame(RESPONSES).withColumn("response", functions.lit("2026-11-30").cast("date"))
             .coalesce(1), refused=["'response'", "date"])
        case("response_interval", "responses", lambda: frame(RESPONSES).withColumn("response", functions.expr("INTERVAL '3' DAY")).coalesce(1),
             refused="'response'", note="a day-time interval is plain INT64")
        case("response_variant", "responses", lambda: frame(RESPONSES).withColumn("response", functions.expr(
            "to_variant_object(named_struct('a', response))")).coalesce(1), refused="'response'")
        case("odd_variant", "responses", lambda: frame(RESPONSES).withColumn("odd", functions.expr("parse_json('{\"a\": 1}')")).coalesce(1), RESPONSES)
        case("battles", "battles", lambda: frame(BATTLES).coalesce(1), BATTLES)
        case("flag", "scored", lambda: frame(SCORED).coalesce(1), SCORED)
        case("pairs", "preferences", lambda: frame(PAIRS).coalesce(1), PAIRS)
        session.stop()
    return w
