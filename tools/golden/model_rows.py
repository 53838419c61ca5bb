"""What transformers computes from a model folder: rows of token ids, hidden states, scores, gradients."""

import torch
import transformers
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.models.qwen3_5 import modeling_qwen3_5

import heads
import tiny

chunked_delta_rule = modeling_qwen3_5.torch_chunk_gated_delta_rule


def delta_rule(query, key, value, g, beta, **settings):
    """transformers computes it in float32 whatever the model's type; here a float64 model has it in float64, token by token."""
    if query.dtype != torch.float64:
        return chunked_delta_rule(query, key, value, g=g, beta=beta, **settings)
    unit = lambda x: x / ((x * x).sum(-1, keepdim=True) + 1e-6).sqrt()
    query, key = unit(query) * query.shape[-1] ** -0.5, unit(key)
    state, out = query.new_zeros(*value.shape[:1], value.shape[2], key.shape[3], value.shape[3]), []
    for t in range(query.shape[1]):
        state = state * g[:, t].double().exp()[..., None, None]
        delta = beta[:, t, :, None] * (value[:, t] - torch.einsum("bhkv,bhk->bhv", state, key[:, t]))
        state = state + torch.einsum("bhk,bhv->bhkv", key[:, t], delta)
        out.append(torch.einsum("bhkv,bhk->bhv", state, query[:, t]))
    return torch.stack(out, dim=1), state


modeling_qwen3_5.torch_chunk_gated_delta_rule = delta_rule

SCORE_TOLERANCE = 1e-4
LAYER_TOLERANCE = 1e-5


SHAPES = [(7, [1, 5, 12]), (20, [3, 30]), (0, [9]), (40, [50, 2])]


def token_rows(config, seed, pad_cases=False, shapes=SHAPES):
    """Groups of rows with a common prompt; every id from 3 up, so that pad and BOS appear only where a case wants them."""
    config, generator = config.get_text_config(), torch.Generator().manual_seed(seed)
    draw = lambda n: torch.randint(3, config.vocab_size, (n,), generator=generator).tolist()
    rows = []
    for prompt_length, response_lengths in shapes:
        prompt = [1] + draw(prompt_length - 1) if prompt_length else []
        rows += [(prompt + draw(n), prompt_length) for n in response_lengths]
    if pad_cases:
        prompt, pad = [1] + draw(5), config.pad_token_id
        rows.append((prompt + draw(4) + [pad], 6))            # closing token equals pad: the one before it is pooled
        rows.append((prompt + draw(4) + [pad, pad, pad], 6))  # several
        rows.append((prompt + draw(2) + [pad] + draw(2), 6))  # pad inside stays part of the sequence
        rows.append((prompt + [pad], 6))                      # an empty response: the pooled token is the prompt's last
    return rows


def trunk(model):
    """The text model: that of a multimodal wrapper is one level deeper."""
    return getattr(model.model, "language_model", model.model)


TOWERS = ("vision_tower.", "multi_modal_projector.", "visual.")


def text_name(name):
    """A wrapper's tensor in its text model."""
    return name.replace("language_model.model.", "model.").replace("model.language_model.", "model.")


def capture(model, ids):
    """Hidden states after the embedding and after every block (before the final norm), and the score."""
    states = []
    if "dynamic" in str(getattr(model.config, "rope_parameters", None)):
        # It remembers the longest sequence it has seen; a new one has seen none.
        model.model.rotary_emb = type(model.model.rotary_emb)(model.config)
    hooks = [trunk(model).embed_tokens.register_forward_hook(lambda m, i, out: states.append(out[0]))]
    for layer in trunk(model).layers:
        hooks.append(layer.register_forward_hook(
            lambda m, i, out: states.append((out[0] if isinstance(out, tuple) else out)[0])))
    with torch.no_grad():
        score = model(torch.tensor([ids])).logits[0, 0].item()
    for hook in hooks:
        hook.remove()
    return states, score


def load(folder, dtype):
    """The model in `dtype` with eager attention and experts: the default would ignore some models' soft caps, and has no float64 experts."""
    model = heads.load_own(folder)
    if model is None:
        model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype, attn_implementation="eager",
                                                                   experts_implementation="eager")
    return model.to(dtype).eval()


def describe(folder, rows, texts=None, layer_rows=(1, 3), gradients=False, more_rows=(), layers_by_error=False):
    """golden.json of one folder. `more_rows` are not written, but count for bfloat16's error, which few rows say little about.

    With `layers_by_error` the hidden states' tolerance is at least four times the worst error that transformers' own float32 makes on them."""
    model, model64, model16 = (load(folder, d) for d in (torch.float32, torch.float64, torch.bfloat16))
    out, worst16, worst32 = [], 0.0, 0.0
    for number, (ids, prompt_length) in enumerate(rows):
        states, score = capture(model, ids)
        states64, score64 = capture(model64, ids)
        _, score16 = capture(model16, ids)
        assert abs(score - score64) < SCORE_TOLERANCE / 4, (folder, number, score, score64)
        worst16 = max(worst16, abs(score16 - score64))
        row = {"ids": ids, "prompt_length": prompt_length}
        if texts:
            row.update(texts[number])
        row["score"], row["score_float64"] = tiny.numbers(torch.tensor([score, score64], dtype=torch.float64))
        if number in layer_rows and not texts:
            row["embeddings"] = tiny.numbers(states[0])
            row["first_block"] = tiny.numbers(states[1])
            row["last_block"] = tiny.numbers(states[-1])
            worst32 = max([worst32, *((x.double() - y).abs().max().item() for x, y in zip(states, states64))])
        out.append(row)
    for ids, _ in more_rows:
        worst16 = max(worst16, abs(capture(model16, ids)[1] - capture(model64, ids)[1]))
    scores = torch.tensor([r["score"] for r in out])
    assert scores.std() > 0.1, (folder, scores)
    tiny.write_compact_json(folder / "golden.json", {
        "made_by": f"tools/golden/make_model_golden.py, transformers {transformers.__version__}, torch {torch.__version__}",
        # bfloat16: twice the worst error that transformers' own bfloat16 makes on these rows and `more_rows`.
        "tolerance": {"layer": float(f"{max(LAYER_TOLERANCE, 4 * worst32 if layers_by_error else 0.0):.2g}"), "score": SCORE_TOLERANCE, "score_bfloat16": float(f"{2 * worst16:.2g}")},
        **({"gradients": score_gradients(load(folder, torch.float64), rows)} if gradients else {}),
        "rows": out})
    return scores


def score_gradients(model, rows):
    """Of the sum of all scores: name in the files -> L2 norm and sum of the elements."""
    for ids, _ in rows:
        if "dynamic" in str(getattr(model.config, "rope_parameters", None)):
            model.model.rotary_emb = type(model.model.rotary_emb)(model.config)
        model(torch.tensor([ids])).logits.sum().backward()
    names = getattr(model, "names_in_files", text_name)
    for parameter in model.parameters():
        if parameter.grad is not None:  # a tower for images has none
            parameter.data = parameter.grad
    return {names(name): tiny.numbers(torch.stack([value.norm(), value.sum()])) for name, value in sorted(tiny.in_files(model).items())
            if not name.removeprefix("model.").startswith(TOWERS)}


def must_matter(folder, rows, scores, patch=None, **attributes):
    """A fixture of a feature is worth keeping only if a program without the feature fails on it: here, without the settings or
    with a model that `patch` has changed."""
    config = AutoConfig.from_pretrained(folder)
    for key, value in attributes.items():
        setattr(config, key, value)
    if heads.has_no_classifier(config):
        model = heads.TextTrunk.of_folder(folder, config).eval()
    else:
        model = AutoModelForSequenceClassification.from_pretrained(folder, config=config, dtype=torch.float32, attn_implementation="eager",
                                                                   experts_implementation="eager").eval()
    if patch is not None:
        patch(model)
    changed = torch.tensor([capture(model, ids)[1] for ids, _ in rows])
    difference = (changed - scores).abs().max().item()
    assert difference > 100 * SCORE_TOLERANCE, (folder, attributes, patch, difference)
