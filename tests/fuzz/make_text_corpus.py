# SPDX-License-Identifier: Apache-2.0
"""Writes corpus/yaml and corpus/jsonl: files in every form that is read, and the ways in which one is wrong."""

import gzip
import pathlib

FOLDER = pathlib.Path(__file__).parent / "corpus"

# The first line of each is an override, as --set gives it.
YAML = {
    "block": "\nname: run\nsteps: 20\nwhether: true\nkind: b\nwords: [a, 'b: c']\nparts:\n  - {path: x, weight: 2}\n"
    "  - path: y\npart:\n  path: z # why\n",
    "flow": "steps=30\n{name: \"a\\tb\", words: [], parts: [], part: {path: '#'}}\n",
    "override_of_a_section": "part={path: q, weight: 0.5}\nname: x\n",
    "override_of_an_element": "parts.0.weight=3\nparts: [{path: a}]\n",
    "anchors": "\nname: &a x\nkind: b\nwords: [*a, *a]\npart: &p {path: *a}\nparts: [*p, *p]\n",
    "many_aliases": "\nwords: &a [x, x]\nparts: &b [*a, *a, *a]\nname: [*b, *b, *b]\n",
    "merge": "\nparts: [&p {path: a}, {<<: *p, weight: 2}]\n",
    "unknown": "\nnmae: x\n",
    "doubled": "\nname: x\nname: y\n",
    "wrong_kinds": "steps=x\nname: [a]\nsteps: 1.5\nwhether: 2\nwords: {a: b}\n",
    "numbers": "steps=0x10\nsteps: 1e3\npart: {path: a, weight: .inf}\n",
    "tagged": "\nname: !!binary aGVsbG8=\nsteps: !!str 3\n",
    "block_texts": "\nname: |\n  two\n  lines\nwords:\n  - >-\n    one\n    line\n",
    "two_documents": "\nname: x\n---\nname: y\n",
    "deep": "\n" + "[" * 40 + "]" * 40 + "\n",
    "not_closed": "a\nname: \"x\nwords: [a, \n",
    "tabs": "\nname:\tx\n\tsteps: 2\n",
    "stray_comma": "\n,am",
    "empty": "",
}

JSONL = {
    "rows": b'{"text": "a", "label": 1, "answers": ["b", 2, true]}\n\n{"text": "\\u00e9\\ud83d\\ude00", "label": null}\r\n',
    "members": b'[{"text": "a"}, {"answers": [{"text": "b"}]}]',
    "named_members": b'{"0": {"text": "a", "label": 0.5}, "1": {"text": "b"}}',
    "gzip": gzip.compress(b'{"text": "a"}\n{"text": "b"}\n', mtime=0),
    "gzip_cut_off": gzip.compress(b'{"text": "a"}\n' * 30, mtime=0)[:-12],
    "no_json": b'{"text": "a"}\n{"text": \n',
    "no_object": b"[1, 2]\n3\n",
    "no_utf8": b'{"text": "\xff\xc3"}\n',
    "half_surrogate": b'{"text": "\\ud83d"}\n',
    "large_numbers": b'{"label": 123456789012345678901234567890, "text": 1e999}\n',
    "deep": b'{"text": ' + b"[" * 60 + b"]" * 60 + b"}\n",
    "byte_order_mark": b'\xef\xbb\xbf{"text": "a"}\n',
    "empty": b"",
}


def main():
    for name, files in (("yaml", YAML), ("jsonl", JSONL)):
        folder = FOLDER / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())


if __name__ == "__main__":
    main()
