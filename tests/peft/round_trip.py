#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""trimtab and PEFT compute the same with the same adapter.

    round_trip.py --program TRIMTAB --probe PROBE --golden FOLDER --vocabulary FILE METHOD CASE...

out      a checkpoint of trimtab, exported, in PEFT; saved again by PEFT, imported, in trimtab
in       an adapter that PEFT made with its own defaults, imported, in trimtab
refused  the same adapters beside another base, and damaged ones
Logits must agree to 1e-4 of their size, and must differ from those of the base alone. Exit code 77: PEFT is not there.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

try:
    import peft
    import torch
    import transformers
    from safetensors.torch import load_file, save_file
except ImportError as error:
    print(f"{error}: run tests/peft/install, and this through .deps/peft/run")
    sys.exit(77)

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
TOLERANCE = 1e-4


class Pair:
    """One golden case in both programs."""

    def __init__(self, options, case, folder):
        self.options, self.case, self.folder = options, case, folder
        self.base = options.golden / case
        # The stand-ins of CUDA's libraries are for Python only.
        libraries = os.environ.get("LD_LIBRARY_PATH", "").split(":")
        self.environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(x for x in libraries if not x.endswith("/stubs"))}
        config = json.loads((self.base / "config.json").read_text())
        self.seq2seq = config["model_type"] == "t5"
        self.task = "SEQ_2_SEQ_LM" if self.seq2seq else "CAUSAL_LM"
        golden = load_file(self.base / "golden.safetensors")
        self.rows = list(zip(self.cut(golden, "input"), self.cut(golden, "target")))

    @staticmethod
    def cut(golden, side):
        return [row.long() for row in golden[f"{side}_ids"].split(golden[f"{side}_lengths"].tolist())]

    def path(self, name):
        return str(self.folder / name)

    # ---- PEFT's side
    def model(self):
        kind = transformers.T5ForConditionalGeneration if self.seq2seq else transformers.AutoModelForCausalLM
        return kind.from_pretrained(self.base, dtype=torch.float32).eval()

    @torch.no_grad()
    def logits(self, model):
        """One row a target token, as trimtab has them. Each row alone, so that padding plays no part."""
        out = []
        for given, target in self.rows:
            if self.seq2seq:
                decoder = torch.cat([torch.zeros(1, dtype=torch.long), target[:-1]])
                result = model(input_ids=given[None], attention_mask=torch.ones_like(given)[None],
                               decoder_input_ids=decoder[None])
                out.append(result.logits[0])
            else:
                row = torch.cat([given, target[:-1]])
                result = model(input_ids=row[None], attention_mask=torch.ones_like(row)[None])
                out.append(result.logits[0, -len(target):])
        return torch.cat(out)

    def peft_logits(self, adapter, trainable=False):
        return self.logits(peft.PeftModel.from_pretrained(self.model(), adapter, is_trainable=trainable).eval())

    # ---- trimtab's side
    def run(self, *command, code=0):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=self.environment)
        if done.returncode != code:
            sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}, not {code}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def trimtab(self, *arguments, code=0):
        return self.run(self.options.program, *arguments, code=code)

    def import_(self, adapter, out, *more, code=0, base=None):
        return self.trimtab("import", adapter, out, "--weights", base or self.base, "--vocabulary", self.options.vocabulary,
                            *more, code=code)

    def make(self, method, out):
        self.run(self.options.probe, "make", self.case, method, out)

    def score(self, method, checkpoint):
        out = self.path("logits.safetensors")
        self.run(self.options.probe, "score", self.case, method, checkpoint, out)
        return load_file(out)["logits"]


def difference(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def check_same(what, a, b):
    error = difference(a, b)
    print(f"{what}: {error:.1e}")
    if not error < TOLERANCE:
        sys.exit(f"{what}: logits differ by {error:.3g}")


def check_differs(what, a, b):
    if difference(a, b) < 100 * TOLERANCE:
        sys.exit(f"{what}: the adapter has no effect")


def randomise(model):
    torch.manual_seed(3)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn_like(parameter), alpha=0.4)


def yaml_of(printed):
    """The section that trimtab import prints, on one line."""
    lines = [line for line in printed.splitlines() if line.startswith("  ")]
    return "{" + ", ".join(line.strip() for line in lines) + "}"


def out_and_back(pair, method, trainable=False):
    checkpoint, adapter = pair.path("run.h5"), pair.path("adapter")
    pair.make(method, checkpoint)
    ours = pair.score(method, checkpoint)
    check_differs("out", ours, pair.score(method, "-"))
    pair.trimtab("export", checkpoint, adapter, "--weights", pair.base, "--overwrite")   # of the form before
    check_same("exported", pair.peft_logits(adapter), ours)
    if trainable:  # PEFT trains no prompt that it loads
        check_same("exported, to be trained further", pair.peft_logits(adapter, trainable=True), ours)
    again = pair.path("again")
    peft.PeftModel.from_pretrained(pair.model(), adapter).save_pretrained(again)
    printed = pair.import_(again, pair.path("again.h5"), "--overwrite")
    check_same("saved by PEFT and imported", pair.score(yaml_of(printed), pair.path("again.h5")), ours)


def made_by_peft(pair, config, name):
    """An adapter of PEFT's own and its logits."""
    model = peft.get_peft_model(pair.model(), config).eval()
    randomise(model)
    folder = pair.path(name)
    model.save_pretrained(folder)
    return folder, pair.peft_logits(folder)


def in_and_out(pair, config, name):
    adapter, theirs = made_by_peft(pair, config, name)
    printed = pair.import_(adapter, pair.path(f"{name}.h5"))
    method = yaml_of(printed)
    check_same(f"{name} of PEFT, imported", pair.score(method, pair.path(f"{name}.h5")), theirs)
    check_differs(name, theirs, pair.logits(pair.model()))
    pair.trimtab("export", pair.path(f"{name}.h5"), pair.path(f"{name}-out"))
    check_same(f"{name} of PEFT, imported and exported", pair.peft_logits(pair.path(f"{name}-out")), theirs)
    return adapter, printed


def must_say(what, message, *words):
    for word in words:
        if word not in message:
            sys.exit(f"{what}: the message lacks '{word}':\n{message}")


def refusals(pair, adapter):
    """Nothing may be written for an adapter of another base."""
    out = pair.path("refused.h5")
    other = pair.folder / "other" / "model"
    shutil.copytree(pair.base, other)
    tensors = load_file(other / "model.safetensors")
    name = sorted(tensors)[0]
    save_file({**tensors, name: tensors[name] + 1}, other / "model.safetensors", {"format": "pt"})
    must_say("another base", pair.import_(adapter, out, base=other, code=2), "belongs to another base model")
    config = pathlib.Path(adapter) / "adapter_config.json"
    text = config.read_text()
    fields = json.loads(text)
    config.write_text(json.dumps({**fields, "base_model_name_or_path": "someone/model-xl"}))
    must_say("an unknown base", pair.import_(adapter, out, code=2), "someone/model-xl", "--base")
    pair.import_(adapter, pair.path("named.h5"), "--base", "someone/model-xl")
    config.write_text(json.dumps({**fields, "peft_type": "LOHA"}))
    must_say("another method", pair.import_(adapter, out, code=2), "LOHA", "PROMPT_TUNING")
    config.write_text(json.dumps({**fields, "task_type": "SEQ_CLS"}))
    must_say("another task", pair.import_(adapter, out, code=2), "SEQ_CLS", pair.task)
    config.write_text(text)
    must_say("no base", pair.trimtab("import", adapter, out, code=2), "--weights")
    if pathlib.Path(out).exists():
        sys.exit("a refused adapter was written")


# ---------------------------------------------------------------------------------------- methods
def prompt_tuning(pair):
    out_and_back(pair, "{name: prompt_tuning, length: 7, init: uniform}")
    adapter, printed = in_and_out(pair, peft.PromptTuningConfig(task_type=pair.task, num_virtual_tokens=5), "default")
    if pair.seq2seq:
        must_say("twice the rows", printed, "of its 10 rows the first 5 are used")
    if load_file(f"{adapter}/adapter_model.safetensors")["prompt_embeddings"].shape[0] != (10 if pair.seq2seq else 5):
        sys.exit("PEFT stores other rows than it did")
    # The same file as the start of a run.
    method = f"{{name: prompt_tuning, length: 5, init: file, init_file: {adapter}}}"
    check_same("init_file", pair.score(method, "-"), pair.peft_logits(adapter))
    refusals(pair, adapter)


def p_tuning(pair):
    for encoder in ("mlp", "lstm"):
        out_and_back(pair, f"{{name: p_tuning, length: 6, encoder: {encoder}}}")
    for kind in ("MLP", "LSTM"):
        config = peft.PromptEncoderConfig(task_type=pair.task, num_virtual_tokens=5, encoder_hidden_size=16,
                                          encoder_reparameterization_type=kind)
        in_and_out(pair, config, kind.lower())


def prefix_config(pair, **more):
    base = json.loads((pair.base / "config.json").read_text())
    if pair.seq2seq:  # PEFT takes d_model, which need not be heads * d_kv
        more.setdefault("token_dim", base["num_heads"] * base["d_kv"])
    return peft.PrefixTuningConfig(task_type=pair.task, num_virtual_tokens=5, **more)


def prefix_tuning(pair):
    only = ", encoder: false, cross: false" if pair.seq2seq else ""
    for kind in ("none", "mlp"):
        out_and_back(pair, f"{{name: prefix_tuning, length: 6, reparameterisation: {kind}{only}}}")
    in_and_out(pair, prefix_config(pair), "default")
    in_and_out(pair, prefix_config(pair, prefix_projection=True, encoder_hidden_size=16), "projection")
    if pair.seq2seq:
        one, _ = made_by_peft(pair, prefix_config(pair, num_transformer_submodules=1), "one")
        must_say("one submodule", pair.import_(one, pair.path("one.h5"), code=2), "num_transformer_submodules is 1")


def lora(pair):
    linears = ["q", "v", "wi_0"] if pair.seq2seq else ["q_proj", "v_proj", "down_proj"]
    out_and_back(pair, f"{{name: lora, rank: 3, alpha: 5, targets: [{', '.join(linears)}]}}", trainable=True)
    in_and_out(pair, peft.LoraConfig(task_type=pair.task, r=4), "default")
    in_and_out(pair, peft.LoraConfig(task_type=pair.task, r=4, lora_alpha=3, use_rslora=True, target_modules=linears),
               "rslora")
    first = "SelfAttention.q" if pair.seq2seq else "layers.1.self_attn.q_proj"
    in_and_out(pair, peft.LoraConfig(task_type=pair.task, r=2, target_modules=[first]), "some")
    dora, _ = made_by_peft(pair, peft.LoraConfig(task_type=pair.task, r=4, use_dora=True), "dora")
    must_say("DoRA", pair.import_(dora, pair.path("dora.h5"), code=2), "use_dora")
    pissa, _ = made_by_peft(pair, peft.LoraConfig(task_type=pair.task, r=4, init_lora_weights="pissa"), "pissa")
    must_say("PiSSA", pair.import_(pissa, pair.path("pissa.h5"), code=2), "init_lora_weights",
             "path_initial_model_for_weight_conversion")


def ia3(pair):
    out_and_back(pair, "{name: ia3}", trainable=True)
    in_and_out(pair, peft.IA3Config(task_type=pair.task), "default")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("program", "probe", "vocabulary"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--golden", required=True, type=pathlib.Path)
    methods = {method.__name__: method for method in (prompt_tuning, p_tuning, prefix_tuning, lora, ia3)}
    parser.add_argument("method", choices=methods)
    parser.add_argument("cases", nargs="+")
    options = parser.parse_args()
    for case in options.cases:
        print(f"== {options.method} on {case}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            methods[options.method](Pair(options, case, pathlib.Path(folder)))


if __name__ == "__main__":
    main()
