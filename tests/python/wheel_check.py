"""Installs the newest wheel of dist/ into an empty environment and uses it: program, doctest, tables. Exit code 77: no wheel."""

import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROUND_TRIP = """
import io, sys
import numpy as np, pandas as pd, pyarrow as pa, pyarrow.parquet as pq
import charm_rm as charm, doctest
failed, tried = doctest.testmod(charm)
assert tried and not failed
model, table = sys.argv[1], pq.read_table(sys.argv[2])
rm = charm.RewardModel(model, dtype="float32")
scores = rm.score(table)
assert scores.dtype == np.float32 and np.isfinite(scores).all()
assert (scores == rm.score(table.to_pandas())).all() and (scores == rm.score(table.to_pylist())).all()
scored = table.append_column("score", pa.array(scores))
buffer = io.BytesIO(); pq.write_table(scored, buffer)
again = pq.read_table(io.BytesIO(buffer.getvalue()))
pair = {"a": again, "b": again.to_pandas().assign(score=lambda t: t["score"] + 0.01)}
assert charm.measure(pair, {"a": 1000, "b": 1100})["pairs"]
print(len(scores), "rows scored, measured")
"""


def main():
    wheels = sorted((ROOT / "dist").glob("charm_rm-*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        print("skipped: no wheel in dist/; make wheel builds one")
        return 77
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        binaries = folder / "venv" / "bin"
        # No compiler, no build folder, nothing of this machine's settings.
        environment = {"PATH": str(binaries), "HOME": name, "LANG": "C.UTF-8"}

        def run(*command):
            subprocess.run([str(word) for word in command], check=True, env=environment, cwd=name)

        packages = [str(wheels[-1]), "pandas", "pyarrow"]
        subprocess.run([binaries / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages], check=True)
        start = time.monotonic()
        run(binaries / "charm", "demo", "--output", "demo", "--quiet")
        print(f"demo: {time.monotonic() - start:.1f} s")
        responses = sorted((folder / "demo" / "run" / "responses").glob("*.parquet"))
        run(binaries / "python", "-c", ROUND_TRIP, folder / "demo" / "world" / "reward_model", responses[0])
    print(f"{wheels[-1].name}: {wheels[-1].stat().st_size / 2**20:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
