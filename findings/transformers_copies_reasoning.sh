#!/usr/bin/env bash
# What:     apply_chat_template on a message whose reasoning is called `thinking` or `reasoning`, with a template that reads
#           `reasoning_content` (as Qwen3's does) and one that reads `thinking` (as gpt-oss's does).
# Version:  transformers 5.17.0 and 5.24.0.
# Expected: the same text from both; a template sees the members that the message has.
# Seen:     5.17.0 renders only the member that the template names. 5.24.0 fills `reasoning_content` and `thinking` from whichever of
#           `reasoning_content`, `thinking` and `reasoning` is there, so reasoning that the template left out before is in the text.
#           A template that lists a message's members sees two that nobody wrote.
# Matters:  responses carry their reasoning under all three names, depending on the server that generated them. An upgrade alone adds
#           thousands of tokens to what a reward model reads, and scores of the two versions cannot be compared.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat > "$dir/render.py" << 'EOF'
import transformers
from tokenizers import Tokenizer, models

TEMPLATES = {
    "reads reasoning_content": "{% for m in messages %}{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}{% endfor %}",
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
for version in 5.17.0 5.24.0; do
  python3 -m venv "$dir/$version"
  "$dir/$version/bin/pip" install -q --disable-pip-version-check transformers==$version tokenizers==0.23.3 jinja2==3.1.6
  "$dir/$version/bin/python" "$dir/render.py" 2> /dev/null
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
