#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden files that the C++ model is tested against, from the reference implementation in `transformers`.

    python -m venv v && v/bin/pip install -r requirements.txt && v/bin/python make_golden.py [CASE ...]

Each case is a tiny T5 with random weights: a Hugging Face folder and golden.safetensors beside it (README.md lists the
tensors). Weights, prompt and ids are exactly representable in float32; everything else is computed in float64 and
rounded once. Each row goes through the model alone, so padding plays no part in the reference.
"""
import dataclasses
import pathlib
import shutil
import sys

import torch
from safetensors.torch import save_file
from transformers import T5Config, T5ForConditionalGeneration
from transformers.models.t5 import modeling_t5
from transformers.utils import logging

HERE = pathlib.Path(__file__).resolve().parent
INPUT_LENGTHS = (1, 5, 37, 180)
TARGET_LENGTHS = (1, 3, 9, 2)
PROMPT_ROWS = 7
MAX_NEW_TOKENS = 12
Z_LOSS = 1e-4
PAD, EOS = 0, 1


@dataclasses.dataclass
class Case:
    name: str
    seed: int
    tied: bool
    scaled: bool
    config: dict


COMMON = dict(d_model=32, num_heads=4, d_kv=8, d_ff=48, num_layers=2, num_decoder_layers=2, vocab_size=120,
              relative_attention_num_buckets=32, relative_attention_max_distance=128)
CASES = [
    Case("t5_10", 1, True, True, COMMON | dict(feed_forward_proj="relu")),
    Case("t5_11", 2, False, False, COMMON | dict(feed_forward_proj="gated-gelu")),
    Case("t5_inner", 3, False, False, COMMON | dict(feed_forward_proj="gated-gelu", num_heads=6, d_ff=40)),
    Case("t5_depth", 4, False, False,
         COMMON | dict(feed_forward_proj="gated-gelu", num_layers=3, num_decoder_layers=2, vocab_size=122,
                       relative_attention_num_buckets=8, relative_attention_max_distance=20)),
]


def norm_in_given_precision(self, hidden):
    """T5LayerNorm takes the mean square in float32 whatever its input is; a float64 reference must not."""
    return self.weight * hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)


def random_model(case, seed):
    """A model whose logits have a standard deviation of about 1; attention and bias table are far from uniform."""
    generator = torch.Generator().manual_seed(seed)
    # The old meaning of tie_word_embeddings (4.x and before): it decides the scale of the decoder's output. The class
    # then ties the head in any case, so an untied head must be put in place by hand.
    config = T5Config(**case.config, dropout_rate=0.0, decoder_start_token_id=PAD, pad_token_id=PAD, eos_token_id=EOS,
                      tie_word_embeddings=case.scaled)
    config._attn_implementation = "eager"
    model = T5ForConditionalGeneration(config)
    if not case.tied:
        model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.lm_head.weight))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if "layer_norm" in name:
                weight.copy_(1.0 + 0.2 * noise)
            elif name == "shared.weight" or "relative_attention_bias" in name:
                weight.copy_(noise)
            elif name.endswith(".q.weight"):
                weight.copy_(1.5 * noise / (weight.shape[1] * config.d_kv) ** 0.5)
            else:
                weight.copy_(noise / weight.shape[1] ** 0.5)
        if case.tied:  # small embeddings in a wide stream: otherwise a tied head only repeats the decoder's input
            model.shared.weight.mul_(0.25)
            model.decoder.final_layer_norm.weight.mul_(4.0)
    check_head(case, model)
    return model


def check_head(case, model):
    tied = model.lm_head.weight is model.shared.weight
    assert tied == case.tied, f"{case.name}: tied head is {tied}"
    assert torch.equal(model.lm_head.weight, model.shared.weight) == case.tied
    assert model.config.scale_decoder_outputs == case.scaled, f"{case.name}: scale is the other one"
    assert model.encoder.embed_tokens.weight is model.shared.weight


def random_rows(case, seed):
    generator = torch.Generator().manual_seed(seed + 1000)

    def ids(length):
        body = torch.randint(3, case.config["vocab_size"], (length - 1,), generator=generator)
        return torch.cat([body, torch.tensor([EOS])])

    inputs = [ids(n) for n in INPUT_LENGTHS]
    targets = [ids(n) for n in TARGET_LENGTHS]
    prompt = torch.randn(PROMPT_ROWS, case.config["d_model"], generator=generator)
    return inputs, targets, prompt


def run_row(model, embedded, decoder_ids):
    return model(inputs_embeds=embedded[None], attention_mask=torch.ones(1, embedded.shape[0]),
                 decoder_input_ids=decoder_ids[None], decoder_attention_mask=torch.ones(1, decoder_ids.shape[0]),
                 use_cache=False).logits[0]


def row_loss(logits, target):
    log_z = torch.logsumexp(logits, -1)
    picked = logits.gather(1, target[:, None])[:, 0]
    return (log_z - picked).sum() + Z_LOSS * (log_z**2).sum()


def shifted(target):
    return torch.cat([torch.tensor([PAD]), target[:-1]])


class Recorder:
    """Collects outputs of every block and final norm, row after row, token-major."""

    def __init__(self, model):
        self.rows, self.handles = {}, []
        for stack_name in ("encoder", "decoder"):
            stack = getattr(model, stack_name)
            for i, block in enumerate(stack.block):
                self.watch(f"{stack_name}.layer.{i}", block)
            self.watch(f"{stack_name}.final", stack.final_layer_norm)

    def watch(self, name, module):
        def hook(_module, _inputs, output):
            hidden = output[0] if isinstance(output, tuple) else output
            self.rows.setdefault(name, []).append(hidden[0].detach())

        self.handles.append(module.register_forward_hook(hook))

    def finish(self):
        for handle in self.handles:
            handle.remove()
        return {name: torch.cat(rows) for name, rows in self.rows.items()}


def prompt_run(model, inputs, targets, prompt):
    model.requires_grad_(False)
    prompt = prompt.clone().requires_grad_()
    recorder = Recorder(model)
    logits = [run_row(model, torch.cat([prompt, model.shared(i)]), shifted(t)) for i, t in zip(inputs, targets)]
    result = recorder.finish()
    loss = sum(row_loss(l, t) for l, t in zip(logits, targets))
    loss.backward()
    return result | {"logits": torch.cat(logits).detach(), "loss": loss.detach(), "prompt.grad": prompt.grad}


def full_run(model, inputs, targets):
    model.requires_grad_(True)
    model.zero_grad(set_to_none=True)
    loss = sum(row_loss(run_row(model, model.shared(i), shifted(t)), t) for i, t in zip(inputs, targets))
    loss.backward()
    grads = {f"full.grad.{name}": weight.grad for name, weight in model.named_parameters()}
    return {"full.loss": loss.detach()} | grads


@torch.no_grad()
def greedy(model, inputs, prompt):
    """Plain argmax steps, without a cache. Also the smallest gap between the best and the second best logit."""
    rows, smallest_gap = [], float("inf")
    for row in inputs:
        embedded, ids = torch.cat([prompt, model.shared(row)]), [PAD]
        while len(ids) <= MAX_NEW_TOKENS:
            best = torch.topk(run_row(model, embedded, torch.tensor(ids))[-1], 2)
            smallest_gap = min(smallest_gap, (best.values[0] - best.values[1]).item())
            if best.indices[0] == EOS:
                break
            ids.append(best.indices[0].item())
        rows.append(ids[1:])
    return rows, smallest_gap


def find_telling_case(case):
    """The first seed whose continuations end in different ways and never hang on the last bits of a logit."""
    for seed in range(case.seed * 1000, case.seed * 1000 + 200):
        model, (inputs, targets, prompt) = random_model(case, seed), random_rows(case, seed)
        model = model.double().eval()
        generated, gap = greedy(model, inputs, prompt.double())
        lengths = sorted(len(row) for row in generated)
        telling = lengths[-1] == MAX_NEW_TOKENS and lengths[0] < 8 and lengths[1] > 0
        if telling and len(set(sum(generated, []))) >= 6 and gap > 0.01:
            return model, inputs, targets, prompt, generated
    raise SystemExit(f"{case.name}: no seed gives telling continuations")


def int32(values):
    return torch.as_tensor(values, dtype=torch.int32).contiguous()


def save_model(case, model, folder):
    model.float().save_pretrained(folder)
    for path in folder.iterdir():
        if path.name not in ("config.json", "model.safetensors", "golden.safetensors"):
            path.unlink()
    check_head(case, model)


def check_reload(case, folder, inputs, targets, prompt, logits):
    """What was saved is what was computed, the head included."""
    model = T5ForConditionalGeneration.from_pretrained(folder, attn_implementation="eager").double().eval()
    check_head(case, model)
    with torch.no_grad():
        again = torch.cat([run_row(model, torch.cat([prompt.double(), model.shared(i)]), shifted(t))
                           for i, t in zip(inputs, targets)])
    assert torch.equal(again, logits), f"{case.name}: the saved folder computes other logits"


def make(case):
    model, inputs, targets, prompt, generated = find_telling_case(case)
    result = prompt_run(model, inputs, targets, prompt.double()) | full_run(model, inputs, targets)
    std = result["logits"].std().item()
    assert 0.5 < std < 2.0, f"{case.name}: logits have a standard deviation of {std}"
    tensors = {name: value.float().contiguous() for name, value in result.items()}
    tensors |= {
        "prompt": prompt,
        "input_ids": int32(torch.cat(inputs)), "input_lengths": int32(INPUT_LENGTHS),
        "target_ids": int32(torch.cat(targets)), "target_lengths": int32(TARGET_LENGTHS),
        "generated_ids": int32([i for row in generated for i in row]),
        "generated_lengths": int32([len(row) for row in generated]),
    }
    folder = HERE / case.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    save_model(case, model, folder)
    check_reload(case, folder, inputs, targets, prompt, result["logits"])
    save_file(tensors, folder / "golden.safetensors")
    for path in folder.iterdir():
        path.chmod(0o644)
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert size < 1_500_000
    print(f"{case.name}: loss {result['loss'].item():.6f}, full loss {result['full.loss'].item():.6f}, logits std "
          f"{std:.2f}, continuations of {[len(row) for row in generated]} tokens, {size} bytes")


def main():
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    modeling_t5.T5LayerNorm.forward = norm_in_given_precision
    wanted = sys.argv[1:] or [case.name for case in CASES]
    for case in CASES:
        if case.name in wanted:
            make(case)


if __name__ == "__main__":
    main()
