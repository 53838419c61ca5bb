#!/usr/bin/env bash
# What:     openskill's rate() with weights for players, in battles of one player against one.
# Version:  openskill 6.2.0.
# Expected: weights of 1 for everybody are the same as no weights; weights of 0.5 and 2 change the update.
# Seen:     in all five models weights of 1 double the winner's gain and halve the loser's loss, and so does every other positive weight:
#           weights are first rescaled to the range from 1 to 2 within each team, a team of one player always gets 2, gains are
#           multiplied by it and losses divided. What a battle adds to one rating is four times what it takes from the other.
# Matters:  battles of models are teams of one. A vote's weight (a judge's confidence, a rater's reliability) has no effect, but giving
#           any makes ratings grow with the number of battles, so a model that was compared more often looks better.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check --no-deps openskill==6.2.0
"$dir/venv/bin/python" - > "$dir/seen" << 'EOF'
from openskill import models

for name in ("BradleyTerryFull", "BradleyTerryPart", "PlackettLuce", "ThurstoneMostellerFull", "ThurstoneMostellerPart"):
    model = getattr(models, name)()
    for weights in (None, [[1], [1]], [[0.5], [0.5]], [[0.5], [2]], [[100], [1]]):
        winner, loser = model.rate([[model.rating()], [model.rating()]], ranks=[1, 2], weights=weights)
        print(f"{name}, weights {weights}: {winner[0].mu - 25:+.3f} {loser[0].mu - 25:+.3f}")
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
BradleyTerryFull, weights None: +2.635 -2.635
BradleyTerryFull, weights [[1], [1]]: +5.271 -1.318
BradleyTerryFull, weights [[0.5], [0.5]]: +5.271 -1.318
BradleyTerryFull, weights [[0.5], [2]]: +5.271 -1.318
BradleyTerryFull, weights [[100], [1]]: +5.271 -1.318
BradleyTerryPart, weights None: +2.635 -2.635
BradleyTerryPart, weights [[1], [1]]: +5.271 -1.318
BradleyTerryPart, weights [[0.5], [0.5]]: +5.271 -1.318
BradleyTerryPart, weights [[0.5], [2]]: +5.271 -1.318
BradleyTerryPart, weights [[100], [1]]: +5.271 -1.318
PlackettLuce, weights None: +2.635 -2.635
PlackettLuce, weights [[1], [1]]: +5.271 -1.318
PlackettLuce, weights [[0.5], [0.5]]: +5.271 -1.318
PlackettLuce, weights [[0.5], [2]]: +5.271 -1.318
PlackettLuce, weights [[100], [1]]: +5.271 -1.318
ThurstoneMostellerFull, weights None: +4.231 -4.231
ThurstoneMostellerFull, weights [[1], [1]]: +8.462 -2.115
ThurstoneMostellerFull, weights [[0.5], [0.5]]: +8.462 -2.115
ThurstoneMostellerFull, weights [[0.5], [2]]: +8.462 -2.115
ThurstoneMostellerFull, weights [[100], [1]]: +8.462 -2.115
ThurstoneMostellerPart, weights None: +2.109 -2.109
ThurstoneMostellerPart, weights [[1], [1]]: +4.218 -1.055
ThurstoneMostellerPart, weights [[0.5], [0.5]]: +4.218 -1.055
ThurstoneMostellerPart, weights [[0.5], [2]]: +4.218 -1.055
ThurstoneMostellerPart, weights [[100], [1]]: +4.218 -1.055
EOF
