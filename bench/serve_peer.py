"""The peer of serve_bench.py: transformers behind an HTTP server, one text per request, as the usual small reward servers do.

POST /score with charm's body and reply; prints "serving NAME on URL". One forward pass at a time, float32, no padding.
  .venv-golden/bin/python bench/serve_peer.py --model runs/smollm2-rm
"""

import argparse
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        scores = []
        for conversation in body["conversations"]:
            text = self.server.tokenizer.apply_chat_template(conversation["messages"], tokenize=False)
            ids = self.server.tokenizer(text, return_tensors="pt", add_special_tokens=False)
            with self.server.lock, torch.inference_mode():
                scores.append(self.server.model(**ids).logits[0, 0].item())
        reply = json.dumps({"scores": scores}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 256


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    args = parser.parse_args()
    server = Server(("127.0.0.1", 0), Handler)
    server.tokenizer = AutoTokenizer.from_pretrained(args.model)
    server.model = AutoModelForSequenceClassification.from_pretrained(args.model, dtype=torch.float32).eval()
    server.lock = threading.Lock()
    print(f"serving transformers on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
