# SPDX-License-Identifier: Apache-2.0
"""Writes corpus/npy: arrays in every form that is read, and the ways in which one is wrong."""

import pathlib
import struct

FOLDER = pathlib.Path(__file__).parent / "corpus" / "npy"


def array(descr, shape, data, fortran=False, version=1, length=None):
    text = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    size = struct.pack("<H" if version == 1 else "<I", len(text) if length is None else length)
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + data


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    data = bytes(range(24))
    files = {
        "matrix": array("<f4", "(2, 3)", data),
        "fortran": array("<f4", "(3, 2)", data, fortran=True),
        "double": array("<f8", "(3,)", data, version=2),
        "scalar": array("<f4", "()", data[:4], version=3),
        "no_elements": array("<f4", f"(0, {1 << 62}, {1 << 62})", b"", fortran=True),
        "integers": array("<i4", "(6,)", data),
        "product_overflows": array("<f4", f"({1 << 62}, 4)", data),
        "negative": array("<f4", "(-6,)", data),
        "beyond_the_end": array("<f4", f"({1 << 40},)", data),
        "absurd_length": array("<f4", "(6,)", data, version=2, length=(1 << 32) - 1),
        "version_9": array("<f4", "(6,)", data, version=9),
        "cut_off": array("<f4", "(6,)", data)[:40],
    }
    for name, content in files.items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
