# SPDX-License-Identifier: Apache-2.0
"""Writes corpus/safetensors: one file of every kind that the reader takes, and the ways in which one is wrong."""

import json
import pathlib
import struct

FOLDER = pathlib.Path(__file__).parent / "corpus" / "safetensors"


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def write(name, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    prefix = struct.pack("<Q", len(text) if length is None else length)
    (FOLDER / name).write_bytes(prefix + text + data)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    data = bytes(range(48))
    write("every_type", {"__metadata__": {"format": "pt"}, "i64": tensor("I64", [1], 0, 8),
                         "f32": tensor("F32", [2, 3], 8, 32), "i32": tensor("I32", [2], 32, 40),
                         "bf16": tensor("BF16", [1, 2, 1], 40, 44), "f16": tensor("F16", [2], 44, 48)}, data)
    write("scalar", {"x": tensor("F32", [], 0, 4)}, data[:4])
    write("no_elements", {"x": tensor("F32", [0, 1 << 62, 1 << 62], 0, 0)})
    write("nothing", {})
    write("overlap", {"a": tensor("F32", [2], 0, 8), "b": tensor("F32", [2], 4, 12)}, data[:12])
    write("hole", {"a": tensor("F32", [1], 0, 4), "b": tensor("F32", [1], 8, 12)}, data[:12])
    write("beyond_the_end", {"x": tensor("F32", [1 << 40], 0, 1 << 42)}, data)
    write("product_overflows", {"x": tensor("F32", [1 << 62, 4], 0, 0)})
    write("negative", {"x": tensor("F32", [-1], 0, -4)}, data)
    write("unknown_type", {"x": tensor("F8_E4M3", [4], 0, 4)}, data[:4])
    write("twice", b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":1}', data[:4])
    write("number_too_large", b'{"x":1e999}')
    write("deep", b'{"x":' + b"[" * 4000)
    write("absurd_length", {}, length=(1 << 64) - 1)
    (FOLDER / "empty").write_bytes(b"")


if __name__ == "__main__":
    main()
