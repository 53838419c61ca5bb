#!/usr/bin/env bash
# What:     a preference file (chosen and rejected as lists of messages, as TRL, datasets and charm write them) read with fastparquet.
# Version:  fastparquet 2026.9.0, pandas 3.1.1, files written by pyarrow 26.0.1.
# Expected: the lists of messages as pyarrow gives them, or an error that nested columns are not supported.
# Seen:     the columns are listed, and every cell is None, with no warning about it; a list of texts beside them is read well. pandas'
#           read_parquet(engine="fastparquet") does the same.
# Matters:  a data set loads with the right number of rows and all texts missing; a dropna() then empties it. Use engine="pyarrow".
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check --no-compile --no-deps fastparquet==2026.9.0 pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6 \
  cramjam==2.14.0 fsspec==2026.9.0 packaging==26.4 python-dateutil==2.9.0.post0 six==1.17.0
cd "$dir"
venv/bin/python -W error::UserWarning -W error::RuntimeWarning - > seen << 'EOF'
import fastparquet
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

message = {"role": "user", "content": "hello"}
pq.write_table(pa.table({"chosen": [[message], [message, message]], "tags": [["a", "b"], ["c"]], "margin": [0.5, 0.25]}), "pairs.parquet")
file = fastparquet.ParquetFile("pairs.parquet")
print("columns:", file.columns)
print("fastparquet:", file.to_pandas().to_dict("list"))
print("pandas, engine fastparquet:", pd.read_parquet("pairs.parquet", engine="fastparquet")["chosen"].to_list())
print("pyarrow:", pq.read_table("pairs.parquet")["chosen"].to_pylist())
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
columns: ['chosen', 'tags', 'margin']
fastparquet: {'chosen': [None, None], 'tags': [['a', 'b'], ['c']], 'margin': [0.5, 0.25]}
pandas, engine fastparquet: [None, None]
pyarrow: [[{'role': 'user', 'content': 'hello'}], [{'role': 'user', 'content': 'hello'}, {'role': 'user', 'content': 'hello'}]]
EOF
