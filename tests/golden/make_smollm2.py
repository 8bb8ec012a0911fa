#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes smollm2.json: what the reference implementation makes of the real SmolLM2-135M-Instruct.

    trimtab export smollm2-135m-instruct.gguf FOLDER
    python make_smollm2.py FOLDER

FOLDER holds the float32 weights of the file, which smollm2.sha256 compares with those that transformers loads from it, and
its vocabulary (tokenizer.gguf), from which `tokenizers` is set up as the model's tokenizer.json is. Of each sentence the
first half of the tokens is the input and the rest the target. At each target position the likeliest token is stored, and
the logits of the three likeliest tokens, of the target and of four others; then the greedy continuation of the input.
"""
import hashlib
import json
import pathlib
import struct
import sys

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM
from transformers.utils import logging

HERE = pathlib.Path(__file__).parent
LINES = HERE.parent / "data" / "tokenizers" / "lines.json"
EOS, MOST, SMALLEST_GAP = 2, 64, 0.004
# Written before 1930 or by the United States government, but for the last two, which are ours.
SENTENCES = [
    "With malice toward none, with charity for all, with firmness in the right as God gives us to see the right, let us "
    "strive on to finish the work we are in.",
    "The only thing we have to fear is fear itself, nameless, unreasoning, unjustified terror which paralyzes needed efforts "
    "to convert retreat into advance.",
    "We observe today not a victory of party, but a celebration of freedom, symbolizing an end, as well as a beginning.",
    "Every difference of opinion is not a difference of principle.",
    "Among the vicissitudes incident to life no event could have filled me with greater anxieties than that of which the "
    "notification was transmitted by your order.",
    "The business of our nation goes forward, and the energies of free men shall not be spent in idle regret.",
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness.",
    "All happy families are alike; each unhappy family is unhappy in its own way.",
    "Habe Mut, dich deines eigenen Verstandes zu bedienen!",
    "In 1803 the territory was bought for 15,000,000 dollars, about 3 cents an acre.",
    "def add(a, b):\n    return a + b\n\nprint(add(2, 3))",
    "Grüße 🙂, the ship turns into a quiet harbour; ça va?",
]


class Metadata:
    """Lists of texts and whole numbers of a GGUF file; everything else is passed over."""

    PACKED = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

    def __init__(self, path):
        self.bytes, self.at = path.read_bytes(), 0
        assert self.bytes[:4] == b"GGUF"
        self.at = 8
        _, pairs = self.scalar(10), self.scalar(10)
        self.values = {}
        for _ in range(pairs):
            key, kind = self.scalar(8), self.scalar(4)
            self.values[key] = self.value(kind)

    def scalar(self, kind):
        if kind == 8:
            size = self.scalar(10)
            self.at += size
            return self.bytes[self.at - size: self.at].decode()
        (value,) = struct.unpack_from("<" + self.PACKED[kind], self.bytes, self.at)
        self.at += struct.calcsize(self.PACKED[kind])
        return value

    def value(self, kind):
        if kind != 9:
            return self.scalar(kind)
        element = self.scalar(4)
        return [self.scalar(element) for _ in range(self.scalar(10))]


def reference_tokenizer(path):
    values = Metadata(path).values
    tokens = values["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in values["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    # Special tokens stay out: what a text says is text. Those that are not special are tokens everywhere.
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token, kind in
                          zip(tokens, values["tokenizer.ggml.token_type"]) if kind == 4])
    assert values["tokenizer.ggml.pre"] == "smollm" and values["tokenizer.ggml.eos_token_id"] == EOS
    return tokenizer


def gap(logits):
    best = torch.topk(logits, 2).values
    return (best[..., 0] - best[..., 1]).min().item()


@torch.no_grad()
def continuations(model, inputs):
    """Of all inputs at once, padded on the left; each with the smallest lead of a token that was taken."""
    longest = max(len(ids) for ids in inputs)
    padded = torch.tensor([[EOS] * (longest - len(ids)) + ids for ids in inputs])
    mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in inputs])
    out = model.generate(padded, max_new_tokens=MOST, do_sample=False, eos_token_id=EOS, pad_token_id=EOS,
                         attention_mask=mask, output_logits=True, return_dict_in_generate=True)
    for i, new in enumerate(out.sequences[:, longest:].tolist()):
        length = new.index(EOS) if EOS in new else len(new)
        yield new[:length], min(gap(step[i]) for step in out.logits[: length + 1])


@torch.no_grad()
def row_of(model, sentence, ids, continued, smallest, rng):
    begin = len(ids) // 2
    logits = model(torch.tensor([ids[:-1]])).logits[0, begin - 1:]
    smallest = min(smallest, gap(logits))
    print(f"smallest lead of a likeliest token {smallest:.3f}: {sentence[:40]!r}", flush=True)
    if smallest < SMALLEST_GAP:  # it could be another one with the last bits of a sum
        return None
    positions = []
    for target, scores in zip(ids[begin:], logits):
        seen = [*torch.topk(scores, 3).indices.tolist(), target, *rng.integers(0, len(scores), 4).tolist()]
        positions.append({"ids": seen, "logits": [round(scores[i].item(), 5) for i in seen]})
    return {"text": sentence, "input": ids[:begin], "target": ids[begin:], "positions": positions,
            "continuation": continued}


def main():
    logging.set_verbosity_error()
    folder = pathlib.Path(sys.argv[1])
    tokenizer = reference_tokenizer(folder / "tokenizer.gguf")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    rng = np.random.default_rng(3)
    all_ids = [tokenizer.encode(sentence, add_special_tokens=False).ids for sentence in SENTENCES]
    continued = continuations(model, [ids[: len(ids) // 2] for ids in all_ids])
    rows = [row_of(model, sentence, ids, *found, rng) for sentence, ids, found in zip(SENTENCES, all_ids, continued)]
    rows = [row for row in rows if row]
    hashed = hashlib.sha256()
    for line in json.loads(LINES.read_text("utf-8")):
        ids = tokenizer.encode(line, add_special_tokens=False).ids
        hashed.update(struct.pack(f"<{len(ids) + 1}i", len(ids), *ids))
    text = json.dumps({"lines_sha256": hashed.hexdigest(), "rows": rows}, ensure_ascii=False)
    (HERE / "smollm2.json").write_text(text.replace('{"text"', '\n{"text"').replace('{"ids"', '\n {"ids"') + "\n", "utf-8")
    print(f"{len(rows)} of {len(SENTENCES)} sentences, {sum(len(row['target']) for row in rows)} positions")


if __name__ == "__main__":
    main()
