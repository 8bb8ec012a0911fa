#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The death of a rank is an error that its peers can catch: the communicator, built with an MPI whose jobs outlive a rank (Open MPI 5
with ULFM, which tests/ulfm/install fetches), tells every survivor whose death it was.

    killed_rank_test.py FOLDER      builds killed_rank there and kills each rank of four, one job after the other

Ends with 77 where there is no such MPI, or where it cannot start a job at all.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / ".deps/openmpi5/bin"
SKIPPED = 77
RANKS = 4
# What the communicator is made of.
SOURCES = ["activity", "communicator", "dtype", "mpi_communicator", "mpi_message", "mpi_session", "mpi_transfer", "reduce", "shard"]
# The detector finds ranks that are silent; `han` sums without those that are dead and does not say so.
MPIRUN = [BIN / "mpirun", "--allow-run-as-root", "--with-ft", "ulfm", "-np", str(RANKS), "--oversubscribe", "--bind-to", "none",
          *[word for setting in ("pml ob1", "btl tcp,self,sm", "coll ^han", "mpi_ft_detector 1", "mpi_ft_detector_period 1",
                                 "mpi_ft_detector_timeout 10", "mpi_yield_when_idle 1")
            for word in ("--mca", *setting.split())]]


def build(folder):
    program = folder / "killed_rank"
    subprocess.run([BIN / "mpicxx", "-std=c++20", "-O1", "-fopenmp", "-DFMT_SHARED", "-DOMPI_SKIP_MPICXX=1", f"-I{ROOT}", "-o", program,
                    ROOT / "tests/ulfm/killed_rank.cc", *[ROOT / f"runtime/{name}.cc" for name in SOURCES], "-lfmt"], check=True)
    return program


def kill(program, rank):
    job = subprocess.run([*MPIRUN, program, str(rank)], capture_output=True, text=True, timeout=60)
    print(job.stdout, job.stderr, sep="")
    told = {int(me): (int(step), int(dead)) for me, step, dead in
            re.findall(r"^rank (\d+), step (\d+): rank (\d+): .*on 'data', all_reduce sum of 50000 float32", job.stdout, re.M)}
    wanted = {me: (10, rank) for me in range(RANKS) if me != rank}
    if told != wanted or job.returncode != 0:
        sys.exit(f"FAILED: rank {rank} was killed, the survivors were told {told}, and mpirun ended with {job.returncode}")


def main():
    if not (BIN / "mpicxx").exists():
        print("skipped: tests/ulfm/install fetches Open MPI 5")
        sys.exit(SKIPPED)
    started = subprocess.run([*MPIRUN, "true"], capture_output=True, text=True, timeout=60)
    if started.returncode:
        print(f"skipped: Open MPI 5 starts no job here: {started.stdout}{started.stderr}")
        sys.exit(SKIPPED)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    program = build(folder)
    for rank in range(RANKS):
        kill(program, rank)


if __name__ == "__main__":
    main()
