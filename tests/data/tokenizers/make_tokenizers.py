# SPDX-License-Identifier: Apache-2.0
"""Writes the tokenizers of this folder, one for each way of cutting text, and what the reference makes of lines.json.

    python3 -m venv v && v/bin/pip install tokenizers==0.23.3 && v/bin/python make_tokenizers.py

The vocabularies are trained on this project's own pages. Each folder holds a tokenizer.json as Hugging Face writes
it, a tokenizer_config.json, and expected.json: for each line of lines.json its ids with special tokens taken for text
(`plain`) and for tokens (`token`), and what `plain` decodes to.
"""

import json
import pathlib

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent.parent
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
LINES = [
    "", " ", "  ", "\n", "a", " a", "a ", "Hello, world!", "  two   blanks and\ttabs\t",
    "line\none\r\ntwo\n\n three \n", "the prompt of a frozen model", "Don't you'll we've I'M IT'S they'D ſ'ſ",
    "x1 22 333 4444 55555  6 7.50 1,000,000 ½ Ⅷ ٣٤ ৫",
    "for (int i = 0; i < n; ++i) { sum += a[i] * 0x1F; }  // done\n\treturn sum;",
    "snake_case CamelCase kebab-case ALLCAPS",
    "https://example.org/a?b=c&d=%20#e", "Größe, naïve café, Ærøskøbing, İstanbul, Łódź",
    "Ελληνικά και Кириллица и Հայերեն",
    "日本語の文章です。漢字、カタカナ、ひらがな。", "中文没有空格", "한국어 문장입니다", "각 vs 각", "é é ạ̈ ạ̈ Å Å",
    "العربية ‫من‬ اليمين", "עברית", "हिन्दी में क्‍या", "ไทยไม่มีช่องว่าง",
    "தமிழ்", "ქართული", "አማርኛ", "🙂", "👩‍👩‍👧‍👦🇩🇪👍🏽", "a🙂b 🙂🙂 c",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 𠜎",
    "…—–‘’“”«»„‚", "\u00a0nbsp\u00a0\u2003em\u3000wide\u200bzero\ufeffbom\u180e.\u0085\u2028",
    "\u0000\u0001\u007f\u001c", "\ufffd \ufffe \U0010ffff", "▁ ▁▁a▁b ▁", "<0x41> Ġ Ċ", "<unk> <s> x </s>",
    "<|user|>\nHi <b>there</b> <|end|>\n<|assistant|>",
    "<|user|><|user|>  <|end|>   x<|en<|end|>d|>", "mark mark  remark",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "!!!!????....,,,,----====####",
    "tuning " * 20, " " * 40 + "end" + " " * 3,
]


def corpus():
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        yield from path.read_text(encoding="utf-8").splitlines()


def trained(pre_tokenizer, normalizer=None, alphabet=(), size=420, **options):
    tokenizer = Tokenizer(models.BPE(**options))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    special = ["<unk>", "<s>", "</s>"]
    if options.get("byte_fallback"):
        special += [f"<0x{byte:02X}>" for byte in range(256)]
        size += 200
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, show_progress=False, initial_alphabet=list(alphabet),
        limit_alphabet=90 if not alphabet else 256))
    return tokenizer


def keep_special(tokenizer, names):
    """Only these are special: pieces such as <0x0A> were named to the trainer to get them into the vocabulary."""
    description = json.loads(tokenizer.to_str())
    description["added_tokens"] = [t for t in description["added_tokens"] if t["content"] in names]
    return Tokenizer.from_str(json.dumps(description))


def without_merges(tokenizer, every):
    """Leaves pieces that no merge makes, which only ignore_merges finds."""
    description = json.loads(tokenizer.to_str())
    del description["model"]["merges"][::every]
    return Tokenizer.from_str(json.dumps(description))


def byte_level(*before, normalizer=None, use_regex=True, prefix=False, **options):
    last = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=use_regex)
    cut = pre_tokenizers.Sequence([*before, last]) if before else last
    tokenizer = trained(cut, normalizer, pre_tokenizers.ByteLevel.alphabet(), **options)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def characters(pre_tokenizer, normalizer, decoder):
    tokenizer = trained(pre_tokenizer, normalizer, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer = keep_special(tokenizer, ("<unk>", "<s>", "</s>"))
    tokenizer.decoder = decoder
    return tokenizer


def cases():
    split = lambda pattern: pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    yield "gpt2", byte_level(), {}
    yield "prefix", byte_level(prefix=True), {}
    digits = pre_tokenizers.Digits(individual_digits=True)
    yield "smollm", byte_level(digits), {"bos_token": "<s>", "pad_token": "</s>"}

    llama3 = without_merges(byte_level(split(LLAMA3), use_regex=False, ignore_merges=True), 9)
    llama3.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    llama3.add_special_tokens(["<|user|>", AddedToken("<|end|>", rstrip=True, normalized=False)])
    llama3.add_tokens(["<b>", "</b>", AddedToken("mark", lstrip=True, normalized=False)])
    yield "llama3", llama3, {"bos_token": {"content": "<s>"}, "unk_token": "<unk>"}

    single = split(LLAMA3.replace("{1,3}", ""))
    yield "qwen2", byte_level(single, use_regex=False, normalizer=normalizers.NFC()), {}
    yield "removed", byte_level(pre_tokenizers.Split(Regex(r"[aeiou]+|\s"), "removed"),
                                pre_tokenizers.Split("||", "isolated"),
                                pre_tokenizers.Split(Regex(r"[^xyz]+"), "removed", invert=True), use_regex=False), {}

    blanks = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    fallback = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    llama2 = characters(None, blanks, decoders.Sequence([*fallback, decoders.Strip(" ", 1, 0)]))
    yield "llama2", llama2, {"bos_token": "<s>", "add_bos_token": True}
    first = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    yield "metaspace", characters(first, None, decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(
        prepend_scheme="first", split=False)])), {}
    yield "words", characters(pre_tokenizers.Metaspace(), None, decoders.Sequence(
        [*fallback, decoders.Strip(" ", 1, 0)])), {}


def main():
    (HERE / "lines.json").write_text(json.dumps(LINES, indent=0) + "\n")
    for name, tokenizer, config in cases():
        folder = HERE / name
        folder.mkdir(exist_ok=True)
        expected = {}
        for key, plain in (("plain", True), ("token", False)):
            tokenizer.encode_special_tokens = plain
            expected[key] = [tokenizer.encode(line, add_special_tokens=False).ids for line in LINES]
        expected["decoded"] = [tokenizer.decode(ids) for ids in expected["plain"]]
        (folder / "tokenizer.json").write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False,
                                                          separators=(",", ":")) + "\n")
        (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "</s>", **config}) + "\n")
        (folder / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
