#!/usr/bin/env bash
# What:     a Parquet file with scores and 128-bit ids (UUIDs, MD5 hashes as numbers) that polars wrote.
# Version:  polars 2.1.0, read by pyarrow 26.0.1, DuckDB 2.0.1 and polars itself.
# Expected: pyarrow reads the ids as a decimal or as bytes, or at least the score column alone.
# Seen:     in Parquet's own schema the ids are plain 16 bytes, but the Arrow schema that polars puts into the metadata names an integer
#           of 128 bits, which Arrow does not have. pyarrow refuses the whole file for it: its schema, its row count and the score
#           column too. DuckDB ignores that metadata and gives little-endian bytes; polars reads everything. UInt128 is the same.
# Matters:  everything that stands on Arrow (pandas, datasets, charm) can read nothing of such a file, whatever column is asked for; cast
#           ids to text before writing.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check --no-compile --no-deps polars==2.1.0 polars-runtime-32==2.1.0 pyarrow==26.0.1 duckdb==2.0.1
cd "$dir"
venv/bin/python - > seen << 'EOF'
import duckdb
import polars as pl
import pyarrow.parquet as pq


def show(title, read):
    try:
        print(f"{title}: {read()}")
    except Exception as error:
        print(f"{title}: {type(error).__name__}: {error}")


for dtype in (pl.Int128, pl.UInt128):
    pl.DataFrame({"id": pl.Series([1, 2], dtype=dtype), "score": [0.5, 0.25]}).write_parquet("ids.parquet")
    show(f"{dtype}, pyarrow, row count", lambda: pq.read_metadata("ids.parquet").num_rows)
    show(f"{dtype}, pyarrow, score column", lambda: pq.read_table("ids.parquet", columns=["score"]).to_pylist())
    show(f"{dtype}, DuckDB", lambda: duckdb.sql("SELECT id::VARCHAR, score FROM 'ids.parquet'").fetchall())
    show(f"{dtype}, polars", lambda: pl.read_parquet("ids.parquet").rows())
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
Int128, pyarrow, row count: ArrowNotImplementedError: Integers with more than 64 bits not implemented
Int128, pyarrow, score column: ArrowNotImplementedError: Integers with more than 64 bits not implemented
Int128, DuckDB: [('\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00', 0.5), ('\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00', 0.25)]
Int128, polars: [(1, 0.5), (2, 0.25)]
UInt128, pyarrow, row count: ArrowNotImplementedError: Integers with more than 64 bits not implemented
UInt128, pyarrow, score column: ArrowNotImplementedError: Integers with more than 64 bits not implemented
UInt128, DuckDB: [('\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00', 0.5), ('\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00', 0.25)]
UInt128, polars: [(1, 0.5), (2, 0.25)]
EOF
