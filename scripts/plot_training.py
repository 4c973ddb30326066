#!/usr/bin/env python3
"""Draw a training: loss by step, and how the dev pairs rank.  Needs matplotlib, as `make bench` installs it.

    scripts/plot_training.py build/retriever/training.jsonl docs/plots/training.png
"""
import json
import sys

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt


def main():
    rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
    steps = [r for r in rows if r["step"] > 0]
    measured = [r for r in rows if "with_triggers" in r]
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
    left.plot([r["step"] for r in steps], [r["loss"] for r in steps], color="#c9d1d9", linewidth=1, label="a step")
    smooth, loss = [], steps[0]["loss"]
    for r in steps:
        loss += 0.05 * (r["loss"] - loss)
        smooth.append(loss)
    left.plot([r["step"] for r in steps], smooth, color="#b5482a", label="smoothed")
    left.set_title("Loss", loc="left")
    for key, colour, label in (("with_triggers", "#b5482a", "with triggers"), ("by_text", "#4a6fa5", "by text alone")):
        for field, style in (("recall", "-"), ("ndcg", "--")):
            right.plot([r["step"] for r in measured], [r[key][field] for r in measured], style, color=colour, marker=".",
                       label=f"{'recall' if field == 'recall' else 'nDCG'}@6, {label}")
    best = [r for r in measured if r["best"]][-1]
    right.axvline(best["step"], color="#c9d1d9", zorder=0)
    right.set_title("Dev pairs; the line is what was kept", loc="left")
    for axes in (left, right):
        axes.set_xlabel("step")
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    figure.savefig(sys.argv[2], dpi=110)


if __name__ == "__main__":
    main()
