#!/usr/bin/env bash
# What:     scores that come as text, as CSV readers give them, written to a DOUBLE or INT64 column by @dsnp/parquetjs, read with a filter.
# Version:  @dsnp/parquetjs 1.8.9 (1.9.3 has no code in its package); duckdb 2.0.0, pyarrow 26.0.1.
# Expected: the column is numeric and text is accepted for it, so the file is that of the same scores given as numbers.
# Seen:     the values are, but the smallest and largest one that the file states are those of the text: of 0 to 100 the largest is 99,
#           of 5 to 12 the range is 10 to 9. Readers skip by them: score = 100 or score > 99 finds nothing in DuckDB and pyarrow, score <=
#           99 counts all 101 rows in DuckDB, and without a filter all is well. No error anywhere.
# Matters:  selections of the best or worst responses lose rows or gain them, by the writer that the data came from.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --no-compile --no-deps --target packages duckdb==2.0.0 pyarrow==26.0.1
npm install --silent --no-fund --no-audit --prefix "$dir" @dsnp/parquetjs@1.8.9
cat > write.mjs << 'EOF'
import parquet from "@dsnp/parquetjs";

for (const type of ["DOUBLE", "INT64"])
  for (const [form, convert] of [["numbers", Number], ["text", String]])
    for (const [first, last] of [[0, 100], [5, 12]]) {
      const schema = new parquet.ParquetSchema({score: {type}});
      const writer = await parquet.ParquetWriter.openFile(schema, `${type} ${form} ${first} to ${last}.parquet`);
      for (let score = first; score <= last; score += 1) await writer.appendRow({score: convert(score)});
      await writer.close();
    }
EOF
cat > read.py << 'EOF'
import pathlib

import duckdb
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

for path in sorted(map(str, pathlib.Path().glob("*.parquet"))):
    stated = pq.ParquetFile(path).metadata.row_group(0).column(0).statistics
    scores = pq.read_table(path)["score"].to_pylist()
    print(f"{path}: {len(scores)} scores from {min(scores):g} to {max(scores):g}, stated {stated.min:g} to {stated.max:g}")
    score = pc.field("score")
    for sign, limit, holds, chosen in ((">", 99, lambda v: v > 99, score > 99), ("<=", 99, lambda v: v <= 99, score <= 99),
                                       ("<", 9, lambda v: v < 9, score < 9)):
        in_duckdb = duckdb.sql(f"SELECT count(*) FROM '{path}' WHERE score {sign} {limit}").fetchall()[0][0]
        in_pyarrow = ds.dataset(path).count_rows(filter=chosen)
        print(f"    score {sign} {limit}: {sum(map(holds, scores))} rows, DuckDB {in_duckdb}, pyarrow {in_pyarrow}")
EOF
{ node write.mjs && PYTHONPATH=packages python3 read.py; } > seen
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
DOUBLE numbers 0 to 100.parquet: 101 scores from 0 to 100, stated 0 to 100
    score > 99: 1 rows, DuckDB 1, pyarrow 1
    score <= 99: 100 rows, DuckDB 100, pyarrow 100
    score < 9: 9 rows, DuckDB 9, pyarrow 9
DOUBLE numbers 5 to 12.parquet: 8 scores from 5 to 12, stated 5 to 12
    score > 99: 0 rows, DuckDB 0, pyarrow 0
    score <= 99: 8 rows, DuckDB 8, pyarrow 8
    score < 9: 4 rows, DuckDB 4, pyarrow 4
DOUBLE text 0 to 100.parquet: 101 scores from 0 to 100, stated 0 to 99
    score > 99: 1 rows, DuckDB 0, pyarrow 0
    score <= 99: 100 rows, DuckDB 101, pyarrow 101
    score < 9: 9 rows, DuckDB 9, pyarrow 9
DOUBLE text 5 to 12.parquet: 8 scores from 5 to 12, stated 10 to 9
    score > 99: 0 rows, DuckDB 0, pyarrow 0
    score <= 99: 8 rows, DuckDB 8, pyarrow 8
    score < 9: 4 rows, DuckDB 0, pyarrow 0
INT64 numbers 0 to 100.parquet: 101 scores from 0 to 100, stated 0 to 100
    score > 99: 1 rows, DuckDB 1, pyarrow 1
    score <= 99: 100 rows, DuckDB 100, pyarrow 100
    score < 9: 9 rows, DuckDB 9, pyarrow 9
INT64 numbers 5 to 12.parquet: 8 scores from 5 to 12, stated 5 to 12
    score > 99: 0 rows, DuckDB 0, pyarrow 0
    score <= 99: 8 rows, DuckDB 8, pyarrow 8
    score < 9: 4 rows, DuckDB 4, pyarrow 4
INT64 text 0 to 100.parquet: 101 scores from 0 to 100, stated 0 to 99
    score > 99: 1 rows, DuckDB 0, pyarrow 0
    score <= 99: 100 rows, DuckDB 101, pyarrow 101
    score < 9: 9 rows, DuckDB 9, pyarrow 9
INT64 text 5 to 12.parquet: 8 scores from 5 to 12, stated 10 to 9
    score > 99: 0 rows, DuckDB 0, pyarrow 0
    score <= 99: 8 rows, DuckDB 8, pyarrow 8
    score < 9: 4 rows, DuckDB 4, pyarrow 0
EOF
