# SPDX-License-Identifier: Apache-2.0
"""Writes corpus/tensor_store with h5py, from docs/formats.md alone: a small store, and files that are none."""

import hashlib
import pathlib
import struct

import h5py
import numpy as np

FOLDER = pathlib.Path(__file__).parent / "corpus" / "tensor_store"
TENSORS = {
    "a": ("bfloat16", np.arange(6, dtype="<u2").reshape(2, 3)),
    "b": ("float32", np.arange(4, dtype="<f4").reshape(4)),
    "c": ("int64", np.array(7, dtype="<i8")),
    "d": ("int32", np.zeros((0, 3), dtype="<i4")),
}
ATTRIBUTES = {"note": "five words", "rate": 0.3, "step": 12}


def set_text(place, name, value):
    data = value.encode()
    place.attrs.create(name, data, dtype=h5py.string_dtype("utf-8", max(1, len(data))))


def write(name, tensors=TENSORS, attributes=ATTRIBUTES, complete=True, version=1):
    lines = []
    with h5py.File(FOLDER / name, "w", libver=("v108", "v108"), track_order=False) as file:
        set_text(file, "format", "trimtab tensor store")
        file.attrs["version"] = np.int64(version)
        group = file.create_group("tensors")
        for key, (dtype, values) in sorted(tensors.items()):
            data = group.create_dataset(key, data=values)
            digest = hashlib.sha256(values.tobytes()).hexdigest()
            set_text(data, "dtype", dtype)
            set_text(data, "sha256", digest)
            lines.append(f"tensor {key} {dtype} [{', '.join(map(str, values.shape))}] {digest}")
        for key, value in sorted(attributes.items()):
            if isinstance(value, str):
                set_text(file, key, value)
                lines.append(f"text {key} {len(value.encode())} {value}")
            elif isinstance(value, float):
                file.attrs[key] = value
                lines.append(f"real {key} {struct.pack('>d', value).hex()}")
            else:
                file.attrs[key] = np.int64(value)
                lines.append(f"integer {key} {value}")
        if complete:
            whole = "".join(line + "\n" for line in lines)
            set_text(file, "complete", hashlib.sha256(whole.encode()).hexdigest())


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    write("store")
    write("no_tensors", tensors={})
    write("not_complete", complete=False)
    write("version_9", version=9)
    write("other_type", tensors={"a": ("float32", np.arange(3, dtype="<f8"))})
    (FOLDER / "no_hdf5").write_bytes(b"\x89HDF\r\n\x1a\n")
    # A superblock of version 0 whose driver block, at byte 10, claims 1.5 GB.
    superblock = b"\x89HDF\r\n\x1a\n" + bytes([0, 0, 0, 8, 0, 8, 2, 0, 0, 0x59, 0x59, 12])
    (FOLDER / "driver_block").write_bytes(superblock + bytes(28) + b"\n\0")
    (FOLDER / "cut_off").write_bytes((FOLDER / "store").read_bytes()[:1500])


if __name__ == "__main__":
    main()
