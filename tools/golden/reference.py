"""The reference side of score checks: a Hugging Face folder scored by transformers, one conversation at a time."""

import datetime
from pathlib import Path

import pyarrow.parquet as parquet
import torch
from transformers import AutoTokenizer
from transformers.utils import chat_template_utils

import model_rows


class PinnedClock(datetime.datetime):
    """The clock a template's strftime_now sees in charm by default."""

    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26, tzinfo=tz)


class ReferenceScorer:
    def __init__(self, model_dir, dtype=torch.float32, max_tokens=4096, model=None):
        chat_template_utils.datetime = PinnedClock
        self.tokenizer = AutoTokenizer.from_pretrained(model_dir)
        self.model = model or model_rows.load(Path(model_dir), dtype)
        self.max_tokens = max_tokens

    def ids(self, prompt, response):
        """Templated conversation with BOS exactly once, cut from the left."""
        turns = list(prompt) + [{"role": "assistant", "content": response}]
        text = self.tokenizer.apply_chat_template(turns, tokenize=False)
        bos = self.tokenizer.bos_token
        has_bos = bos is not None and text.startswith(bos)
        return self.tokenizer(text, add_special_tokens=not has_bos)["input_ids"][-self.max_tokens:]

    def score(self, ids):
        with torch.inference_mode():
            return self.model(torch.tensor([ids])).logits[0, 0].item()


def read_scores(path):
    """Rows of a scores file or of every Parquet file of a folder, in file order."""
    path = Path(path)
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    return [row for file in files for row in parquet.read_table(file).to_pylist()]


def compare(rows, reference, limit=None):
    """[(absolute difference, token count differs, row, reference score)] of rows that carry a score, worst first."""
    usable = [row for row in rows if not row.get("error")]
    if limit and limit < len(usable):
        usable = usable[:: len(usable) // limit][:limit]  # spread over the files
    results = []
    for row in usable:
        ids = reference.ids(row["prompt"], row["response"])
        expected = reference.score(ids)
        results.append((abs(row["score"] - expected), row["num_tokens"] != len(ids), row, expected))
    return sorted(results, key=lambda r: (r[1], r[0]), reverse=True)


def print_worst(results, count=5):
    for difference, lengths_differ, row, expected in results[:count]:
        note = " (token counts differ)" if lengths_differ else ""
        print(f"  {row['policy']} {row['prompt_id']}: charm {row['score']:.6f}, transformers {expected:.6f}, "
              f"difference {difference:.2e}, {row['num_tokens']} tokens{note}")
