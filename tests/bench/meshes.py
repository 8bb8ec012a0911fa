#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same training in one process of two threads and in two ranks of one thread: data 2, pipe 2 and tensor 2, by turns.

    meshes.py --program build/release/launch/trimtab --data ../shared/data --size base --rounds 3

Prompt tuning with P = 100 on RTE, 32 rows a step in micro-batches of at most 1,000 positions (about eight), dropout 0.1, random
weights in the shape of T5 1.1. The first step of each run, which reads the weights, does not count. Printed: a table of seconds a step,
median (least - most) over all rounds, the speed beside one process, the same in each round, peak memory of each rank, and what each
rank sends in a step.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from random_t5 import SHAPES, random_t5

ROOT = pathlib.Path(__file__).resolve().parents[2]
MESHES = {"one process, 2 threads": "{}", "data 2": "{data: 2}", "pipe 2": "{pipe: 2}", "tensor 2": "{tensor: 2}"}
ALONE = next(iter(MESHES))


def measure(args, work, kind):
    """Seconds of each step but the first, and the run's record."""
    ranks = 1 if kind == ALONE else 2
    run = work / "run"
    sets = [f"output={run}", f"mesh={MESHES[kind]}", f"model.weights={args.weights}", f"task.path={args.data}/superglue",
            f"model.threads={2 // ranks}", "method={name: prompt_tuning, length: 100}", f"train.steps={args.steps + 1}", "train.batch=32",
            "train.micro_batch_tokens=1000", "train.dropout=0.1", "train.log_every=1", "train.evaluate_every=0",
            "train.checkpoint_every=0", "evaluate.max_examples=8", "text.max_input=512", f"text.cache={work}/cache"]
    command = [args.program, "train", ROOT / "experiments/small-t5/rte-base.yaml", *[x for s in sets for x in ("--set", s)]]
    if ranks > 1:
        command = ["mpirun", "--allow-run-as-root", "--bind-to", "none", "-n", str(ranks), *command]
    environment = {**os.environ, "OMP_NUM_THREADS": str(2 // ranks)}
    with (work / "log").open("w") as log:
        if subprocess.run(command, stdout=log, stderr=log, env=environment, cwd=ROOT).returncode:
            sys.exit(f"{kind}:\n{(work / 'log').read_text()[-3000:]}")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    record = json.loads((run / "record.json").read_text())
    shutil.rmtree(run)
    return [line["seconds"] for line in lines if line["kind"] == "train"][1:], record


def sent(record):
    """Bytes of a step by purpose, rank by rank."""
    traffic, out = record["traffic"], []
    for purpose in ("tensor", "pipeline", "gradient"):
        sizes = [rank[purpose]["bytes"] / traffic["steps"] for rank in traffic["of_ranks"]]
        if any(sizes):
            out.append(f"{purpose} {' and '.join(f'{size:,.0f}' for size in sizes)}")
    return ", ".join(out)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", type=pathlib.Path, required=True)
    p.add_argument("--data", type=pathlib.Path, required=True, help="holds superglue/RTE/*.jsonl and t5_vocab/*spiece.model")
    p.add_argument("--weights", type=pathlib.Path, help="a T5 instead of random weights")
    p.add_argument("--size", choices=list(SHAPES), default="base")
    p.add_argument("--steps", type=int, default=4, help="of each run, after the first")
    p.add_argument("--rounds", type=int, default=3)
    args = p.parse_args()
    args.program, args.data = args.program.resolve(), args.data.resolve()
    seconds, records = {kind: [] for kind in MESHES}, {}
    with tempfile.TemporaryDirectory(prefix="trimtab-meshes-") as work:
        work = pathlib.Path(work)
        vocabulary = next((args.data / "t5_vocab").glob("*spiece.model"))
        args.weights = args.weights.resolve() if args.weights else random_t5(args.program, vocabulary, args.size, work)
        for _ in range(args.rounds):
            for kind in MESHES:
                steps, records[kind] = measure(args, work, kind)
                seconds[kind].append(steps)
                print(f"{kind}: {statistics.median(steps):.2f} s a step; load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    print("| | seconds a step | of one process | in each round | peak memory of each rank | sent by each rank a step, bytes |\n"
          "|---|---|---|---|---|---|")
    for kind, rounds in seconds.items():
        every = [s for steps in rounds for s in steps]
        alone = [s for steps in seconds[ALONE] for s in steps]
        shares = [statistics.median(a) / statistics.median(b) for a, b in zip(seconds[ALONE], rounds)]
        peaks = ", ".join(f"{peak >> 20:,}" for peak in records[kind]["peak_memory_bytes_of_ranks"])
        print(f"| {kind} | {statistics.median(every):.2f} ({min(every):.2f} - {max(every):.2f}) | "
              f"{statistics.median(alone) / statistics.median(every):.2f} | {', '.join(f'{s:.2f}' for s in shares)} | {peaks} MiB | "
              f"{sent(records[kind])} |")


if __name__ == "__main__":
    main()
