"""Clients of other reward servers against charm serve: their requests, unchanged, give the scores of POST /score.

  python -m venv .venv-clients && .venv-clients/bin/pip install openai==3.51.0 requests aiohttp transformers==5.17.0 jinja2
  .venv-clients/bin/python tools/golden/check_clients.py --model RM_FOLDER [--program build/release/bin/charm]
The openai package is called itself, synchronously and asynchronously. The others are rebuilt from their sources, because importing them needs a
GPU's libraries: OpenRLHF's openrlhf/utils/remote_rm_utils.py (query, prompts, labels; `rewards` of the reply), verl's reward loop with vLLM
(POST /classify, `probs[-1]`) and with SGLang (POST /v1/embeddings, `embedding[-1]`), vLLM's examples of pooling (POST /pooling), and
LLaMA-Factory's api/protocol.py (ScoreEvaluationRequest).
"""

import argparse
import asyncio
import os
import subprocess
from pathlib import Path

import aiohttp
import openai
import requests
from transformers import AutoTokenizer

ROOT = Path(__file__).parents[2]
KEY = "a key"
PROMPTS = ["What is rain?", "Name a bird.", "Hi"]
RESPONSES = ["Water that falls from clouds.", "A wren.", ""]


def openrlhf(url, queries, prompts):
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    reply = requests.post(url=f"{url}/get_reward", json={"query": queries, "prompts": prompts, "labels": [None] * len(queries)},
                          headers=headers, timeout=180)
    reply.raise_for_status()
    reply = reply.json()
    assert reply["scores"] == reply["rewards"] and isinstance(reply["extra_logs"], dict)
    return reply["rewards"]


async def verl(url, queries):
    """One request per sample, all at once, as its reward loop does."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:

        async def one(path, body, read):
            async with session.post(f"{url}{path}", json=body) as response:
                response.raise_for_status()
                return read(await response.json())

        classified = [one("/classify", {"model": "rm", "input": query, "use_activation": False}, lambda reply: reply["data"][-1]["probs"][-1])
                      for query in queries]
        embedded = [one("/v1/embeddings", {"model": "rm", "input": query, "use_activation": False},
                        lambda reply: reply["data"][-1]["embedding"][-1]) for query in queries]
        return await asyncio.gather(*classified), await asyncio.gather(*embedded)


async def openai_async(url, queries):
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY)
    replies = await asyncio.gather(*[client.embeddings.create(model="rm", input=query, encoding_format="float") for query in queries])
    return [reply.data[0].embedding[0] for reply in replies]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--program", default=str(ROOT / "build" / "release" / "bin" / "charm"))
    args = parser.parse_args()
    conversations = [[{"role": "user", "content": p}, {"role": "assistant", "content": r}] for p, r in zip(PROMPTS, RESPONSES)]
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    texts = [tokenizer.apply_chat_template(messages, tokenize=False) for messages in conversations]
    server = subprocess.Popen([args.program, "serve", "--model", args.model, "--port", "0", "--api-key-env", "CHARM_CHECK_KEY"],
                              env={**os.environ, "CHARM_CHECK_KEY": KEY}, stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().split()[-1]
        headers = {"Authorization": f"Bearer {KEY}"}
        post = lambda path, body: requests.post(url + path, json=body, headers=headers, timeout=180).json()
        expected = post("/score", {"conversations": [{"messages": messages} for messages in conversations]})["scores"]
        client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY)
        found = {
            "openai (base64)": [item.embedding[0] for item in client.embeddings.create(model="rm", input=texts).data],
            "openai (async)": asyncio.run(openai_async(url, texts)),
            "OpenRLHF": openrlhf(url, texts, PROMPTS),
            "vLLM pooling": [item["data"][0] for item in post("/pooling", {"model": "rm", "input": texts})["data"]],
            "LLaMA-Factory": post("/v1/score/evaluation", {"model": "rm", "messages": texts})["scores"],
        }
        found["verl, vLLM"], found["verl, SGLang"] = asyncio.run(verl(url, texts))
        assert [model.id for model in client.models.list().data] == [Path(args.model).name]
        try:
            openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0).embeddings.create(model="rm", input="a")
            raise SystemExit("a wrong key was accepted")
        except openai.AuthenticationError:
            pass
    finally:
        server.terminate()
        code = server.wait()
    for name, scores in found.items():
        assert scores == expected, (name, scores, expected)
        print(f"{name}: {len(scores)} scores equal")
    assert code == 0, code


if __name__ == "__main__":
    main()
