#!/usr/bin/env bash
# What:     content.lstrip('\n'), as the chat templates of Qwen3 and others have it, in the template engine of transformers.js.
# Version:  @huggingface/jinja 0.5.11 (Node.js) against Jinja2 3.1.6, the engine of transformers.
# Expected: both remove line feeds only, or the JavaScript engine names a method or an argument that it lacks, as it does for others.
# Seen:     the JavaScript engine accepts the argument of strip, lstrip and rstrip and ignores it: all white space is removed, and
#           characters other than white space never are. Two lists are never equal (`[] == []` is false), `'1' == 1` is true.
# Matters:  a response that begins with indented code or a nested list loses its indentation: the same model folder gives other tokens,
#           so other scores, in JavaScript than in Python.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check --no-compile --no-deps jinja2==3.1.6 markupsafe==3.0.4
npm install --silent --no-fund --no-audit --prefix "$dir" @huggingface/jinja@0.5.11
cat > cases.json << 'EOF'
[["indented answer", "{{ content.lstrip('\\n') }}", "\n    return x"],
 ["closing marks", "{{ content.rstrip('#') }}", "Title ##"],
 ["quotes", "{{ content.strip('\"') }}", "\"yes\""],
 ["without an argument", "{{ content.strip() }}", "  yes "],
 ["no tools", "{% if [] == [] %}equal{% else %}not equal{% endif %}", ""],
 ["a number in quotes", "{% if content == 1 %}equal{% else %}not equal{% endif %}", "1"],
 ["a method that is missing", "{{ content.rsplit('-', 1)[0] }}", "a-b-c"]]
EOF
cat > cases.py << 'EOF'
import json

from jinja2.sandbox import ImmutableSandboxedEnvironment

environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
for name, template, content in json.load(open("cases.json")):
    print(f"Jinja2, {name}: {json.dumps(environment.from_string(template).render(content=content))}")
EOF
cat > cases.mjs << 'EOF'
import {readFileSync} from "node:fs";
import {Template} from "@huggingface/jinja";

for (const [name, template, content] of JSON.parse(readFileSync("cases.json"))) {
  let text;
  try {
    text = JSON.stringify(new Template(template).render({content}));
  } catch (error) {
    text = "an error";
  }
  console.log(`@huggingface/jinja, ${name}: ${text}`);
}
EOF
{ venv/bin/python cases.py; node cases.mjs; } > seen
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
Jinja2, indented answer: "    return x"
Jinja2, closing marks: "Title "
Jinja2, quotes: "yes"
Jinja2, without an argument: "yes"
Jinja2, no tools: "equal"
Jinja2, a number in quotes: "not equal"
Jinja2, a method that is missing: "a-b"
@huggingface/jinja, indented answer: "return x"
@huggingface/jinja, closing marks: "Title ##"
@huggingface/jinja, quotes: "\"yes\""
@huggingface/jinja, without an argument: "yes"
@huggingface/jinja, no tools: "not equal"
@huggingface/jinja, a number in quotes: "equal"
@huggingface/jinja, a method that is missing: an error
EOF
