#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one small job over and over, harms it at a random moment, starts it again until it ends, and compares what it trained.

    tests/soak/soak.py --program build/release/launch/trimtab --runs 200

Each run is the same experiment (a prompt for the small T5 of this repository, 2 x 2 x 2 ranks over MPI) in a new folder.
A fault is drawn from FAULTS at a time drawn from the length of an undisturbed run. Then the same command is given again until
it ends with 0. Counted: runs that end in the same last.h5 and best.h5 as the undisturbed one, steps made twice, seconds from the
fault to the end of the job, processes left behind. Ends with 1 if a run cannot be ended, ends otherwise, or leaves a process.
"""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RANKS = 8
STALL = 8  # mesh.timeout: a stopped rank ends the job after so many seconds


def command(args, folder):
    sets = [f"output={folder}", "mesh={data: 2, pipe: 2, tensor: 2}", f"train.steps={args.steps}", "train.batch=8",
            "train.micro_batch_tokens=160", "train.evaluate_every=10", "train.checkpoint_every=7", "train.dropout=0.1",
            "train.journal=on", "train.log_every=1", "task.max_validation=16", "task.max_test=16", "model.threads=1", "mesh.late=2",
            f"mesh.timeout={STALL}", "mesh.startup_timeout=60", f"text.cache={args.work}/cache"]
    return ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(RANKS), str(args.program), "train",
            str(ROOT / "experiments/quickstart/wordnet.yaml"), *[x for s in sets for x in ("--set", s)]]


def ranks_of(folder):
    """Process ids of the ranks of the job that writes into `folder`."""
    found = subprocess.run(["pgrep", "-f", f"^[^ ]*trimtab[^ ]* train .*output={folder}( |$)"], stdout=subprocess.PIPE, text=True)
    return [int(x) for x in found.stdout.split()]


def kill_rank(job, ranks, rng):
    os.kill(rng.choice(ranks), signal.SIGKILL)


def kill_two(job, ranks, rng):
    for rank in rng.sample(ranks, min(2, len(ranks))):
        os.kill(rank, signal.SIGKILL)


def stop_rank(job, ranks, rng):
    os.kill(rng.choice(ranks), signal.SIGSTOP)


def warn_rank(job, ranks, rng):
    os.kill(rng.choice(ranks), signal.SIGUSR1)


def end_job(job, ranks, rng):
    job.send_signal(signal.SIGTERM)


def kill_launcher(job, ranks, rng):
    job.kill()


FAULTS = {"SIGKILL of a rank": kill_rank, "SIGKILL of two ranks": kill_two, "SIGSTOP of a rank": stop_rank,
          "SIGUSR1 to a rank": warn_rank, "SIGTERM of the job": end_job, "SIGKILL of mpirun": kill_launcher}


def run(args, folder, fault=None, at=0.0, rng=None):
    """Exit code, log, and the seconds from the fault to the end; harm may find that the job has ended."""
    log = open(args.work / "log", "w+")
    job = subprocess.Popen(command(args, folder), stdout=log, stderr=log, cwd=ROOT)
    seconds = None
    if fault:
        time.sleep(at)
        # Who is stopped while MPI starts is its launcher's matter: nothing of ours runs yet.
        while FAULTS[fault] is stop_rank and job.poll() is None and len(list(folder.glob("ranks/*"))) < RANKS:
            time.sleep(0.02)
        ranks = ranks_of(folder)
        if ranks and job.poll() is None:
            begin = time.monotonic()
            try:
                FAULTS[fault](job, ranks, rng)
            except ProcessLookupError:
                pass
            job.wait()
            while ranks_of(folder) and time.monotonic() - begin < 120:
                time.sleep(0.05)
            seconds = time.monotonic() - begin
    job.wait()
    log.seek(0)
    text = log.read()
    log.close()
    return job.returncode, text, seconds


def last_step(folder):
    """The last step in the log of metrics."""
    path = folder / "metrics.jsonl"
    steps = [0]
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue  # the line that was being written
            if row["kind"] == "train":
                steps.append(row["step"])
    return max(steps)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", type=pathlib.Path, required=True)
    p.add_argument("--runs", type=int, default=200)
    p.add_argument("--steps", type=int, default=20)
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    args.program = args.program.resolve()
    rng = random.Random(args.seed)
    wrong, times, again = [], {name: [] for name in FAULTS}, []
    with tempfile.TemporaryDirectory(prefix="trimtab-soak-") as work:
        args.work = pathlib.Path(work)
        begin = time.monotonic()
        folder = args.work / "run"  # its name is in the files
        code, text, _ = run(args, folder)
        if code:
            sys.exit(f"the undisturbed run ended with {code}:\n{text[-3000:]}")
        length = time.monotonic() - begin
        print(f"undisturbed: {length:.1f} s", flush=True)
        wanted = {name: (folder / name).read_bytes() for name in ("last.h5", "best.h5")}
        shutil.rmtree(folder)
        for number in range(args.runs):
            fault, at = rng.choice(list(FAULTS)), rng.uniform(0.05, 0.95) * length
            code, text, seconds = run(args, folder, fault, at, rng)
            if seconds is not None:
                times[fault].append(seconds)
                if code == 0 and fault not in ("SIGKILL of mpirun",) and "100.0 %" not in text:
                    wrong.append(f"run {number}: {fault} ended with 0")
            if left := ranks_of(folder):
                wrong.append(f"run {number}: {fault}: processes {left} are left")
                for rank in left:
                    os.kill(rank, signal.SIGKILL)
            before, tries = last_step(folder), 0
            while code != 0 and tries < 3:
                code, text, _ = run(args, folder)
                tries += 1
                if match := re.search(r"going on after step (\d+)", text):
                    again.append(before - int(match[1]))
            if code != 0:
                wrong.append(f"run {number}: {fault} at {at:.2f} s: cannot be ended: {text[-600:]}")
            elif any((folder / name).read_bytes() != bytes_ for name, bytes_ in wanted.items()):
                wrong.append(f"run {number}: {fault} at {at:.2f} s: what it trained differs")
            shutil.rmtree(folder, ignore_errors=True)
            print(f"{number + 1}/{args.runs} {fault} at {at:.2f} s: "
                  f"{'had ended' if seconds is None else f'{seconds:.1f} s to the end of the job'}, then {tries} more; "
                  f"{len(wrong)} wrong", flush=True)
    print(f"\n{'fault':<22} {'times':>5} {'median s':>9} {'most s':>7}")
    for name, found in times.items():
        if found:
            print(f"{name:<22} {len(found):>5} {statistics.median(found):>9.1f} {max(found):>7.1f}")
    print(f"steps in the log that were made again: {sum(max(0, n) for n in again)} in {len(again)} restarts, at most "
          f"{max(again, default=0)}")
    for line in wrong:
        print("WRONG", line)
    print(f"{args.runs} runs, {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
