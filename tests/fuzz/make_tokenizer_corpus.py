# SPDX-License-Identifier: Apache-2.0
"""Writes corpus/tokenizer_json, tokenizer_gguf and tokenizer_text: one input for each part that readers know."""

import json
import pathlib

HERE = pathlib.Path(__file__).parent
LINES = HERE.parent / "data" / "tokenizers" / "lines.json"


def write(corpus, name, text):
    folder = HERE / "corpus" / corpus
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def tokenizer_json(name, config=None, **parts):
    model = {"type": "BPE", "unk_token": None, "byte_fallback": False, "ignore_merges": False,
             "vocab": {"</s>": 0, "a": 1, "b": 2, "ab": 3, "Ġ": 4, "▁": 5, "<0x41>": 6, **parts.pop("vocab", {})},
             "merges": [["a", "b"], "Ġ ab"] if name == "merges" else ["a b"], **parts.pop("model", {})}
    added = {"id": 0, "content": "</s>", "special": True, "lstrip": False, "rstrip": True}
    file = {"added_tokens": [added], "normalizer": None, "pre_tokenizer": {"type": "ByteLevel"}, "decoder": None,
            "post_processor": None, "model": model, **parts}
    files = [file] if config is None else [file, config]
    write("tokenizer_json", name, "\0".join(json.dumps(part, ensure_ascii=False, separators=(",", ":")) for part in files))


def json_corpus():
    split = {"type": "Split", "pattern": {"Regex": r"\p{L}+|\s+(?!\S)|[^\s\p{L}]+"}, "behavior": "Isolated"}
    tokenizer_json("plain")
    tokenizer_json("merges", vocab={"Ġab": 7})
    tokenizer_json("split", pre_tokenizer={"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": True}, split, {"type": "ByteLevel", "use_regex": False}]})
    tokenizer_json("removed", pre_tokenizer={**split, "behavior": "Removed", "invert": True})
    tokenizer_json("string", pre_tokenizer={**split, "pattern": {"String": "a|b"}})
    tokenizer_json("backtracking", pre_tokenizer={**split, "pattern": {"Regex": r"(\s*|.*.*.*)*[^x]xyq"}})
    tokenizer_json("metaspace", pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"},
                   decoder={"type": "Metaspace", "replacement": "▁", "split": True})
    tokenizer_json("fallback", model={"byte_fallback": True, "unk_token": "b", "fuse_unk": True}, pre_tokenizer=None,
                   normalizer={"type": "Sequence", "normalizers": [
                       {"type": "NFC"}, {"type": "Prepend", "prepend": "▁"},
                       {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
                   decoder={"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"},
                                                             {"type": "Strip", "content": " ", "start": 1}]})
    tokenizer_json("template", post_processor={
        "type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "a"}}, {"Sequence": {"id": "A"}}],
        "special_tokens": {"a": {"id": "a", "ids": [1]}}})
    tokenizer_json("config", config={
        "eos_token": {"content": "</s>"}, "bos_token": "<s>", "unk_token": None, "pad_token": "a", "add_bos_token": True,
        "added_tokens_decoder": {"8": {"content": "<s>", "special": True, "lstrip": True, "normalized": False},
                                 "7": {"content": "ab c", "special": False}}})
    tokenizer_json("large_id", vocab={"c": 1 << 40})
    tokenizer_json("unigram", model={"type": "Unigram", "vocab": [["a", -1.5]]})
    write("tokenizer_json", "deep", '{"model":' + "[" * 2000)
    write("tokenizer_json", "empty", "")


def gguf_corpus():
    write("tokenizer_gguf", "byte_level", "gpt2\nsmollm\n00\n31</s>\n11a\n11b\n11c\n11ab\n11abc\n11Ġ\n41<s>\n"
                                          "=a b\n=ab c\n")
    write("tokenizer_gguf", "qwen2", "gpt2\nqwen2\n010\n31</s>\n11a\n11b\n11ab\n=a b\n")
    write("tokenizer_gguf", "scores", "llama\n\n012\n3 </s>\n2 <unk>\n3 <s>\n11▁\n12a\n13b\n14ab\n15▁ab\n"
                                      "6 <0x41>\n5 x\n")
    write("tokenizer_gguf", "unknown_pre", "gpt2\nllama-4\n00\n31</s>\n11a\n=a a\n")
    write("tokenizer_gguf", "empty", "")


def main():
    json_corpus()
    gguf_corpus()
    lines = json.loads(LINES.read_text())
    for number in range(0, len(lines), 4):
        write("tokenizer_text", f"lines_{number}", "\n".join(lines[number:number + 4]))
    write("tokenizer_text", "no_utf8", b"a\xe2\x96 \xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80 <|end|>\xf0\x9f")


if __name__ == "__main__":
    main()
