#!/usr/bin/env bash
# What:     Krippendorff's alpha of raters who did not rate all samples, krippendorff on npm.
# Version:  krippendorff 0.1.0 (Node.js), against krippendorff 0.9.0 (PyPI).
# Expected: a row that ends early lacks ratings, as in the example of its page, and the order of the raters is without effect.
# Seen:     the first rater's row says how many samples there are: what others rated beyond its end is left out. The page's own example
#           with the short row moved to the top is 0.375 instead of 0.417. With a first rater who stopped after four of eight samples
#           the agreement is perfect, though the others agree on nothing afterwards.
# Matters:  agreement of raters or LLM judges of whom one stopped early; which one is listed first decides the number.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-fund --no-audit --prefix "$dir" krippendorff@0.1.0
python3 -m pip install -q --disable-pip-version-check --no-compile --no-deps --target packages krippendorff==0.9.0 numpy==2.4.6
cat > ratings.json << 'EOF'
{"the page's example": [[1, 2, 1], [1, 1, 1], [1, 2]],
 "its short row first": [[1, 2], [1, 2, 1], [1, 1, 1]],
 "a rater stopped": [[1, 2, 1, 2, 1, 2, 1, 2], [1, 2, 1, 2, 2, 1, 2, 1], [1, 2, 1, 2]],
 "the same rater first": [[1, 2, 1, 2], [1, 2, 1, 2, 1, 2, 1, 2], [1, 2, 1, 2, 2, 1, 2, 1]]}
EOF
cat > ratings.cjs << 'EOF'
const {readFileSync} = require("node:fs");
const {alpha} = require("krippendorff");

for (const [title, rows] of Object.entries(JSON.parse(readFileSync("ratings.json")))) {
  console.log(`npm, ${title}: ${alpha(rows).toFixed(3)}`);
}
EOF
cat > ratings.py << 'EOF'
import json

import krippendorff

for title, rows in json.load(open("ratings.json")).items():
    width = max(map(len, rows))
    rows = [row + [float("nan")] * (width - len(row)) for row in rows]
    print(f"PyPI, {title}: {krippendorff.alpha(rows, level_of_measurement='nominal'):.3f}")
EOF
{ node ratings.cjs; PYTHONPATH=packages python3 ratings.py; } > seen
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
npm, the page's example: 0.417
npm, its short row first: 0.375
npm, a rater stopped: 0.240
npm, the same rater first: 1.000
PyPI, the page's example: 0.417
PyPI, its short row first: 0.417
PyPI, a rater stopped: 0.240
PyPI, the same rater first: 0.240
EOF
