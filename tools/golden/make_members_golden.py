#!/usr/bin/env python3
"""What transformers makes of messages with members: tools, tool calls, reasoning, lists of text parts.

    make_members_golden.py                        tests/data/golden/text_members.json (needs transformers 5.17.0)
    make_members_golden.py --bridge LIB DIR...    compares the library that charm links with transformers on the templates
                                                  (*.jinja) of folders; exit status 1 where a text differs

The golden has texts and ids of our own templates, and of those in ../shared/data/chat_templates the SHA-256 of the text.
"""

import argparse
import hashlib
import json
import os
import pathlib

os.environ["HF_HUB_OFFLINE"] = "1"

from make_text_golden import DATE, ROOT, TEMPLATES, TOKENIZERS, VERSION, PinnedClock, assistant, user

GOLDEN = ROOT / "tests/data/golden/text_members.json"
SHARED = ROOT / "../shared/data/chat_templates"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather in a city \u2014 now.",
    "parameters": {"type": "object", "required": ["city"], "properties": {
        "city": {"type": "string", "description": "its name, as in <Z\u00fcrich>"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": None}}}}}
ADD = {"type": "function", "function": {
    "name": "add", "description": "a + b",
    "parameters": {"type": "object", "properties": {"b": {"type": "number"}, "a": {"type": "number"}}}}}


def call(name, arguments, number=1):
    return {"id": f"call0000{number}", "type": "function", "function": {"name": name, "arguments": arguments}}


def text(*parts):
    return [{"type": "text", "text": part} for part in parts]


def tool(content, number=1, **members):
    return {"role": "tool", "tool_call_id": f"call0000{number}", "content": content, **members}


SUNNY = {"unit": "celsius", "city": "Z\u00fcrich", "days": [1, 2.5, 1e20], "exact": True, "nothing": None}

ROWS = [
    {"messages": [user("How is the weather?")], "tools": [WEATHER]},
    {"messages": [user("hello")], "tools": [WEATHER, ADD]},
    {"messages": [user("Weather?"), {"role": "assistant", "content": None, "tool_calls": [call("get_weather", SUNNY)]},
                  tool('{"t": 21}', name="get_weather"), assistant("21 degrees.")], "tools": [WEATHER, ADD]},
    {"messages": [user("Weather?"), {"role": "assistant", "content": "", "tool_calls": [call("get_weather", {"city": "Bern"})]},
                  tool("rain"), assistant("Rain.")], "tools": [WEATHER]},
    {"messages": [user("Weather?"), {"role": "assistant", "tool_calls": [call("get_weather", {"city": "Bern"})]},
                  tool("rain"), assistant("Rain.")]},
    {"messages": [user("2 + 3?"), {"role": "assistant", "content": "I add.", "tool_calls": [call("add", '{"a": 2, "b": 3}')]},
                  tool("5"), assistant("5")], "tools": [ADD]},
    {"messages": [user("both"), {"role": "assistant", "content": None,
                                 "tool_calls": [call("add", {"a": 1, "b": 2}), call("add", {}, 2)]},
                  tool("3"), tool("0", 2), assistant("3 and 0")], "tools": [ADD]},
    {"messages": [user("Why?"), {"role": "assistant", "reasoning_content": "\nBecause\n", "content": "So."}]},
    {"messages": [user("Why?"), {"role": "assistant", "thinking": "Hm.", "content": "So."}, user("And?"),
                  {"role": "assistant", "thinking": "Hm?", "reasoning_content": "No.", "content": "Never."}]},
    {"messages": [{"role": "system", "content": text("Be brief.")}, {"role": "user", "content": text("one", " two")},
                  {"role": "assistant", "content": text("three\n")}]},
    {"messages": [{"role": "user", "name": "anna", "content": "hello"}, assistant("the world")]},
    {"messages": [{"role": "developer", "content": "Be brief."}, user("hello"), assistant("in order")]},
    {"messages": [user("hello"), {"role": "assistant", "content": "x", "extra": {"b": [{"z": 1, "a": "\u2028"}], "a": {}}}]},
]


def load_tokenizer():
    import transformers
    from transformers.utils import chat_template_utils

    if transformers.__version__ != VERSION:
        raise SystemExit(f"transformers {VERSION} is expected, found {transformers.__version__}")
    chat_template_utils.datetime = PinnedClock
    return transformers.AutoTokenizer.from_pretrained(TOKENIZERS / "byte_bpe")


def apply(tokenizer, template, row, generation):
    """(text, None) or (None, the template's message)."""
    try:
        return tokenizer.apply_chat_template(row["messages"], tools=row.get("tools"), chat_template=template, tokenize=False,
                                             add_generation_prompt=generation), None
    except Exception as error:
        return None, str(error)


def make_golden(tokenizer):
    cases = []
    templates = [TEMPLATES / "chatml.jinja", TEMPLATES / "tools.jinja", *sorted(SHARED.glob("*.jinja"))]
    for path in templates:
        template = path.read_text(encoding="utf-8")
        own = path.parent == TEMPLATES
        for number, row in enumerate(ROWS):
            for generation in (False, True):
                rendered, _ = apply(tokenizer, template, row, generation)
                case = {"template": path.name, "row": number, "add_generation_prompt": generation}
                if rendered is None:
                    case["refused"] = True
                elif own:
                    case["text"] = rendered
                    case["ids"] = tokenizer(rendered, add_special_tokens=False)["input_ids"]
                else:
                    case["sha256"] = hashlib.sha256(rendered.encode()).hexdigest()
                cases.append(case)
    dump = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    rows, lines = ",\n".join(map(dump, ROWS)), ",\n".join(map(dump, cases))
    GOLDEN.write_text(f'{{"transformers":"{VERSION}","date":"{DATE:%Y-%m-%d}","rows":[\n{rows}\n],"cases":[\n{lines}\n]}}\n',
                      encoding="utf-8")
    print(f"{len(cases)} cases, {sum('refused' in case for case in cases)} of them refusals")


def compare(tokenizer, library, folders):
    from text_bridge import Bridge, Refused

    bridge = Bridge(library)
    tokens = {name: value for name, value in tokenizer.special_tokens_map.items() if isinstance(value, str)}
    counts = {"equal": 0, "refused by both": 0, "different": 0}
    for folder in folders:
        for path in sorted(folder.glob("*.jinja")):
            template = path.read_text(encoding="utf-8")
            handle = bridge.template(template, tokens, f"{DATE:%Y-%m-%d}")
            for number, row in enumerate(ROWS):
                for generation in (False, True):
                    theirs, why = apply(tokenizer, template, row, generation)
                    try:
                        ours, our_why = bridge.render(handle, row["messages"], generation, row.get("tools")), None
                    except Refused as error:
                        ours, our_why = None, str(error)
                    kind = "different" if ours != theirs else "refused by both" if ours is None else "equal"
                    counts[kind] += 1
                    if kind == "different":
                        print(f"{path.name}, row {number}, generation {generation}:\n  theirs: {(theirs or why)!r}\n"
                              f"  ours:   {(ours or our_why)!r}")
            bridge.free_template(handle)
    print(counts)
    return 1 if counts["different"] else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bridge", type=pathlib.Path, help="libcharm_text.a of a build folder")
    parser.add_argument("folders", type=pathlib.Path, nargs="*")
    arguments = parser.parse_args()
    tokenizer = load_tokenizer()
    if arguments.bridge:
        raise SystemExit(compare(tokenizer, arguments.bridge, arguments.folders or [TEMPLATES, SHARED]))
    make_golden(tokenizer)


if __name__ == "__main__":
    main()
