#!/usr/bin/env bash
# What:     added tokens of whole words (single_word), one of which begins with another, such as the names of models.
# Version:  tokenizers 0.23.3 (Python).
# Expected: a token that does not apply at a place, as it would cut a word there, changes nothing at that place.
# Seen:     it takes the shorter tokens with it: "gpt" is one token in "gpt-4o", until "gpt-4" is added, which does not apply there; then
#           "gpt" falls into letters, whether "gpt" asks for whole words or not. The order of adding does not matter. When the two differ
#           in `normalized`, the one that is not normalized is looked for first and the effect depends on which one that is.
# Matters:  a further added token changes the ids, so the scores, of texts in which it never occurs.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --no-compile --no-deps --target packages tokenizers==0.23.3
PYTHONPATH=packages python3 - > seen << 'EOF'
from tokenizers import AddedToken, Tokenizer, models


def show(title, *tokens):
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate("gpt-4o ")}, merges=[]))
    tokenizer.add_tokens(list(tokens))
    print(f"{title}: {tokenizer.encode('gpt-4o gpt-4 gpt').tokens}")


short, free, long = AddedToken("gpt", single_word=True), AddedToken("gpt"), AddedToken("gpt-4", single_word=True)
show("gpt", short)
show("gpt and gpt-4", short, long)
show("gpt-4 and gpt", long, short)
show("gpt also within words", free)
show("gpt also within words, and gpt-4", free, long)
show("gpt, and gpt-4 not normalized", short, AddedToken("gpt-4", single_word=True, normalized=False))
show("gpt not normalized, and gpt-4", AddedToken("gpt", single_word=True, normalized=False), long)
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
gpt: ['gpt', '-', '4', 'o', ' ', 'gpt', '-', '4', ' ', 'gpt']
gpt and gpt-4: ['g', 'p', 't', '-', '4', 'o', ' ', 'gpt-4', ' ', 'gpt']
gpt-4 and gpt: ['g', 'p', 't', '-', '4', 'o', ' ', 'gpt-4', ' ', 'gpt']
gpt also within words: ['gpt', '-', '4', 'o', ' ', 'gpt', '-', '4', ' ', 'gpt']
gpt also within words, and gpt-4: ['g', 'p', 't', '-', '4', 'o', ' ', 'gpt-4', ' ', 'gpt']
gpt, and gpt-4 not normalized: ['gpt', '-', '4', 'o', ' ', 'gpt-4', ' ', 'gpt']
gpt not normalized, and gpt-4: ['gpt', '-', '4', 'o', ' ', 'gpt', '-', '4', ' ', 'gpt']
EOF
