#!/usr/bin/env bash
# What:     one comparison of three or more models at once, Game and History of TrueSkillThroughTime with `result`.
# Version:  TrueSkillThroughTime 1.1.0 against trueskill 0.4.5 with the same prior, beta and no draws.
# Expected: in which order the models are listed is without effect: `result` says who won.
# Seen:     the posteriors come back by a permutation that should have been inverted. Where listing and ranking differ by a cycle of three
#           or more, models get each other's posteriors: listed as c, a, b, the winner a gets the loser's and b the winner's. Two of the
#           six orders of three models are wrong, 14 of 24 for four, 94 of 120 for five. Pairs, and lists sorted by rank, are right. In a
#           history the mistake feeds itself: ten such comparisons put b 83 units above both others.
# Matters:  models or judges rated from rankings of several responses: who is first depends on the order of the columns.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --no-compile --no-deps --target packages trueskillthroughtime==1.1.0 \
  trueskill==0.4.5 six==1.17.0
PYTHONPATH=packages python3 -W ignore - > seen << 'EOF'
import itertools

from trueskill import TrueSkill
from trueskillthroughtime import Game, Gaussian, History, Player

reference = TrueSkill(mu=0, sigma=6, beta=1, tau=0, draw_probability=0)


def through_time(points):
    game = Game([[Player(Gaussian(0.0, 6.0), 1.0, 0.0)] for _ in points], points)
    return [team[0].mu for team in game.posteriors()]


def trueskill(points):
    teams = [(reference.create_rating(),) for _ in points]
    return [team[0].mu for team in reference.rate(teams, ranks=[-won for won in points])]


def by_name(names, means):
    return ", ".join(f"{name} {round(mean, 2) + 0:+.2f}" for name, mean in sorted(zip(names, means)))


points = {"a": 3, "b": 2, "c": 1}
for names in itertools.permutations("abc"):
    listed = [points[name] for name in names]
    print(f"listed as {' '.join(names)}: {by_name(names, through_time(listed))} (trueskill: {by_name(names, trueskill(listed))})")
for count in (2, 3, 4, 5):
    orders = list(itertools.permutations(range(count)))
    wrong = {fit.__name__: sum(sorted(orders[0], key=fit(listed).__getitem__) != sorted(orders[0], key=listed.__getitem__)
                               for listed in map(list, orders)) for fit in (through_time, trueskill)}
    print(f"{count} models, {len(orders)} orders of listing, of these with another ranking than the result: {wrong}")
for names in ("abc", "cab"):
    history = History([[[name] for name in names]] * 10, [[points[name] for name in names]] * 10, gamma=0.0)
    history.convergence(verbose=False)
    curves = history.learning_curves()
    print(f"history of ten comparisons listed as {' '.join(names)}: {by_name(names, [curves[name][-1][1].mu for name in names])}")
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
listed as a b c: a +5.01, b +0.00, c -5.01 (trueskill: a +5.01, b +0.00, c -5.01)
listed as a c b: a +5.01, b +0.00, c -5.01 (trueskill: a +5.01, b +0.00, c -5.01)
listed as b a c: a +5.01, b +0.00, c -5.01 (trueskill: a +5.01, b +0.00, c -5.01)
listed as b c a: a +0.00, b -5.01, c +5.01 (trueskill: a +5.01, b +0.00, c -5.01)
listed as c a b: a -5.01, b +5.01, c +0.00 (trueskill: a +5.01, b +0.00, c -5.01)
listed as c b a: a +5.01, b +0.00, c -5.01 (trueskill: a +5.01, b +0.00, c -5.01)
2 models, 2 orders of listing, of these with another ranking than the result: {'through_time': 0, 'trueskill': 0}
3 models, 6 orders of listing, of these with another ranking than the result: {'through_time': 2, 'trueskill': 0}
4 models, 24 orders of listing, of these with another ranking than the result: {'through_time': 14, 'trueskill': 0}
5 models, 120 orders of listing, of these with another ranking than the result: {'through_time': 94, 'trueskill': 0}
history of ten comparisons listed as a b c: a +7.19, b +0.00, c -7.19
history of ten comparisons listed as c a b: a +0.00, b +83.33, c -0.82
EOF
