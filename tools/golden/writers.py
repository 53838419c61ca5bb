"""Writes tests/data/writers: every writer of data files in reach times every role that a column can play.

    python3 -m venv /some/venv && /some/venv/bin/pip install -r tools/golden/writers_requirements.txt
    /some/venv/bin/python tools/golden/writers.py             # all writers
    /some/venv/bin/python tools/golden/writers.py duckdb go   # these only; the others' files and entries stay

The writers js, go and java need node and npm, go, and a JDK with mvn; their programs and pinned packages lie in tools/golden/writers.
Needed only to renew the fixtures: the tests read what is committed. The rows are made up here.

Each case has a line in expected.jsonl: `file`, `kind` (what it is read as), options of the reader, and
  rows      what the file must read to: the same as these rows as JSON lines; a name stands for a list in rows.json
  refused   words of the error that refuses it, without the path; with `rows` as well, either is right: the rows, or this refusal
  note      what is peculiar about the case
  stored    what the library really wrote, as pyarrow sees it, without plain texts, 64-bit integers and doubles
"""

import importlib
import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "writers"))
from cases import OUT, SHARED  # noqa: E402

WRITERS = ["pyarrow", "pandas", "polars", "duckdb", "datasets", "fastparquet", "chdb", "spark", "js", "go", "java"]


def main():
    names = sys.argv[1:] or WRITERS
    expected = OUT / "expected.jsonl"
    entries = [json.loads(line) for line in expected.read_text().splitlines()] if expected.exists() else []
    for name in names:
        folder = OUT / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        writer = importlib.import_module(f"with_{name}").writer()
        entries = [entry for entry in entries if not entry["file"].startswith(name + "/")] + writer.entries
        print(f"{name}: {len(writer.entries)} cases", file=sys.stderr)
        for failure in writer.failures:
            print(f"  cannot write {failure}", file=sys.stderr)
    entries.sort(key=lambda entry: WRITERS.index(entry["file"].split("/")[0]))
    (OUT / "rows.json").write_text("{\n" + ",\n".join(
        f'"{name}": {json.dumps(rows, ensure_ascii=False)}' for name, rows in SHARED.items()) + "\n}\n")
    expected.write_text("".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries))


if __name__ == "__main__":
    main()
