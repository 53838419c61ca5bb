"""Writes tests/data/storage: files as other programs write them, for the tests of src/charm/storage.

    python3 -m venv /some/venv && /some/venv/bin/pip install datasets==5.2.0 pyarrow==26.0.1 pandas==3.1.1
    /some/venv/bin/python tools/golden/make_storage_fixtures.py

Needed only to renew the fixtures; the tests read what is committed. The texts are made up here.
"""

import hashlib
import json
import pathlib
import shutil

import datasets
import pandas
import pyarrow
import pyarrow.parquet

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "storage"

# Bytes that careless readers lose: NUL, a byte order mark, the line separator, an astral character, no final newline.
ODD_TEXT = "nul \x00 bom \ufeff separator \u2028 astral \U0001f9ea crlf \r\n end"


def message(role, content):
    return {"role": role, "content": content}


def conversation_rows(count):
    return [
        {
            "messages": [
                message("system", "Answer briefly."),
                message("user", f"Question {i}?"),
                message("assistant", f"Answer {i}." if i else ODD_TEXT),
            ],
            "source": "made up",
        }
        for i in range(count)
    ]


def write_saved_datasets():
    rows = datasets.Dataset.from_list(conversation_rows(5))
    rows.save_to_disk(OUT / "saved_dataset", num_shards=2)
    pairs = [
        {
            "chosen": [message("user", "Two plus two?"), message("assistant", "Four.")],
            "rejected": [message("user", "Two plus two?"), message("assistant", "Five.")],
        }
    ]
    splits = {"train": datasets.Dataset.from_list(pairs * 3), "test": datasets.Dataset.from_list(pairs)}
    datasets.DatasetDict(splits).save_to_disk(OUT / "saved_dict")


def write_parquet_shards():
    rows = datasets.Dataset.from_list(conversation_rows(5))
    folder = OUT / "hub_folder" / "data"
    folder.mkdir(parents=True)
    for i in range(2):
        rows.shard(2, i, contiguous=True).to_parquet(folder / f"train-0000{i}-of-00002.parquet")
    rows.select([0]).to_parquet(folder / "test-00000-of-00001.parquet")


def write_types():
    """Every Arrow type a prompt, response, policy or score comes in."""
    table = pyarrow.table(
        {
            "prompt": pyarrow.array(["p0", "p1", "p2"], pyarrow.large_string()),
            "response": pyarrow.array(["r0", "", ODD_TEXT]),
            "policy": pyarrow.array(["a", "a", "b"]).dictionary_encode(),
            "sample": pyarrow.array([0, 1, 0], pyarrow.int8()),
            "score": pyarrow.array([0.5, None, -1.25], pyarrow.float64()),
            "error": pyarrow.array([None, "too long", None]),
            "num_tokens": pyarrow.array([3, 4, 5], pyarrow.uint16()),
            "truncated": [False, True, False],
            "when": pyarrow.array([0, 1, None], pyarrow.timestamp("s")),
            "raw": pyarrow.array([b"\xff", b"", None], pyarrow.binary()),
        }
    )
    pyarrow.parquet.write_table(table, OUT / "types.parquet", compression="snappy")
    with pyarrow.OSFile(str(OUT / "types.arrow"), "wb") as sink:
        with pyarrow.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    small = table.select(["prompt", "response"]).append_column("score", pyarrow.array([0.5, 1, 2], pyarrow.float32()))
    pyarrow.parquet.write_table(small, OUT / "no_ids.parquet")
    sequences = pyarrow.table({"prompt": [{"role": ["user"], "content": ["p0"]}], "response": ["r0"]})
    pyarrow.parquet.write_table(sequences, OUT / "sequences.parquet")


def write_tools():
    """Structs of structs, where pyarrow gives every value every member."""
    def schema(name, parameter):
        return {"type": "function", "function": {"name": name, "parameters": {
            "type": "object", "properties": {parameter: {"type": "string"}}}}}

    call = {"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Bern", "zone": None}}}
    other = {"type": "function", "function": {"name": "now", "arguments": {"zone": "UTC"}}}
    rows = [
        {"messages": [message("user", "Weather?"), {"role": "assistant", "content": None, "tool_calls": [call]},
                      {"role": "tool", "content": "rain", "name": "get_weather"}, message("assistant", "Rain.")],
         "tools": [schema("get_weather", "city"), schema("now", "zone")]},
        {"messages": [message("user", "Hi"), {"role": "assistant", "content": "UTC", "tool_calls": [other]}], "tools": None},
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), OUT / "tools.parquet")


def write_not_a_number():
    nan = pyarrow.table({"prompt_id": ["x", "y"], "policy": ["a", "a"], "score": [1.5, float("nan")]})
    pyarrow.parquet.write_table(nan, OUT / "nan.parquet")
    # pandas has no missing whole numbers and no missing scores: they become 1.0 and NaN, and NaN becomes null.
    frame = pandas.DataFrame(
        {"prompt_id": ["x", "y"], "policy": ["a", "a"], "sample": [0.0, None], "score": [1.5, float("nan")]}
    )
    frame.to_parquet(OUT / "pandas.parquet")


def write_expected():
    prompts = [
        [message("user", "Hi")],
        [message("system", "Be \"kind\".\n"), message("user", ODD_TEXT + "\x1f\x7f/\\")],
    ]
    expected = []
    for prompt in prompts:
        text = json.dumps(prompt, ensure_ascii=False, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        expected.append({"prompt": prompt, "json": text, "prompt_id": digest})
    (OUT / "prompt_ids.json").write_text(json.dumps(expected, indent=1) + "\n")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    write_saved_datasets()
    write_parquet_shards()
    write_types()
    write_tools()
    write_not_a_number()
    write_expected()


if __name__ == "__main__":
    main()
