#!/usr/bin/env python3
"""`make bench`: guidealign beside the engines that people would use instead, on the same inputs in the same run.

Engines take turns, round after round, so that what else the machine does meets all of them; each keeps its best.  Four kinds of work: the
retriever's encoder on prompts, the same on texts of 512 tokens, bert-base (random weights: the time does not depend on them) on both; then
exact search among 33,000 and 1,000,000 vectors.  Writes the figures as JSON and draws them.

    bench/run.py --program build/guidealign --encoder DIR --input prompts.jsonl --work DIR --out docs/bench.json --plot docs/plots/bench.png
"""
import argparse
import json
import pathlib
import platform
import shutil
import subprocess
import sys

PEERS = pathlib.Path(__file__).with_name("peers.py")
LIMIT_S = 300  # of one measurement
OURS = ("guidealign f32", "guidealign bf16", "guidealign int8")
OTHERS = ("ort-f32", "ort-int8", "openvino-f32", "openvino-bf16", "openvino-int8", "torch-f32", "torch-bf16")
LABELS = {"ort": "ONNX Runtime", "openvino": "OpenVINO", "torch": "PyTorch"}


def say(text):
    print(text, file=sys.stderr, flush=True)


def measure(command):
    """The JSON object that a command prints, or why there is none."""
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return {"skipped": f"took longer than {LIMIT_S} s"}
    if done.returncode:
        return {"skipped": (done.stderr.strip().splitlines() or ["failed"])[-1][:200]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def cpu():
    facts = dict(line.split(":", 1) for line in pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines() if ":" in line)
    facts = {k.strip(): v.strip() for k, v in facts.items()}
    flags = facts.get("flags", "").split()
    return facts.get("model name", platform.machine()), [f for f in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8") if f in flags]


class Works:
    """Models and inputs, made where they are not there yet."""

    def __init__(self, options):
        self.options = options
        options.work.mkdir(parents=True, exist_ok=True)
        self.list = [("prompts", options.encoder, options.input, 256)]
        if not options.quick:
            longer = self.copy("retriever-512", options.encoder)
            base = self.bert_base()
            texts = self.long_texts()
            self.list += [("512 tokens", longer, texts, 512), ("bert-base, prompts", base, self.some_prompts(), 256), ("bert-base, 512 tokens", base, self.few(texts), 512)]

    def copy(self, name, source):
        """A model folder that cuts at 512 tokens and not at 256."""
        folder = self.options.work / name
        if not folder.exists():
            shutil.copytree(source, folder)
            (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 512}')
        return folder

    def bert_base(self):
        folder = self.options.work / "bert-base"
        if not (folder / "model.safetensors").exists():
            import torch
            from transformers import BertConfig, BertModel
            shutil.copytree(self.copy("retriever-512", self.options.encoder), folder, dirs_exist_ok=True)
            (folder / "model.safetensors").unlink()
            torch.manual_seed(1)
            BertModel(BertConfig(), add_pooling_layer=False).save_pretrained(folder)
            pooling = folder / "1_Pooling" / "config.json"
            pooling.write_text(pooling.read_text().replace("384", "768"))
        return folder

    def write(self, name, texts):
        path = self.options.work / name
        path.write_text("".join(json.dumps({"prompt": t}) + "\n" for t in texts))
        return path

    def prompts(self):
        return [json.loads(line)["prompt"] for line in open(self.options.input, encoding="utf-8")]

    def some_prompts(self):
        return self.write("prompts-200.jsonl", self.prompts()[:200])

    def long_texts(self):
        words = " ".join(self.prompts()).split()
        return self.write("long.jsonl", [" ".join(words[at:at + 700]) for at in range(0, 24 * 100, 100)])

    def few(self, texts):
        return self.write("long-4.jsonl", [json.loads(line)["prompt"] for line in open(texts)][:4])


def encode(options, works):
    """results[work][threads][engine]"""
    results = {}
    for work, model, texts, longest in works.list:
        if options.only and work not in options.only:
            continue
        results[work] = {}
        for threads in options.threads:
            best = results[work][threads] = {}
            for turn in range(options.rounds if work == "prompts" else 1):
                for name in (*OURS, *OTHERS):
                    if name.endswith("-bf16") and "avx512_bf16" not in options.flags:
                        best[name] = {"skipped": "the CPU has no AVX-512 BF16, and emulating it takes minutes"}
                    if "skipped" in best.get(name, {}):
                        continue
                    if name in OURS:
                        got = measure([options.program, "bench", "encode", "--model", model, "--precision", name.split()[1], "--threads", threads,
                                       "--input", texts, "--seconds", 2, "--json"])
                    else:
                        got = measure([sys.executable, PEERS, "encode", "--engine", name, "--model", model, "--input", texts, "--longest", longest,
                                       "--threads", threads, "--work", options.work])
                    kept = best.setdefault(name, got)
                    if "skipped" not in got:
                        kept["texts_per_s"] = max(kept["texts_per_s"], got["texts_per_s"])
                        kept["p50_ms"] = min(kept["p50_ms"], got["p50_ms"])
                    say(f"{work}, {threads} threads, {name}: " + (got.get("skipped") or f"{got['texts_per_s']:.1f} texts/s, p50 {got['p50_ms']:.2f} ms"))
    return results


def search(options):
    results = {}
    for count in (33000,) if options.quick else (33000, 1000000):
        vectors = options.work / "vectors.f32"
        best = results[count] = {}
        for turn in range(options.rounds):
            runs = {"guidealign": [options.program, "bench", "search", "--count", count, "--save", vectors, "--json"],
                    "FAISS IndexFlatIP": [sys.executable, PEERS, "search", "--engine", "faiss", "--vectors", vectors],
                    "usearch exact": [sys.executable, PEERS, "search", "--engine", "usearch", "--vectors", vectors]}
            for name, command in runs.items():
                got = measure(command)
                kept = best.setdefault(name, got)
                if "skipped" not in got:
                    kept["p50_ms"] = min(kept["p50_ms"], got["p50_ms"])
                say(f"search among {count}, {name}: " + (got.get("skipped") or f"p50 {got['p50_ms']:.3f} ms"))
        vectors.unlink(missing_ok=True)
    return results


def label(name):
    if name in OURS:
        return name
    engine, precision = name.rsplit("-", 1)
    return f"{LABELS[engine]} {precision}"


def draw(facts, path):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    works = list(facts["encode"])
    figure, grid = plt.subplots(2, 3, figsize=(15, 8.5), layout="constrained")
    cells = iter(grid.flat)

    def bars(axes, names, values, title, unit, digits):
        colours = ["#b5482a" if n.startswith("guidealign") else "#8d99a6" for n in names]
        axes.barh(range(len(names)), values, color=colours)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xlabel(unit)
        axes.set_xlim(0, 1.15 * max(values))
        axes.spines[["top", "right"]].set_visible(False)
        for at, value in enumerate(values):
            axes.text(value, at, f" {value:,.{digits}f}", va="center", fontsize=9)

    def engines(work, threads, field, title, unit, digits, most):
        rows = [(label(n), r[field]) for n, r in facts["encode"][work][threads].items() if "skipped" not in r]
        rows.sort(key=lambda r: -r[1] if most else r[1])
        bars(next(cells), [r[0] for r in rows], [r[1] for r in rows], title, unit, digits)

    threads = list(facts["encode"]["prompts"])[-1]
    engines("prompts", threads, "texts_per_s", f"Prompts, {threads} threads (more is better)", "texts a second", 0, True)
    engines("prompts", list(facts["encode"]["prompts"])[0], "p50_ms", "One prompt, one thread (less is better)", "ms", 2, False)
    for work in works[1:]:
        engines(work, threads, "texts_per_s", f"{work[0].upper()}{work[1:]}, {threads} threads", "texts a second", 1, True)
    rows = [(f"{n}\n{int(count):,}", r["p50_ms"]) for count, found in facts["search"].items() for n, r in found.items() if "skipped" not in r]
    axes = next(cells)
    bars(axes, [r[0] for r in rows], [r[1] for r in rows], "Best 24 of many vectors (less is better)", "ms, logarithmic", 2)
    axes.set_xscale("log")
    axes.set_xlim(min(r[1] for r in rows) / 2, 6 * max(r[1] for r in rows))
    for axes in cells:
        axes.set_visible(False)
    figure.suptitle(f"guidealign and its peers: {facts['cpu']}, {facts['inputs']}", x=0.01, ha="left", fontsize=13)
    figure.savefig(path, dpi=110)


def table(facts):
    """The figures as Markdown."""
    lines = []
    for work, by_threads in facts["encode"].items():
        counts = list(by_threads)
        lines += [f"**{work[0].upper()}{work[1:]}**", "", "| engine | " + " | ".join(f"texts/s, {n} thread{'s' if int(n) > 1 else ''}" for n in counts) +
                  " | one text, p50, 1 thread | cosine to f32, mean / least |", "| --- |" + " --- |" * (len(counts) + 2)]
        for name in by_threads[counts[0]]:
            rows = [by_threads[n].get(name, {}) for n in counts]
            if any("skipped" in r for r in rows):
                lines.append(f"| {label(name)} | " + " | ".join("" for _ in counts) + f" | {rows[0].get('skipped', '')} | |")
                continue
            cosine = f"{rows[0]['cosine_mean']:.5f} / {rows[0]['cosine_min']:.5f}" if "cosine_mean" in rows[0] else ""
            lines.append(f"| {label(name)} | " + " | ".join(f"{r['texts_per_s']:,.{0 if r['texts_per_s'] > 100 else 1}f}" for r in rows) +
                         f" | {rows[0]['p50_ms']:.2f} ms | {cosine} |")
        lines.append("")
    lines += ["**The best 24 of many vectors**, exactly, one thread (ours with six that differ chosen of them)", "",
              "| engine | " + " | ".join(f"{int(n):,} x 384" for n in facts["search"]) + " |", "| --- |" + " --- |" * len(facts["search"])]
    for name in next(iter(facts["search"].values())):
        cells = [facts["search"][n].get(name, {}) for n in facts["search"]]
        lines.append(f"| {name} | " + " | ".join(c.get("skipped") or f"{c['p50_ms']:.2f} ms" for c in cells) + " |")
    return "\n".join(lines)


def put_table(facts, path):
    """Between the two markers of a page."""
    begin, end = "<!-- figures of make bench -->", "<!-- end of figures -->"
    before, rest = path.read_text().split(begin)
    path.write_text(f"{before}{begin}\n{facts['cpu']} ({', '.join(facts['flags'])}), {facts['inputs']}.\n\n{table(facts)}\n{end}{rest.split(end)[1]}")


def show(facts, options):
    if options.plot:
        draw(facts, options.plot)
    if options.page:
        put_table(facts, options.page)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, default=pathlib.Path("build/guidealign"))
    parser.add_argument("--encoder", type=pathlib.Path, required=True, help="model folder of the retriever")
    parser.add_argument("--input", type=pathlib.Path, required=True, help='JSON Lines, {"prompt"} each')
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for converted models; may be removed")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--plot", type=pathlib.Path)
    parser.add_argument("--page", type=pathlib.Path, help="Markdown with two markers that the figures go between")
    parser.add_argument("--only", action="append", metavar="WORK", help="measure this work again; repeatable")
    parser.add_argument("--draw", action="store_true", help="only draw what --out holds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--quick", action="store_true", help="prompts and 33,000 vectors alone")
    options = parser.parse_args()
    if options.draw:
        return show(json.loads(options.out.read_text()), options)
    model, options.flags = cpu()
    facts = {"cpu": model, "flags": options.flags, "inputs": f"{len(open(options.input).readlines())} prompts of {options.input.name}"}
    facts["encode"] = encode(options, Works(options))
    facts["search"] = search(options) if not options.only or "search" in options.only else {}
    if options.only:  # the other works stay what they were
        before = json.loads(options.out.read_text())
        facts["encode"] = {**before["encode"], **facts["encode"]}
        facts["search"] = facts["search"] or before["search"]
    options.out.write_text(json.dumps(facts, indent=1) + "\n")
    return show(json.loads(options.out.read_text()), options)


if __name__ == "__main__":
    main()
