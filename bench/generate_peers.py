"""The peers of generate_bench.py: greedy decoding with transformers or llama.cpp; the same lines in and out as
generate_model_bench.

  .venv-golden/bin/python bench/generate_peers.py transformers runs/smollm2 bfloat16 2
  .venv-llama/bin/python bench/generate_peers.py gguf .deps/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf bfloat16 out.gguf
  .venv-llama/bin/python bench/generate_peers.py llama out.gguf 2
  .venv-llama/bin/python bench/generate_peers.py evaluate out.gguf 2          # for score_bench.py: prefills sequences
"""

import json
import sys
import time


def prompt_ids(stream, count):
    return [(stream * 7919 + i * 104729 + 17) % 40000 + 20 for i in range(count)]


def serve(write):
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        start, cpu = time.perf_counter(), time.process_time()
        filled = write(job["streams"], job["prompt"], job["new"])
        total = time.perf_counter() - start
        print(json.dumps({"total_s": total, "filled_s": filled - start, "cpu_s": time.process_time() - cpu,
                          "tokens": job["streams"] * job["new"]}), flush=True)


def transformers_peer(folder, dtype, threads):
    import torch
    from transformers import AutoModelForCausalLM, LogitsProcessor, LogitsProcessorList
    torch.set_num_threads(int(threads))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()

    class Clock(LogitsProcessor):
        def __call__(self, ids, scores):
            self.first = self.first or time.perf_counter()
            return scores

    def write(streams, prompt, new):
        clock = Clock()
        clock.first = None
        ids = torch.tensor([prompt_ids(s, prompt) for s in range(streams)])
        model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=new, min_new_tokens=new,
                       pad_token_id=0, logits_processor=LogitsProcessorList([clock]))
        return clock.first
    serve(write)


def make_gguf(source, dtype, target):
    """The same weights unquantised: llama.cpp's own metadata and tokenizer, tensors in `dtype` (norms float32)."""
    import gguf
    import numpy as np
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, "llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
            continue
        kind = field.types[0]
        if kind == gguf.GGUFValueType.ARRAY:
            writer.add_key_value(field.name, field.contents(), kind, sub_type=field.types[-1])
        else:
            writer.add_key_value(field.name, field.contents(), kind)
    kinds = {"float32": gguf.GGMLQuantizationType.F32, "bfloat16": gguf.GGMLQuantizationType.BF16}
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        kind = kinds[dtype] if len(tensor.shape) > 1 else gguf.GGMLQuantizationType.F32
        data = values if kind == gguf.GGMLQuantizationType.F32 else gguf.quants.quantize(values, kind)
        writer.add_tensor(tensor.name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def load_llama(path):
    import ctypes

    import llama_cpp as lc
    lc.llama_backend_init()
    load_llama.log = lc.llama_log_callback(lambda *_: None)
    lc.llama_log_set(load_llama.log, ctypes.c_void_p(0))
    return lc, lc.llama_model_load_from_file(path.encode(), lc.llama_model_default_params())


def llama_evaluate(path, threads):
    """Prefills whole sequences, one after the other; lines in: {"sequences": [[ids], ...]}."""
    lc, model = load_llama(path)
    params = lc.llama_context_default_params()
    params.n_ctx = params.n_batch = 4096
    params.n_ubatch = 512
    params.n_threads = params.n_threads_batch = int(threads)
    context = lc.llama_init_from_model(model, params)
    memory = lc.llama_get_memory(context)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for ids in json.loads(line)["sequences"]:
            lc.llama_memory_clear(memory, True)
            tokens = (lc.llama_token * len(ids))(*ids)
            assert lc.llama_decode(context, lc.llama_batch_get_one(tokens, len(ids))) == 0
            lc.llama_synchronize(context)
        print(json.dumps({"total_s": time.perf_counter() - start}), flush=True)


def llama_peer(path, threads):
    import numpy as np
    lc, model = load_llama(path)
    vocab = lc.llama_vocab_n_tokens(lc.llama_model_get_vocab(model))

    def write(streams, prompt, new):
        params = lc.llama_context_default_params()
        params.n_ctx = streams * (prompt + new + 32)
        params.n_batch = params.n_ubatch = max(512, streams)
        params.n_seq_max = streams
        params.n_threads = params.n_threads_batch = int(threads)
        context = lc.llama_init_from_model(model, params)
        batch = lc.llama_batch_init(params.n_batch, 0, 1)

        def decode(entries):
            """entries: (token, position, stream, wants logits)"""
            batch.n_tokens = len(entries)
            for i, (token, position, stream, wants) in enumerate(entries):
                batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, position, 1, stream, wants
            assert lc.llama_decode(context, batch) == 0
            logits = lambda i: np.ctypeslib.as_array(lc.llama_get_logits_ith(context, i), shape=(vocab,))
            return {e[2]: int(logits(i).argmax()) for i, e in enumerate(entries) if e[3]}

        start_tokens = {}
        entries = [(t, i, s, i + 1 == prompt) for s in range(streams) for i, t in enumerate(prompt_ids(s, prompt))]
        for at in range(0, len(entries), params.n_batch):
            start_tokens.update(decode(entries[at:at + params.n_batch]))
        filled = time.perf_counter()
        tokens = start_tokens
        for step in range(new - 1):
            tokens = decode([(tokens[s], prompt + step, s, True) for s in range(streams)])
        lc.llama_batch_free(batch)
        lc.llama_free(context)
        return filled
    serve(write)


if __name__ == "__main__":
    {"transformers": transformers_peer, "gguf": make_gguf, "llama": llama_peer, "evaluate": llama_evaluate}[sys.argv[1]](*sys.argv[2:])
