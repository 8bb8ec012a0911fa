#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles what only builds with CUDA compile, and links the programs with it, so that no change leaves those sources behind.

usage: tests/gpu/compile.py BUILD
BUILD is a configured build of ours without CUDA, whose flags are taken. Needs CUDA's compiler (TRIMTAB_NVCC, the PATH or
/usr/local/cuda*) and nccl.h beside its headers, no GPU and no LibTorch with CUDA. Ends with 77 where they are missing. Of
the programs those are linked that BUILD has built the like of, where NCCL's library is there as well.
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
KERNELS = ["models/ops/attention_cuda.cu"]
# A program of a build without CUDA, the objects of it that one with CUDA has not, and the sources in their place.
PROGRAMS = {
    "launch/trimtab": (["devices_none"], ["runtime/nccl_communicator.cc", "launch/devices_cuda.cc", *KERNELS]),
    "tests/bench/trimtab_throughput_bench": (["throughput_host"], ["tests/bench/throughput_cuda.cc",
                                                                   "runtime/nccl_communicator.cc", *KERNELS]),
    "tests/gpu/stand_in_gpu_test": (["stand_in_device", "fake_device"], ["tests/gpu/cuda_device.cc", *KERNELS]),
    "tests/runtime/runtime_mpi_test": (["mpi_communicator_test"], ["tests/gpu/nccl_test.cc", "runtime/nccl_communicator.cc"]),
    "tests/models/model_pipeline_mpi_test": (["model_pipeline_mpi_test"],
                                             ["tests/gpu/nccl_model_test.cc", "runtime/nccl_communicator.cc"]),
}


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


def linking(build, nvcc, program, dropped, objects, to):
    """The call that links `program` to `to`, with `objects` in place of those `dropped`, in a shell; or None and why not."""
    libraries = next((folder for folder in (pathlib.Path(nvcc).resolve().parents[1] / name for name in ("lib64", "lib"))
                      if (folder / "libnccl.so").exists() and (folder / "libcudart.so").exists()), None)
    if libraries is None:
        return None, "there is no libnccl.so and libcudart.so"
    asked = subprocess.run(["ninja", "-t", "commands", "-s", program], cwd=build, stdout=subprocess.PIPE, text=True,
                           check=True)
    calls = [part for part in asked.stdout.split(" && ") if f"-o {program} " in part]
    if not calls or not (build / program).exists():
        return None, f"{build} has not built it"
    words = shlex.split(calls[-1])
    words[words.index("-o") + 1] = to
    for name in dropped:
        found = [word for word in words if word.endswith(f"/{name}.cc.o")]
        if not found:
            sys.exit(f"{program} of {build} is linked without {name}.cc.o")
        words.remove(found[0])
    return shlex.join([*words[:1], *objects, *words[1:], f"-L{libraries}", "-lnccl", "-lcudart"]), ""


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
    if missing := sorted(set(LIKE.values()) - set(flags)):
        sys.exit(f"{build} does not compile {', '.join(missing)}: configure it with tests and benchmarks")
    failed = []

    def compile_one(source, call):
        print(source, flush=True)
        if subprocess.run(call, cwd=build).returncode != 0:
            failed.append(source)

    with tempfile.TemporaryDirectory() as scratch:
        def object_of(source):
            return f"{scratch}/{pathlib.Path(source).name}.o"

        for source, like in LIKE.items():
            compile_one(source, [*flags[like], "-isystem", str(headers), "-c", "-o", object_of(source), str(ROOT / source)])
        for source in KERNELS:
            compile_one(source, [nvcc, "-std=c++17", "-arch=sm_90", f"-I{build}/floors/models", "-Werror=all-warnings",
                                 "-Xcompiler=-Wall,-Wextra,-Werror", "-c", str(ROOT / source), "-o", object_of(source)])
        for program, (dropped, sources) in PROGRAMS.items():
            if set(sources) & set(failed):
                continue
            link, reason = linking(build, nvcc, program, dropped, [object_of(source) for source in sources],
                                   f"{scratch}/linked")
            if link is None:
                print(f"{program} is not linked: {reason}")
            else:
                compile_one(f"{program}, linked", ["bash", "-c", link])
    for source in failed:
        print(f"{source} does not compile or link", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
