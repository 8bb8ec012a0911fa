#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Step time and memory of prompt tuning of a decoder-only model with Hugging Face transformers and PEFT on a CPU.

    peft_llama_baseline.py --data DATA --task RTE --prompt-length 20 --export DIR    writes a model, a prompt and batches
    peft_llama_baseline.py --from DIR                                                measures, prints one JSON line

The weights are random, of the shape of SmolLM2-135M, unless --model names a folder or a GGUF file. The texts are real; their ids are
those of T5's vocabulary, which fit into the model's and are about as many. What a step is, and everything else, as in
peft_baseline.py; trimtab_step_bench measures from the same folder.
"""
import argparse
import json
import pathlib
import resource
import statistics
import time

from peft_baseline import (TASK_FILES, encode, forget_peak, machine_busy_s, micro_batches, random_batches,
                           read_examples, run_step, status_mib)

SMOLLM2 = dict(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
               num_key_value_heads=3, max_position_embeddings=8192, rms_norm_eps=1e-5, tie_word_embeddings=True,
               bos_token_id=1, eos_token_id=2, pad_token_id=2)
EOS = 1  # of T5's vocabulary, whose ids the batches are


def float_model(path):
    """In float32: of a folder, of a GGUF file, or random."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig
    if path is None:
        return AutoModelForCausalLM.from_config(LlamaConfig(**SMOLLM2)).float()
    if path.suffix != ".gguf":
        return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    decoded = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    config = decoded.config
    if hasattr(config, "quantization_config"):  # transformers takes it for quantised, and saves no such model
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config).float()
    model.load_state_dict(decoded.state_dict())
    return model


def export(args):
    import torch
    from safetensors.torch import save_file
    vocab = args.vocab or args.data / "t5_vocab" / "spiece.model"
    pairs = encode(read_examples(args.data, args.task), vocab, args.max_input, args.max_target)
    batches = random_batches([(x[:-1], y) for x, y in pairs], args.batch, args.steps or 9, args.seed)
    torch.manual_seed(args.seed)
    args.export.mkdir(parents=True, exist_ok=True)
    model = float_model(args.model)
    model.save_pretrained(args.export)
    table = model.get_input_embeddings().weight.detach()
    save_file({"prompt": table[torch.randperm(5000)[: args.prompt_length]].clone()}, args.export / "prompt.safetensors")
    (args.export / "batches.json").write_text(
        json.dumps([[{"input": x, "target": y} for x, y in b] for b in batches]), encoding="ascii")
    about = {"task": args.task, "batch": args.batch, "prompt_length": args.prompt_length}
    (args.export / "about.json").write_text(json.dumps(about), encoding="ascii")
    return {"exported": str(args.export), **about}


def load(folder):
    import peft
    import torch
    from safetensors import safe_open
    from transformers import AutoModelForCausalLM
    about = json.loads((folder / "about.json").read_text(encoding="ascii"))
    batches = [[(r["input"], r["target"]) for r in b] for b in json.loads((folder / "batches.json").read_text("ascii"))]
    config = peft.PromptTuningConfig(num_virtual_tokens=about["prompt_length"], task_type=peft.TaskType.CAUSAL_LM,
                                     prompt_tuning_init=peft.PromptTuningInit.RANDOM)
    model = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), config)
    with torch.no_grad(), safe_open(folder / "prompt.safetensors", "pt") as prompt:
        model.prompt_encoder["default"].embedding.weight.copy_(prompt.get_tensor("prompt"))
    model.train()
    return model, batches, about


def collate(rows, torch):
    longest = max(len(x) + len(y) for x, y in rows)
    pad = [longest - len(x) - len(y) for x, y in rows]
    return {
        "input_ids": torch.tensor([x + y + [EOS] * n for (x, y), n in zip(rows, pad)]),
        "attention_mask": torch.tensor([[1] * (longest - n) + [0] * n for n in pad]),
        "labels": torch.tensor([[-100] * len(x) + y + [-100] * n for (x, y), n in zip(rows, pad)]),
    }


def measure(args):
    import torch
    from transformers.optimization import Adafactor
    model, batches, about = load(args.folder)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = Adafactor(trained, lr=args.lr, scale_parameter=False, relative_step=False, warmup_init=False,
                          weight_decay=1e-5)

    def timed(batch):
        micro = micro_batches(batch, args.micro or len(batch), args.by_length)
        feeds = [(collate(rows, torch), sum(len(y) for _, y in rows)) for rows in micro]
        busy, before, t0 = machine_busy_s(), resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        loss = run_step(model, optimizer, feeds, sum(count for _, count in feeds))
        seconds, after = time.perf_counter() - t0, resource.getrusage(resource.RUSAGE_SELF)
        user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
        return {"seconds": seconds, "loss": loss, "user_s": user, "sys_s": system,
                "other_s": max(0.0, machine_busy_s() - busy - user - system)}

    forget_peak()
    loaded = status_mib("VmRSS")
    widest = max(batches, key=lambda rows: max(len(x) for x, _ in rows))
    warmed = [timed(widest) for _ in range(args.warmup)]
    end = args.begin + args.steps if args.steps else None
    steps = [timed(batch) for batch in batches[args.begin : end]]
    seconds = [s["seconds"] for s in steps]
    return {"program": "peft", "task": about["task"], "batch": about["batch"], "micro": args.micro or about["batch"],
            "by_length": args.by_length, "threads": torch.get_num_threads(), "prompt_length": about["prompt_length"],
            "median_s": statistics.median(seconds), "min_s": min(seconds), "max_s": max(seconds),
            "median_user_s": statistics.median(s["user_s"] for s in steps), "peak_rss_mib": status_mib("VmHWM"),
            "loaded_rss_mib": loaded, "losses": [s["loss"] for s in warmed + steps], "steps": steps}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--export", type=pathlib.Path, metavar="DIR", help="write a model, a prompt and batches")
    what.add_argument("--from", dest="folder", type=pathlib.Path, metavar="DIR", help="measure what was exported there")
    p.add_argument("--data", type=pathlib.Path, help="folder with superglue/, glue/ and t5_vocab/")
    p.add_argument("--vocab", type=pathlib.Path, help="SentencePiece model of T5; default: the one in DATA")
    p.add_argument("--model", type=pathlib.Path, help="folder of a Hugging Face model or a GGUF file; default: random weights")
    p.add_argument("--task", choices=TASK_FILES, default="RTE")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--prompt-length", type=int, default=20)
    p.add_argument("--max-input", type=int, default=512)
    p.add_argument("--max-target", type=int, default=8)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--micro", type=int, default=0, help="rows of a micro-batch; 0: the whole batch at once")
    p.add_argument("--by-length", action="store_true", help="sort a batch by length before cutting it")
    p.add_argument("--begin", type=int, default=0, help="first batch to measure")
    p.add_argument("--warmup", type=int, default=1)
    p.add_argument("--lr", type=float, default=0.3)
    p.add_argument("--steps", type=int, default=0, help="batches to export (0: 9) or to measure (0: all)")
    p.add_argument("--threads", type=int, default=2)
    args = p.parse_args()
    if args.export:
        print(json.dumps(export(args)))
        return
    import torch
    torch.set_num_threads(args.threads)
    print(json.dumps(measure(args)))


if __name__ == "__main__":
    main()
