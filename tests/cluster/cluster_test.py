#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A job on several hosts (hosts.py): it trains what it does elsewhere, and what happens when a cable or a host is lost, or the disk
is full or the run folder gone.

    cluster_test.py CASE --program build/release/launch/trimtab --undisturbed FOLDER

`undisturbed` trains on this machine alone and keeps the result in FOLDER, with which the other cases compare. Ends with 77
where the hosts cannot be made.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import hosts as cluster

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77
LOST = 6  # seconds after which a host that does not answer is lost
MESHES = {1: "{}", 2: "{data: 2}", 4: "{data: 2, pipe: 2}"}  # of a rank a host
KEPT = ("last.h5", "best.h5")


def require(fact, text):
    if not fact:
        sys.exit(f"FAILED: {text}")


def training(args, mesh):
    """Arguments of trimtab. `output` is relative, since it is part of what is saved."""
    sets = ["output=run", f"mesh={mesh}", "train.steps=20", "train.batch=8", "train.micro_batch_tokens=160",
            "train.evaluate_every=10", "train.checkpoint_every=7", "train.dropout=0.1", "train.journal=on", "train.log_every=1",
            "task.max_validation=16", "task.max_test=16", "model.threads=1", "mesh.late=2", "mesh.timeout=60",
            f"model.weights={ROOT}/experiments/pretrain/small-t5.h5", f"text.cache={args.undisturbed}/cache"]
    return ["train", ROOT / "experiments/quickstart/wordnet.yaml", *[x for s in sets for x in ("--set", s)]]


def losses(folder):
    """Loss of each step, of those made twice the last."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {row["step"]: row["loss"] for row in rows if row["kind"] == "train"}


def require_alike(found, wanted):
    require(found.keys() == wanted.keys(), f"steps {sorted(found)} instead of {sorted(wanted)}")
    apart = max(abs(found[step] / wanted[step] - 1) for step in wanted)
    print(f"losses of {len(wanted)} steps are within {apart:.1e} of one process")
    require(apart < 1e-4, "losses differ")


class Job:
    """A job of one rank a host, or of some on each, started on the first as a user would."""

    def __init__(self, args, hosts, folder, mesh=None, per_host=1):
        self.args, self.hosts, self.folder, self.per_host = args, hosts, folder, per_host
        self.ranks = per_host * len(hosts.names)
        self.log = folder.parent / "log"
        self.command = [ROOT / "launch/mpirun.sh", *training(args, mesh or MESHES[self.ranks])]
        self.process = None

    def start(self):
        environment = {**self.hosts.environment(), "trimtab": str(self.args.program), "ranks": str(self.ranks), "lost": str(LOST),
                       "hosts": ",".join(f"{name}:{self.per_host}" for name in self.hosts.names)}
        with self.log.open("w") as log:
            self.process = self.hosts.popen("h1", self.command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)

    def end(self, seconds=120):
        """Waits for the job and all its processes; returns its exit code."""
        deadline = time.monotonic() + seconds
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            sys.exit(f"FAILED: the job has not ended in {seconds} s:\n{self.log.read_text()}")
        while left := [p for name in self.hosts.names for p in self.hosts.processes(name)]:
            require(time.monotonic() < deadline, f"processes {left} are left:\n{self.log.read_text()}")
            time.sleep(0.1)
        return code

    def wait_for_step(self, step):
        metrics = self.folder / "run/metrics.jsonl"
        while not metrics.exists() or f'"step":{step},' not in metrics.read_text():
            require(self.process.poll() is None, f"the job ended early:\n{self.log.read_text()}")
            time.sleep(0.02)

    def require_bytes(self):
        for name in KEPT:
            require((self.folder / "run" / name).read_bytes() == (self.args.undisturbed / str(self.ranks) / name).read_bytes(),
                    f"{name} is not that of the undisturbed run")
        print(f"{' and '.join(KEPT)}: the bytes of the undisturbed run on one host")


def undisturbed(args):
    """The same on one host: one process, and each mesh."""
    shutil.rmtree(args.undisturbed, ignore_errors=True)
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1",
                   "OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_MCA_btl_vader_single_copy_mechanism": "none"}
    for ranks in MESHES:
        folder = args.undisturbed / str(ranks)
        folder.mkdir(parents=True)
        launcher = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks)] if ranks > 1 else []
        subprocess.run([*launcher, args.program, *training(args, MESHES[ranks])], cwd=folder, env=environment, check=True)
        for path in (folder / "run").iterdir():
            path.rename(folder / path.name)


def trains_as_one_process(args, job):
    job.start()
    require(job.end() == 0, job.log.read_text())
    files = [(job.folder / f"run/ranks/rank-{i}.txt").read_text() for i in range(job.ranks)]
    require(all(f"host=h{i // job.per_host + 1}\t" in text for i, text in enumerate(files)), f"ranks were elsewhere: {files}")
    require_alike(losses(job.folder / "run"), losses(args.undisturbed / "1"))


def trains_the_same(args, job):
    trains_as_one_process(args, job)
    job.require_bytes()


def eight_ranks(args, job):
    """Replicas on hosts of their own, each with its stages and tensor ranks."""
    trains_as_one_process(args, Job(args, job.hosts, job.folder, "{data: 2, pipe: 2, tensor: 2}", per_host=4))


def tensor_ranks(args, job):
    """The sums inside each layer cross hosts."""
    trains_as_one_process(args, Job(args, job.hosts, job.folder, "{data: 1, tensor: 2}"))


def suffer(job, harm):
    """Harms the job in the middle; returns what was said until it had ended."""
    job.start()
    job.wait_for_step(5)
    begin = time.monotonic()
    harm()
    code = job.end()
    seconds = time.monotonic() - begin
    text = job.log.read_text()
    print(text)
    print(f"ended with {code}, {seconds:.1f} s after the fault, no process is left")
    require(code != 0, "the job ended with 0")
    require(seconds < 60, "that took too long")
    return text


def lose(job, harm, host, named=True):
    """The same to a host, which something must name."""
    text = suffer(job, lambda: harm(host))
    if named:
        require(f"on node {host}" in text or f"host-shell: {host}: ended" in text, f"nothing names {host}")
    return text


def goes_on(job, journal=True):
    """No more than the running step is lost, whose line may be in the log; without the journal, more may be."""
    logged = max(losses(job.folder / "run"))
    job.start()
    require(job.end() == 0, job.log.read_text())
    text = job.log.read_text()
    after = re.search(r"going on after step (\d+)", text)
    require(after, f"it began anew:\n{text}")
    print(f"{after[0]}, of {logged} in the log")
    require(not journal or int(after[1]) >= logged - 1, "more than the running step is lost")
    job.require_bytes()


def cut_link(args, job):
    host = job.hosts.names[-1]
    text = lose(job, job.hosts.cut, host)
    require("does the network between h1, h2" in text, "the ranks do not suspect the network")
    job.hosts.mend(host)
    goes_on(job)


def host_killed(args, job):
    lose(job, job.hosts.kill_all, job.hosts.names[-1])
    goes_on(job)


def first_host_killed(args, job):
    """The host of mpirun and rank 0: nobody is left to speak. What it had not handed to the device is lost with it."""
    lose(job, job.hosts.kill_all, "h1", named=False)
    for number in (0, 1):
        (job.folder / f"run/journal-{number}.h5").unlink()
    goes_on(job)


def disk_full(args, job):
    filler = job.folder / "filler"

    def fill():
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 16)):
                    pass
            except OSError:
                pass  # it is full

    text = suffer(job, fill)
    require("last.unverified.h5: cannot create the tensor store: No space left on device; make room" in text, "nothing says what to do")
    require("The run goes on without its journal" in text, "the journal is not warned of")
    filler.unlink()
    goes_on(job, journal=False)


def folder_removed(args, job):
    """What the run kept is gone with it: it begins anew."""
    def remove():
        while (job.folder / "run").exists():  # a file may come in the meantime
            shutil.rmtree(job.folder / "run", ignore_errors=True)

    text = suffer(job, remove)
    require("run/last.unverified.h5: cannot create the file: No such file or directory" in text, "nothing names the folder")
    job.start()
    require(job.end() == 0, job.log.read_text())
    job.require_bytes()


def supervised(args, job):
    """The host stays away, and the job ends on the one that is left."""
    job.command = [ROOT / "launch/supervise", "--run", "run", "--pause", "0", "--then", "ranks=1 --set mesh.data=1", "--", *job.command]
    job.start()
    job.wait_for_step(5)
    job.hosts.cut("h2")
    code = job.end()
    print(job.log.read_text())
    require(code == 0, f"ended with {code}")
    require("supervise: h2 does not answer: left out" in job.log.read_text(), "supervise did not leave h2 out")
    require_alike(losses(job.folder / "run"), losses(args.undisturbed / "1"))


CASES = {"trains_the_same": trains_the_same, "eight_ranks": eight_ranks, "tensor_ranks": tensor_ranks, "cut_link": cut_link,
         "host_killed": host_killed, "first_host_killed": first_host_killed, "supervised": supervised, "disk_full": disk_full,
         "folder_removed": folder_removed}


def own_mounts():
    """The disk of this program goes with it."""
    if os.geteuid() == 0 and shutil.which("unshare") and os.environ.get("TRIMTAB_CLUSTER") != "own mounts":
        os.environ["TRIMTAB_CLUSTER"] = "own mounts"
        if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode == 0:
            os.execvp("unshare", ["unshare", "-m", sys.executable, *sys.argv])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("case", choices=["undisturbed", *CASES])
    p.add_argument("--program", type=pathlib.Path, required=True)
    p.add_argument("--undisturbed", type=pathlib.Path, required=True)
    p.add_argument("--hosts", type=int, default=2)
    args = p.parse_args()
    args.program, args.undisturbed = args.program.resolve(), args.undisturbed.resolve()
    own_mounts()
    cluster.end_on_sigterm()
    with tempfile.TemporaryDirectory(prefix="trimtab-cluster-") as folder:
        folder = pathlib.Path(folder)
        try:
            disk = cluster.small_disk(folder / "disk", 32)
            with cluster.Hosts(args.hosts, folder / "net") as hosts:
                if args.case == "undisturbed":
                    undisturbed(args)
                else:
                    CASES[args.case](args, Job(args, hosts, disk))
        except cluster.Unavailable as reason:
            print(f"skipped: {reason}")
            sys.exit(SKIPPED)
        finally:
            subprocess.run(["umount", "-l", folder / "disk"], stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
