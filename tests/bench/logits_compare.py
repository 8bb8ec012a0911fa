#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares trimtab with transformers on a GGUF file of a decoder-only model: logits of real sentences, the likeliest
next token everywhere, and greedy continuations.

    logits_compare.py --gguf smollm2-135m-instruct.gguf --text sentences.txt --program BUILD/tests/bench/trimtab_target_logits

Needs torch, transformers and gguf. The first --sentences lines of --text that have 6 to 60 tokens are used: the first half of
each is the input, the rest the target.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

import numpy
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def rows_of(lines, tokenizer, count):
    rows = []
    for line in lines:
        ids = tokenizer(line.strip(), add_special_tokens=False)["input_ids"]
        if 6 <= len(ids) <= 60 and len(rows) < count:
            rows.append({"input": ids[: len(ids) // 2], "target": ids[len(ids) // 2:]})
    return rows


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--gguf", type=pathlib.Path, required=True)
    p.add_argument("--text", type=pathlib.Path, required=True, help="a sentence a line")
    p.add_argument("--program", type=pathlib.Path, required=True, help="trimtab_target_logits")
    p.add_argument("--sentences", type=int, default=100)
    p.add_argument("--most", type=int, default=64, help="tokens of a greedy continuation")
    args = p.parse_args()
    folder = args.gguf.parent
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=args.gguf.name)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=args.gguf.name, dtype=torch.float32).eval()
    rows = rows_of(args.text.read_text("utf-8").splitlines(), tokenizer, args.sentences)
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        (work / "rows.json").write_text(json.dumps(rows))
        subprocess.run([args.program, args.gguf, work / "rows.json", work / "logits.npy", work / "answers.json",
                        str(args.most)], check=True)
        ours, answers = numpy.load(work / "logits.npy"), json.loads((work / "answers.json").read_text())
    largest, tops, at, same = 0.0, 0, 0, 0
    with torch.no_grad():
        for row, answer in zip(rows, answers):
            begin, count = len(row["input"]), len(row["target"])
            ids = torch.tensor([row["input"] + row["target"][:-1]])
            theirs = model(ids).logits[0, begin - 1:].numpy()
            mine = ours[at: at + count]
            at += count
            largest = max(largest, float(numpy.abs(mine - theirs).max()))
            tops += int((mine.argmax(1) == theirs.argmax(1)).sum())
            out = model.generate(torch.tensor([row["input"]]), max_new_tokens=args.most, do_sample=False,
                                 eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.eos_token_id)
            text = out[0, begin:].tolist()
            if text and text[-1] == tokenizer.eos_token_id:
                text.pop()
            same += text == answer
    print(f"{len(rows)} sentences, {at} positions: largest difference of a logit {largest:.2e}, same likeliest token at "
          f"{tops}, same continuation of up to {args.most} tokens {same}")


if __name__ == "__main__":
    main()
