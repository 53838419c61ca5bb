#!/usr/bin/env bash
# What:     a prompt and a response encoded as a pair, encode(prompt, {text_pair: response}), in the tokenizers of transformers.js.
# Version:  @huggingface/tokenizers 0.2.0 (Node.js) against tokenizers 0.23.3 (Python), the same tokenizer.json.
# Expected: the ids of both texts, as the Python package gives them for every post-processor.
# Seen:     with a ByteLevel post-processor, the one that byte-level BPE tokenizers are saved with, the JavaScript package gives the ids
#           of the prompt alone; the response is gone without an error. The mask and the token list are as short. Without a post-processor,
#           with a template, and with a template behind ByteLevel both texts are there.
# Matters:  a reward model or reranker that takes pairs scores every response to a prompt alike. Join the texts before encoding.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --no-compile --no-deps --target packages tokenizers==0.23.3
npm install --silent --no-fund --no-audit --prefix "$dir" @huggingface/tokenizers@0.2.0
cat > cases.py << 'EOF'
import json

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

vocabulary = {character: i for i, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
byte_level = processors.ByteLevel(trim_offsets=False)
template = processors.TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
cases = []
for name, post_processor in (("no post-processor", None), ("template", template), ("ByteLevel", byte_level),
                             ("ByteLevel in a sequence", processors.Sequence([byte_level])),
                             ("ByteLevel, then template", processors.Sequence([byte_level, template]))):
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if post_processor is not None:
        tokenizer.post_processor = post_processor
    cases.append((name, json.loads(tokenizer.to_str())))
    print(f"tokenizers, {name}: {json.dumps(tokenizer.encode('2+2', '=4').tokens)}")
json.dump(cases, open("cases.json", "w"))
EOF
cat > cases.mjs << 'EOF'
import {readFileSync} from "node:fs";
import {Tokenizer} from "@huggingface/tokenizers";

for (const [name, json] of JSON.parse(readFileSync("cases.json"))) {
  const {ids, tokens, attention_mask} = new Tokenizer(json, {}).encode("2+2", {text_pair: "=4"});
  console.log(`@huggingface/tokenizers, ${name}: ${JSON.stringify(tokens)}, ${ids.length} ids, mask of ${attention_mask.length}`);
}
EOF
{ PYTHONPATH=packages python3 cases.py; node cases.mjs; } > seen
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
tokenizers, no post-processor: ["2", "+", "2", "=", "4"]
tokenizers, template: ["2", "+", "2", "=", "4"]
tokenizers, ByteLevel: ["2", "+", "2", "=", "4"]
tokenizers, ByteLevel in a sequence: ["2", "+", "2", "=", "4"]
tokenizers, ByteLevel, then template: ["2", "+", "2", "=", "4"]
@huggingface/tokenizers, no post-processor: ["2","+","2","=","4"], 5 ids, mask of 5
@huggingface/tokenizers, template: ["2","+","2","=","4"], 5 ids, mask of 5
@huggingface/tokenizers, ByteLevel: ["2","+","2"], 3 ids, mask of 3
@huggingface/tokenizers, ByteLevel in a sequence: ["2","+","2"], 3 ids, mask of 3
@huggingface/tokenizers, ByteLevel, then template: ["2","+","2","=","4"], 5 ids, mask of 5
EOF
