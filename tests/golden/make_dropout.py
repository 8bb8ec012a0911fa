#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes dropout.safetensors beside the golden files of each T5: what `transformers` computes with masks at all its dropouts.

    v/bin/python make_dropout.py

The masks are drawn here, by a second implementation of what runtime/random.h and models/ops/dropout.h promise: a row's masks
are a function of (seed, step, sample, site), shared by the positions of a row (T5X), on attention weights by the queries.
Run it after make_golden.py, in the same environment.
"""
import pathlib

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import T5ForConditionalGeneration
from transformers.models.t5 import modeling_t5
from transformers.utils import logging

from make_golden import CASES, HERE, norm_in_given_precision, row_loss, run_row, shifted

RATE, SEED, STEP = 0.25, 7, 3
PURPOSE_DROPOUT = 4
SELF_KEYS, SELF_OUT, CROSS_KEYS, CROSS_OUT, INNER, FEED_FORWARD_OUT, USES = range(7)
M32, M64 = 2**32 - 1, 2**64 - 1


def mixed(x):
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & M64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & M64
    return x ^ (x >> 31)


def chained(start, values):
    for value in values:
        start = mixed((start ^ mixed(value)) + 0x9E3779B97F4A7C15 & M64)
    return start


def philox(block, high, key):
    counter, key = [block & M32, block >> 32, high & M32, high >> 32], [key & M32, key >> 32]
    for _ in range(10):
        first, second = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [second >> 32 ^ counter[1] ^ key[0], second & M32, first >> 32 ^ counter[3] ^ key[1], first & M32]
        key = [key[0] + 0x9E3779B9 & M32, key[1] + 0xBB67AE85 & M32]
    return counter


def mask(sample, site, count):
    """`count` factors of a site: 0 or 1 / (1 - RATE)."""
    values = (SEED, PURPOSE_DROPOUT, STEP, sample)
    key, high = chained(0x6A09E667F3BCC908, values), chained(0xBB67AE8584CAA73B, values)
    begin = site << 32
    words = [word for block in range(begin // 4, (begin + count + 3) // 4) for word in philox(block, high, key)]
    kept = np.array(words[:count]) >= RATE * 2**32
    return torch.from_numpy(kept / (1 - RATE))


class Masks:
    """Stands in for every dropout of a model; `sample` is the row that goes through it."""

    def __init__(self, model):
        self.sample, self.attention, self.used = 0, None, set()
        for stack, base in ((model.encoder, 0), (model.decoder, 1 << 20)):
            stack.dropout = Rows(self, [base, base + 1])  # of the embeddings, then of the final norm
            for layer, block in enumerate(stack.block):
                self.replace(block, base + (layer + 1) * USES)
        torch.nn.functional.dropout = self.weights

    def replace(self, block, site):
        block.layer[0].dropout = Rows(self, [site + SELF_OUT])
        self.watch(block.layer[0].SelfAttention, site + SELF_KEYS)
        if len(block.layer) == 3:
            block.layer[1].dropout = Rows(self, [site + CROSS_OUT])
            self.watch(block.layer[1].EncDecAttention, site + CROSS_KEYS)
        block.layer[-1].dropout = Rows(self, [site + FEED_FORWARD_OUT])
        block.layer[-1].DenseReluDense.dropout = Rows(self, [site + INNER])

    def watch(self, attention, site):
        attention.register_forward_pre_hook(lambda *_: setattr(self, "attention", site))

    def take(self, site, count):
        self.used.add(site)
        return mask(self.sample, site, count)

    def weights(self, weights, p=0.0, training=False, inplace=False):
        """Of attention, [1, heads, queries, keys]."""
        _, heads, _, keys = weights.shape
        return weights * self.take(self.attention, keys * heads).view(keys, heads).T[None, :, None, :]


class Rows(torch.nn.Module):
    """One mask for all positions of the row; several sites by turns."""

    def __init__(self, masks, sites):
        super().__init__()
        self.masks, self.sites, self.calls = masks, sites, 0

    def forward(self, hidden):
        site = self.sites[self.calls % len(self.sites)]
        self.calls += 1
        return hidden * self.masks.take(site, hidden.shape[-1])


def sites_of(model):
    layers, decoder_layers = len(model.encoder.block), len(model.decoder.block)
    return 2 + 4 * layers + 2 + 6 * decoder_layers


def rows_of(golden, name):
    return torch.split(golden[f"{name}_ids"].long(), golden[f"{name}_lengths"].tolist())


def make(folder):
    golden = load_file(folder / "golden.safetensors")
    model = T5ForConditionalGeneration.from_pretrained(folder, attn_implementation="eager").double().eval()
    model.requires_grad_(False)
    masks = Masks(model)
    prompt = golden["prompt"].double().requires_grad_()
    logits, loss = [], 0.0
    for sample, (inputs, targets) in enumerate(zip(rows_of(golden, "input"), rows_of(golden, "target"))):
        masks.sample = sample
        logits.append(run_row(model, torch.cat([prompt, model.shared(inputs)]), shifted(targets)))
        loss = loss + row_loss(logits[-1], targets)
    loss.backward()
    assert len(masks.used) == sites_of(model), f"{folder.name}: {len(masks.used)} of {sites_of(model)} sites were used"
    result = {"logits": torch.cat(logits).detach(), "loss": loss.detach(), "prompt.grad": prompt.grad}
    save_file({name: value.float().contiguous() for name, value in result.items()}, folder / "dropout.safetensors")
    (folder / "dropout.safetensors").chmod(0o644)
    print(f"{folder.name}: loss {loss.item():.6f}, without dropout {golden['loss'].item():.6f}")


def main():
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    modeling_t5.T5LayerNorm.forward = norm_in_given_precision
    # Philox4x32-10's published vector.
    assert philox(M64, M64, M64) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    for case in CASES:
        make(pathlib.Path(HERE) / case.name)


if __name__ == "__main__":
    main()
