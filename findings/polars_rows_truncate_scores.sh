#!/usr/bin/env bash
# What:     polars builds a table from rows whose scores are whole at first and fractional later.
# Version:  polars 2.1.0.
# Expected: an error as from columns (pl.DataFrame({"score": [...]})) and read_ndjson, or a column of doubles: strict is the default.
# Seen:     rows as dicts or tuples, from_dicts, json_normalize and read_json take the type from the first 100 rows and then cut 2.5 to 2
#           and -0.9 to 0 without a word, strict=True included; nested scores as well. The same values in a column, and the same
#           JSON as lines, are refused. Text in such a row is refused, digits in quotes become a number.
# Matters:  scores of judges are whole numbers with a rare half point; from row 101 on the halves are lost, and with them the order of
#           chosen and rejected. infer_schema_length=None keeps them.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check --no-compile --no-deps polars==2.1.0 polars-runtime-32==2.1.0
"$dir/venv/bin/python" - > "$dir/seen" << 'EOF'
import json

import polars as pl


def rows(count):
    return [{"score": 1}] * count + [{"score": 2.5}, {"score": -0.9}]


def show(title, build):
    try:
        print(f"{title}: {build().tail(2).to_series().to_list()}")
    except Exception as error:
        print(f"{title}: {type(error).__name__}")


many = rows(100)
show("dicts, 20 whole rows first", lambda: pl.DataFrame(rows(20)))
show("dicts", lambda: pl.DataFrame(many))
show("dicts, strict", lambda: pl.DataFrame(many, strict=True))
show("dicts, all rows inferred", lambda: pl.DataFrame(many, infer_schema_length=None))
show("tuples", lambda: pl.DataFrame([tuple(row.values()) for row in many], orient="row"))
show("from_dicts", lambda: pl.from_dicts(many))
show("json_normalize", lambda: pl.json_normalize(many))
show("nested dicts", lambda: pl.DataFrame([{"judge": row} for row in many]))
show("digits in quotes", lambda: pl.DataFrame([{"score": 1}] * 100 + [{"score": "7"}, {"score": "8"}]))
show("text", lambda: pl.DataFrame([{"score": 1}] * 100 + [{"score": "good"}]))
show("read_json", lambda: pl.read_json(json.dumps(many).encode()))
show("read_ndjson", lambda: pl.read_ndjson("\n".join(map(json.dumps, many)).encode()))
show("column", lambda: pl.DataFrame({"score": [row["score"] for row in many]}))
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
dicts, 20 whole rows first: [2.5, -0.9]
dicts: [2, 0]
dicts, strict: [2, 0]
dicts, all rows inferred: [2.5, -0.9]
tuples: [2, 0]
from_dicts: [2, 0]
json_normalize: [2, 0]
nested dicts: [{'score': 2}, {'score': 0}]
digits in quotes: [7, 8]
text: ComputeError
read_json: [2, 0]
read_ndjson: ComputeError
column: TypeError
EOF
