"""Cases written by Hugging Face datasets: ClassLabel, Json, save_to_disk."""

import json
import tempfile

import datasets
from cases import *
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, List, Sequence, Value


def writer():
    datasets.disable_progress_bars()
    w = Writer("datasets", datasets.__version__)

    def all_forms(name, kind, dataset, rows=None, refused=None, note="", **options):
        def saved(path):
            dataset().save_to_disk(path)
            # The fingerprint and the state depend on the run.
        w.case(f"{name}.parquet", kind, lambda path: dataset().to_parquet(path), rows=rows, refused=refused, note=note, **options)
        w.case(f"{name}_saved", kind, saved, rows=rows, refused=refused, note=note, **options)

    def loaded(rows):
        def load():
            with tempfile.TemporaryDirectory() as folder:
                with open(f"{folder}/rows.jsonl", "w") as file:
                    file.write(jsonl(rows))
                dataset = datasets.load_dataset("json", data_files=f"{folder}/rows.jsonl", split="train", cache_dir=f"{folder}/cache",
                                                keep_in_memory=True)
                return Dataset.from_dict(dataset.to_dict(), features=dataset.features)
        return load

    def loaded_table(rows, write):
        def run(path):
            with tempfile.TemporaryDirectory() as folder:
                with open(f"{folder}/rows.jsonl", "w") as file:
                    file.write(jsonl(rows))
                write(datasets.load_dataset("json", data_files=f"{folder}/rows.jsonl", split="train", cache_dir=f"{folder}/cache"), path)
        return run

    all_forms("text", "responses", lambda: Dataset.from_list(RESPONSES), RESPONSES)
    w.case("text.jsonl", "responses", lambda path: Dataset.from_list(RESPONSES).to_json(path), rows=RESPONSES)
    policies = Features({**{name: Value("string") for name in ("prompt_id", "prompt", "response")}, "policy": ClassLabel(names=["beta", "alpha"])})
    all_forms("policy_class_label", "responses", lambda: Dataset.from_list(RESPONSES, features=policies), RESPONSES, refused="'policy'",
              note="the names are in the schema's metadata, key huggingface")
    w.case("policy_class_label.jsonl", "responses", lambda path: Dataset.from_list(RESPONSES, features=policies).to_json(path),
           refused="'policy'", note="JSON lines lose the names: numbers")
    winners = Features({"model_a": Value("string"), "model_b": Value("string"), "winner": ClassLabel(names=["model_a", "model_b", "tie"])})
    all_forms("winner_class_label", "battles", lambda: Dataset.from_list(BATTLES, features=winners), BATTLES, refused="winner")
    models = Features({"model_a": ClassLabel(names=["alpha", "beta", "gamma"]), "model_b": ClassLabel(names=["alpha", "beta", "gamma"]),
                       "winner": Value("string")})
    all_forms("models_class_label", "battles", lambda: Dataset.from_list(BATTLES, features=models), BATTLES, refused="'model_a'")
    for name, column, label in [("score", "score", ["low", "high"])]:
        features = Features({"prompt_id": Value("string"), "policy": Value("string"), "score": ClassLabel(names=label)})
        all_forms(f"{name}_class_label", "scores", lambda: Dataset.from_list(
            [{"prompt_id": "p1", "policy": "alpha", "score": 1}, {"prompt_id": "p2", "policy": "alpha", "score": 0}], features=features),
            rows=[{"prompt_id": "p1", "policy": "alpha", "score": 1}, {"prompt_id": "p2", "policy": "alpha", "score": 0}], refused="'score'",
            note="a label as a score: its number, as JSON lines have it, or refused")
    ids = Features({"prompt_id": ClassLabel(names=["p1", "p2", "p3"]), **{name: Value("string") for name in ("prompt", "response", "policy")}})
    all_forms("id_class_label", "responses", lambda: Dataset.from_list(RESPONSES, features=ids), RESPONSES, refused="'prompt_id'")
    for name, kind in [("large_string", "large_string"), ("binary", "binary")]:
        features = Features({column: Value(kind) for column in RESPONSES[0]})
        all_forms(f"text_{name}", "responses", lambda: Dataset.from_list(RESPONSES, features=features), RESPONSES)
    for name, kind in [("half", "float16"), ("decimal", "decimal128(10, 3)")]:
        features = Features({"prompt_id": Value("string"), "policy": Value("string"), "sample": Value("int32"), "score": Value(kind)})
        all_forms(f"score_{name}", "scores", lambda: Dataset.from_list(SCORES).cast(features), SCORES)

    all_forms("messages", "responses", lambda: Dataset.from_list(CHATS), CHATS)
    sequence = Features({"prompt_id": Value("string"), "policy": Value("string"),
                         "messages": Sequence({"role": Value("string"), "content": Value("string")})})
    parallel = with_values(CHATS, "messages", [{"role": [m["role"] for m in row["messages"]], "content": [m["content"] for m in row["messages"]]}
                                               for row in CHATS])
    all_forms("messages_sequence", "responses", lambda: Dataset.from_list(parallel, features=sequence), CHATS, note="a struct of lists")
    fixed = Features({"prompt_id": Value("string"), "policy": Value("string"),
                      "messages": List({"role": Value("string"), "content": Value("string")}, length=2)})
    all_forms("messages_fixed", "responses", lambda: Dataset.from_list(CHATS, features=fixed), CHATS)
    all_forms("pairs", "preferences", lambda: Dataset.from_list(PAIRS), PAIRS)
    all_forms("tool_calls", "responses", lambda: Dataset.from_list(TOOL_CHATS), TOOL_CHATS)
    w.case("tool_calls_loaded.parquet", "responses", loaded_table(TOOL_CHATS, lambda d, path: d.to_parquet(path)), rows=TOOL_CHATS,
           note="messages whose keys differ, by the JSON lines reader")
    w.case("tool_calls_loaded_saved", "responses", loaded_table(TOOL_CHATS, lambda d, path: d.save_to_disk(path)), rows=TOOL_CHATS)
    w.case("tool_calls_loaded.jsonl", "responses", loaded_table(TOOL_CHATS, lambda d, path: d.to_json(path)), rows=TOOL_CHATS)
    w.case("parts_loaded.parquet", "responses", loaded_table(PART_CHATS, lambda d, path: d.to_parquet(path)), rows=PART_CHATS,
           refused="'messages'", note="content is a list in one message and a text in the others")
    w.case("parts_loaded_saved", "responses", loaded_table(PART_CHATS, lambda d, path: d.save_to_disk(path)), rows=PART_CHATS,
           refused="'messages'")
    w.case("parts_loaded.jsonl", "responses", loaded_table(PART_CHATS, lambda d, path: d.to_json(path)), rows=PART_CHATS, refused="'messages'")
    w.case("messages_loaded.parquet", "responses", loaded_table(CHATS, lambda d, path: d.to_parquet(path)), rows=CHATS)
    mixed_prompts = [RESPONSES[0], RESPONSES[1] | {"prompt": [message("user", "Name a colour.")]}, RESPONSES[2]]
    w.case("prompt_text_or_list.parquet", "responses", loaded_table(mixed_prompts, lambda d, path: d.to_parquet(path)), rows=mixed_prompts,
           refused="'prompt'", note="the prompt is a text in some rows and a list of messages in others")
    mixed_ids = with_values(RESPONSES, "prompt_id", [1, "p2", 3])
    w.case("id_int_or_text.parquet", "responses", loaded_table(mixed_ids, lambda d, path: d.to_parquet(path)), rows=mixed_ids,
           refused="'prompt_id'", note="ids are numbers and texts")
    json_feature = getattr(datasets, "Json", None)
    if json_feature is not None:
        features = Features({"prompt_id": Value("string"), "policy": Value("string"), "messages": json_feature()})
        all_forms("messages_json", "responses", lambda: Dataset.from_list(TOOL_CHATS, features=features), TOOL_CHATS)
        prompts = Features({"prompt_id": Value("string"), "prompt": json_feature(), "response": json_feature(), "policy": Value("string")})
        all_forms("text_json", "responses", lambda: Dataset.from_list(RESPONSES, features=prompts), RESPONSES, refused="'response'")
    images = Features({**{name: Value("string") for name in RESPONSES[0]}, "image": Image(), "at": Value("timestamp[ns, tz=UTC]"),
                       "vector": List(Value("float32"), length=2), "grid": datasets.Array2D((1, 2), "int8")})
    all_forms("odd_columns", "responses", lambda: Dataset.from_list(
        [dict(row, image={"bytes": b"\x89PNG", "path": None}, at=0, vector=[1.0, 2.0], grid=[[1, 2]]) for row in RESPONSES], features=images),
        RESPONSES)

    def saved_dict(path):
        DatasetDict({"train": Dataset.from_list(RESPONSES), "test": Dataset.from_list(RESPONSES).select([])}).save_to_disk(path)

    w.case("dict_empty_split", "responses", saved_dict, rows=RESPONSES, split="train")
    w.case("dict_empty_split_2", "responses", saved_dict, refused="no rows", split="test", note="the split has no rows")
    w.case("dict_no_split_given", "responses", saved_dict, refused=["'train'", "'test'"], note="two splits, one empty: which one must be said")
    w.case("saved_empty", "responses", lambda path: Dataset.from_list(RESPONSES).select([]).save_to_disk(path), refused="no rows")
    w.case("saved_shards", "responses", lambda path: Dataset.from_list(RESPONSES).save_to_disk(path, num_shards=3), rows=RESPONSES)
    w.case("saved_indices", "responses", lambda path: Dataset.from_list(RESPONSES).select([2, 0]).save_to_disk(path),
           rows=[RESPONSES[2], RESPONSES[0]], note="a selection is flattened when saved")

    def hub_shards(path):
        (path / "data").mkdir(parents=True)
        for i in range(2):
            Dataset.from_list(RESPONSES).shard(2, i).to_parquet(path / "data" / f"train-{i:05d}-of-00002.parquet")
        Dataset.from_list(RESPONSES).select([]).to_parquet(path / "data" / "test-00000-of-00001.parquet")

    w.case("hub_empty_split", "responses", hub_shards, rows=RESPONSES, split="train", note="shards of push_to_hub, one split without rows")
    for entry in w.entries:
        steady(w.folder.parent / entry["file"])
    return w


def steady(path):
    """State and metadata that differ between runs (fingerprints, cache paths, hashes) are set to fixed values."""
    if not path.is_dir():
        return
    for state in path.rglob("state.json"):
        value = json.loads(state.read_text())
        value["_fingerprint"] = "0123456789abcdef"
        state.write_text(json.dumps(value, indent=2, sort_keys=True))
    for info in path.rglob("dataset_info.json"):
        value = json.loads(info.read_text())
        info.write_text(json.dumps({"citation": "", "description": "", "features": value["features"], "homepage": "", "license": ""},
                                   indent=2, sort_keys=True))
