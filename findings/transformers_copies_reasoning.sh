#!/usr/bin/env bash
# What:     apply_chat_template on a message whose reasoning is called `thinking` or `reasoning`, with a template that reads
#           `reasoning_content` (as Qwen3's does) and one that reads `thinking` (as gpt-oss's does).
# Version:  transformers 5.17.0 and 5.24.0.
# Expected: the same text from both; a template sees the members that the message has.
# Seen:     5.17.0 renders only the member that the template names. 5.24.0 fills `reasoning_content` and `thinking` from whichever of
#           `reasoning_content`, `thinking` and `reasoning` is there, so reasoning that the template left out before is in the text.
#           A template that lists a message's members sees two that nobody wrote.
# Matters:  responses carry their reasoning under all three names, depending on the server that generated them. An upgrade alone can add
#           thousands of tokens to what a reward model reads, and scores of the two versions cannot be compared.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat > "$dir/render.py" << 'EOF'
import transformers
from tokenizers import Tokenizer, models

TEMPLATES = {
    "reads reasoning_content": "{% for m in messages %}{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}"
                               "{{ m.content }}{% endfor %}",
    "reads thinking": "{% for m in messages %}{% if m.thinking %}<analysis>{{ m.thinking }}</analysis>{% endif %}{{ m.content }}{% endfor %}",
    "lists members": "{% for m in messages %}{{ m.keys() | sort | join(' ') }}{% endfor %}",
}
tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
for name, template in TEMPLATES.items():
    for member in ("reasoning_content", "thinking", "reasoning"):
        messages = [{"role": "assistant", "content": "4", member: "2 + 2"}]
        text = tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False)
        print(f"{transformers.__version__}, template {name}, message has {member}: {text}")
EOF
common="tokenizers==0.23.3 safetensors==0.8.0 jinja2==3.1.6 markupsafe==3.0.4 numpy==2.3.3 packaging==26.4 pyyaml==6.0.4 regex==2026.11.19 \
  tqdm==4.70.1 fsspec==2026.9.0 typing-extensions==4.16.0 h11==0.16.0 anyio==4.16.0 idna==3.20 click==8.5.1 typer==0.29.2 rich==15.0.0 \
  shellingham==1.5.4 annotated-doc==0.0.7 pygments==2.21.0 markdown-it-py==4.3.0 mdurl==0.1.2 filelock==4.3.1"
declare -A hub=([5.17.0]="huggingface-hub==1.33.0 httpx==0.28.1 httpcore==1.0.9 certifi==2026.10.18"
                [5.24.0]="huggingface-hub==2.4.0 httpx2==2.16.2 httpcore2==2.16.2 truststore==0.10.5 hf-xet==1.8.0")
for version in 5.17.0 5.24.0; do
  python3 -m venv "$dir/$version"
  # shellcheck disable=SC2086
  "$dir/$version/bin/pip" install -q --disable-pip-version-check --no-compile --no-deps transformers==$version $common ${hub[$version]}
  "$dir/$version/bin/python" "$dir/render.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }
done > "$dir/seen"
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
5.17.0, template reads reasoning_content, message has reasoning_content: <think>2 + 2</think>4
5.17.0, template reads reasoning_content, message has thinking: 4
5.17.0, template reads reasoning_content, message has reasoning: 4
5.17.0, template reads thinking, message has reasoning_content: 4
5.17.0, template reads thinking, message has thinking: <analysis>2 + 2</analysis>4
5.17.0, template reads thinking, message has reasoning: 4
5.17.0, template lists members, message has reasoning_content: content reasoning_content role
5.17.0, template lists members, message has thinking: content role thinking
5.17.0, template lists members, message has reasoning: content reasoning role
5.24.0, template reads reasoning_content, message has reasoning_content: <think>2 + 2</think>4
5.24.0, template reads reasoning_content, message has thinking: <think>2 + 2</think>4
5.24.0, template reads reasoning_content, message has reasoning: <think>2 + 2</think>4
5.24.0, template reads thinking, message has reasoning_content: <analysis>2 + 2</analysis>4
5.24.0, template reads thinking, message has thinking: <analysis>2 + 2</analysis>4
5.24.0, template reads thinking, message has reasoning: <analysis>2 + 2</analysis>4
5.24.0, template lists members, message has reasoning_content: content reasoning_content role thinking
5.24.0, template lists members, message has thinking: content reasoning_content role thinking
5.24.0, template lists members, message has reasoning: content reasoning reasoning_content role thinking
EOF
