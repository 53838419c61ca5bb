"""Texts of our own that tokenizers and templates are known to treat differently, and conversations made of them."""

import random

HARD_TEXTS = [
    "", " ", "  ", "\n", "\r\n", "\t", " \n \n\n ", "\n\n\n\n", "a", "  leading and trailing  ", "tab\tand\vvertical\fform feed",
    # Emoji: skin tones, joined families, flags, keycaps, variation selectors, a lone joiner.
    "\U0001f44d\U0001f3fd", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family", "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7",
    "1\ufe0f\u20e3 #\ufe0f\u20e3", "\u2764\ufe0f\u200d\U0001f525", "\u200d", "\U0001f999" * 12, "caf\u00e9 \U0001f600!?\U0001f600",
    # Right to left, with marks and overrides.
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645\u060c \u0643\u064a\u0641 \u062d\u0627\u0644\u0643\u061f",
    "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd \u05e2\u05d5\u05dc\u05dd", "\u202eabc\u202c \u200fdef\u200e", "\u0641\u0627\u0631\u0633\u06cc \u06f1\u06f2\u06f3",
    # Other scripts, digits and forms.
    "\u6f22\u5b57\u304b\u306a\u4ea4\u3058\u308a\u306e\u6587\u3002", "\ud55c\uad6d\uc5b4 \ubb38\uc7a5", "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22", "\u0939\u093f\u0928\u094d\u0926\u0940",
    "e\u0301 \u00e9 \u1e9b\u0323 \u212b \ufb01 \u2460", "\uff26\uff55\uff4c\uff4c \uff11\uff12", "\u1100\u1161\u11a8", "1234567890 12 123 1,234,567.89 1e-5 0x1F",
    "\u0661\u0662\u0663 \u00bd \u2167", "I'm you'RE they'Ve we'll he'D it'S don't \u2019s I\u2019m",
    # Controls, noncharacters, private use, the ends of the planes, odd spaces.
    "nul\x00in the middle", "\x01\x02\x03\x1b[31mred\x1b[0m\x7f", "\x1c\x1d\x1e\x1f", "\u0085next line\u2028line\u2029paragraph",
    "\u00a0nbsp\u202fthin\u3000wide\u2003em", "\ufeffBOM\ufeff", "\u200bzero\u200bwidth\u2060", "\ufffd\ufffe\uffff", "\ue000\uf8ff",
    "\U0010ffff\U000e0001", "\u00ad soft\u00adhyphen", "\u2581underline \u2581\u2581", "\u0120\u010a\u0109",
    # Code.
    "def f(x):\n    if x:\n\treturn  x+1\n\n\n    # done\n", "#include <vector>\r\nint main() {\r\n  return 0;\r\n}\r\n",
    "{\"a\": [1, 2, {\"b\": null}],\n \"c\": \"\\u00e9\\n\"}", "SELECT * FROM t WHERE a <> 'it''s' -- x", "<div class=\"a\">&lt;b&gt; &amp;</div>",
    "        deeply            spaced", "a" * 300, " " * 100, "=" * 70 + "\n" + "-" * 33, "x\n" * 40, "https://example.org/a_b?c=d&e=%20f#g",
    "$$\\int_0^1 x^2\\,dx = \\frac{1}{3}$$", "```python\nprint('hi')\n```\n", "{{ bos_token }} {% if x %} {# no #}", "C:\\temp\\new\\u0041",
    "camelCase snake_case SCREAMING_CASE kebab-case", "!!!???...,,,;;;", "\"quotes\" 'single' \u201ccurly\u201d \u00abguillemets\u00bb",
]

# Text that some tokenizer has as a special token; every tokenizer sees all of them, its own and others'.
SPECIAL_TEXTS = [
    "<s>", "</s>", "<unk>", "<pad>", "<bos>", "<eos>", "<0x0A>", "<mask>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[control_8]", "<<SYS>>",
    "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|reserved_special_token_0|>",
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|vision_start|>", "<tool_call>", "<start_of_turn>", "<end_of_turn>", "<h1>", "<2mass>",
    "[@BOS@]", "<unused0>",
]


def special_texts():
    """Special-token text alone, doubled, cut, in words, and next to white space."""
    texts = []
    for token in SPECIAL_TEXTS:
        texts += [token, token * 2, f"a{token}b", f"a {token} b", f"{token}\nuser\n\n", f"\n {token} \n", token[:-1], token.upper()]
    texts.append(" ".join(SPECIAL_TEXTS))
    texts.append("".join(SPECIAL_TEXTS))
    return texts


def mixed_texts(count, seed):
    """Hard texts and special-token text thrown together."""
    rng = random.Random(seed)
    pool = [text for text in HARD_TEXTS if len(text) < 80] + SPECIAL_TEXTS
    return ["".join(rng.choice(pool) + rng.choice(["", "", " ", "\n"]) for _ in range(rng.randint(2, 8))) for _ in range(count)]
