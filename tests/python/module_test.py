"""The Python module against the program: the same bits and the same words. Run by ctest with CHARM_LIBRARY and CHARM_PROGRAM set."""

import doctest
import json
import os
import subprocess
import sys
import tempfile
import threading
import unittest
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "python"))

try:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as missing:
    print(f"skipped: {missing}; tools/golden/setup.sh makes an environment with it")
    sys.exit(77)

import charm_rm as charm  # noqa: E402

PROGRAM = os.environ["CHARM_PROGRAM"]


def run(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)


class ModuleTest(unittest.TestCase):
    """A demo world, scored by the program."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = Path(cls.folder.name)
        made = run("demo", "--output", cls.path / "demo", "--prompts", 200, "--annotations", 200, "--quiet")
        assert made.returncode == 0, made.stderr
        cls.model = cls.path / "demo" / "world" / "reward_model"
        cls.responses = sorted((cls.path / "demo" / "run" / "responses").glob("*.parquet"))[:2]
        scored = run("score", "--model", cls.model, "--responses", *cls.responses, "--output", cls.path / "scores", "--dtype", "float32")
        assert scored.returncode == 0, scored.stderr
        cls.scores = sorted((cls.path / "scores").glob("*.parquet"))
        cls.tables = [pq.read_table(file) for file in cls.scores]
        cls.expected = np.concatenate([table["score"].to_numpy() for table in cls.tables])
        cls.rm = charm.RewardModel(cls.model, dtype="float32")
        cls.ratings = {table["policy"][0].as_py(): 1200.0 + 60 * i for i, table in enumerate(cls.tables)}

    @classmethod
    def tearDownClass(cls):
        cls.rm.close()
        cls.folder.cleanup()

    def rows(self):
        return [{"prompt": row["prompt"], "response": row["response"]} for table in self.tables for row in table.to_pylist()]

    def assert_bits(self, scores):
        self.assertEqual(scores.dtype, np.float32)
        np.testing.assert_array_equal(scores.view(np.uint32), self.expected.view(np.uint32))

    def test_scores_have_the_bits_of_the_program(self):
        rows = self.rows()
        table = pa.concat_tables(table.select(["prompt", "response"]) for table in self.tables)
        self.assert_bits(self.rm.score(rows))
        self.assert_bits(self.rm.score(table))
        self.assert_bits(self.rm.score(table.to_pandas()))
        self.assert_bits(self.rm.score({"prompt": [row["prompt"] for row in rows], "response": [row["response"] for row in rows]}))
        with charm.RewardModel(self.model, dtype="float32", threads=1, budget_tokens=300) as other:
            self.assert_bits(other.score(rows))

    def test_details(self):
        scores = self.rm.score_rows(self.rows())
        expected = np.concatenate([table["num_tokens"].to_numpy() for table in self.tables])
        np.testing.assert_array_equal(scores.num_tokens, expected)
        self.assertFalse(scores.truncated.any())
        self.assertEqual(set(scores.error), {None})
        self.assertEqual(self.rm.facts["dtype"], "float32")
        self.assertEqual(self.rm.score([]).shape, (0,))

    def test_rows_without_a_score(self):
        rows = self.rows()[:3]
        rows[1] = {"prompt": "hi"}
        with self.assertRaisesRegex(charm.InputError, "1 of 3 rows have no score, first: rows, row 2"):
            self.rm.score(rows)
        scores = self.rm.score_rows(rows, max_bad_rows=1)
        self.assertTrue(np.isnan(scores.score[1]))
        self.assertIn("response", scores.error[1])
        np.testing.assert_array_equal(scores.score[[0, 2]], self.expected[[0, 2]])

    def test_errors_have_the_words_of_the_program(self):
        missing = self.path / "missing"
        with self.assertRaises(charm.CharmError) as caught:
            charm.RewardModel(missing)
        shown = run("score", "--model", missing, "--responses", *self.responses, "--output", self.path / "none")
        self.assertIn(str(caught.exception), shown.stderr)
        self.assertEqual(caught.exception.exit_code, shown.returncode)
        with self.assertRaisesRegex(charm.UsageError, "--dtype: expected auto"):
            charm.RewardModel(self.model, dtype="float64")
        with self.assertRaisesRegex(charm.UsageError, "unknown option of a reward model: --colour=red"):
            charm.RewardModel(self.model, colour="red")
        with self.assertRaisesRegex(charm.InputError, "row 1: expected a dict"):
            self.rm.score(["text"])
        with self.assertRaisesRegex(charm.UsageError, "columns of different lengths"):
            self.rm.score({"prompt": ["a"], "response": []})
        closed = charm.RewardModel(self.model)
        closed.close()
        with self.assertRaisesRegex(charm.UsageError, "closed"):
            closed.score([])

    def test_warnings_are_those_of_the_program(self):
        with self.assertWarnsRegex(charm.CharmWarning, r"^--max-tokens 100000 is more than the model's \d+ positions; using those$") as caught:
            rm = charm.RewardModel(self.model, dtype="float32", max_tokens=100000)
        self.assertEqual(caught.filename, __file__)
        shown = run("score", "--model", self.model, "--responses", *self.responses, "--output", self.path / "long", "--max-tokens", 100000)
        self.assertIn(f"warning: {caught.warning}\n", shown.stderr)
        rm.close()

    def test_truncated_texts_are_counted_in_one_warning(self):
        rows = self.rows()[:5]
        with charm.RewardModel(self.model, dtype="float32", max_tokens=12) as short:
            num_truncated = int(short.score_rows(rows).truncated.sum())
            self.assertGreater(num_truncated, 0)
            with self.assertWarnsRegex(charm.CharmWarning, rf"^{num_truncated} of 5 texts were cut to 12 tokens \(truncation: left\)") as caught:
                short.score(rows)
            self.assertEqual(len(caught.warnings), 1)
            self.assertEqual(caught.filename, __file__)
        with warnings.catch_warnings():
            warnings.simplefilter("error", charm.CharmWarning)
            self.rm.score(rows)

    def test_a_table_of_another_policy_is_told(self):
        first, second = self.by_policy()
        tables = {first: self.by_policy()[second], second: self.by_policy()[first]}
        for given in (tables, {policy: table.to_pylist() for policy, table in tables.items()}):
            with self.assertWarnsRegex(charm.CharmWarning, f"policy '{first}': its table has rows of policy '{second}'"):
                charm.measure(given, self.ratings)

    def test_a_launcher_of_the_calling_program_is_not_ours(self):
        """torchrun starts the trainer that calls the module in every process."""
        code = f"import charm_rm as charm; print(charm.measure({[str(file) for file in self.scores]!r}, {self.ratings!r})['pairs'][0]['policy'])"
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                               env={**os.environ, "PYTHONPATH": str(ROOT / "python"), "RANK": "1", "WORLD_SIZE": "2"})
        self.assertEqual((shown.returncode, shown.stdout.strip() in self.ratings), (0, True), shown.stderr)

    def by_policy(self):
        return {table["policy"][0].as_py(): table for table in self.tables}

    def test_commands_give_the_programs_results(self):
        first, second = self.ratings
        ratings = self.path / "given.json"
        ratings.write_text(json.dumps(self.ratings))
        shown = run("measure", "--scores", *self.scores, "--ratings", ratings, "--output", self.path / "mismatch.json")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        expected = json.loads((self.path / "mismatch.json").read_text())["pairs"]
        for tables in (self.by_policy(), {p: t.to_pandas() for p, t in self.by_policy().items()}, list(self.scores)):
            self.assertEqual(charm.measure(tables, self.ratings)["pairs"], expected)

        calibration = charm.calibrate(self.by_policy(), self.ratings, reference=first, bootstrap=50)
        shown = run("calibrate", "--scores", *self.scores, "--ratings", ratings, "--reference", first, "--bootstrap", 50,
                    "--output", self.path / "calibration.json")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertEqual(calibration["policies"], json.loads((self.path / "calibration.json").read_text())["policies"])

        pairs = charm.prefer(self.by_policy(), calibration)
        shown = run("prefer", "--scores", *self.scores, "--calibration", self.path / "calibration.json",
                    "--output", self.path / "pairs.jsonl")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertEqual(pairs, [json.loads(line) for line in (self.path / "pairs.jsonl").read_text().splitlines()])
        frame = charm.prefer(self.by_policy(), calibration, returns="pandas")
        self.assertEqual(frame["margin"].tolist(), [pair["margin"] for pair in pairs])
        with self.assertRaisesRegex(charm.CharmError, "nobody"):
            charm.calibrate(self.by_policy(), self.ratings, reference="nobody")

    def test_rate_and_evaluate(self):
        battles = [{"model_a": "a", "model_b": "b", "winner": w} for w in ["model_a"] * 30 + ["model_b"] * 20 + ["tie"] * 5]
        rated = charm.rate(battles)
        file = self.path / "battles.jsonl"
        file.write_text("\n".join(map(json.dumps, battles)))
        shown = run("rate", "--battles", file, "--output", self.path / "rated.json")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertEqual(json.dumps(rated), json.dumps(json.loads((self.path / "rated.json").read_text())))
        result = charm.evaluate("reward-bench", scores=[
            {"id": i, "subset": "alpacaeval-easy", "prompt": "p", "chosen": "c", "rejected": "r", "score_chosen": i % 4, "score_rejected": 1}
            for i in range(40)])
        self.assertEqual(result["subsets"]["alpacaeval-easy"]["accuracy"], 0.5)

    def test_hashlib_works_after_the_library_is_loaded(self):
        """libparquet exports functions of another OpenSSL than Python's hashlib uses."""
        code = "import charm_rm, hashlib, hmac; print(hashlib.sha256(b'a').hexdigest()[:8])"
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT / "python")})
        self.assertEqual((shown.returncode, shown.stdout), (0, "ca978112\n"), shown.stderr)

    def test_trl_reward(self):
        rows = self.rows()[:6]
        reward = charm.trl_reward(self.rm)
        prompts = [row["prompt"] for row in rows]
        conversational = reward(prompts=prompts, completions=[[{"role": "assistant", "content": row["response"]}] for row in rows],
                                completion_ids=[[1]] * 6, trainer_state=None)
        self.assertEqual(conversational, self.expected[:6].tolist())
        plain = reward([prompt[-1]["content"] for prompt in prompts], [row["response"] for row in rows])
        self.assertEqual(plain, self.expected[:6].tolist())
        self.assertEqual(reward.__name__, "charm")

    def test_an_interrupt_ends_the_call(self):
        calls = []

        def interrupt(*state):
            calls.append(state)
            raise KeyboardInterrupt

        from charm_rm import _native

        text = b"\n".join(json.dumps(row).encode() for row in self.rows())
        import ctypes

        scores = ctypes.c_void_p()
        with self.assertRaises(KeyboardInterrupt):
            _native.call(_native.library.charm_reward_model_score_json, self.rm._open(), text, len(text), 0,
                         progress=interrupt, out=ctypes.byref(scores))
        self.assertEqual(len(calls), 1)
        self.assertFalse(scores)
        self.assert_bits(self.rm.score(self.rows()))  # the model is unharmed

    def test_threads_wait_for_each_other_and_the_gil_is_free(self):
        results = [None] * 4
        threads = [threading.Thread(target=lambda i=i: results.__setitem__(i, self.rm.score(self.rows()))) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for scores in results:
            self.assert_bits(scores)

    def test_doctests(self):
        from charm_rm import options

        for module in (charm, options):
            failed, tried = doctest.testmod(module)
            self.assertGreater(tried, 0)
            self.assertEqual(failed, 0)


if __name__ == "__main__":
    unittest.main()
