"""Rows of the matrix of writers and the form of a case; see tools/golden/writers.py."""

import json
import pathlib
import shutil

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

ROOT = pathlib.Path(__file__).resolve().parents[3]
OUT = ROOT / "tests" / "data" / "writers"
PROGRAMS = pathlib.Path(__file__).resolve().parent

PLAIN_LEAVES = {("BYTE_ARRAY", "String"), ("INT64", "None"), ("DOUBLE", "None"), ("INT64", "Int(bitWidth=64, isSigned=true)")}

RESPONSES = [
    {"prompt_id": "p1", "prompt": "What is two plus two?", "response": "Four.", "policy": "alpha"},
    {"prompt_id": "p2", "prompt": "Name a colour.", "response": "Blue.", "policy": "beta"},
    {"prompt_id": "p3", "prompt": "Say nothing.", "response": "", "policy": "alpha"},
]
# Texts of one length, for types of fixed width.
FIXED = [
    {"prompt_id": "p1", "prompt": "2 and 2", "response": "Four.", "policy": "alpha"},
    {"prompt_id": "p2", "prompt": "colour?", "response": "Blue.", "policy": "gamma"},
]
SCORES = [
    {"prompt_id": "p1", "policy": "alpha", "sample": 0, "score": 1.5},
    {"prompt_id": "p2", "policy": "alpha", "sample": 0, "score": -2.25},
    {"prompt_id": "p1", "policy": "beta", "sample": 1, "score": 3.0},
]
WHOLE_SCORES = [dict(row, score=score) for row, score in zip(SCORES, [1, 0, 3])]
SCORED = [
    {"prompt_id": "p1", "prompt": "What is two plus two?", "response": "Four.", "policy": "alpha", "score": 1.5,
     "num_tokens": 12, "truncated": True},
    {"prompt_id": "p2", "prompt": "Name a colour.", "response": "Blue.", "policy": "alpha", "score": -2.25,
     "num_tokens": 9, "truncated": False},
]
BATTLES = [
    {"model_a": "alpha", "model_b": "beta", "winner": "model_a"},
    {"model_a": "beta", "model_b": "gamma", "winner": "tie"},
    {"model_a": "gamma", "model_b": "alpha", "winner": "model_b"},
]
RATINGS = [
    {"name": "alpha", "rating": 1273.5, "rating_lower": 1260.0, "rating_upper": 1290.25},
    {"name": "beta", "rating": 1100, "rating_lower": 1090, "rating_upper": 1111},
    {"name": 'a "name", with a comma', "rating": 998.75, "rating_lower": 990, "rating_upper": 1004},
]


def message(role, content, **more):
    return {"role": role, "content": content, **more}


CHATS = [
    {"prompt_id": "p1", "policy": "alpha",
     "messages": [message("user", "What is two plus two?"), message("assistant", "Four.")]},
    {"prompt_id": "p2", "policy": "beta",
     "messages": [message("user", "Name a colour."), message("assistant", 'The "colour" of the sky:\nblue.')]},
]
PAIRS = [
    {"prompt_id": "p1",
     "chosen": [message("user", "Two plus two?"), message("assistant", "Four.")],
     "rejected": [message("user", "Two plus two?"), message("assistant", "Five.")]},
    {"prompt_id": "p2",
     "chosen": [message("system", "Be brief."), message("user", "A colour?"), message("assistant", "Blue.")],
     "rejected": [message("system", "Be brief."), message("user", "A colour?"), message("assistant", "Seven.")]},
]
# Messages whose keys differ, as tool calls and parts make them.
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2, "b": 2}'}}
TOOL_CHATS = [
    {"prompt_id": "p1", "policy": "alpha",
     "messages": [message("user", "Add two and two."), message("assistant", "Calling.", tool_calls=[CALL]),
                  message("tool", "4", name="add"), message("assistant", "Four.")]},
    {"prompt_id": "p2", "policy": "alpha",
     "messages": [message("user", "Name a colour."), message("assistant", "Blue.", reasoning_content="The sky is blue.")]},
]
PART_CHATS = [
    {"prompt_id": "p1", "policy": "alpha",
     "messages": [message("user", [{"type": "text", "text": "What is two plus two?"}]), message("assistant", "Four.")]},
    {"prompt_id": "p2", "policy": "alpha",
     "messages": [message("user", "Name a colour."), message("assistant", "Blue.")]},
]


def with_values(rows, column, values):
    return [dict(row, **{column: value}) for row, value in zip(rows, values)]


def without(rows, *columns):
    return [{name: value for name, value in row.items() if name not in columns} for row in rows]


def columns_of(rows):
    """{column: [value or None]}, columns in the order of their first row."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names}


def jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


# Rows of many cases, in rows.json; an entry names them.
SHARED = {"responses": RESPONSES, "fixed": FIXED, "scores": SCORES, "whole_scores": WHOLE_SCORES, "scored": SCORED, "battles": BATTLES,
          "ratings": RATINGS, "chats": CHATS, "pairs": PAIRS, "tool_chats": TOOL_CHATS, "part_chats": PART_CHATS}


def describe(path):
    """What a Parquet or Arrow file stores other than plain texts, 64-bit integers and doubles; None for texts."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return next((text for text in map(describe, files) if text), None)
    head = path.read_bytes()[:6]
    try:
        if head[:4] == b"PAR1":
            parquet = pq.read_metadata(path).schema
            parts = []
            for i in range(len(parquet)):
                leaf = parquet.column(i)
                logical = str(leaf.logical_type).replace(", is_from_converted_type=false, force_set_converted_type=false", "")
                if (leaf.physical_type, logical) in PLAIN_LEAVES:
                    continue
                width = f"({leaf.length})" if leaf.physical_type == "FIXED_LEN_BYTE_ARRAY" else ""
                parts.append(f"{leaf.path} {leaf.physical_type}{width}" + ("" if logical == "None" else f" {logical}"))
            try:
                schema = parquet.to_arrow_schema()
            except Exception as e:  # what pyarrow cannot say is worth a note, too
                parts.append(f"pyarrow: {type(e).__name__}: {e}")
                return "; ".join(parts)
        elif head == b"ARROW1":
            parts, schema = [], pa.ipc.open_file(path).schema
        elif head[:4] == b"\xff\xff\xff\xff":
            parts, schema = [], pa.ipc.open_stream(path).schema
        else:
            return None
        arrow = [f"{field.name} {field.type}" for field in schema if str(field.type) not in ("string", "int64", "double")]
        return "; ".join(parts + (["Arrow: " + ", ".join(arrow)] if arrow else [])) or None
    except Exception as e:
        return f"pyarrow: {type(e).__name__}: {e}"


class Writer:
    """The cases of one library: files in tests/data/writers/NAME and their entries."""

    def __init__(self, name, version):
        self.name = name
        self.version = version
        self.folder = OUT / name
        self.entries = []
        self.failures = []

    def case(self, file, kind, write, rows=None, refused=None, note="", **options):
        """Lets `write(path)` write a file or folder; a library that cannot is noted on stderr and has no case."""
        path = self.folder / file
        try:
            write(path)
        except Exception as e:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            self.failures.append(f"{self.name}/{file}: {type(e).__name__}: {str(e).splitlines()[0][:200]}")
            return
        entry = {"file": f"{self.name}/{file}", "kind": kind, **options}
        if rows is not None:
            entry["rows"] = next((name for name, shared in SHARED.items() if shared == rows), rows)
        if refused is not None:
            entry["refused"] = [refused] if isinstance(refused, str) else refused
        if note:
            entry["note"] = note
        entry["writer"] = f"{self.name} {self.version}"
        stored = describe(path)
        if stored:
            entry["stored"] = stored
        self.entries.append(entry)
