#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares trimtab's training step with transformers + PEFT: seconds, memory, and the losses on the same batches.

    compare.py --data DATA --program BUILD/tests/bench/trimtab_step_bench --sizes small base --tasks RTE SST-2
    compare.py ... --sizes smollm2 --model smollm2-135m-instruct.gguf --prompt-lengths 20 100 --batch 16 --dropouts 0

Each case (size, task, length of the prompt) is exported once. Then PEFT and trimtab run by turns, each in a process of its own that measures
--per-process of the batches, so that what else the machine does hits both alike. README.md says what the columns mean.
"""
import argparse
import itertools
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
# Rows of a micro-batch: the largest with which PEFT's step was comfortable in 21 GiB, hence good for its speed.
MICRO = {
    "tiny": {"RTE": 32, "BoolQ": 32, "SST-2": 32},
    "small": {"RTE": 16, "BoolQ": 16, "SST-2": 32},
    "base": {"RTE": 8, "BoolQ": 4, "SST-2": 16},
    "large": {"RTE": 4, "BoolQ": 2, "SST-2": 8},
    "smollm2": {"RTE": 16, "BoolQ": 8, "SST-2": 16},
}
DECODERS = ("smollm2",)
PRETRAIN, PRETRAIN_MICRO = "pretrain", 4
LEARNING_RATE = {"prompt": 0.3, "p_tuning": 0.03, "prefix": 0.03, "lora": 0.003, "ia3": 0.03, "full": 1e-3}
# PEFT keeps the prefix of all layers in one matrix, which Adafactor clips as one: the first losses are the same.
FIRST_LOSS_ONLY = ("prefix",)
# Without these, glibc gives every large tensor back to the system and faults it in again: PEFT gets slower by up to 38 %.
TUNED_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(4 << 30), "MALLOC_TRIM_THRESHOLD_": str(64 << 30)}


def run(command, environment, verbose):
    if verbose:
        print("+", " ".join(map(str, command)), file=sys.stderr, flush=True)
    result = subprocess.run([str(c) for c in command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)
    if result.returncode != 0:
        sys.exit(f"error: {' '.join(map(str, command))} ended with {result.returncode}:\n{result.stderr[-2000:]}")
    return json.loads(result.stdout.strip().splitlines()[-1])


class Case:
    """One exported folder, and both programs on it."""

    def __init__(self, args, size, task, method, length):
        self.args, self.size, self.task, self.length = args, size, task, length
        self.baseline = HERE / ("peft_llama_baseline.py" if size in DECODERS else "peft_baseline.py")
        self.method = "full" if task == PRETRAIN else method
        self.micro = args.micro or (PRETRAIN_MICRO if task == PRETRAIN else MICRO[size][task])
        self.micro = min(self.micro, args.batch)
        self.folder = args.work / f"{size}-{task}-P{length}-{args.batch}x{args.steps}"
        self.environment = os.environ | {"OMP_NUM_THREADS": str(args.threads)}

    def export(self):
        if (self.folder / "about.json").exists():  # written last
            return
        source = ["--pretrain"] if self.task == PRETRAIN else ["--data", self.args.data, "--task", self.task]
        if self.args.vocab:
            source += ["--vocab", self.args.vocab]
        if self.size not in DECODERS:
            source += ["--size", self.size]
        elif self.args.model:
            source += ["--model", self.args.model]
        run([self.args.python, self.baseline, "--export", self.folder, "--batch", self.args.batch, "--steps",
             self.args.steps, "--prompt-length", self.length, *source], self.environment, self.args.verbose)

    def options(self, begin, steps, warmup):
        return ["--lr", LEARNING_RATE[self.method], "--begin", begin, "--steps", steps, "--warmup", warmup, "--threads",
                self.args.threads]

    def peft(self, dropout, *measure):
        environment = self.environment | ({} if self.args.default_malloc else TUNED_MALLOC)
        by_length = ["--by-length"] if self.args.by_length else []
        trained = [] if self.size in DECODERS else ["--method", self.method, "--dropout", dropout]
        return run([self.args.python, self.baseline, "--from", self.folder, "--micro", self.micro, *by_length, *trained,
                    *self.options(*measure)], environment, self.args.verbose)

    def trimtab(self, dropout, *measure):
        micro = ["--micro-tokens", self.args.micro_tokens] if self.args.micro_tokens else ["--micro", self.micro]
        return run([self.args.program, self.folder, *micro, "--method", self.method, "--dropout", dropout,
                    *self.options(*measure)], self.environment, self.args.verbose)

    def pairs(self, dropout):
        """Both programs' results for the same batches, by turns; who begins changes each time."""
        result = []
        for turn, begin in enumerate(range(0, self.args.steps, self.args.per_process)):
            measure = (dropout, begin, min(self.args.per_process, self.args.steps - begin), 1)
            if turn % 2 == 0:
                peft = self.peft(*measure)
                trimtab = self.trimtab(*measure)
            else:
                trimtab = self.trimtab(*measure)
                peft = self.peft(*measure)
            result.append((peft, trimtab))
        return result


def losses(pairs, method):
    """Pairs of losses on the same batch that should be the same."""
    count = 1 if method in FIRST_LOSS_ONLY else None
    return [pair for peft, trimtab in pairs for pair in list(zip(peft["losses"], trimtab["losses"]))[:count]]


def summary(runs):
    steps = [step for r in runs for step in r["steps"]]
    seconds = [step["seconds"] for step in steps]
    return {
        "median_s": statistics.median(seconds), "min_s": min(seconds), "max_s": max(seconds), "steps": len(steps),
        "peak_rss_mib": max(r["peak_rss_mib"] for r in runs), "loaded_rss_mib": max(r["loaded_rss_mib"] for r in runs),
        "useful_gflops": statistics.median(step.get("gflop_real", math.nan) / step["seconds"] for step in steps),
        "others": sum(step["other_s"] for step in steps) / sum(seconds),
        "runs": runs,
    }


def compare(args, case, dropout, peak):
    pairs = case.pairs(dropout)
    peft, trimtab = summary([p for p, _ in pairs]), summary([t for _, t in pairs])
    # Dropout draws other masks in each program. Then one batch without it shows that they compute the same.
    checked = pairs if dropout == 0 else [(case.peft(0.0, 0, 1, 0), case.trimtab(0.0, 0, 1, 0))]
    compared = losses(checked, case.method)
    return {
        "size": case.size, "task": case.task, "method": case.method, "length": case.length, "dropout": dropout,
        "micro": case.micro, "micro_tokens": args.micro_tokens, "by_length": args.by_length, "batch": args.batch, "threads": args.threads,
        "default_malloc": args.default_malloc, "peak_gflops": peak, "peft": peft, "trimtab": trimtab,
        "ratio": peft["median_s"] / trimtab["median_s"], "loss_difference": max(abs(a - b) / abs(a) for a, b in compared),
        "losses_compared": len(compared),
    }


HEAD = ["size", "task", "method", "P", "dropout", "micro", "PEFT s", "trimtab s", "ratio", "PEFT MiB", "trimtab MiB",
        "PEFT GFLOP/s", "trimtab GFLOP/s", "trimtab share of peak", "loss difference", "others, PEFT / trimtab"]


def table(rows):
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for row in rows:
        peft, trimtab = row["peft"], row["trimtab"]
        micro = f"{row['micro']} / {row['micro_tokens']} tokens" if row["micro_tokens"] else str(row["micro"])
        cells = [
            row["size"], row["task"], row["method"], str(row["length"]), f"{row['dropout']:g}", micro,
            *(f"{r['median_s']:.3g} ({r['min_s']:.3g} - {r['max_s']:.3g})" for r in (peft, trimtab)),
            f"**{row['ratio']:.2f}**", *(f"{r['peak_rss_mib']:,.0f}" for r in (peft, trimtab)),
            *("" if math.isnan(r["useful_gflops"]) else f"{r['useful_gflops']:.3g}" for r in (peft, trimtab)),
            f"{100 * trimtab['useful_gflops'] / row['peak_gflops']:.0f} %",
            f"{row['loss_difference']:.1e} ({row['losses_compared']})",
            f"{100 * peft['others']:.0f} % / {100 * trimtab['others']:.0f} %",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", type=pathlib.Path, required=True, help="trimtab_step_bench")
    p.add_argument("--python", default=sys.executable, help="a Python that has transformers and peft")
    p.add_argument("--data", type=pathlib.Path, required=True, help="folder with superglue/ and glue/")
    p.add_argument("--vocab", type=pathlib.Path, help="SentencePiece model; default: DATA/t5_vocab/spiece.model")
    p.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/bench"), help="where exports and results go")
    p.add_argument("--sizes", nargs="+", choices=MICRO, default=["small", "base"])
    p.add_argument("--tasks", nargs="+", choices=[*MICRO["base"], PRETRAIN], default=list(MICRO["base"]))
    p.add_argument("--dropouts", nargs="+", type=float, default=[0.1, 0.0])
    p.add_argument("--method", nargs="+", choices=LEARNING_RATE, default=["prompt"], help="each in turn")
    p.add_argument("--prompt-lengths", nargs="+", type=int, default=[100], help="rows of the prompt, each in turn")
    p.add_argument("--model", type=pathlib.Path, help="of smollm2: folder or GGUF file; default: random weights")
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--steps", type=int, default=9, help="batches in all")
    p.add_argument("--per-process", type=int, default=3, help="batches of one process")
    p.add_argument("--micro", type=int, default=0, help="rows of a micro-batch in both programs; 0: by size and task")
    p.add_argument("--micro-tokens", type=int, default=0, help="let trimtab cut by positions instead, as its trainer does")
    p.add_argument("--by-length", action="store_true", help="PEFT sorts each batch by length first")
    p.add_argument("--default-malloc", action="store_true", help="PEFT without the malloc settings that help it")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--peak", type=float, help="the machine's matrix product in GFLOP/s; default: measured")
    p.add_argument("--tolerance", type=float, default=1e-4, help="largest relative difference of losses, dropout off")
    p.add_argument("--verbose", action="store_true")
    args = p.parse_args()
    if any(size in DECODERS for size in args.sizes) and (args.method != ["prompt"] or any(args.dropouts)):
        p.error(f"{', '.join(DECODERS)}: --method prompt and --dropouts 0 only")
    return args


def main():
    args = arguments()
    args.work.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"OMP_NUM_THREADS": str(args.threads)}
    peak = args.peak or run([args.python, HERE / "peft_baseline.py", "--matmul-peak", "--threads", args.threads],
                            environment, args.verbose)["gflops_best"]
    rows = []
    for size in args.sizes:
        for task, method, length in itertools.product(args.tasks, args.method, args.prompt_lengths):
            case = Case(args, size, task, method, length)
            case.export()
            for dropout in args.dropouts:
                rows.append(compare(args, case, dropout, peak))
                (args.work / "compare.json").write_text(json.dumps(rows, indent=1), encoding="ascii")
                text = f"Matrix product (float32, {args.threads} threads): {peak:.0f} GFLOP/s\n\n{table(rows)}\n"
                (args.work / "compare.md").write_text(text, encoding="utf-8")
                print(table(rows[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
    print(text)
    wrong = [f"{r['size']} {r['task']} {r['method']} dropout {r['dropout']:g}: {r['loss_difference']:.2e}" for r in rows
             if not r["loss_difference"] <= args.tolerance]
    if wrong:
        sys.exit(f"error: losses differ by more than {args.tolerance:g}: {'; '.join(wrong)}")


if __name__ == "__main__":
    main()
