#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles what only builds with CUDA compile, and links the program with it, so that no change leaves those sources behind.

usage: tests/gpu/compile.py BUILD
BUILD is a configured build of ours without CUDA, whose flags are taken. Needs CUDA's compiler (TRIMTAB_NVCC, the PATH or
/usr/local/cuda*) and nccl.h beside its headers, no GPU and no LibTorch with CUDA. Ends with 77 where they are missing. The
program is linked where NCCL's library is there as well and BUILD has built it.
"""
import glob
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77
# Each source, and one that every build compiles with the same flags.
LIKE = {
    "runtime/nccl_communicator.cc": "runtime/communicator.cc",
    "launch/devices_cuda.cc": "launch/devices_none.cc",
    "tests/bench/throughput_cuda.cc": "tests/bench/throughput_host.cc",
    "tests/gpu/cuda_device.cc": "tests/gpu/stand_in_device.cc",
    "tests/gpu/nccl_model_test.cc": "tests/models/model_pipeline_test.cc",
    "tests/gpu/nccl_test.cc": "tests/runtime/mpi_communicator_test.cc",
}
# What the program is linked with in place of launch/devices_none.cc.
LINKED = ["runtime/nccl_communicator.cc", "launch/devices_cuda.cc"]
KERNELS = ["models/ops/attention_cuda.cu"]


def toolkit():
    """nvcc and the folders of the headers, or why not."""
    nvcc = os.environ.get("TRIMTAB_NVCC") or shutil.which("nvcc") or next(
        iter(sorted(glob.glob("/usr/local/cuda*/bin/nvcc"))), None)
    if nvcc is None:
        return None, "there is no nvcc"
    headers = pathlib.Path(nvcc).resolve().parents[1] / "include"
    if not (headers / "nccl.h").exists():
        return None, f"there is no nccl.h in {headers}"
    return (nvcc, headers), ""


def flags_of(build):
    """By source: the words of its compiler call, without its files."""
    flags = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        words, kept = iter(shlex.split(entry["command"])), []
        for word in words:
            if word in ("-o", "-c", "-MF", "-MT"):
                next(words)
            elif word != "-MD":
                kept.append(word)
        source = pathlib.Path(entry["file"])
        if source.is_relative_to(ROOT):
            flags[str(source.relative_to(ROOT))] = kept
    return flags


def linking(build, nvcc, objects, to):
    """The call that links the program with `objects`, in a shell; or None and why not."""
    libraries = next((folder for folder in (pathlib.Path(nvcc).resolve().parents[1] / name for name in ("lib64", "lib"))
                      if (folder / "libnccl.so").exists() and (folder / "libcudart.so").exists()), None)
    if libraries is None:
        return None, "there is no libnccl.so and libcudart.so"
    asked = subprocess.run(["ninja", "-t", "commands", "-s", "launch/trimtab"], cwd=build, stdout=subprocess.PIPE, text=True)
    calls = [part for part in asked.stdout.split(" && ") if "-o launch/trimtab " in part]
    if not calls or not (build / "launch/trimtab").exists():
        return None, f"{build} has not built it"
    call = calls[-1].replace("-o launch/trimtab ", f"-o {shlex.quote(to)} ")
    mine = "launch/CMakeFiles/trimtab.dir/devices_none.cc.o"
    if mine not in call:
        sys.exit(f"the program of {build} is linked without {mine}")
    return f"{call.replace(mine, shlex.join(objects))} -L{libraries} -lnccl -lcudart", ""


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    build = pathlib.Path(sys.argv[1]).resolve()
    found, reason = toolkit()
    if found is None:
        print(f"CUDA's sources are not compiled: {reason}")
        return SKIPPED
    nvcc, headers = found
    flags = flags_of(build)
    failed = []

    def compile_one(source, call):
        print(source, flush=True)
        if subprocess.run(call, cwd=build).returncode != 0:
            failed.append(source)

    with tempfile.TemporaryDirectory() as scratch:
        def object_of(source):
            return f"{scratch}/{pathlib.Path(source).name}.o"

        for source, like in LIKE.items():
            what = ["-c", "-o", object_of(source)] if source in LINKED else ["-fsyntax-only"]
            compile_one(source, [*flags[like], "-isystem", str(headers), *what, str(ROOT / source)])
        for source in KERNELS:
            compile_one(source, [nvcc, "-std=c++17", "-arch=sm_90", f"-I{build}/floors/models", "-Werror=all-warnings",
                                 "-Xcompiler=-Wall,-Wextra,-Werror", "-c", str(ROOT / source), "-o", object_of(source)])
        link, reason = linking(build, nvcc, [object_of(source) for source in [*LINKED, *KERNELS]], f"{scratch}/trimtab")
        if link is None:
            print(f"the program is not linked: {reason}")
        elif not failed:
            compile_one("the program, linked", ["bash", "-c", link])
    for source in failed:
        print(f"{source} does not compile or link", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
