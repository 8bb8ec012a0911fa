# SPDX-License-Identifier: Apache-2.0
"""Writes corpus/gguf: files that are read, and the ways in which one is wrong."""

import pathlib
import struct

FOLDER = pathlib.Path(__file__).parent / "corpus" / "gguf"

# Value types of metadata.
U8, I8, U16, I16, U32, I32, F32, BOOL, TEXT, ARRAY, U64, I64, F64 = range(13)
PACKED = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B", U64: "Q", I64: "q", F64: "d"}
# Types of tensors: number, elements and bytes of a block.
TYPES = {"F32": (0, 1, 4), "F16": (1, 1, 2), "BF16": (30, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20),
         "Q5_0": (6, 32, 22), "Q5_1": (7, 32, 24), "Q8_0": (8, 32, 34), "Q2_K": (10, 256, 84),
         "Q3_K": (11, 256, 110), "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210)}


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def scalar(kind, value):
    return text(value) if kind == TEXT else struct.pack("<" + PACKED[kind], value)


def pair(key, kind, value, element=None, count=None):
    if kind != ARRAY:
        return text(key) + struct.pack("<I", kind) + scalar(kind, value)
    count = len(value) if count is None else count
    return text(key) + struct.pack("<IIQ", ARRAY, element, count) + b"".join(scalar(element, v) for v in value)


def info(name, dims, type_number, offset):
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, type_number, offset)


def file(pairs, infos, data=b"", version=3, magic=b"GGUF", alignment=32, counts=None):
    tensors, keys = counts or (len(infos), len(pairs))
    header = magic + struct.pack("<IQQ", version, tensors, keys) + b"".join(pairs) + b"".join(infos)
    return header + b"\0" * (-len(header) % alignment) + data


def tensors(shapes):
    """Infos and data of tensors {name: (type, dims)}, filled with a pattern."""
    infos, data = [], b""
    for name, (kind, dims) in shapes.items():
        number, elements, size = TYPES[kind]
        count = 1
        for dim in dims:
            count *= dim
        infos.append(info(name, dims, number, len(data)))
        data += bytes(i * 37 % 64 for i in range(count // elements * size))
        data += b"\0" * (-len(data) % 32)
    return infos, data


def llama(architecture, added_tensor=None, **more):
    """The smallest model of its kind: one layer, width 4, two heads of two."""
    a = architecture
    pairs = [pair("general.architecture", TEXT, a), pair(f"{a}.block_count", U32, 1),
             pair(f"{a}.embedding_length", U32, 4), pair(f"{a}.feed_forward_length", U32, 3),
             pair(f"{a}.attention.head_count", U32, 2), pair(f"{a}.attention.head_count_kv", U32, 1),
             pair(f"{a}.context_length", U32, 8), pair(f"{a}.attention.layer_norm_rms_epsilon", F32, 1e-5),
             pair(f"{a}.rope.freq_base", F32, 1e4), pair(f"{a}.rope.scaling.type", TEXT, "linear"),
             pair(f"{a}.rope.scaling.factor", F32, 2.0)]
    pairs += [pair(f"{a}.{key}", U32, value) for key, value in more.items()]
    shapes = {"token_embd.weight": [4, 5], "output_norm.weight": [4], "rope_freqs.weight": [1]}
    for name, dims in {"attn_norm": [4], "ffn_norm": [4], "attn_q": [4, 4], "attn_k": [4, 2], "attn_v": [4, 2],
                       "attn_output": [4, 4], "ffn_gate": [4, 3], "ffn_up": [4, 3], "ffn_down": [3, 4]}.items():
        shapes[f"blk.0.{name}.weight"] = dims
    if added_tensor:
        shapes[added_tensor] = [4]
    infos, data = tensors({name: ("F16", dims) for name, dims in shapes.items()})
    return file(pairs, infos, data)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    one = [info("x", [2], 0, 0)]
    eight = bytes(8)
    every_type, data = tensors({kind: (kind, [elements, 2]) for kind, (_, elements, _) in TYPES.items()})
    values = [pair(f"k{kind}", kind, 1) for kind in PACKED] + [pair("text", TEXT, "text")]
    values += [pair(f"a{kind}", ARRAY, [1, 0], kind) for kind in PACKED]
    values += [pair("texts", ARRAY, ["a", "", "bc"], TEXT)]
    files = {
        "every_type": file([], every_type, data),
        "every_value": file(values, [], version=2),
        "llama": llama("llama"),
        "qwen3": llama("qwen3"),
        "no_layer": llama("llama", added_tensor="blk.weight"),
        "bias": llama("llama", added_tensor="blk.0.attn_q.bias"),
        "experts": llama("llama", expert_count=8),
        "alignment": file([pair("general.alignment", U32, 64)], one, eight, alignment=64),
        "scalar": file([], [info("x", [], 0, 0)], eight),
        "nothing": file([], []),
        "no_magic": file([], [], magic=b"GGML"),
        "version_1": file([], [], version=1),
        "big_endian": file([], [], version=3 << 24),
        "absurd_counts": file([], [], counts=((1 << 64) - 1, (1 << 64) - 1)),
        "absurd_array": file([pair("a", ARRAY, [], U64, count=1 << 61)], []),
        "absurd_texts": file([pair("a", ARRAY, ["x"], TEXT, count=1 << 60)], []),
        "absurd_text": file([text("t") + struct.pack("<IQ", TEXT, 1 << 63)], []),
        "nested_arrays": file([text("a") + struct.pack("<IIQ", ARRAY, ARRAY, 1) * 50], []),
        "unknown_value": file([text("k") + struct.pack("<I", 13)], []),
        "key_twice": file([pair("k", U8, 1), pair("k", U8, 1)], []),
        "tensor_twice": file([], one * 2, eight),
        "odd_alignment": file([pair("general.alignment", U32, 24)], one, eight),
        "no_alignment": file([pair("general.alignment", U32, 0)], one, eight),
        "product_overflows": file([], [info("x", [1 << 40] * 4, 0, 0)], eight),
        "size_overflows": file([], [info("x", [1 << 61], 0, 0)], eight),
        "no_elements": file([], [info("x", [0, 1 << 62], 0, 0)], eight),
        "five_dims": file([], [info("x", [1] * 5, 0, 0)], eight),
        "unknown_type": file([], [info("x", [32], 23, 0)], bytes(256)),
        "half_a_block": file([], [info("x", [16, 2], 2, 0)], bytes(64)),
        "beyond_the_end": file([], [info("x", [2], 0, (1 << 64) - 32)], eight),
        "overlap": file([], one + [info("y", [2], 0, 0)], eight),
        "cut_off": file([], one, eight)[:-1],
    }
    for name, content in files.items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
