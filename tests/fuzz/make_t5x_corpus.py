# SPDX-License-Identifier: Apache-2.0
"""Writes corpus/t5x and corpus/zarr: indexes and arrays of T5X in every form that is read, and ways to be wrong."""

import gzip
import json
import pathlib
import struct

FOLDER = pathlib.Path(__file__).parent / "corpus"


def pack(value):
    """msgpack of what occurs in an index; (type, bytes) is an extension."""
    if isinstance(value, dict):
        return bytes([0x80 | len(value)]) + b"".join(pack(k) + pack(v) for k, v in value.items())
    if isinstance(value, list):
        return bytes([0x90 | len(value)]) + b"".join(map(pack, value))
    if isinstance(value, str):
        return b"\xd9" + bytes([len(value)]) + value.encode()
    if isinstance(value, bytes):
        return b"\xc4" + bytes([len(value)]) + value
    if isinstance(value, tuple):
        return b"\xc7" + bytes([len(value[1]), value[0]]) + value[1]
    return b"\xce" + struct.pack(">I", value)


def array(shape, dtype, data):
    return (1, pack([shape, dtype, data]))


def index(target):
    return pack({"version": 3, "optimizer": {"state": {"step": array([], "int32", bytes(4))}, "target": target}})


def zarray(data, **changes):
    meta = {"shape": [2, 3], "chunks": [2, 4], "dtype": "<f4", "order": "C", "compressor": {"id": "gzip", "level": 1},
            "fill_value": None, "filters": None, "zarr_format": 2, **changes}
    return json.dumps(meta).encode() + b"\0" + data


def main():
    data = bytes(range(24))
    norm = array([6], "float32", data)
    indexes = {
        "norms": index({"encoder": {"encoder_norm": {"scale": norm}}}),
        "bfloat16": index({"a": array([3, 4], "bfloat16", data)}),
        "scalar": index({"a": array([], "float32", data[:4])}),
        "no_elements": index({"a": array([0, 1 << 31, 1 << 31, 1 << 31], "float32", b"")}),
        "zarr": index({"a": {"driver": "zarr", "kvstore": {"driver": "gfile", "path": "target.a"}}}),
        "placeholder": index({"a": "PLACEHOLDER://a"}),
        "product_overflows": index({"a": array([1 << 31, 1 << 31, 4], "float32", data)}),
        "integers": index({"a": array([6], "int32", data)}),
        "other_extension": index({"a": (2, data)}),
        "leaves_the_folder": index({"../a": "PLACEHOLDER://a"}),
        "nested": b"\x91" * 300,
        "nested_inside": index({"a": (1, b"\x91" * 200)}),
        "absurd_length": b"\x81\xa1x\xc6\xff\xff\xff\xff",
        "cut_off": index({"a": norm})[:60],
    }
    chunk = gzip.compress(data + bytes(8), 1, mtime=0)
    zarrs = {
        "gzip": zarray(chunk),
        "plain": zarray(data + bytes(8), compressor=None),
        "bfloat16": zarray(data[:16], compressor=None, dtype="bfloat16"),
        "vector": zarray(data, shape=[5], chunks=[6], compressor=None),
        "scalar": zarray(data[:4], shape=[], chunks=[], compressor=None),
        "no_elements": zarray(b"", shape=[0, 3]),
        "slashes": zarray(chunk, dimension_separator="/"),
        "missing_chunk": zarray(chunk, shape=[9, 9]),
        "absurd_shape": zarray(chunk, shape=[1 << 38, 3]),
        "absurd_chunk": zarray(chunk, shape=[1 << 30, 3], chunks=[1 << 30, 3]),
        "cut_off": zarray(chunk[:-6]),
        "too_long": zarray(gzip.compress(data * 5, 1, mtime=0)),
        "blosc": zarray(chunk, compressor={"id": "blosc"}),
    }
    for folder, files in (("t5x", indexes), ("zarr", zarrs)):
        (FOLDER / folder).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (FOLDER / folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
