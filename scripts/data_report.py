#!/usr/bin/env python3
"""Counts of the shipped data: the tables of its datasheets, and plots in docs/plots.

usage: data_report.py [--program build/guidealign] [--encoder DIR] [--no-plots]

Writes the tables between `<!-- counts -->` and `<!-- /counts -->` of data/*/DATASHEET.md.  The plots need numpy,
matplotlib and scikit-learn, and for the map of the library the program and a model folder.
"""
import argparse
import collections
import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
KINDS = ("safety", "permit", "quality")


def read(folder):
    return {p.stem: [json.loads(line) for line in p.read_text(encoding="utf-8").splitlines()]
            for p in sorted((ROOT / "data" / folder).glob("*.jsonl"))}


def table(head, rows):
    align = "|" + "---|" + "---:|" * (len(head) - 1)
    return "\n".join(["| " + " | ".join(head) + " |", align,
                      *("| " + " | ".join(str(c) for c in row) + " |" for row in rows)])


def library_tables(files):
    records = [r for rs in files.values() for r in rs]

    def row(name, rs):
        kinds = collections.Counter(r["kind"] for r in rs)
        return [name, *(kinds[k] for k in KINDS), sum(len(r["triggers"]) for r in rs),
                sum(len(r["non_triggers"]) for r in rs)]

    head = ["", *KINDS, "triggers", "near misses"]
    by_style = collections.defaultdict(list)
    for r in records:
        by_style[r["source"]["style"]].append(r)
    return "\n\n".join([
        table(["file", *head[1:]], [row(f"`{n}`", rs) for n, rs in files.items()] + [row("total", records)]),
        table(["style", *head[1:]], [row(f"`{n}`", rs) for n, rs in sorted(by_style.items())])])


def pair_tables(files):
    pairs = {n: rs for n, rs in files.items() if rs and "prompt" in rs[0]}
    names = sorted({r["split"] for rs in pairs.values() for r in rs})

    def count(key, title):
        counts = collections.defaultdict(collections.Counter)
        for rs in pairs.values():
            for r in rs:
                counts[r[key]][r["split"]] += 1
        order = sorted(counts, key=lambda v: -sum(counts[v].values()))
        return table([title, *names, "all"],
                     [[f"`{v}`", *(counts[v][s] for s in names), sum(counts[v].values())] for v in order])

    totals = collections.Counter()
    for rs in pairs.values():
        for r in rs:
            totals[r["split"]] += 1
            totals["unsafe", r["split"]] += r["unsafe"]
            totals["long", r["split"]] += len(r["prompt"].split()) > 20
            totals["positives", r["split"]] += len(r["positives"])
    rows = [["prompts", *(totals[s] for s in names)],
            ["unsafe", *(totals["unsafe", s] for s in names)],
            ["over 20 words", *(totals["long", s] for s in names)],
            ["positives", *(totals["positives", s] for s in names)]]
    rows = [[*r, sum(r[1:])] for r in rows]
    risks = collections.Counter(x for rs in pairs.values() for r in rs for x in r["risks"])
    return "\n\n".join([
        table(["file", "prompts"], [[f"`{n}`", len(rs)] for n, rs in pairs.items()]),
        table(["", *names, "all"], rows), count("kind", "kind"), count("form", "form"), count("lang", "language"),
        table(["risk type", "prompts"], [[f"`{n}`", c] for n, c in risks.most_common()])])


def write_tables(folder, text):
    path = ROOT / "data" / folder / "DATASHEET.md"
    sheet = path.read_text(encoding="utf-8")
    before, rest = sheet.split("<!-- counts -->", 1)
    _, after = rest.split("<!-- /counts -->", 1)
    path.write_text(f"{before}<!-- counts -->\n{text}\n<!-- /counts -->{after}", encoding="utf-8")


def embed(program, encoder, texts):
    run = subprocess.run([program, "embed", "--json", "--model", encoder], text=True, check=True, capture_output=True,
                         input="\n".join(" ".join(t.split()) for t in texts) + "\n")
    return [json.loads(line)["embedding"] for line in run.stdout.splitlines()]


def plot_map(plt, records, program, encoder):
    """Each guideline at the mean of its triggers, less what all have in common, by t-SNE (van der Maaten, 2008)."""
    import numpy as np
    from sklearn.manifold import TSNE

    vectors = np.array(embed(program, encoder, [t for r in records for t in r["triggers"]]))
    ends = np.cumsum([len(r["triggers"]) for r in records])
    means = np.array([v.mean(0) for v in np.split(vectors, ends[:-1])])
    means -= means.mean(0)
    at = TSNE(perplexity=15, metric="cosine", init="pca", random_state=0).fit_transform(means)
    kinds = sorted({r["risks"][0] for r in records if r["risks"]})
    shades = [i for i in range(20) if i not in (14, 15)]  # grey is for quality
    colours = {k: plt.get_cmap("tab20")(shades[i]) for i, k in enumerate(kinds)}
    fig, ax = plt.subplots(figsize=(10, 7.5), dpi=120)
    quality = [i for i, r in enumerate(records) if not r["risks"]]
    ax.scatter(at[quality, 0], at[quality, 1], s=14, c="0.82", label=f"quality ({len(quality)})")
    for kind in kinds:
        for permit, marker in ((False, "o"), (True, "^")):
            some = [i for i, r in enumerate(records)
                    if r["risks"][:1] == [kind] and (r["kind"] == "permit") == permit]
            ax.scatter(at[some, 0], at[some, 1], s=24, color=colours[kind], marker=marker,
                       label=None if permit else kind.replace("_", " "))
    ax.scatter([], [], marker="^", c="k", s=24, label="a triangle permits")
    ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title("The starter library: guidelines whose triggers are alike lie close")
    return fig


def plot_counts(plt, records, pairs):
    fig, axes = plt.subplots(1, 4 if pairs else 2, figsize=(15 if pairs else 9, 7), dpi=110)

    def bars(ax, title, counts, order=None):
        order = order or [k for k, _ in sorted(counts.items(), key=lambda kv: sum(kv[1].values()))]
        left = collections.Counter()
        parts = list(dict.fromkeys(p for c in counts.values() for p in c))
        for part in sorted(parts):
            ax.barh([str(o).replace("_", " ") for o in order], [counts[o][part] for o in order],
                    left=[left[o] for o in order], label=part)
            for o in order:
                left[o] += counts[o][part]
        ax.set_title(title, fontsize=10)
        ax.tick_params(labelsize=7)
        ax.legend(fontsize=7, frameon=False, loc="lower right")
        ax.spines[["top", "right"]].set_visible(False)

    def count(rows, key, part):
        out = collections.defaultdict(collections.Counter)
        for r in rows:
            out[key(r)][part(r)] += 1
        return out

    bars(axes[0], "guidelines by risk type or topic",
         count(records, lambda r: (r["risks"] + r["topics"])[0], lambda r: r["kind"]))
    bars(axes[1], "guidelines by house style", count(records, lambda r: r["source"]["style"], lambda r: r["kind"]))
    if pairs:
        bars(axes[2], "prompts by split", count(pairs, lambda r: r["split"], lambda r: r["kind"]))
        common = [v for v, _ in collections.Counter(r["lang"] for r in pairs).most_common(16)]
        rest = [r for r in pairs if r["lang"] != "en"]
        bars(axes[3], "prompts not in English, by form",
             count(rest, lambda r: r["lang"] if r["lang"] in common else "others", lambda r: r["form"]))
    fig.tight_layout()
    return fig


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=ROOT / "build" / "guidealign")
    parser.add_argument("--encoder")
    parser.add_argument("--no-plots", action="store_true")
    args = parser.parse_args()
    library, pair_files = read("library"), read("pairs")
    write_tables("library", library_tables(library))
    write_tables("pairs", pair_tables(pair_files))
    if args.no_plots:
        return
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    folder = ROOT / "docs" / "plots"
    folder.mkdir(exist_ok=True)
    records = [r for rs in library.values() for r in rs]
    pairs = [r for rs in pair_files.values() for r in rs if "prompt" in r]
    # without the program's version, so that the same data give the same files
    plain = {"metadata": {"Software": None}}
    plot_counts(plt, records, pairs).savefig(folder / "data-counts.png", bbox_inches="tight", **plain)
    if args.encoder:
        plot_map(plt, records, args.program, args.encoder).savefig(folder / "library-map.png", bbox_inches="tight",
                                                                   **plain)


if __name__ == "__main__":
    main()
