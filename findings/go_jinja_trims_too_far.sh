#!/usr/bin/env bash
# What:     white space around tags in chat templates, rendered by github.com/ardanlabs/jinja, a template engine in Go made for them.
# Version:  v1.12.0 (Go 1.27.3) against Jinja2 3.1.6 with the settings of transformers; v1.8.0 is the same.
# Expected: `-` in a tag removes white space next to the tag, and a tag without it the line feed next to it, as its comments say of both.
# Seen:     where an expression stands next to the tag, the text on the far side of the expression is trimmed: `as {{ name }}{%- if` loses
#           the space before the name, and a role that opens a loop loses the line feed between itself and the message. Text, tags and
#           comments next to the tag are right, so that the templates of its tests come out well.
# Matters:  prompts of models whose templates are written so are not those that the model was trained with; nothing warns.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --no-compile --no-deps --target packages jinja2==3.1.6 markupsafe==3.0.4
export GOMODCACHE=$dir/modules GOFLAGS="-mod=mod -modcacherw" GOTOOLCHAIN=go1.27.3
cat > cases.py << 'EOF'
import json

from jinja2.sandbox import ImmutableSandboxedEnvironment

messages = [{"role": "user", "content": "Capital?"}, {"role": "assistant", "content": "Paris."}]
cases = {
    "line feed after an expression that follows a tag": "{% for m in messages %}{{ m.role }}\n{{ m.content }}\n{% endfor %}",
    "the same behind text": "{% for m in messages %}<{{ m.role }}>\n{{ m.content }}\n{% endfor %}",
    "space before an expression that a tag with - follows": "Answer as {{ name }}{%- if strict %}, briefly{% endif %}.",
    "space after an expression that follows a tag with -": "{% if strict -%}{{ name }} asks:{% endif %} Why?",
    "indentation before an expression that a tag follows": "names:\n  {{ name }}{% if strict %};{% endif %}",
}
variables = {"messages": messages, "name": "Ann", "strict": True}
json.dump({"cases": cases, "variables": variables}, open("cases.json", "w"))
environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
for name in sorted(cases):
    print(f"Jinja2, {name}: {json.dumps(environment.from_string(cases[name]).render(variables))}")
EOF
cat > main.go << 'EOF'
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/ardanlabs/jinja"
)

func main() {
	var input struct {
		Cases     map[string]string
		Variables map[string]any
	}
	file, err := os.ReadFile("cases.json")
	if err != nil || json.Unmarshal(file, &input) != nil {
		panic("cases.json")
	}
	names := []string{}
	for name := range input.Cases {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		template, err := jinja.Compile(input.Cases[name])
		if err != nil {
			panic(err)
		}
		text, err := template.Render(input.Variables)
		if err != nil {
			panic(err)
		}
		fmt.Printf("ardanlabs/jinja, %s: %q\n", name, text)
	}
}
EOF
go mod init cases > log 2>&1
go get github.com/ardanlabs/jinja@v1.12.0 >> log 2>&1
{ PYTHONPATH=packages python3 cases.py; go run .; } > seen
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
Jinja2, indentation before an expression that a tag follows: "names:\n  Ann;"
Jinja2, line feed after an expression that follows a tag: "user\nCapital?\nassistant\nParis.\n"
Jinja2, space after an expression that follows a tag with -: "Ann asks: Why?"
Jinja2, space before an expression that a tag with - follows: "Answer as Ann, briefly."
Jinja2, the same behind text: "<user>\nCapital?\n<assistant>\nParis.\n"
ardanlabs/jinja, indentation before an expression that a tag follows: "names:\nAnn;"
ardanlabs/jinja, line feed after an expression that follows a tag: "userCapital?\nassistantParis.\n"
ardanlabs/jinja, space after an expression that follows a tag with -: "Annasks: Why?"
ardanlabs/jinja, space before an expression that a tag with - follows: "Answer asAnn, briefly."
ardanlabs/jinja, the same behind text: "<user>\nCapital?\n<assistant>\nParis.\n"
EOF
