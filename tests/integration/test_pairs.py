"""The shipped pairs: their format, their size, and that nothing leaks.

What a record must look like is said in data/pairs/AUTHORING.md.  With a folder of
evaluation sets in GUIDEALIGN_EVAL_DATA, pairs are compared with them too.
"""
import json
import os
import pathlib
import re
import subprocess
from collections import Counter

import pytest

from test_data import FILES as LIBRARY_FILES
from test_data import RECORDS as GUIDELINES

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAIRS = ROOT / "data" / "pairs"
FILES = sorted(p for p in PAIRS.glob("*.jsonl") if p.stem not in ("held-out", "golden"))
KEYS = ["id", "prompt", "positives", "grades", "negatives", "risks", "unsafe", "kind", "form", "lang", "cluster",
        "split"]
SPLITS = {"train", "dev", "test-new-prompts", "test-new-guidelines", "test-new-organisation"}
FORMS = {"short", "long", "context", "pasted", "turns", "scenario"}
MOST_BYTES = 5_000_000  # of a file, so that it can be reviewed


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


BY_FILE = {path.stem: read(path) for path in FILES}
RECORDS = [r for records in BY_FILE.values() for r in records]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_lines_are_compact_json_sorted(path):
    raw = path.read_bytes()
    assert raw.endswith(b"\n") and len(raw) < MOST_BYTES
    for number, line in enumerate(raw.decode().splitlines(), 1):
        canonical = json.dumps(json.loads(line), ensure_ascii=False, separators=(",", ":"))
        assert line == canonical, f"{path.name}:{number} is not compact JSON"
    order = [((r["positives"] or [""])[0], r["id"]) for r in BY_FILE[path.stem]]
    assert order == sorted(order)


@pytest.mark.parametrize("name", sorted(BY_FILE))
def test_record_format(name):
    wrong = []
    for r in BY_FILE[name]:
        ok = (list(r) == KEYS and re.fullmatch("p[0-9a-f]{10}", r["id"]) and r["prompt"] == r["prompt"].strip()
              and len(r["grades"]) == len(r["positives"]) and r["grades"] == sorted(r["grades"], reverse=True)
              and r["kind"] in ("pair", "lookalike", "ordinary") and r["form"] in FORMS
              and re.fullmatch("[a-z]{2,3}", r["lang"]) and r["cluster"]
              and r["split"] in SPLITS and name.startswith(r["split"]))
        if not ok:
            wrong.append(r["id"])
    assert wrong == []
    assert len({r["id"] for r in RECORDS}) == len(RECORDS)


def test_size():
    kinds = Counter(r["kind"] for r in RECORDS)
    splits = Counter(r["split"] for r in RECORDS)
    assert kinds["pair"] >= 12000 and kinds["lookalike"] >= 2500 and kinds["ordinary"] >= 1500
    assert sum(splits.values()) - splits["train"] >= 2000
    long = sum(len(r["prompt"].split()) > 20 for r in RECORDS)
    assert long >= 0.5 * len(RECORDS)
    assert sum(r["lang"] != "en" for r in RECORDS) >= 0.08 * len(RECORDS)


def test_risks_follow_from_the_guidelines():
    kind = {g["id"]: g for g in GUIDELINES}
    wrong = []
    for r in RECORDS:
        wanted = dict.fromkeys(risk for i, grade in zip(r["positives"], r["grades"])
                               if kind[i]["kind"] == "safety" and grade >= 2 for risk in kind[i]["risks"])
        if r["risks"] != list(wanted):
            wrong.append(r["id"])
    assert wrong == []


def test_held_out_guidelines():
    held_out = {r["id"]: r["split"] for r in read(PAIRS / "held-out.jsonl")}
    styles = {g["id"]: g["source"]["style"] for g in GUIDELINES}
    whole = {s for i, s in styles.items() if held_out.get(i) == "test-new-organisation"}
    assert len(whole) == 3  # three houses, and all of each
    assert all((held_out.get(i) == "test-new-organisation") == (s in whole) for i, s in styles.items())
    assert list(held_out) == sorted(held_out)


def test_golden_set():
    """Prompts whose labels two independent passes agree on."""
    golden = read(PAIRS / "golden.jsonl")
    held_out = {r["id"]: r["split"] for r in RECORDS if r["split"] != "train"}
    known = {g["id"] for g in GUIDELINES}
    assert len(golden) >= 300
    assert [r["id"] for r in golden] == sorted({r["id"] for r in golden})
    for r in golden:
        assert list(r) == ["id", "positives", "grades"] and r["id"] in held_out
        assert set(r["positives"]) <= known and set(r["grades"]) <= {2, 3} and len(r["grades"]) == len(r["positives"])


def test_pairs_check_finds_no_error(program):
    folder = os.environ.get("GUIDEALIGN_EVAL_DATA")
    against = sorted(pathlib.Path(folder).rglob("*.jsonl")) if folder else []
    arguments = [x for p in LIBRARY_FILES for x in ("--library", p)]
    arguments += [x for p in FILES for x in ("--pairs", p)]
    arguments += [x for p in against for x in ("--against", p)]
    run = subprocess.run([program, "pairs", "check", *arguments, "--held-out", PAIRS / "held-out.jsonl", "--json"],
                         capture_output=True, text=True, timeout=300)
    *findings, totals = [json.loads(line) for line in run.stdout.splitlines()]
    assert totals["pairs"] == len(RECORDS), run.stderr
    assert [f for f in findings if f["level"] == "error"] == []
    # ROUGE-L up to 0.7 within a type, as in the paper; no four words in a row of a guideline
    assert [f for f in findings if f["check"] in ("similar_prompt", "guideline_words", "unused_guideline")] == []
    assert totals["distinct_3"] > 0.8
    assert not folder or totals["against_strings"] > 0
    assert run.returncode == 0


def test_datasheet_counts_what_is_there():
    sheet = (PAIRS / "DATASHEET.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (\d+) \|$", sheet, re.M))
    for name, records in BY_FILE.items():
        assert rows[name] == str(len(records)), name
