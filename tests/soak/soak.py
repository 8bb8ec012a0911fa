#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one small job over and over, harms it at a random moment, starts it again until it ends, and compares what it trained.

    tests/soak/soak.py --program build/release/launch/trimtab --runs 200

Each run is the same experiment (a prompt for the small T5 of this repository, 2 x 2 x 2 ranks over MPI, or --ranks 2) in a new folder
on a small disk of its own. A fault is drawn from FAULTS, and its moment from start-up and steps; those of a network meet a job on two
hosts (tests/cluster/hosts.py). What harmed it is mended, and the same command given again until it ends with 0.
Counted: runs that end in the same last.h5 and best.h5 as the undisturbed one, steps made twice, seconds from the fault to the end of
the job and of its last process, processes left behind (launchers included), checkpoints and files of the journal that cannot be read
after the fault. Ends with 1 if a run cannot be ended, ends otherwise, makes more than one step again, or leaves a process or an unreadable
file. Needs root, for the hosts and the disk.
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
sys.path.insert(0, str(ROOT / "tests/cluster"))
import hosts as cluster  # noqa: E402: it lies beside the tests

MESHES = {8: "{data: 2, pipe: 2, tensor: 2}", 2: "{data: 2}"}
STALL, STALL_AT_START = 20, 60  # mesh.timeout: a stopped rank ends the job after so many seconds
LOST = 6  # the same of a host
DISK = 48  # MiB; a run takes a few


def training(args, folder):
    sets = [f"output={folder}", f"mesh={MESHES[args.ranks]}", f"train.steps={args.steps}", "train.batch=8",
            "train.micro_batch_tokens=160", "train.evaluate_every=10", "train.checkpoint_every=7", "train.dropout=0.1",
            "train.log_every=1", "task.max_validation=16", "task.max_test=16", "model.threads=1", "mesh.late=2",
            f"mesh.timeout={STALL}", f"mesh.startup_timeout={STALL_AT_START}", f"text.cache={args.work}/cache"]
    return ["train", str(ROOT / "experiments/quickstart/wordnet.yaml"), *[x for s in sets for x in ("--set", s)]]


def start(args, folder, log, on_hosts):
    args.session = None
    if not on_hosts:
        job = subprocess.Popen(["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(args.ranks), str(args.program),
                                *training(args, folder)], stdout=log, stderr=log, cwd=ROOT, start_new_session=True)
        args.session = job.pid
        return job
    environment = {**args.hosts.environment(), "trimtab": str(args.program), "ranks": str(args.ranks), "lost": str(LOST),
                   "hosts": f"h1:{args.ranks // 2},h2:{args.ranks // 2}"}
    return args.hosts.popen("h1", [ROOT / "launch/mpirun.sh", *training(args, folder)], stdout=log, stderr=log, cwd=ROOT,
                            env=environment)


def ranks_of(folder):
    """Process ids of the ranks of the job that writes into `folder`."""
    found = subprocess.run(["pgrep", "-f", f"^[^ ]*trimtab[^ ]* train .*output={folder}( |$)"], stdout=subprocess.PIPE, text=True)
    return [int(x) for x in found.stdout.split()]


def of_session(session):
    """Launchers, daemons and ranks that a job on this host alone has started; the dead that nobody asked for are none."""
    found = subprocess.run(["ps", "-o", "pid=,stat=", "-s", str(session)], stdout=subprocess.PIPE, text=True)
    return [int(line.split()[0]) for line in found.stdout.splitlines() if not line.split()[1].startswith("Z")]


def left_of(args, folder):
    """All processes of a job: its ranks, its session, and whatever runs on the hosts."""
    return sorted({*ranks_of(folder), *(of_session(args.session) if args.session else []),
                   *(p for name in args.hosts.names for p in args.hosts.processes(name))})


class Harm:
    """What a fault may reach: the job's process, its ranks, the folder it writes to and the hosts."""

    def __init__(self, args, job, ranks, folder, rng):
        self.args, self.job, self.ranks, self.folder, self.rng = args, job, ranks, folder, rng
        self.filler = args.work / "disk/filler"

    def kill_rank(self):
        os.kill(self.rng.choice(self.ranks), signal.SIGKILL)

    def kill_two(self):
        for rank in self.rng.sample(self.ranks, min(2, len(self.ranks))):
            os.kill(rank, signal.SIGKILL)

    def stop_rank(self):
        os.kill(self.rng.choice(self.ranks), signal.SIGSTOP)

    def warn_rank(self):
        os.kill(self.rng.choice(self.ranks), signal.SIGUSR1)

    def end_job(self):
        self.job.send_signal(signal.SIGTERM)

    def kill_launcher(self):
        self.job.kill()

    def fill_disk(self):
        with self.filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 16)):
                    pass
            except OSError:
                pass  # it is full

    def remove_folder(self):
        while self.folder.exists():  # a file may come in the meantime
            shutil.rmtree(self.folder, ignore_errors=True)

    def cut_link(self):
        self.args.hosts.cut(self.rng.choice(self.args.hosts.names))

    def kill_host(self):
        self.args.hosts.kill_all(self.rng.choice(self.args.hosts.names))

    def mend(self):
        self.filler.unlink(missing_ok=True)
        for name in self.args.hosts.names:
            self.args.hosts.mend(name)


FAULTS = {"SIGKILL of a rank": Harm.kill_rank, "SIGKILL of two ranks": Harm.kill_two, "SIGSTOP of a rank": Harm.stop_rank,
          "SIGUSR1 to a rank": Harm.warn_rank, "SIGTERM of the job": Harm.end_job, "SIGKILL of mpirun": Harm.kill_launcher,
          "disk full": Harm.fill_disk, "output folder removed": Harm.remove_folder, "link of a host down": Harm.cut_link,
          "processes of a host killed": Harm.kill_host}
ON_HOSTS = ("link of a host down", "processes of a host killed")
# The disk may be full when nothing more is written, and a rank may be warned after its last step.
MAY_END_WELL = ("disk full", "output folder removed", "SIGUSR1 to a rank", "SIGTERM of the job", "SIGKILL of mpirun")


def wait_for(args, job, folder, at):
    """Until a share of start-up (-1 to 0) or a share of a step has passed, or the job has ended."""
    begin = time.monotonic()
    metrics = folder / "metrics.jsonl"
    while job.poll() is None:
        now = time.monotonic() - begin
        made = metrics.exists() and f'"step":{max(1, int(at))},' in metrics.read_text()
        if at < 0 and (made or now >= (1 + at) * args.start_up):
            return
        if made:
            args.start_up = now if at < 2 else args.start_up
            time.sleep((at % 1) * 0.3)
            return
        time.sleep(0.01)


def run(args, folder, fault=None, at=0.0, rng=None):
    """Exit code, log, and the seconds from the fault to the end; harm may find that the job has ended."""
    log = open(args.work / "log", "w+")
    job = start(args, folder, log, fault in ON_HOSTS)
    seconds = None
    if fault:
        wait_for(args, job, folder, at)
        while not ranks_of(folder) and job.poll() is None:  # there is none to harm yet
            time.sleep(0.02)
        # Who is stopped, or cut off, while MPI starts is its launcher's matter: nothing of ours runs yet.
        while (FAULTS[fault] in (Harm.stop_rank, Harm.cut_link) and job.poll() is None
               and len(list(folder.glob("ranks/*.txt"))) < args.ranks):
            time.sleep(0.02)
        harm = Harm(args, job, ranks_of(folder), folder, rng)
        if harm.ranks and job.poll() is None:
            begin = time.monotonic()
            try:
                FAULTS[fault](harm)
            except ProcessLookupError:
                pass
            try:
                job.wait(300)
            except subprocess.TimeoutExpired:
                pass  # what is left is counted
            while left_of(args, folder) and time.monotonic() - begin < 330:
                time.sleep(0.05)
            seconds = time.monotonic() - begin
            harm.mend()
    else:
        job.wait()
    log.seek(0)
    text = log.read()
    log.close()
    return job.poll(), text, seconds


def unreadable(args, folder):
    """Of the checkpoints of a run and the files of its journal those that cannot be read."""
    names = ("last.h5", "best.h5", *(f"journal-{number}.h5" for number in range(4)))
    files = [folder / name for name in names if (folder / name).exists()]
    return [path.name for path in files
            if subprocess.run([args.program, "inspect", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode]


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


def own_mounts():
    """The disk of this program goes with it."""
    if os.environ.get("TRIMTAB_SOAK") != "own mounts":
        os.environ["TRIMTAB_SOAK"] = "own mounts"
        os.execvp("unshare", ["unshare", "-m", sys.executable, *sys.argv])


class Soak:
    def __init__(self, args):
        self.args, self.rng = args, random.Random(args.seed)
        self.wrong, self.times, self.again, self.restarts, self.equal = [], {name: [] for name in args.faults}, [], 0, 0
        self.left, self.unreadable = 0, 0

    def undisturbed(self):
        folder = self.args.disk / "run"  # its name is in the files
        begin = time.monotonic()
        code, text, _ = run(self.args, folder)
        if code:
            sys.exit(f"the undisturbed run ended with {code}:\n{text[-3000:]}")
        seconds = time.monotonic() - begin
        self.args.start_up = seconds / 2
        print(f"undisturbed: {seconds:.1f} s", flush=True)
        self.wanted = {name: (folder / name).read_bytes() for name in ("last.h5", "best.h5")}
        shutil.rmtree(folder)

    def one(self, number):
        args, folder = self.args, self.args.disk / "run"
        fault, at = self.rng.choice(args.faults), self.rng.uniform(-args.steps / 4, args.steps)
        at = at / (args.steps / 4) if at < 0 else at
        when = f"in start-up ({1 + at:.2f} of it)" if at < 0 else f"at step {at:.2f}"
        what = f"run {number + 1}: {fault} {when}"
        code, text, seconds = run(args, folder, fault, at, self.rng)
        texts = [text]
        if seconds is not None:
            if code == 0 and fault not in MAY_END_WELL and "100.0 %" not in text:
                self.wrong.append(f"{what}: ended with 0")
        if left := left_of(args, folder):
            self.left += len(left)
            self.wrong.append(f"{what}: processes {left} are left")
            for process in left:
                os.kill(process, signal.SIGKILL)
        if bad := unreadable(args, folder):
            self.unreadable += len(bad)
            self.wrong.append(f"{what}: cannot be read: {bad}")
        before, tries, count = last_step(folder), 0, len(self.wrong)
        while (code != 0 or not (folder / "last.h5").exists()) and tries < 5:
            code, text, _ = run(args, folder)
            texts.append(text)
            tries += 1
            if match := re.search(r"going on after step (\d+)", text):
                self.again.append(before - int(match[1]))
                # What is written while the disk is full is lost.
                if self.again[-1] > 1 and fault != "disk full":
                    self.wrong.append(f"{what}: {self.again[-1]} steps of the log were made again")
            before = last_step(folder)
        self.restarts += tries
        if seconds is not None:
            self.times[fault].append(seconds)
        if code != 0:
            self.wrong.append(f"{what}: cannot be ended")
        elif any(not (folder / name).exists() or (folder / name).read_bytes() != bytes_ for name, bytes_ in self.wanted.items()):
            self.wrong.append(f"{what}: what it trained differs")
        else:
            self.equal += 1
        if len(self.wrong) > count:
            print("\n----\n".join(x[-3000:] for x in texts), flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        print(f"{number + 1}/{args.runs} {fault} {when}: "
              f"{'had ended' if seconds is None else f'{seconds:.1f} s to the end of the job'}, then {tries} more; "
              f"{len(self.wrong)} wrong", flush=True)

    def report(self, runs):
        print(f"\n| fault | times | seconds to the end of the job, median | most |\n|---|---|---|---|")
        for name, found in self.times.items():
            if found:
                print(f"| {name} | {len(found)} | {statistics.median(found):.1f} | {max(found):.1f} |")
        print(f"\n{runs} runs, {sum(map(len, self.times.values()))} faults that met the job, {self.restarts} restarts, {self.equal} runs "
              f"ended in the bytes of the undisturbed one, {self.left} processes left, {self.unreadable} checkpoints or journals unreadable")
        print(f"steps in the log that were made again: {sum(max(0, n) for n in self.again)} in {len(self.again)} restarts that went on, "
              f"at most {max(self.again, default=0)}")
        for line in self.wrong:
            print("WRONG", line)
        print(f"{len(self.wrong)} wrong", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", type=pathlib.Path, required=True)
    p.add_argument("--runs", type=int, default=200)
    p.add_argument("--steps", type=int, default=20)
    p.add_argument("--ranks", type=int, choices=list(MESHES), default=8)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--faults", nargs="+", choices=list(FAULTS), default=list(FAULTS))
    args = p.parse_args()
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
        os.environ[name] = "1"  # which this has to be
    own_mounts()
    cluster.end_on_sigterm()
    with tempfile.TemporaryDirectory(prefix="trimtab-soak-") as work:
        args.work = pathlib.Path(work)
        # The program of this moment: it may be built anew meanwhile.
        args.program = pathlib.Path(shutil.copy(args.program, args.work / "trimtab"))
        args.disk = args.work / "disk"
        args.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}m", "tmpfs", args.disk], check=True)
        try:
            with cluster.Hosts(2, args.work / "net") as args.hosts:
                soak = Soak(args)
                soak.undisturbed()
                number = 0
                try:
                    for number in range(args.runs):
                        soak.one(number)
                    number = args.runs
                except KeyboardInterrupt:  # the run that it met is counted nowhere
                    for process in left_of(args, args.disk / "run"):
                        os.kill(process, signal.SIGKILL)
                soak.report(number)
        finally:
            subprocess.run(["umount", "-l", args.disk])
    sys.exit(1 if soak.wrong else 0)


if __name__ == "__main__":
    main()
