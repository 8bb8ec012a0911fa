# SPDX-License-Identifier: Apache-2.0
"""Writes the folder gguf: small GGUF files and what the reference implementations read from them.

    python make_gguf.py                     types.*, and the tiny models llama.*, qwen2.*, qwen3.*
    python make_gguf.py FILE.gguf           smollm2.sha256 from that file (launch/fetch-smollm2)

`types` is decoded by gguf-py; the models are loaded by transformers, which also renames tensors and reorders rows.
"""

import hashlib
import pathlib
import sys

import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Type, GGUFReader, GGUFWriter
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoModelForCausalLM

FOLDER = pathlib.Path(__file__).parent / "gguf"
SIMPLE = [Type.F32, Type.F16, Type.BF16, Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1]
K = [Type.Q2_K, Type.Q3_K, Type.Q4_K, Type.Q5_K, Type.Q6_K]
# Where the float16 numbers of a block are, in bytes.
HALVES = {Type.Q8_0: [0], Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q2_K: [80, 82],
          Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208]}


def random_blocks(rng, kind, rows, blocks):
    """Any bytes, with finite scales; the first blocks have edges as scales."""
    size = GGML_QUANT_SIZES[kind][1]
    data = rng.integers(0, 256, (rows, blocks, size), dtype=np.uint8)
    edges = np.array([0, -0.0, 6e-8, -6e-5, 65504], dtype=np.float16)
    for place in HALVES[kind]:
        halves = rng.normal(0, 0.1, rows * blocks).astype(np.float16)
        halves[: len(edges)] = rng.permutation(edges)[: halves.size]
        data[:, :, place : place + 2] = halves.view(np.uint8).reshape(rows, blocks, 2)
    return data.reshape(rows, blocks * size)


def write_types():
    rng = np.random.default_rng(1)
    writer = GGUFWriter(FOLDER / "types.gguf", "none")
    writer.add_custom_alignment(64)
    for name, value in {"u8": 200, "u16": 60000, "u32": 4000000000, "u64": 1 << 40}.items():
        getattr(writer, f"add_uint{name[1:]}")(name, value)
    for name, value in {"i8": -100, "i16": -30000, "i32": -2000000000, "i64": -(1 << 40)}.items():
        getattr(writer, f"add_int{name[1:]}")(name, value)
    writer.add_uint64("u64.large", (1 << 64) - 1)
    writer.add_float32("f32", 1.5)
    writer.add_float64("f64", 1e300)
    writer.add_bool("yes", True)
    writer.add_bool("no", False)
    writer.add_string("text", "Grüße, 世界\n")
    writer.add_array("texts", ["a", "", "▁ü", "z" * 300])
    writer.add_array("integers", [3, -1, 70000])
    writer.add_array("reals", [0.5, -2.25])
    writer.add_array("truths", [True, False])
    expected = {}
    for kind in SIMPLE + K:
        name, elements = kind.name.lower(), GGML_QUANT_SIZES[kind][0]
        shape = (3, 2, 33) if elements == 1 else (3, 3 * max(elements, 64))
        if kind in (Type.F32, Type.F16, Type.BF16):
            data = quantize(rng.normal(0, 2, shape).astype(np.float32), kind)
        else:
            data = random_blocks(rng, kind, shape[0], shape[1] // elements)
            if kind in SIMPLE:  # gguf-py can write these
                data[2] = quantize(rng.normal(0, 2, shape).astype(np.float32), kind)[2]
        writer.add_tensor(name, data, raw_dtype=kind)
        expected[name] = np.ascontiguousarray(dequantize(data, kind))
        assert expected[name].shape == shape and np.isfinite(expected[name]).all()
    finish(writer)
    save_file(expected, FOLDER / "types.safetensors")


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def interleaved(weight, heads):
    """Hugging Face's rows of a head (two halves) as those of a "llama" file (pairs)."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def write_model(arch, layers, head, kinds, bias=False, norm=False, tied=True):
    rng = np.random.default_rng(2)
    width, heads, kv_heads, ff, vocabulary = 32, 4, 2, 32, 40
    path = FOLDER / f"{arch}.gguf"
    writer = GGUFWriter(path, arch)
    writer.add_block_count(layers)
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(ff)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(5e5)
    writer.add_vocab_size(vocabulary)
    if arch == "qwen3":
        writer.add_key_length(head)
        writer.add_value_length(head)
    else:
        writer.add_rope_dimension_count(head)
    kind_of = iter(kinds * 100)

    def add(name, shape, pairs_of=0):
        data = rng.normal(0, 0.5, shape).astype(np.float32)
        if pairs_of:
            data = interleaved(data, pairs_of)
        kind = next(kind_of) if len(shape) > 1 else Type.F32
        writer.add_tensor(name, quantize(data, kind), raw_dtype=kind)

    permuted = arch == "llama"
    add("token_embd.weight", (vocabulary, width))
    add("output_norm.weight", (width,))
    if not tied:
        add("output.weight", (vocabulary, width))
    for i in range(layers):
        for name, rows, columns in [("attn_q", heads * head, width), ("attn_k", kv_heads * head, width),
                                    ("attn_v", kv_heads * head, width), ("attn_output", width, heads * head),
                                    ("ffn_gate", ff, width), ("ffn_up", ff, width), ("ffn_down", width, ff)]:
            pairs = rows // head if permuted and name in ("attn_q", "attn_k") else 0
            add(f"blk.{i}.{name}.weight", (rows, columns), pairs)
            if bias and name in ("attn_q", "attn_k", "attn_v"):
                add(f"blk.{i}.{name}.bias", (rows,), pairs)
        for name in ("attn_norm", "ffn_norm"):
            add(f"blk.{i}.{name}.weight", (width,))
        for name in ("attn_q_norm", "attn_k_norm") if norm else ():
            add(f"blk.{i}.{name}.weight", (head,))
    finish(writer)
    # transformers does not read the size of a head, which is 128 for a Qwen3 unless the config says otherwise.
    weights = hugging_face(path, **({"head_dim": head} if arch == "qwen3" else {}))
    save_file({k: v.numpy() for k, v in weights.items()}, FOLDER / f"{arch}.safetensors")


def hugging_face(path, **config_changes):
    """The weights that transformers reads from the file; a tied head is left out."""
    config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name)
    for key, value in config_changes.items():
        setattr(config, key, value)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, config=config, dtype=torch.float32)
    state = {k: v.contiguous() for k, v in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    return state


def write_hashes(path):
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  file"]
    for tensor in GGUFReader(path).tensors:
        values = np.ascontiguousarray(dequantize(tensor.data, tensor.tensor_type))
        lines.append(f"{hashlib.sha256(values.tobytes()).hexdigest()}  {tensor.name}")
    for name, values in hugging_face(path).items():
        lines.append(f"{hashlib.sha256(values.numpy().tobytes()).hexdigest()}  {name}")
    (FOLDER / "smollm2.sha256").write_text("\n".join(lines) + "\n")


def main():
    FOLDER.mkdir(exist_ok=True)
    if len(sys.argv) > 1:
        write_hashes(pathlib.Path(sys.argv[1]))
        return
    write_types()
    write_model("llama", 2, 8, [Type.Q8_0, Type.Q4_1, Type.F32, Type.BF16, Type.F16, Type.Q4_0, Type.Q5_1])
    write_model("qwen2", 1, 8, [Type.Q5_0], bias=True)
    write_model("qwen3", 1, 16, [Type.Q8_0], norm=True, tied=False)


if __name__ == "__main__":
    main()
