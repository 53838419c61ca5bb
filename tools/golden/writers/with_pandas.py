"""Cases written by pandas, whose integers with gaps are floating point and whose object columns are inferred."""

import csv

import pandas
from cases import *


def writer():
    w = Writer("pandas", pandas.__version__)
    frame = pandas.DataFrame

    w.case("text.parquet", "responses", lambda path: frame(RESPONSES).to_parquet(path), rows=RESPONSES)
    w.case("text.feather", "responses", lambda path: frame(RESPONSES).to_feather(path), rows=RESPONSES)
    w.case("categorical.parquet", "responses", lambda path: frame(RESPONSES).astype("category").to_parquet(path), rows=RESPONSES)
    w.case("categorical.feather", "responses", lambda path: frame(RESPONSES).astype("category").to_feather(path), rows=RESPONSES)
    gaps = [RESPONSES[0] | {"prompt_id": 1}, without(RESPONSES[1:2], "prompt_id")[0], RESPONSES[2] | {"prompt_id": 3}]
    w.case("id_gaps.parquet", "responses", lambda path: frame(gaps).to_parquet(path), rows=gaps, note="integers with a gap are double")
    w.case("id_nullable.parquet", "responses", lambda path: frame(gaps).astype({"prompt_id": "Int64"}).to_parquet(path), rows=gaps)
    w.case("id_gaps.feather", "responses", lambda path: frame(gaps).to_feather(path), rows=gaps)
    w.case("id_gaps.jsonl", "responses", lambda path: frame(gaps).to_json(path, orient="records", lines=True), rows=gaps,
           note="1.0 in JSON lines, as pandas prints a double")
    w.case("index.parquet", "responses", lambda path: frame(RESPONSES).set_index("prompt_id").to_parquet(path), rows=RESPONSES,
           note="the index is a column by its name")
    w.case("unnamed_index.parquet", "responses", lambda path: frame(RESPONSES)[::-1].to_parquet(path), rows=RESPONSES[::-1],
           note="column __index_level_0__")
    w.case("object_bytes.parquet", "responses", lambda path: frame(with_values(
        RESPONSES, "response", [row["response"].encode() for row in RESPONSES])).to_parquet(path), rows=RESPONSES)
    w.case("text.jsonl", "responses", lambda path: frame(RESPONSES).to_json(path, orient="records", lines=True), rows=RESPONSES)
    w.case("records.json", "responses", lambda path: frame(RESPONSES).to_json(path, orient="records"), rows=RESPONSES)
    w.case("table.json", "responses", lambda path: frame(RESPONSES).to_json(path), refused="",
           note="pandas' default: an object of columns, not rows")
    w.case("text.jsonl.gz", "responses", lambda path: frame(RESPONSES).to_json(path, orient="records", lines=True, compression={
        "method": "gzip", "mtime": 1}), rows=RESPONSES)
    w.case("messages.parquet", "responses", lambda path: frame(CHATS).to_parquet(path), rows=CHATS)
    w.case("tool_calls.parquet", "responses", lambda path: frame(TOOL_CHATS).to_parquet(path), rows=TOOL_CHATS)
    w.case("response_date.parquet", "responses", lambda path: frame(RESPONSES).assign(
        response=pandas.to_datetime("2026-11-30")).to_parquet(path), refused=["'response'", "timestamp"])
    w.case("response_period.parquet", "responses", lambda path: frame(RESPONSES).assign(
        response=pandas.period_range("2026-01", periods=3, freq="M")).to_parquet(path), refused="'response'",
        note="months counted from 1970 as an extension over INT64")
    w.case("response_interval.parquet", "responses", lambda path: frame(RESPONSES).assign(
        response=pandas.interval_range(0, 3)).to_parquet(path), refused="'response'")
    w.case("response_int_category.parquet", "responses", lambda path: frame(RESPONSES).assign(
        response=pandas.Categorical([1, 2, 1])).to_parquet(path), refused="'response'")

    w.case("scores.parquet", "scores", lambda path: frame(SCORES).to_parquet(path), rows=SCORES)
    w.case("scores_half.parquet", "scores", lambda path: frame(SCORES).astype({"score": "float16"}).to_parquet(path), rows=SCORES)
    w.case("scores_category.parquet", "scores", lambda path: frame(SCORES).astype({"score": "category"}).to_parquet(path), rows=SCORES)
    w.case("scores_sparse.parquet", "scores", lambda path: frame(SCORES).astype({"score": "Sparse[float]"}).to_parquet(path), rows=SCORES)
    w.case("scores_nullable.parquet", "scores", lambda path: frame(SCORES).astype({"score": "Float32"}).to_parquet(path), rows=SCORES)
    w.case("scores_text.parquet", "scores", lambda path: frame(SCORES).astype({"score": "str"}).to_parquet(path), refused="'score'")
    samples = [SCORES[0], without(SCORES[1:2], "sample")[0], SCORES[2]]
    w.case("sample_gaps.parquet", "scores", lambda path: frame(samples).to_parquet(path), rows=samples)
    flags = [SCORED[0], without(SCORED[1:2], "truncated")[0]]
    w.case("flag_gaps.parquet", "scored", lambda path: frame(flags).to_parquet(path), rows=flags, note="an object column of True and None")
    w.case("flag_nullable.parquet", "scored", lambda path: frame(flags).astype({"truncated": "boolean"}).to_parquet(path), rows=flags)
    w.case("flag_float.parquet", "scored", lambda path: frame(flags).astype({"truncated": "float"}).to_parquet(path), rows=flags,
           refused="'truncated'", note="1.0 and NaN for True and a gap")

    # Kaggle's LMSYS table: the winner as three columns of 0 and 1.
    one_hot = [{"id": i, "model_a": row["model_a"], "model_b": row["model_b"],
                **{f"winner_{name}": int(row["winner"] == name) for name in ("model_a", "model_b", "tie")}}
               for i, row in enumerate(BATTLES)]
    w.case("one_hot.parquet", "battles", lambda path: frame(one_hot).to_parquet(path, index=False), rows=BATTLES, refused="winner",
           note="winner_model_a, winner_model_b, winner_tie")
    w.case("one_hot.jsonl", "battles", lambda path: frame(one_hot).to_json(path, orient="records", lines=True), rows=BATTLES,
           refused="winner")
    w.case("one_hot.csv", "battles", lambda path: frame(one_hot).to_csv(path, index=False), rows=BATTLES)
    w.case("battles.csv", "battles", lambda path: frame(BATTLES).to_csv(path, index=False), rows=BATTLES)
    w.case("responses.csv", "responses", lambda path: frame(RESPONSES).to_csv(path, index=False), rows=RESPONSES)
    w.case("battles_category.parquet", "battles", lambda path: frame(BATTLES).astype("category").to_parquet(path), rows=BATTLES)

    w.case("ratings.csv", "ratings", lambda path: frame(RATINGS).to_csv(path, index=False), rows=RATINGS)
    w.case("ratings_index.csv", "ratings", lambda path: frame(RATINGS).to_csv(path), rows=RATINGS, note="pandas' default: a column without a name")
    w.case("ratings_quote_all.csv", "ratings", lambda path: frame(RATINGS).to_csv(path, index=False, quoting=csv.QUOTE_ALL), rows=RATINGS)
    w.case("ratings_quote_nonnumeric.csv", "ratings", lambda path: frame(RATINGS).to_csv(path, index=False, quoting=csv.QUOTE_NONNUMERIC),
           rows=RATINGS)
    w.case("ratings.tsv", "ratings", lambda path: frame(RATINGS).to_csv(path, index=False, sep="\t"), rows=RATINGS)
    w.case("ratings_crlf.csv", "ratings", lambda path: frame(RATINGS).to_csv(path, index=False, lineterminator="\r\n"), rows=RATINGS)
    w.case("ratings_semicolon.csv", "ratings", lambda path: frame(RATINGS).to_csv(path, index=False, sep=";", decimal=","), refused="",
           note="the CSV of a European spreadsheet")
    w.case("ratings.csv.gz", "ratings", lambda path: frame(RATINGS).to_csv(path, index=False, compression={
        "method": "gzip", "mtime": 1}), rows=RATINGS)
    no_interval = [RATINGS[0], without(RATINGS[1:2], "rating_lower", "rating_upper")[0]]
    w.case("ratings_gaps.csv", "ratings", lambda path: frame(no_interval).to_csv(path, index=False), rows=no_interval)
    w.case("ratings_gaps_quoted.csv", "ratings", lambda path: frame(no_interval).to_csv(path, index=False, quoting=csv.QUOTE_ALL),
           rows=no_interval, note="a gap as a quoted empty field")
    w.case("ratings_lines.jsonl", "ratings", lambda path: frame(RATINGS).to_json(path, orient="records", lines=True), rows=RATINGS)
    w.case("ratings_columns.json", "ratings", lambda path: frame(RATINGS).to_json(path), refused="",
           note="pandas' default: an object of columns")
    return w
