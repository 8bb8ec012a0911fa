#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""WordNet as running text for pretraining: one paragraph a synset, with its words, gloss, examples and ancestors.

    wordnet_text.py [--wordnet /usr/share/wordnet] OUT.txt

Synsets of the validation and test splits of the task wordnet/lexname (data/tasks/wordnet.cc) are left out, so that no
gloss on which a model is scored was read in pretraining. Lexicographer classes, which are the task's labels, are not
part of the text; hypernyms are.
"""
import argparse
import os

PARTS = ("noun", "verb", "adj", "adv")
HELD_OUT_PERCENT = 20  # test_percent + validation_percent of the task's defaults


def split_hash(text):
    """The hash that splits the task: FNV-1a with splitmix64's finalizer."""
    mask = (1 << 64) - 1
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) & mask
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
    return value ^ (value >> 31)


def read_part(folder, part):
    """offset -> (words, offsets of hypernyms in the same part, definition, examples)."""
    synsets = {}
    with open(os.path.join(folder, f"data.{part}"), encoding="utf-8") as file:
        for line in file:
            if line.startswith("  "):
                continue
            fields, gloss = line.rstrip().split(" | ", 1)
            fields = fields.split(" ")
            count = int(fields[3], 16)
            words = [fields[4 + 2 * i].split("(")[0].replace("_", " ") for i in range(count)]
            rest = fields[4 + 2 * count :]
            pointers = [rest[1 + 4 * i : 5 + 4 * i] for i in range(int(rest[0]))]
            above = [p[1] for p in pointers if p[0] in ("@", "@i") and p[2] == fields[2]]
            definition, *examples = [p.strip(" ;:,") for p in gloss.split('"')]
            synsets[fields[0]] = (words, above, definition, [e for e in examples if e])
    return synsets


def ancestors(synsets, offset):
    chain = []
    while True:
        above = synsets[offset][1]
        if not above or above[0] not in synsets or len(chain) > 20:
            return chain
        offset = above[0]
        chain.append(synsets[offset][0][0])


def sentence(text):
    return text if text.endswith((".", "!", "?")) else text + "."


def paragraph(synsets, offset, salt):
    words, _, definition, examples = synsets[offset]
    chain = ancestors(synsets, offset)
    if salt % 2:
        lines = [sentence(f"{', '.join(words)}: {definition}")]
        lines += [sentence(e[:1].upper() + e[1:]) for e in examples]
        if chain:
            lines.append(f"{words[0]} is a kind of {chain[0]}.")
        if len(chain) > 1:
            lines.append(f"{chain[0]} is a kind of {chain[1 + (salt // 2) % (len(chain) - 1)]}.")
    else:
        lines = [f"definition: {definition}", f"word: {', '.join(words)}"]
        if chain:
            lines.append(f"kind: {', '.join(chain)}")
    return " ".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordnet", default="/usr/share/wordnet")
    parser.add_argument("out")
    args = parser.parse_args()
    written = left_out = 0
    with open(args.out, "w", encoding="utf-8") as out:
        for part in PARTS:
            synsets = read_part(args.wordnet, part)
            held = set()  # definitions of held-out synsets: a twin with the same gloss is left out, too
            for offset, synset in synsets.items():
                if split_hash(f"{part}:{offset}") % 100 < HELD_OUT_PERCENT:
                    held.add(synset[2])
            for offset, synset in synsets.items():
                value = split_hash(f"{part}:{offset}")
                if part in ("noun", "verb") and (value % 100 < HELD_OUT_PERCENT or synset[2] in held):
                    left_out += 1
                    continue
                # Both ways of telling it, so that neither is tied to certain synsets.
                for salt in (2 * (value // 100), 2 * (value // 10000) + 1):
                    out.write(paragraph(synsets, offset, salt) + "\n\n")
                    written += 1
    print(f"{written} paragraphs, {left_out} held-out synsets left out")


if __name__ == "__main__":
    main()
