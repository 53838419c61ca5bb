#!/usr/bin/env bash
# What:     ChanceOfWinning, the probability that one rated player beats another, in trueskill on npm.
# Version:  trueskill 0.0.2 (Node.js).
# Expected: with ratings of 30 and 25, each with the deviation 25 / 3: the normal distribution's value at 5 over the deviation of the
#           difference, 0.664 from the two deviations alone, 0.648 with TrueSkill's own noise of a game (beta) in both. The unit of the ratings is
#           without effect.
# Seen:     0.890: the deviations are handed on as variances, so that the difference has the deviation 4.1 instead of 11.8. What
#           comes out depends on the unit: the same two players are 0.597 with all numbers divided by 25, and 1.000 with all times 40,
#           as ratings near Elo's are. Only for deviations near 1 it is right.
# Matters:  predicted win rates of models from their ratings, and everything that is calibrated or scored against them.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-fund --no-audit --prefix "$dir" trueskill@0.0.2
cat > chance.cjs << 'EOF'
const {ChanceOfWinning} = require("trueskill");

for (const unit of [1, 0.04, 40]) {
  const [one, other] = [30, 25].map(mu => [mu * unit, 25 / 3 * unit]);
  const [first, second] = [one, other].map(rating => rating.map(number => number.toFixed(2)).join(" +- "));
  console.log(`${first} beats ${second}: ${ChanceOfWinning(one, other).toFixed(3)}`);
}
EOF
node chance.cjs > seen
cat > closed.py << 'EOF'
from statistics import NormalDist

for name, beta in (("the deviations alone", 0), ("with beta", 25 / 6)):
    print(f"closed form, {name}: {NormalDist().cdf(5 / (2 * (25 / 3) ** 2 + 2 * beta**2) ** 0.5):.3f}")
EOF
python3 closed.py >> seen
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
30.00 +- 8.33 beats 25.00 +- 8.33: 0.890
1.20 +- 0.33 beats 1.00 +- 0.33: 0.597
1200.00 +- 333.33 beats 1000.00 +- 333.33: 1.000
closed form, the deviations alone: 0.664
closed form, with beta: 0.648
EOF
