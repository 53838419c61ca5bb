#!/usr/bin/env bash
# What:     an added token of whole words only (single_word) and a Punctuation pre-tokenizer in the tokenizers of transformers.js.
# Version:  @huggingface/tokenizers 0.2.0 (Node.js) against tokenizers 0.23.3 (Python), the same tokenizer.json.
# Expected: the same tokens, as single_word and Punctuation are among the settings that the JavaScript package lists and reads.
# Seen:     single_word is read and never used: the token is cut out of the middle of other words. Punctuation joins a run of marks
#           whatever its `behavior` says: with `isolated`, the default, "??" is one piece and not two, and `removed` removes nothing.
#           A truncation and a padding that are saved in the file, which the Python package applies, are skipped. None is an error.
# Matters:  scores of the same model folder differ between Python and JavaScript on texts with "..." or "?!", or with a name that is a token.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --no-compile --no-deps --target packages tokenizers==0.23.3
npm install --silent --no-fund --no-audit --prefix "$dir" @huggingface/tokenizers@0.2.0
cat > cases.py << 'EOF'
import json

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

letters = {character: i for i, character in enumerate("abcnost!? ")}
runs = {"!!": 10, "??": 11}
cases = []


def case(name, text, change, pre_tokenizer=None):
    tokenizer = Tokenizer(models.BPE(vocab={**letters, **runs}, merges=[("!", "!"), ("?", "?")]))
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.Fuse()
    change(tokenizer)
    cases.append((name, text, json.loads(tokenizer.to_str())))
    print(f"tokenizers, {name}: {json.dumps(tokenizer.encode(text).tokens, separators=(',', ':'))}")


def nothing(_):
    pass


for single_word in (False, True):
    case(f"single_word {single_word}", "concat cat cats",
         lambda tokenizer, whole=single_word: tokenizer.add_tokens([AddedToken("cat", single_word=whole)]))
for behavior in ("isolated", "contiguous", "removed"):
    case(f"punctuation {behavior}", "a??b!!", nothing, pre_tokenizers.Punctuation(behavior))
case("truncation to 2", "cost", lambda tokenizer: tokenizer.enable_truncation(2))
case("padding to 6", "cost", lambda tokenizer: tokenizer.enable_padding(length=6, pad_id=9, pad_token=" "))
json.dump(cases, open("cases.json", "w"))
EOF
cat > cases.mjs << 'EOF'
import {readFileSync} from "node:fs";
import {Tokenizer} from "@huggingface/tokenizers";

for (const [name, text, json] of JSON.parse(readFileSync("cases.json"))) {
  console.log(`@huggingface/tokenizers, ${name}: ${JSON.stringify(new Tokenizer(json, {}).encode(text).tokens)}`);
}
EOF
{ PYTHONPATH=packages python3 cases.py; node cases.mjs; } > seen
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
tokenizers, single_word False: ["c","o","n","cat"," ","cat"," ","cat","s"]
tokenizers, single_word True: ["c","o","n","c","a","t"," ","cat"," ","c","a","t","s"]
tokenizers, punctuation isolated: ["a","?","?","b","!","!"]
tokenizers, punctuation contiguous: ["a","??","b","!!"]
tokenizers, punctuation removed: ["a","b"]
tokenizers, truncation to 2: ["c","o"]
tokenizers, padding to 6: ["c","o","s","t"," "," "]
@huggingface/tokenizers, single_word False: ["c","o","n","cat"," ","cat"," ","cat","s"]
@huggingface/tokenizers, single_word True: ["c","o","n","cat"," ","cat"," ","cat","s"]
@huggingface/tokenizers, punctuation isolated: ["a","??","b","!!"]
@huggingface/tokenizers, punctuation contiguous: ["a","??","b","!!"]
@huggingface/tokenizers, punctuation removed: ["a","??","b","!!"]
@huggingface/tokenizers, truncation to 2: ["c","o","s","t"]
@huggingface/tokenizers, padding to 6: ["c","o","s","t"]
EOF
