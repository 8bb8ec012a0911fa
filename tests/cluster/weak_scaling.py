#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Weak scaling of prompt tuning and model tuning over hosts whose links are throttled: seconds a step, and a picture.

    weak_scaling.py --program build/release/launch/trimtab --vocabulary spiece.model --picture docs/weak-scaling.png

One rank on one host against one rank on each of two hosts (hosts.py), one thread and the same number of rows a rank, data parallel.
The model has random weights in T5 1.1's shape (--size). Printed: the clock's seconds of a step but the first, of them those in the
all-reduce of the gradient (of the rank that waits least), and the processor's of one rank alone. On a busy machine the clock counts
what others compute, so the last columns say what the step would take with a core for each rank: processor seconds of one rank, and the
all-reduce beside them.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import hosts as cluster

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/bench"))
from random_t5 import SHAPES, random_t5  # noqa: E402: it lies with the benchmarks

METHODS = {
    "prompt tuning": ["method={name: prompt_tuning, length: 100}", "optimizer={name: adafactor, learning_rate: 0.3}"],
    "model tuning": ["method={name: model_tuning}", "optimizer={name: adafactor, learning_rate: 0.001}"]}


def processor_seconds(args, hosts):
    """Of all ranks since their start."""
    ticks = 0
    for host in hosts.names:
        for process in hosts.processes(host):
            try:
                name, rest = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)
            except OSError:
                continue
            if name.endswith(f"({args.program.name[:15]}"):  # as much as the system keeps of it
                ticks += sum(map(int, rest.split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def all_reduce_seconds(folder, ranks, step):
    """Seconds in the all-reduce of the gradient of one step, of the rank that waited least in it: the others wait for it too."""
    found = []
    for rank in range(ranks):
        lines = (folder / f"ranks/rank-{rank}.txt").read_text().splitlines()
        found.append(sum(float(m[1]) for line in lines if "(gradient)" in line and f"step {step}," in line + ","
                         and (m := re.search(r" ([0-9.]+) s$", line))))
    return min(found)


class Measured:
    def __init__(self):
        self.seconds, self.processor, self.sum, self.bytes, self.peak = [], [], [], 0, 0


def measure(args, hosts, work, method, ranks, into):
    """One run of so many ranks; its first step, which reads the weights, does not count."""
    folder = work / f"run-{method.split()[0]}-{ranks}-{len(into.seconds)}"
    sets = [f"output={folder}", f"mesh={{data: {ranks}}}", f"model.weights={args.weights}", f"train.steps={args.steps + 1}",
            f"train.batch={args.rows * ranks}", "train.micro_batch_tokens=4000", "train.evaluate_every=0", "train.checkpoint_every=0",
            "train.dropout=0", "train.journal=off", "train.log_every=1", "task.max_validation=10", "task.max_test=10", "model.threads=1",
            f"text={{max_input: {args.max_input}, max_target: 8}}", f"text.cache={work}/cache", *METHODS[method],
            *[x for x in args.set]]
    environment = {**hosts.environment(), "trimtab": str(args.program), "ranks": str(ranks),
                   "hosts": ",".join(f"{name}:1" for name in hosts.names[:ranks])}
    log = work / "log"
    with log.open("w") as out:
        job = hosts.popen("h1", [ROOT / "launch/mpirun.sh", "train", ROOT / "experiments/quickstart/wordnet.yaml",
                                 *[x for s in sets for x in ("--set", s)]], env=environment, stdout=out, stderr=out, cwd=ROOT)
    before, steps, metrics = None, 0, folder / "metrics.jsonl"
    while job.poll() is None:
        rows = metrics.read_text().count('"kind":"train"') if metrics.exists() else 0
        if rows > steps:
            now = processor_seconds(args, hosts) / ranks
            if before is not None and rows == steps + 1:
                into.processor.append(now - before)
            before, steps = now, rows
            if ranks > 1 and steps > 1:
                time.sleep(1.2)  # the files of ranks are written once a second
                if seconds := all_reduce_seconds(folder, ranks, steps - 1):  # they count from 0
                    into.sum.append(seconds)
        time.sleep(0.05)
    if job.returncode:
        sys.exit(f"{method} on {ranks} ended with {job.returncode}:\n{log.read_text()[-3000:]}")
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    into.seconds += [line["seconds"] for line in lines if line["kind"] == "train"][1:]
    record = json.loads((folder / "record.json").read_text())
    into.bytes = record["traffic"]["gradient"]["bytes"] / max(1, record["traffic"]["steps"])
    into.peak = record["peak_memory_bytes"]


def spread(values, digits=2):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} - {max(values):.{digits}f})"


def draw(path, title, rows):
    """Bars of a step by the clock: (method, seconds on one host, on two)."""
    data = path.with_suffix(".dat")
    data.write_text("".join(f'"{name}" {one:.4f} {two:.4f}\n' for name, one, two in rows))
    script = f"""
set encoding utf8
set terminal pngcairo noenhanced size 700,400 font 'Sans,11'
set output '{path}'
set title '{title}'
set ylabel 'seconds a step'
set yrange [0:*]
set offsets 0, 0, graph 0.1, 0
set grid y lt 1 lw 1 lc rgb '#e6e6e6'
set border 3 lc rgb '#444444'
set tics nomirror
set key outside right top Left reverse
set style data histograms
set style histogram clustered gap 1
set style fill solid border -1
plot '{data}' using 2:xtic(1) lc rgb '#0072B2' title 'one host', '' using 3 lc rgb '#D55E00' title 'two hosts', \\
     '' using ($0 - 0.17):($2):(sprintf('%.2f', $2)) with labels offset 0, 0.7 notitle, \\
     '' using ($0 + 0.17):($3):(sprintf('%.2f', $3)) with labels offset 0, 0.7 notitle
"""
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
    data.unlink()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", type=pathlib.Path, required=True)
    p.add_argument("--vocabulary", type=pathlib.Path, help="spiece.model, for a model of random weights")
    p.add_argument("--weights", type=pathlib.Path, help="a T5 instead of random weights")
    p.add_argument("--size", choices=list(SHAPES), default="base")
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--rounds", type=int, default=1, help="runs of each kind, by turns")
    p.add_argument("--rows", type=int, default=16, help="of a step, each rank")
    p.add_argument("--max-input", type=int, default=512)
    p.add_argument("--rate", default="1gbit")
    p.add_argument("--set", action="append", default=[], help="KEY=VALUE of the experiment, such as another task")
    p.add_argument("--picture", type=pathlib.Path)
    args = p.parse_args()
    if not args.weights and not args.vocabulary:
        p.error("--vocabulary or --weights is wanted")
    args.program = args.program.resolve()
    cluster.end_on_sigterm()
    measured = {(method, ranks): Measured() for method in METHODS for ranks in (1, 2)}
    with tempfile.TemporaryDirectory(prefix="trimtab-scaling-") as work:
        work = pathlib.Path(work)
        args.weights = args.weights or random_t5(args.program, args.vocabulary, args.size, work)
        with cluster.Hosts(2, work / "net") as hosts:
            hosts.throttle(args.rate)
            for _ in range(args.rounds):
                for (method, ranks), into in measured.items():
                    measure(args, hosts, work, method, ranks, into)
                    print(f"{method} on {ranks}: {spread(into.seconds)} s a step; load {os.getloadavg()[0]:.1f}", file=sys.stderr,
                          flush=True)
    print("| | hosts | seconds a step | of them all-reduce | share of one rank's speed | processor seconds, all-reduce beside them | "
          "share | gradient, bytes | peak memory |\n|---|---|---|---|---|---|---|---|---|")
    for (method, ranks), it in measured.items():
        alone = measured[method, 1]
        reduce = statistics.median(it.sum) if it.sum else 0.0
        busy = statistics.median(alone.processor)
        share = statistics.median(alone.seconds) / statistics.median(it.seconds)
        print(f"| {method} | {ranks} | {spread(it.seconds)} | {f'{reduce:.3f}' if ranks > 1 else ''} | {100 * share:.0f} % | "
              f"{busy:.2f} + {reduce:.3f} | {100 * busy / (busy + reduce):.0f} % | {it.bytes:,.0f} | {it.peak >> 20:,} MiB |")
    if args.picture:
        rows = [(method, *(statistics.median(measured[method, ranks].seconds) for ranks in (1, 2))) for method in METHODS]
        draw(args.picture.resolve(), f"T5 1.1 {args.size}, {args.rows} rows a host, links of {args.rate}", rows)


if __name__ == "__main__":
    main()
