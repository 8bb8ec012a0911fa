#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Step time and memory of T5 1.1 tuning with Hugging Face transformers and PEFT on a CPU.

    peft_baseline.py --data DATA --size base --task RTE --steps 9 --export DIR     writes weights, prompt and batches
    peft_baseline.py --from DIR --method prompt --micro 8                          measures, prints one JSON line
    peft_baseline.py --matmul-peak                                                 the machine's float32 matrix product

The weights are random (times do not depend on their values); the texts are real. DATA holds superglue/<TASK>/*.jsonl,
glue/SST-2/train.tsv and, unless --vocab says otherwise, t5_vocab/spiece.model. A step is forward, backward and optimizer
update over one batch, in micro-batches of --micro rows, each padded to its own longest input. Warm-up steps repeat the
widest of all batches, so that no measured step is the first to touch its memory. Peaks of memory do not count the
reading of the weights. trimtab_step_bench does the same from the same folder; compare.py runs both.
"""
import argparse
import json
import os
import pathlib
import random
import resource
import statistics
import time

SIZES = {  # d_model, d_ff, heads, encoder layers = decoder layers
    "tiny": (64, 128, 2, 2),
    "small": (512, 1024, 6, 8),
    "base": (768, 2048, 12, 12),
    "large": (1024, 2816, 16, 24),
}
D_KV, VOCAB, EOS, PAD = 64, 32128, 1, 0
BOOL = {False: "False", True: "True"}
SST2 = {"0": "negative", "1": "positive"}
TASK_FILES = {
    "RTE": "superglue/RTE/train.jsonl",
    "BoolQ": "superglue/BoolQ/val.jsonl",  # as long as its train split, and smaller
    "SST-2": "glue/SST-2/train.tsv",
}
SPAN_CORRUPTION = (512, 114)  # Raffel et al. 2020: 15 % of 512 tokens in spans of 3


# ---------------------------------------------------------------------------------------- texts
def read_examples(data, task):
    """(input text, target text) pairs in the T5 text format, without the task name."""
    lines = (data / TASK_FILES[task]).read_text(encoding="utf-8").split("\n")
    if task == "SST-2":
        rows = (line.split("\t") for line in lines[1:] if line)
        return [(f"sentence: {text.strip()}", SST2[label.strip()]) for text, label in rows]
    rows = [json.loads(line) for line in lines if line.strip()]
    if task == "RTE":
        return [(f"hypothesis: {r['hypothesis']} premise: {r['premise']}", r["label"]) for r in rows]
    return [(f"passage: {r['passage']} question: {r['question']}", BOOL[r["label"]]) for r in rows]


def encode(pairs, vocab, max_input, max_target):
    import sentencepiece
    sp = sentencepiece.SentencePieceProcessor(model_file=str(vocab))
    inputs = [ids[: max_input - 1] + [EOS] for ids in sp.encode([p[0] for p in pairs])]
    known = {t: sp.encode(t)[: max_target - 1] + [EOS] for t in {p[1] for p in pairs}}
    return [(x, known[p[1]]) for x, p in zip(inputs, pairs)]


def span_corruption_rows(count, seed):
    """Random ids of the lengths that pre-training has: full rows, nothing to pad."""
    draw = random.Random(seed)
    return [tuple([draw.randrange(3, 32000) for _ in range(n - 1)] + [EOS] for n in SPAN_CORRUPTION)
            for _ in range(count)]


def random_batches(examples, batch, count, seed):
    order = list(range(len(examples)))
    random.Random(seed).shuffle(order)
    full = len(order) // batch
    return [[examples[i] for i in order[(b % full) * batch : (b % full + 1) * batch]] for b in range(count)]


def micro_batches(batch, micro, by_length):
    rows = sorted(batch, key=lambda e: len(e[0])) if by_length else batch
    return [rows[i : i + micro] for i in range(0, len(rows), micro)]


# ------------------------------------------------------------------------------- counted work
def step_flops(shape, lengths, trained):
    """Floating-point operations of one forward and backward for (encoder, target) token counts.

    The backward of a frozen linear layer costs one more multiplication (input gradient), that of a
    trained one two more, that of attention twice its forward.
    """
    d, ff, heads, layers = shape
    inner = heads * D_KV
    linear = attention = 0
    for n, t in lengths:
        linear += 2 * n * layers * (4 * d * inner + 3 * d * ff)  # encoder
        linear += 2 * n * layers * 2 * d * inner  # keys and values of the cross-attention
        linear += 2 * t * layers * (6 * d * inner + 3 * d * ff)  # decoder
        linear += 2 * t * d * VOCAB  # logits
        attention += layers * 4 * inner * (n * n + t * t + t * n)
    return linear * (3 if trained == "full" else 2) + attention * 3


def padded(rows, extra):
    n = max(len(x) for x, _ in rows) + extra
    t = max(len(y) for _, y in rows)
    return [(n, t)] * len(rows)


def real(rows, extra):
    return [(len(x) + extra, len(y)) for x, y in rows]


# ---------------------------------------------------------------------------------- measuring
def status_mib(field):
    with open("/proc/self/status", encoding="ascii") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith(field))


def forget_peak():
    """Starts VmHWM anew from what is held now."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as f:
        f.write("5")


def machine_busy_s():
    """Processor seconds spent by everything on this machine since it started, stolen time included."""
    with open("/proc/stat", encoding="ascii") as f:
        user, nice, system, _, _, irq, softirq, steal = map(int, f.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def matmul_peak(torch, n=2048, repeats=20):
    a, b = torch.randn(n, n), torch.randn(n, n)
    times = []
    for _ in range(repeats + 3):
        t0 = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - t0)
    times = times[3:]
    return {"matmul_n": n, "gflops_best": 2 * n**3 / min(times) / 1e9,
            "gflops_median": 2 * n**3 / statistics.median(times) / 1e9}


# -------------------------------------------------------------------------------------- model
def build_base(shape, dropout, seed):
    import torch
    from transformers import T5Config, T5ForConditionalGeneration
    d, ff, heads, layers = shape
    config = T5Config(vocab_size=VOCAB, d_model=d, d_kv=D_KV, d_ff=ff, num_heads=heads, num_layers=layers,
                      num_decoder_layers=layers, feed_forward_proj="gated-gelu", tie_word_embeddings=False,
                      dropout_rate=dropout, decoder_start_token_id=PAD)
    torch.manual_seed(seed)
    model = T5ForConditionalGeneration(config)
    # T5Config ties the head to the embedding whatever it is told; T5 1.1 has a head of its own. Its
    # scale keeps the random logits near 1: with larger ones the softmax underflows and denormals cost time.
    model.lm_head.weight = torch.nn.Parameter(torch.randn(VOCAB, d) * d**-0.5)
    return model


def attach(model, method, prompt_length, prefix_length, rank):
    if method == "full":
        return model
    import peft
    task = {"task_type": peft.TaskType.SEQ_2_SEQ_LM}
    if method == "prompt":
        config = peft.PromptTuningConfig(num_virtual_tokens=prompt_length, num_transformer_submodules=1,
                                         prompt_tuning_init=peft.PromptTuningInit.RANDOM, **task)
    elif method == "p_tuning":
        config = peft.PromptEncoderConfig(num_virtual_tokens=prompt_length, num_transformer_submodules=1,
                                          encoder_hidden_size=model.config.d_model, **task)
    elif method == "prefix":
        config = peft.PrefixTuningConfig(num_virtual_tokens=prefix_length, **task)
        config.token_dim = model.config.num_heads * model.config.d_kv  # PEFT takes d_model, which T5 small has more of
    elif method == "ia3":
        config = peft.IA3Config(**task)
    else:
        config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=["q", "v"], **task)
    return peft.get_peft_model(model, config)


def begin_alike(torch, model, method):
    """Numbers that trimtab_step_bench finds as well, by the place in a tensor. A prefix is zero."""
    with torch.no_grad():
        for p in model.parameters():
            if not p.requires_grad:
                continue
            if method == "prefix":
                p.zero_()
                continue
            wave = torch.arange(p.numel(), dtype=torch.float64).mul(0.7).cos()
            scale = p.shape[1] ** -0.5 if p.dim() == 2 and method != "ia3" else 0.1
            p.copy_((wave * scale + (1 if method == "ia3" else 0)).view(p.shape))


def collate(rows, torch):
    n, t = padded(rows, 0)[0]
    return {
        "input_ids": torch.tensor([x + [PAD] * (n - len(x)) for x, _ in rows]),
        "attention_mask": torch.tensor([[1] * len(x) + [0] * (n - len(x)) for x, _ in rows]),
        "labels": torch.tensor([y + [-100] * (t - len(y)) for _, y in rows]),
    }


def run_step(model, optimizer, feeds, targets):
    """One optimizer step; returns the mean loss per target token of the whole batch."""
    total = 0.0
    for feed, count in feeds:
        loss = model(**feed).loss * (count / targets)
        loss.backward()
        total += loss.item()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return total


# ------------------------------------------------------------------------------ the folder on disk
def export(args):
    """Weights under their Hugging Face names, a prompt of sampled vocabulary, ids of the batches, and what they are."""
    import torch
    from safetensors.torch import save_file
    if args.pretrain:
        examples = span_corruption_rows(args.batch * args.steps, args.seed)
    else:
        vocab = args.vocab or args.data / "t5_vocab" / "spiece.model"
        examples = encode(read_examples(args.data, args.task), vocab, args.max_input, args.max_target)
    batches = random_batches(examples, args.batch, args.steps, args.seed)
    model = build_base(SIZES[args.size], 0.0, args.seed)
    args.export.mkdir(parents=True, exist_ok=True)
    state = {k: v.contiguous().clone() for k, v in model.state_dict().items() if not k.endswith("embed_tokens.weight")}
    save_file(state, args.export / "model.safetensors")
    ids = torch.randperm(5000)[: args.prompt_length]
    save_file({"prompt": model.shared.weight.detach()[ids].clone()}, args.export / "prompt.safetensors")
    (args.export / "batches.json").write_text(
        json.dumps([[{"input": x, "target": y} for x, y in b] for b in batches]), encoding="ascii")
    about = {"size": args.size, "task": "span corruption" if args.pretrain else args.task, "shape": SIZES[args.size],
             "batch": args.batch, "prompt_length": args.prompt_length, "seed": args.seed}
    (args.export / "about.json").write_text(json.dumps(about), encoding="ascii")
    return {"exported": str(args.export), **about}


def load(folder, args):
    """The model with the method attached, the batches and what they are. Copies a tensor at a time."""
    import torch
    from safetensors import safe_open
    about = json.loads((folder / "about.json").read_text(encoding="ascii"))
    batches = [[(r["input"], r["target"]) for r in b] for b in json.loads((folder / "batches.json").read_text("ascii"))]
    base = build_base(about["shape"], args.dropout, about["seed"])
    with torch.no_grad(), safe_open(folder / "model.safetensors", "pt") as weights:
        held = dict(base.named_parameters())
        assert set(held) == set(weights.keys()), set(held) ^ set(weights.keys())
        for name in weights.keys():
            held[name].copy_(weights.get_tensor(name))
    model = attach(base, args.method, about["prompt_length"], args.prefix_length, args.rank)
    if args.method == "prompt":
        with torch.no_grad(), safe_open(folder / "prompt.safetensors", "pt") as prompt:
            model.prompt_encoder["default"].embedding.weight.copy_(prompt.get_tensor("prompt"))
    elif args.method != "full":
        begin_alike(torch, model, args.method)
    model.train()
    return model, batches, about


class Timer:
    """Runs steps on batches and says what each took."""

    def __init__(self, args, model, about):
        import torch
        from transformers.optimization import Adafactor
        self.torch, self.args, self.model, self.about = torch, args, model, about
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = Adafactor(self.trained, lr=args.lr, scale_parameter=False, relative_step=False,
                                   warmup_init=False, weight_decay=1e-5)
        self.extra = about["prompt_length"] if args.method in ("prompt", "p_tuning") else 0

    def __call__(self, batch):
        args = self.args
        micro = micro_batches(batch, args.micro or len(batch), args.by_length)
        feeds = [(collate(rows, self.torch), sum(len(y) for _, y in rows)) for rows in micro]
        targets = sum(count for _, count in feeds)
        busy, before, t0 = machine_busy_s(), resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        loss = run_step(self.model, self.optimizer, feeds, targets)
        seconds, after = time.perf_counter() - t0, resource.getrusage(resource.RUSAGE_SELF)
        busy = machine_busy_s() - busy
        user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
        lengths, wide = real(batch, self.extra), [p for rows in micro for p in padded(rows, self.extra)]
        flops = {name: step_flops(self.about["shape"], n, args.method) / 1e9
                 for name, n in (("gflop_real", lengths), ("gflop_padded", wide))}
        return {
            "seconds": seconds, "loss": loss, "user_s": user, "sys_s": system,
            "other_s": max(0.0, busy - user - system),  # processor time of other programs: want none
            "tokens_real": sum(n for n, _ in lengths), "tokens_padded": sum(n for n, _ in wide), **flops,
        }


def measure(args):
    import torch
    model, batches, about = load(args.folder, args)
    timed = Timer(args, model, about)
    forget_peak()
    loaded = status_mib("VmRSS")
    widest = max(batches, key=lambda rows: padded(rows, 0)[0])
    end = args.begin + args.steps if args.steps else None
    warmed = [timed(widest) for _ in range(args.warmup)]
    steps = [timed(batch) for batch in batches[args.begin : end]]
    seconds = [s["seconds"] for s in steps]
    return {
        "program": "peft", "size": about["size"], "task": about["task"], "method": args.method,
        "batch": about["batch"], "micro": args.micro or about["batch"], "by_length": args.by_length,
        "dropout": args.dropout, "threads": torch.get_num_threads(), "prompt_length": timed.extra,
        "trained_parameters": sum(p.numel() for p in timed.trained),
        "median_s": statistics.median(seconds), "min_s": min(seconds), "max_s": max(seconds),
        "useful_gflops": sum(s["gflop_real"] for s in steps) / sum(seconds),
        "peak_rss_mib": status_mib("VmHWM"), "loaded_rss_mib": loaded,
        "losses": [s["loss"] for s in warmed + steps], "steps": steps,
    }


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--export", type=pathlib.Path, metavar="DIR", help="write weights, prompt and batches")
    what.add_argument("--from", dest="folder", type=pathlib.Path, metavar="DIR", help="measure what was exported there")
    what.add_argument("--matmul-peak", action="store_true", help="measure the float32 matrix product only")
    e = p.add_argument_group("export")
    e.add_argument("--data", type=pathlib.Path, help="folder with superglue/ and glue/")
    e.add_argument("--vocab", type=pathlib.Path, help="SentencePiece model of T5; default: DATA/t5_vocab/spiece.model")
    e.add_argument("--size", choices=SIZES, default="base")
    e.add_argument("--task", choices=TASK_FILES, default="RTE")
    e.add_argument("--pretrain", action="store_true", help="rows as long as span corruption's instead of a task's")
    e.add_argument("--batch", type=int, default=32)
    e.add_argument("--prompt-length", type=int, default=100)
    e.add_argument("--max-input", type=int, default=512)
    e.add_argument("--max-target", type=int, default=8)
    e.add_argument("--seed", type=int, default=0)
    m = p.add_argument_group("measure")
    m.add_argument("--method", choices=("prompt", "p_tuning", "prefix", "lora", "ia3", "full"), default="prompt")
    m.add_argument("--micro", type=int, default=0, help="rows of a micro-batch; 0: the whole batch at once")
    m.add_argument("--by-length", action="store_true", help="sort a batch by length before cutting it")
    m.add_argument("--begin", type=int, default=0, help="first batch to measure")
    m.add_argument("--warmup", type=int, default=1)
    m.add_argument("--dropout", type=float, default=0.1)
    m.add_argument("--lr", type=float, default=0.3)
    m.add_argument("--prefix-length", type=int, default=20)
    m.add_argument("--rank", type=int, default=8)
    p.add_argument("--steps", type=int, default=0, help="batches to export (0: 9) or to measure (0: all)")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--memory-gib", type=float, default=0, help="fail instead of growing beyond this; 0: no limit")
    args = p.parse_args()
    if args.export:
        args.steps = args.steps or 9
        if not args.data and not args.pretrain:
            p.error("--export needs --data or --pretrain")
    return args


def main():
    args = arguments()
    os.environ.setdefault("OMP_NUM_THREADS", str(args.threads))
    if args.memory_gib:
        limit = int(args.memory_gib * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    import torch
    torch.set_num_threads(args.threads)
    result = matmul_peak(torch) if args.matmul_peak else export(args) if args.export else measure(args)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
