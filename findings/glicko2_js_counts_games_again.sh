#!/usr/bin/env bash
# What:     Glicko-2 ratings over rating periods, players added by addMatch with ids of their own, glicko2 on npm.
# Version:  glicko2 1.2.2 (Node.js).
# Expected: updateRatings(matches) counts the games that it is given; what players are called is without effect.
# Seen:     it forgets earlier games player by player, from 0 up to the length of an array that ids are the keys of. With text as ids that
#           length is 0 and nothing is forgotten: in every period all earlier games count again, with the ratings of their day. The
#           ratings stray and the deviations shrink as if there were more games. The numbers 0, 1, 2 as ids, the same games, are right.
# Matters:  ratings of models, whose ids are names, over more than one period.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-fund --no-audit --prefix "$dir" glicko2@1.2.2
cat > season.cjs << 'EOF'
const {Glicko2} = require("glicko2");

for (const [kind, ids] of [["numbers", [0, 1, 2]], ["text", ["first", "second", "third"]]]) {
  const ranking = new Glicko2({tau: 0.5});
  const players = new Map();
  for (const [winner, loser] of [[0, 1], [0, 2], [1, 2]]) {
    const [one, other] = [winner, loser].map(i => ({id: ids[i], rating: 1500, rd: 200, vol: 0.06}));
    const {pl1, pl2} = ranking.addMatch(one, other, 1);
    players.set(winner, pl1).set(loser, pl2);
  }
  const show = period => console.log(`ids are ${kind}, period ${period}: ` + [0, 1, 2].map(i => players.get(i)).map(
    player => `${player.getRating().toFixed(1)} (${player.getRd().toFixed(1)})`).join(", "));
  ranking.updateRatings();
  show(1);
  for (const period of [2, 3, 4]) {
    ranking.updateRatings([[players.get(2), players.get(0), 1]]);
    show(period);
  }
}
EOF
node season.cjs > seen
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
ids are numbers, period 1: 1632.3 (165.0), 1500.0 (165.0), 1367.7 (165.0)
ids are numbers, period 2: 1533.2 (156.5), 1500.0 (165.3), 1466.8 (156.5)
ids are numbers, period 3: 1469.2 (145.7), 1500.0 (165.6), 1530.8 (145.7)
ids are numbers, period 4: 1428.2 (136.7), 1500.0 (166.0), 1571.8 (136.7)
ids are text, period 1: 1632.3 (165.0), 1500.0 (165.0), 1367.7 (165.0)
ids are text, period 2: 1618.7 (139.3), 1500.0 (143.7), 1381.3 (139.3)
ids are text, period 3: 1554.4 (118.4), 1500.0 (129.1), 1445.6 (118.4)
ids are text, period 4: 1487.6 (100.0), 1500.0 (118.4), 1512.4 (100.0)
EOF
