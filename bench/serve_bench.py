"""charm serve against charm score on the same rows: throughput with many clients, latency with one; prints JSON.

Each of the clients posts one text at a time, on a connection of its own. `throughput_ratio` is the rate of the server over that of
`charm score`, medians over rounds that alternate; both leave out loading the model. `latency_above_compute_ms` is the time of one request on an empty queue
less the time the model spent, as /metrics counts it. `equal` says whether all scores have the bits of charm score. With --peer, `over_peer` is
the server's rate over that of serve_peer.py (transformers, one text per request), in the same rounds; `peer_difference` is the largest of scores.
  .venv-golden/bin/python bench/serve_bench.py --model runs/smollm2-rm --responses responses.jsonl [--rows 400] [--clients 64] [--rounds 3] [--peer] [-- --dtype float32]
"""

import argparse
import http.client
import json
import queue
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def read_rows(path, limit):
    rows = [json.loads(line) for line in open(path, encoding="utf-8")][:limit]
    as_messages = lambda prompt: [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return [{"prompt_id": str(i), "prompt": as_messages(row["prompt"]), "response": row["response"], "policy": "p"} for i, row in enumerate(rows)]


class Server:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)

    def counter(self, name):
        connection = self.connect()
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith(name + " ")))

    def stop(self):
        self.process.terminate()
        return self.process.wait()


def post(connection, body):
    connection.request("POST", "/score", body)
    response = connection.getresponse()
    text = response.read()
    if response.status != 200:
        raise RuntimeError(text)
    return json.loads(text)["scores"][0]


def body_of(row):
    return json.dumps({"conversations": [{"messages": [*row["prompt"], {"role": "assistant", "content": row["response"]}]}]})


def storm(server, rows, clients):
    """Seconds for all rows, and their scores."""
    waiting, scores = queue.SimpleQueue(), [None] * len(rows)
    for item in enumerate(map(body_of, rows)):
        waiting.put(item)

    def client():
        connection = server.connect()
        while True:
            try:
                index, body = waiting.get_nowait()
            except queue.Empty:
                return
            scores[index] = post(connection, body)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - start, scores


def offline(program, model, rows, options):
    """Seconds for all rows without loading, which a run of one row measures, and their scores."""
    def once(count):
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "p.jsonl"
            file.write_text("\n".join(map(json.dumps, rows[:count])), encoding="utf-8")
            start = time.monotonic()
            subprocess.run([program, "score", "--model", model, "--responses", file, "--output", f"{name}/scores", "--quiet", *options], check=True)
            seconds = time.monotonic() - start
            import pyarrow.parquet as pq

            return seconds, pq.read_table(f"{name}/scores/p.parquet")["score"].to_pylist()

    empty, _ = once(1)
    seconds, scores = once(len(rows))
    return seconds - empty, scores


def latency(server, rows):
    """Medians over rows, in ms: one request, and what of it is not the model's."""
    connection, whole, above = server.connect(), [], []
    for row in rows:
        body = body_of(row)
        before = server.counter("charm_compute_seconds_total")
        start = time.monotonic()
        post(connection, body)
        seconds = time.monotonic() - start
        whole.append(seconds)
        above.append(seconds - (server.counter("charm_compute_seconds_total") - before))
    return 1e3 * statistics.median(whole), 1e3 * statistics.median(above)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--responses", required=True, help="JSON lines with prompt and response")
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--program", default=str(ROOT / "build" / "release" / "bin" / "charm"))
    parser.add_argument("--peer", action="store_true", help="also time serve_peer.py, with this Python")
    parser.add_argument("options", nargs="*", help="of both commands, after --")
    args = parser.parse_args()
    rows = read_rows(args.responses, args.rows)
    server = Server([args.program, "serve", "--model", args.model, "--port", "0", *args.options])
    peer = Server([sys.executable, ROOT / "bench" / "serve_peer.py", "--model", args.model]) if args.peer else None
    served, scored, peer_served, equal, difference = [], [], [], True, 0.0
    bits = lambda scores: [struct.pack("f", score) for score in scores]
    for _ in range(args.rounds):
        seconds, online_scores = storm(server, rows, args.clients)
        served.append(len(rows) / seconds)
        seconds, offline_scores = offline(args.program, args.model, rows, args.options)
        scored.append(len(rows) / seconds)
        equal = equal and bits(online_scores) == bits(offline_scores)
        if peer:
            seconds, peer_scores = storm(peer, rows, args.clients)
            peer_served.append(len(rows) / seconds)
            difference = max(difference, *[abs(a - b) for a, b in zip(peer_scores, offline_scores)])
    whole_ms, above_ms = latency(server, rows[:30])
    result = {
        "rows": len(rows), "clients": args.clients, "rounds": args.rounds,
        "served_rows_per_s": statistics.median(served), "offline_rows_per_s": statistics.median(scored),
        "throughput_ratio": statistics.median(s / o for s, o in zip(served, scored)),
        "latency_ms": whole_ms, "latency_above_compute_ms": above_ms, "equal": equal, "exit_code": server.stop(),
    }
    if peer:
        result["over_peer"] = statistics.median(s / p for s, p in zip(served, peer_served))
        result["peer_difference"] = difference
        peer.stop()
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
