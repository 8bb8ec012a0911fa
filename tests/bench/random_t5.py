# SPDX-License-Identifier: Apache-2.0
"""T5 1.1 of random weights for benchmarks, whose speed does not depend on what a model knows."""
import subprocess

SHAPES = {
    "tiny": "d_model: 64, d_kv: 16, d_ff: 128, heads: 4, encoder_layers: 2, decoder_layers: 2",
    "small": "d_model: 512, d_kv: 64, d_ff: 1024, heads: 6, encoder_layers: 8, decoder_layers: 8",
    "base": "d_model: 768, d_kv: 64, d_ff: 2048, heads: 12, encoder_layers: 12, decoder_layers: 12"}


def random_t5(program, vocabulary, size, work):
    """Path of a model of one of SHAPES after one step of pretraining on a text that says nothing."""
    (work / "text.txt").write_text("".join(f"line {i} of a text that only has to be there\n" for i in range(2000)))
    (work / "recipe.yaml").write_text(f"""
name: random
output: {work}/pretrained
model: {{vocabulary: {vocabulary}, {SHAPES[size]}, tied_head: false, threads: 1}}
data: {{objective: span_corruption, input_length: 32, corpora: [{{path: {work}/text.txt}}]}}
train: {{steps: 1, batch: 2, validation_batches: 1}}
export: {{path: {work}/model.h5}}
""")
    subprocess.run([program, "pretrain", work / "recipe.yaml"], check=True, stdout=subprocess.DEVNULL)
    return work / "model.h5"
