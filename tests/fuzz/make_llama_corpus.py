# SPDX-License-Identifier: Apache-2.0
"""Writes corpus/llama: models in GGUF files with vocabularies, and config.json files; right ones and absurd ones."""

import json
import pathlib

from make_gguf_corpus import ARRAY, BOOL, F32, I32, TEXT, U32, file, pair, tensors

FOLDER = pathlib.Path(__file__).parent / "corpus" / "llama"
BYTE_LEVEL = ["</s>", "a", "b", "ab", "Ġ"]
PIECES = ["<unk>", "<s>", "</s>", "▁", "a"]


def byte_level():
    return [pair("tokenizer.ggml.model", TEXT, "gpt2"), pair("tokenizer.ggml.pre", TEXT, "llama-bpe"),
            pair("tokenizer.ggml.tokens", ARRAY, BYTE_LEVEL, TEXT), pair("tokenizer.ggml.merges", ARRAY, ["a b"], TEXT),
            pair("tokenizer.ggml.token_type", ARRAY, [3, 1, 1, 1, 1], I32), pair("tokenizer.ggml.eos_token_id", U32, 0)]


def sentencepiece():
    return [pair("tokenizer.ggml.model", TEXT, "llama"), pair("tokenizer.ggml.tokens", ARRAY, PIECES, TEXT),
            pair("tokenizer.ggml.scores", ARRAY, [0.0, 0.0, 0.0, -1.0, -2.0], F32),
            pair("tokenizer.ggml.token_type", ARRAY, [2, 3, 3, 1, 1], I32),
            pair("tokenizer.ggml.bos_token_id", U32, 1), pair("tokenizer.ggml.eos_token_id", U32, 2),
            pair("tokenizer.ggml.unknown_token_id", U32, 0), pair("tokenizer.ggml.add_bos_token", BOOL, 1)]


def model(architecture, vocabulary, more=(), sizes=None, divisors=False):
    """One layer of width 4, two heads of two; `sizes` replaces numbers, `more` are pairs."""
    numbers = {"block_count": 1, "embedding_length": 4, "feed_forward_length": 3, "attention.head_count": 2,
               "attention.head_count_kv": 1, "context_length": 8, **(sizes or {})}
    pairs = [pair("general.architecture", TEXT, architecture),
             pair(f"{architecture}.attention.layer_norm_rms_epsilon", F32, 1e-5)]
    pairs += [pair(f"{architecture}.{key}", U32, value) for key, value in numbers.items()]
    pairs += [pair(f"{architecture}.{key}", kind, value) for key, kind, value in more] + vocabulary
    shapes = {"token_embd.weight": [4, 5], "output_norm.weight": [4]}
    shapes |= {"rope_freqs.weight": [1]} if divisors else {}
    layer = {"attn_norm": [4], "ffn_norm": [4], "attn_q": [4, 4], "attn_k": [4, 2], "attn_v": [4, 2],
             "attn_output": [4, 4], "ffn_gate": [4, 3], "ffn_up": [4, 3], "ffn_down": [3, 4]}
    shapes |= {f"blk.0.{name}.weight": dims for name, dims in layer.items()}
    infos, data = tensors({name: ("F16", dims) for name, dims in shapes.items()})
    return file(pairs, infos, data)


def config(**changes):
    fields = {"model_type": "llama", "vocab_size": 9, "hidden_size": 4, "intermediate_size": 3, "num_hidden_layers": 2,
              "num_attention_heads": 2, "max_position_embeddings": 8, "eos_token_id": 2, **changes}
    return json.dumps(fields, separators=(",", ":")).encode()


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    llama3 = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 8}
    linear = [("rope.scaling.type", TEXT, "linear"), ("rope.scaling.factor", F32, 2.0)]
    files = {
        "llama": model("llama", sentencepiece(), linear),
        "llama3": model("llama", byte_level(), [("rope.freq_base", F32, 5e5)], divisors=True),
        "qwen2": model("qwen2", byte_level()),
        "yarn": model("llama", [], [("rope.scaling.type", TEXT, "yarn")]),
        "ahead": model("llama", [], [("attention.causal", BOOL, 0), ("attention.scale", F32, 3.0)]),
        "many_layers": model("llama", [], sizes={"block_count": (1 << 31) - 1}),
        "many_heads": model("llama", [], sizes={"attention.head_count": (1 << 31) - 1, "attention.head_count_kv": 1,
                                                "attention.key_length": (1 << 31) - 2}),
        "config": config(rope_parameters=llama3, num_key_value_heads=1),
        "config_qwen3": config(model_type="qwen3", head_dim=6, rope_theta=1e6, tie_word_embeddings=True),
        "config_layers": config(num_hidden_layers=10 ** 12),
        "config_head": config(head_dim=1 << 62),
        "config_nested": config(rope_parameters={"full_attention": {"rope_type": "yarn"}}),
        "config_deep": b'{"rope_scaling":' + b"[" * 2000,
    }
    for name, content in files.items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
