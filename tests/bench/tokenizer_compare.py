# SPDX-License-Identifier: Apache-2.0
"""Compares the ids and the speed of trimtab's tokenizers with Hugging Face's `tokenizers` and with SentencePiece.

The text is what lies on the machine: files named by --text, Python sources, translations and licences under
/usr/share, and lines made here of every script, emoji and random bytes. Vocabularies are trained on a part of it, one
for each way of cutting; --gguf adds the one of a GGUF file. Speed is in megabytes a second of processor time.

    python3 -m venv v && v/bin/pip install tokenizers==0.23.3 sentencepiece gguf
    v/bin/python tests/bench/tokenizer_compare.py --program build/release/tests/bench/trimtab_tokenizer_ids
"""

import argparse
import gettext
import glob
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import time
import unicodedata

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import sentencepiece  # noqa: E402
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,  # noqa: E402
                        pre_tokenizers, processors, trainers)

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def lines_of(path, most):
    with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
        return [line.rstrip("\n") for line in itertools.islice(file, most)]


def translations(most):
    """Messages of installed catalogues, at most `most` of each language."""
    found = {}
    for path in sorted(glob.glob("/usr/share/locale/*/LC_MESSAGES/*.mo")):
        language = path.split("/")[4]
        if len(found.setdefault(language, [])) >= most:
            continue
        try:
            with open(path, "rb") as file:
                catalogue = gettext.GNUTranslations(file)
        except (OSError, UnicodeDecodeError, ValueError):
            continue
        for text in catalogue._catalog.values():
            found[language] += [line for line in text.splitlines() if line]
    return list(itertools.chain.from_iterable(lines[:most] for lines in found.values()))


def made_lines(rng):
    """Every script and emoji, in texts that nobody would write."""
    assigned = [chr(c) for c in range(0x20, 0x20000)
                if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co") and chr(c) != "\n"]
    spaces = [c for c in assigned if c.isspace() or unicodedata.category(c) in ("Zs", "Cf")] + ["\t", "\r", "\v"]
    lines = ["".join(assigned[i:i + 40]) for i in range(0, len(assigned), 40)]
    for _ in range(1500):
        pool = rng.choice([assigned, spaces + list("ab1 "), list("'sStTrReEvVmMlLdDſ 12"), list("é̀가각ạ̈ a")])
        lines.append("".join(rng.choices(pool, k=rng.randint(1, 60))))
    words = ["don't", "I'LL", "x", "1234567", "3.14", "  ", "\t", "👩‍👩‍👧", "🇩🇪", "naïve", "日本語",
             "🏽", "—", "...", "½", "Ⅷ", "_"]
    return lines + [rng.choice(["", " "]).join(rng.choices(words, k=rng.randint(1, 20))) for _ in range(1000)]


def byte_lines(rng):
    """Random and damaged bytes, without LF."""
    lines = []
    for _ in range(1500):
        line = bytearray("Größe 3 µm, 日本 🙂 end".encode() if rng.random() < 0.5 else rng.randbytes(40))
        for _ in range(rng.randint(0, 6)):
            line[rng.randrange(len(line))] = rng.randrange(256)
        lines.append(bytes(b for b in line if b != 10))
    return lines


def build_text(paths):
    """Lines that somebody wrote, and the bytes of all lines."""
    rng = random.Random(1)
    lines = []
    for path in paths:
        lines += lines_of(path, 3000)
    lines += translations(150)
    for path in sorted(glob.glob(os.path.dirname(os.__file__) + "/*.py"))[:40]:
        lines += lines_of(path, 120)
    for path in sorted(glob.glob("/usr/share/common-licenses/*"))[:5]:
        lines += lines_of(path, 200)
    real = [line for line in lines if line]
    return real, [line.encode("utf-8", "replace") for line in real + made_lines(rng)] + byte_lines(rng)


def bpe(text, alphabet, pre_tokenizer, normalizer=None, size=6000, **options):
    tokenizer = Tokenizer(models.BPE(**options))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    special = ["<unk>", "<s>", "</s>", "<|im_start|>"]
    special += [f"<0x{byte:02X}>" for byte in range(256)] if options.get("byte_fallback") else []
    tokenizer.train_from_iterator(text, trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False,
        max_token_length=24))
    return tokenizer


def reference_tokenizers(text):
    """One for each way of cutting."""
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    split = {"llama3": LLAMA3, "qwen2": QWEN2}
    yield "gpt2", bpe(text, alphabet, pre_tokenizers.ByteLevel(add_prefix_space=False))
    yield "smollm", bpe(text, alphabet, pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]))
    for name, pattern in split.items():
        yield name, bpe(text, alphabet, pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(pattern), behavior="isolated"), byte_level]),
            normalizers.NFC() if name == "qwen2" else None, ignore_merges=name == "llama3")
    yield "llama2", bpe(text, [], None, normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
        unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    yield "metaspace", bpe(text, [], pre_tokenizers.Metaspace(prepend_scheme="first", split=False),
                           unk_token="<unk>", fuse_unk=True, byte_fallback=True)


def gguf_tokenizer(path):
    """What the metadata describe, with the cut that the model was trained with."""
    from gguf import GGUFReader
    fields = GGUFReader(path).fields
    value = lambda key: fields[f"tokenizer.ggml.{key}"].contents()
    if value("model") != "gpt2" or value("pre") != "smollm":
        sys.exit(f"{path}: only gpt2 with smollm is known here")
    tokens = value("tokens")
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)},
                                     merges=[tuple(m.split(" ")) for m in value("merges")]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True)
                                  for t, kind in zip(tokens, value("token_type")) if kind == 3])
    return tokenizer, tokens[value("eos_token_id")]


def compare(name, program, vocabulary, text_file, texts, encode, special, repeat):
    """True where all lines agree; prints the first that does not."""
    command = [program, str(vocabulary), str(text_file), "--repeat", str(repeat)]
    command += ["--special"] if special else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"{name}: {done.stderr}")
        return False
    ours = [[int(i) for i in line.split()] for line in done.stdout.split("\n")[:-1]]
    best = float("inf")
    for _ in range(repeat):
        begin = time.process_time()
        reference = [encode(text) for text in texts]
        best = min(best, time.process_time() - begin)
    wrong = [i for i, (a, b) in enumerate(itertools.zip_longest(ours, reference)) if a != b]
    seconds = json.loads(done.stderr)
    megabytes = text_file.stat().st_size / 1e6
    print(f"{name:22} {len(reference):6} lines, {sum(map(len, reference)):8} ids, {len(wrong)} lines differ; "
          f"MB/s: ours {megabytes / seconds['encode_s']:.1f}, reference {megabytes / best:.1f}; "
          f"opened in {seconds['open_s']:.2f} s", flush=True)
    for line in wrong[:3]:
        print(f"  line {line}: {texts[line]!r}\n    ours      {ours[line]}\n    reference {reference[line]}")
    return not wrong


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--program", required=True, help="trimtab_tokenizer_ids")
    options.add_argument("--text", nargs="*", default=[], help="more UTF-8 text")
    options.add_argument("--gguf", help="a GGUF file of SmolLM2")
    options.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/tokenizers"))
    options.add_argument("--repeat", type=int, default=3)
    options = options.parse_args()
    real, lines = build_text(options.text)
    options.work.mkdir(parents=True, exist_ok=True)
    text_file = options.work / "lines.txt"
    text_file.write_bytes(b"\n".join(lines) + b"\n")
    texts = [line.decode("utf-8", "replace") for line in lines]
    cases = [(name, tokenizer, "</s>") for name, tokenizer in reference_tokenizers(real[::3])]
    if options.gguf:
        cases.append(("SmolLM2", *gguf_tokenizer(options.gguf)))
    same = True
    for name, tokenizer, eos in cases:
        folder = options.work / name
        folder.mkdir(exist_ok=True)
        tokenizer.save(str(folder / "tokenizer.json"))
        (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": eos}))
        for special in (False, True):
            tokenizer.encode_special_tokens = not special
            # The reference's own tables of form C are older than Python's, which knows the marks of Unicode 14.
            form = (lambda text: unicodedata.normalize("NFC", text)) if name == "qwen2" else str
            same &= compare(name + (" special" if special else ""), options.program, folder / "tokenizer.json",
                            text_file, [form(text) for text in texts],
                            lambda text: tokenizer.encode(text, add_special_tokens=False).ids, special,
                            options.repeat if not special else 1)
    model = options.work / "tokenizer.model"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(real[::3]), model_prefix=str(model.with_suffix("")), model_type="bpe",
        vocab_size=8000, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        num_threads=1, minloglevel=2, character_coverage=0.99)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    same &= compare("sentencepiece", options.program, model, text_file, texts, processor.encode, False,
                    options.repeat)
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
