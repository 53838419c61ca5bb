"""Two steps of TRL's GRPOTrainer with charm.trl_reward: the rewards that TRL sees are those of `charm score`.

  python -m venv .venv-trl && .venv-trl/bin/pip install trl==1.16.0 accelerate==1.15.0 datasets==5.2.0 transformers==5.17.0 torch==2.11.0 pandas pyarrow
  CHARM_LIBRARY=build/release/lib/libcharm.so .venv-trl/bin/python tools/golden/check_trl.py --model RM_FOLDER [--program build/release/bin/charm]
The reward model's tokenizer and template also serve the policy, a Llama of two layers with random weights.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import torch
from datasets import Dataset
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from trl import GRPOConfig, GRPOTrainer

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "python"))
import charm_rm as charm  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--program", default=str(ROOT / "build" / "release" / "bin" / "charm"))
    args = parser.parse_args()
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    policy = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                                          num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512))
    reward = charm.trl_reward(charm.RewardModel(args.model, dtype="float32"))
    seen = []

    def recorded(prompts, completions, **others):
        scores = reward(prompts=prompts, completions=completions, **others)
        seen.extend(zip(prompts, completions, scores))
        return scores

    with tempfile.TemporaryDirectory() as name:
        data = Dataset.from_list([{"prompt": [{"role": "user", "content": f"question {i}"}]} for i in range(8)])
        config = GRPOConfig(output_dir=name, max_steps=2, per_device_train_batch_size=4, num_generations=4, max_completion_length=12,
                            logging_steps=1, report_to=[], use_cpu=True, bf16=False, save_strategy="no", seed=1)
        trainer = GRPOTrainer(model=policy, reward_funcs=[recorded], args=config, train_dataset=data, processing_class=tokenizer)
        trainer.train()
        logged = [entry for entry in trainer.state.log_history if "reward" in entry]
        file = Path(name) / "p.jsonl"
        rows = [{"prompt_id": str(i), "prompt": prompt, "response": completion[-1]["content"], "policy": "p"}
                for i, (prompt, completion, _) in enumerate(seen)]
        file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        subprocess.run([args.program, "score", "--model", args.model, "--responses", file, "--output", f"{name}/scores",
                        "--dtype", "float32", "--quiet"], check=True)
        expected = pq.read_table(f"{name}/scores/p.parquet")["score"].to_pylist()
    assert trainer.state.global_step == 2 and len(logged) == 2, logged
    assert [score for _, _, score in seen] == expected
    print(f"{trainer.state.global_step} steps, {len(seen)} completions, rewards are those of charm score; mean rewards "
          f"{[round(entry['reward'], 4) for entry in logged]}")


if __name__ == "__main__":
    main()
