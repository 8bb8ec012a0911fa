#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes empty stand-ins of the CUDA libraries that a torch wheel names and their folder lacks.

    cuda_stubs.py SITE OUT      SITE is the folder that holds torch/, OUT gets lib*.so

torch's Python module is linked to libtorch_cuda.so, which names 3.6 GB of NVIDIA's libraries, although nothing of them is
called on a CPU. A stand-in defines the symbols that are asked of it, so that the linker is content; whoever calls one of
them is told and stopped. With OUT in LD_LIBRARY_PATH the wheel that trimtab links is also a torch for Python.
"""
import collections
import pathlib
import re
import subprocess
import sys

LOADED = ("libtorch_python.so", "libtorch_cuda.so", "libtorch.so", "libtorch_nvshmem.so", "libc10_cuda.so",
          "libtorch_cpu.so", "libtorch_global_deps.so")
NVIDIA = re.compile(r"(lib)?(cu|nccl|nvshmem|nvrtc|nvJitLink|nvToolsExt)")


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def is_there(name, site):
    return any(site.glob(f"nvidia/*/lib/{name}")) or (site / "torch/lib" / name).exists()


def dynamic_symbols(library, which):
    """(symbol, version or "") pairs."""
    for line in output_of("nm", "-D", "--with-symbol-versions", which, str(library)).splitlines():
        symbol, _, version = line.split()[-1].partition("@")
        yield symbol, version.lstrip("@")


def needed(library):
    """The libraries that one names, and which of its versions belong to which of them."""
    names = re.findall(r"NEEDED.*\[(.*)\]", output_of("readelf", "-d", str(library)))
    owners, current = {}, ""
    for kind, value in re.findall(r"(File|Name): (\S+)", output_of("readelf", "-V", str(library))):
        if kind == "File":
            current = value
        else:
            owners[value] = current
    return names, owners


def write_stub(out, name, symbols):
    """symbols: version -> names."""
    source, script = out / f"{name}.c", out / f"{name}.map"
    lines = ["#include <stdio.h>", "#include <stdlib.h>",
             'static void called(void) { fputs("%s is a stand-in: there is no CUDA here\\n", stderr); abort(); }' % name]
    versions = []
    for version, names in sorted(symbols.items()):
        for symbol in sorted(names):
            lines.append(f"void {symbol}(void) {{ called(); }}")
        if version:
            versions.append(f'{version} {{ global: {"; ".join(sorted(names))}; }};')
    source.write_text("\n".join(lines) + "\n")
    script.write_text("\n".join(versions) + "\n")
    command = ["gcc", "-shared", "-fPIC", "-w", "-O0", f"-Wl,-soname,{name}", "-o", str(out / name), str(source)]
    if versions:
        command.append(f"-Wl,--version-script={script}")
    subprocess.run(command, check=True)
    source.unlink()
    script.unlink()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    site, out = map(pathlib.Path, sys.argv[1:])
    libraries = [site / "torch/lib" / name for name in LOADED if (site / "torch/lib" / name).exists()]
    defined = {symbol for library in site.glob("torch/lib/*.so*") for symbol, _ in dynamic_symbols(library, "--defined-only")}
    stubs = collections.defaultdict(lambda: collections.defaultdict(set))
    loose = set()
    for library in libraries:
        names, owners = needed(library)
        missing = [name for name in names if NVIDIA.match(name) and not is_there(name, site)]
        for name in missing:
            stubs[name]  # even where nothing is asked of it
        for symbol, version in dynamic_symbols(library, "--undefined-only"):
            owner = owners.get(version, "")
            if owner in stubs:
                stubs[owner][version].add(symbol)
            elif not version and symbol not in defined and NVIDIA.match(symbol):
                loose.add(symbol)
    if stubs:  # symbols without a version are found wherever they are
        stubs[sorted(stubs)[0]][""] |= loose
    out.mkdir(parents=True, exist_ok=True)
    for name, symbols in sorted(stubs.items()):
        write_stub(out, name, symbols)
    print(f"{out}: {len(stubs)} stand-ins")


if __name__ == "__main__":
    main()
