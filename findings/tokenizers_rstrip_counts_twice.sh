#!/usr/bin/env bash
# What:     an added token with rstrip, followed by white space that is an added token of its own.
# Version:  tokenizers 0.23.3 (Python).
# Expected: every character of the text belongs to one token: the line feeds to the token with rstrip, or to their own.
# Seen:     with normalized=False the line feeds are encoded twice: the token with rstrip takes them (its offsets say so) and their own
#           token follows, with offsets that overlap. With normalized=True they are encoded once. lstrip, its mirror image, never takes
#           line feeds that are encoded already: there they go to the token that comes first.
# Matters:  a closing token that is registered with rstrip yields another number of tokens, so other positions and other scores, when the
#           vocabulary has line feeds as added tokens; a map from offsets to characters marks them twice.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --no-compile --no-deps --target packages tokenizers==0.23.3
PYTHONPATH=packages python3 - > seen << 'EOF'
from tokenizers import AddedToken, Tokenizer, models

for strip in ("rstrip", "lstrip"):
    text = "a</s>\n\nb" if strip == "rstrip" else "a\n\n</s>b"
    for normalized in (False, True):
        tokenizer = Tokenizer(models.BPE(vocab={"a": 0, "b": 1, "\n": 2}, merges=[]))
        tokenizer.add_special_tokens([AddedToken("</s>", normalized=False, **{strip: True})])
        tokenizer.add_tokens([AddedToken("\n\n", normalized=normalized)])
        encoding = tokenizer.encode(text)
        print(f"{strip}, line feeds normalized={normalized}: {text!r} has {len(text)} characters, the tokens "
              f"{sum(end - start for start, end in encoding.offsets)}: {encoding.ids} at {encoding.offsets}")
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
rstrip, line feeds normalized=False: 'a</s>\n\nb' has 8 characters, the tokens 10: [0, 3, 4, 1] at [(0, 1), (1, 7), (5, 7), (7, 8)]
rstrip, line feeds normalized=True: 'a</s>\n\nb' has 8 characters, the tokens 8: [0, 3, 1] at [(0, 1), (1, 7), (7, 8)]
lstrip, line feeds normalized=False: 'a\n\n</s>b' has 8 characters, the tokens 8: [0, 4, 3, 1] at [(0, 1), (1, 3), (3, 7), (7, 8)]
lstrip, line feeds normalized=True: 'a\n\n</s>b' has 8 characters, the tokens 8: [0, 3, 1] at [(0, 1), (1, 7), (7, 8)]
EOF
