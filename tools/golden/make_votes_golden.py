"""Writes tests/data/golden/votes/{votes.jsonl,ratings.json,expected.json}: made-up scored votes and what others make of them.

Half votes: statsmodels' binomial GLM on the same design, cov_type "cluster", the delta method by numpy. Davidson's model and the prior of
ratings: an independent likelihood in numpy whose gradient (by complex steps) is set to 0 by scipy.optimize.root, the sandwich from its rows.

    python tools/golden/make_votes_golden.py tests/data/golden/votes
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import statsmodels.api as sm
from scipy.optimize import root
from scipy.special import expit

POLICIES = ["ash", "bay", "elm", "fir", "oak"]  # by name; the reference is elm
REFERENCE = "elm"
OFFSETS = {"ash": 0.9, "bay": -0.4, "elm": 0.0, "fir": 0.3, "oak": -1.1}
TEMPERATURE = 1.7
STYLE = ["length", "headers", "lists", "bold"]
WEIGHTS = np.array([0.9, 0.0, -0.3, 0.4])
NU = 0.6


def make_votes(num_prompts, num_votes, seed):
    random = np.random.default_rng(seed)
    quality = {p: random.normal() for p in POLICIES}
    texts = {}
    for prompt in range(num_prompts):
        for policy in POLICIES:
            counts = [int(np.exp(5 + random.normal() * 0.5)), int(random.poisson(0.6)), int(random.poisson(3)), int(random.poisson(2))]
            texts[prompt, policy] = (round(float(quality[policy] + random.normal() * 1.5), 4), counts)
    rows = []
    for vote in range(num_votes):
        prompt = int(random.integers(num_prompts))
        a, b = random.choice(POLICIES, 2, replace=False)
        (score_a, style_a), (score_b, style_b) = texts[prompt, a], texts[prompt, b]
        x = difference(style_a, style_b)
        z = (score_a - score_b + OFFSETS[a] - OFFSETS[b]) / TEMPERATURE + WEIGHTS @ x
        p = np.array([math.exp(z / 2), math.exp(-z / 2), NU])
        winner = ["model_a", "model_b", "tie"][random.choice(3, p=p / p.sum())]
        row = {"prompt_id": f"p{prompt:03d}", "model_a": str(a), "model_b": str(b), "winner": winner, "judge": f"judge{int(random.integers(40))}",
               "score_a": score_a, "score_b": score_b}
        for side, style in (("a", style_a), ("b", style_b)):
            row |= {f"{name}_{side}": count for name, count in zip(STYLE, style)}
        rows.append(row)
    return rows


def difference(a, b):
    a, b = np.array(a, float), np.array(b, float)
    return (a - b) / (a + b + 1)


def design(rows, with_style):
    free = [p for p in POLICIES if p != REFERENCE]
    x = []
    for row in rows:
        line = [np.float32(row["score_a"]).astype(float) - np.float32(row["score_b"]).astype(float)]
        line += [(row["model_a"] == p) - (row["model_b"] == p) for p in free]
        if with_style:
            line += list(difference([row[f"{n}_a"] for n in STYLE], [row[f"{n}_b"] for n in STYLE]))
        x.append(line)
    y = np.array([{"model_a": 1.0, "model_b": 0.0, "tie": 0.5}[row["winner"]] for row in rows])
    return np.array(x, float), y


def result(parameters, covariance, with_style, log_likelihood, num_rows):
    b = parameters[0]
    out = {"temperature": 1 / b, "temperature_se": math.sqrt(covariance[0, 0]) / b**2, "log_loss": -log_likelihood / num_rows, "offsets": {}, "style": {}}
    for i, policy in enumerate([p for p in POLICIES if p != REFERENCE], start=1):
        gradient = np.zeros(len(parameters))
        gradient[0], gradient[i] = -parameters[i] / b**2, 1 / b
        out["offsets"][policy] = [parameters[i] / b, math.sqrt(gradient @ covariance @ gradient)]
    if with_style:
        for j, name in enumerate(STYLE):
            i = len(POLICIES) + j
            out["style"][name] = [parameters[i], math.sqrt(covariance[i, i])]
    return out


def glm(rows, with_style, cluster):
    x, y = design(rows, with_style)
    groups = np.unique([row[cluster] for row in rows], return_inverse=True)[1]
    fit = sm.GLM(y, x, family=sm.families.Binomial()).fit(tol=1e-14, maxiter=200, cov_type="cluster", cov_kwds={"groups": groups})
    p = expit(x @ fit.params)
    log_likelihood = np.sum(y * np.log(p) + (1 - y) * np.log1p(-p))
    return result(fit.params, fit.cov_params(), with_style, log_likelihood, len(rows))


def row_log_likelihood(theta, x, y, davidson):
    """Complex-safe."""
    if not davidson:
        z = x @ theta
        return -(y * np.log(1 + np.exp(-z)) + (1 - y) * np.log(1 + np.exp(z)))
    z, log_nu = x @ theta[:-1], theta[-1]
    total = np.exp(z / 2) + np.exp(-z / 2) + np.exp(log_nu)
    return np.where(y == 0.5, log_nu, (y - 0.5) * z) - np.log(total)


def complex_gradient(function, theta):
    h = 1e-30
    return np.array([function(theta + 1j * h * unit).imag / h for unit in np.eye(len(theta))])


def numeric_hessian(gradient, theta):
    h = 1e-5
    columns = [(gradient(theta + h * unit) - gradient(theta - h * unit)) / (2 * h) for unit in np.eye(len(theta))]
    return np.array(columns)


def likelihood_fit(rows, with_style, davidson, ratings=None):
    x, y = design(rows, with_style)
    penalty = rating_penalty(rows, x, davidson, ratings) if ratings else lambda theta: 0.0
    loss = lambda theta: -np.sum(row_log_likelihood(theta, x, y, davidson)) + penalty(theta)
    gradient = lambda theta: complex_gradient(loss, theta)
    start = np.zeros(x.shape[1] + davidson)
    start[0] = 0.5
    solution = root(gradient, start, tol=1e-13)
    theta = solution.x
    assert np.max(np.abs(gradient(theta))) < 1e-7, solution
    scores = -complex_gradient(lambda t: row_log_likelihood(t, x, y, davidson), theta).T
    groups = np.unique([row["prompt_id"] for row in rows], return_inverse=True)[1]
    sums = np.array([np.bincount(groups, weights=column) for column in scores.T]).T
    num_groups, n, k = len(sums), len(rows), len(theta)
    meat = sums.T @ sums * (num_groups / (num_groups - 1) * (n - 1) / (n - k))
    hessian = numeric_hessian(gradient, theta)
    if ratings:
        moments, precision = rating_moments(rows, x, davidson, ratings)
        jacobian = complex_gradient(moments, theta).T
        meat = meat + jacobian.T @ precision @ jacobian
        likelihood = lambda t: -np.sum(row_log_likelihood(t, x, y, davidson))
        hessian = numeric_hessian(lambda t: complex_gradient(likelihood, t), theta) + jacobian.T @ precision @ jacobian  # Gauss-Newton
    inverse = np.linalg.inv(hessian)
    out = result(theta, inverse @ meat @ inverse, with_style, np.sum(row_log_likelihood(theta, x, y, davidson)), n)
    if davidson:
        out["nu"] = math.exp(theta[-1])
    return out


def rating_moments(rows, x, davidson, ratings):
    free = [p for p in POLICIES if p != REFERENCE]
    sign = np.array([[(row["model_a"] == p) - (row["model_b"] == p) for p in free] for row in rows], float)
    counts = np.abs(sign).sum(axis=0)

    def implied(elo):
        e = np.array([1 / (1 + 10 ** ((elo[row["model_b"]] - elo[row["model_a"]]) / 400)) for row in rows])
        return ((sign > 0).T @ e + (sign < 0).T @ (1 - e)) / counts

    elo = {p: r["rating"] for p, r in ratings.items()}
    slopes = np.array([(implied(elo | {p: elo[p] + 1e-3}) - implied(elo | {p: elo[p] - 1e-3})) / 2e-3 for p in POLICIES]).T
    sd = np.array([(ratings[p]["rating_q975"] - ratings[p]["rating_q025"]) / 3.92 for p in POLICIES])
    precision = np.linalg.inv(slopes @ np.diag(sd**2) @ slopes.T)
    target = implied(elo)

    def moments(theta):
        if davidson:
            z = x @ theta[:-1]
            lead = (np.exp(z / 2) - np.exp(-z / 2)) / (np.exp(z / 2) + np.exp(-z / 2) + np.exp(theta[-1]))
            s = (1 + lead) / 2
        else:
            s = 1 / (1 + np.exp(-(x @ theta)))
        return ((sign > 0).T @ s + (sign < 0).T @ (1 - s)) / counts - target

    return moments, precision


def rating_penalty(rows, x, davidson, ratings):
    moments, precision = rating_moments(rows, x, davidson, ratings)
    return lambda theta: 0.5 * moments(theta) @ precision @ moments(theta)


def measured(rows):
    """People's and the scores' win rates of every ordered pair, ties half, and the agreement on decided votes."""
    value = {"model_a": 1.0, "model_b": 0.0, "tie": 0.5}
    pairs, right = {}, []
    for row in rows:
        people = value[row["winner"]]
        model = float(np.sign(np.float32(row["score_a"]) - np.float32(row["score_b"]))) / 2 + 0.5
        for key, x, y in (((row["model_a"], row["model_b"]), people, model), ((row["model_b"], row["model_a"]), 1 - people, 1 - model)):
            pairs.setdefault("/".join(key), []).append((x, y))
        if people != 0.5:
            right.append(1 - abs(people - model))
    return {"pairs": {key: [len(votes), *np.mean(votes, axis=0).tolist()] for key, votes in pairs.items()}, "accuracy": float(np.mean(right))}


def main(folder):
    rows = make_votes(num_prompts=90, num_votes=700, seed=7)
    elo = {"ash": 1120, "bay": 1010, "elm": 1050, "fir": 1075, "oak": 980}
    ratings = {p: {"rating": r, "rating_q025": r - 12, "rating_q975": r + 12} for p, r in elo.items()}
    expected = {
        "half": glm(rows, False, "prompt_id"),
        "half_style": glm(rows, True, "prompt_id"),
        "half_style_judge": glm(rows, True, "judge"),
        "davidson_style": likelihood_fit(rows, True, True),
        "half_prior": likelihood_fit(rows, False, False, ratings),
        "davidson_prior": likelihood_fit(rows, False, True, ratings),
        "measured": measured(rows),
    }
    check = likelihood_fit(rows, True, False)
    assert abs(check["temperature"] - expected["half_style"]["temperature"]) < 1e-8
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "votes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "ratings.json").write_text(json.dumps(ratings, indent=1) + "\n")
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(json.dumps(expected, indent=1))


main(Path(sys.argv[1]))
