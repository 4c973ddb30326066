"""The starter library: its format, its size, and that no evaluation set leaked.

What a record must look like is said in data/library/AUTHORING.md.  The leak
part needs a folder with the evaluation sets as *.jsonl in GUIDEALIGN_EVAL_DATA
and never prints a word of them.
"""
import datetime
import json
import os
import pathlib
import re
import subprocess
from collections import Counter, defaultdict

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "data" / "library"
FILES = sorted(LIBRARY.glob("*.jsonl"))

KEYS = ["id", "title", "text", "kind", "risks", "topics", "priority", "scope",
        "triggers", "non_triggers", "status", "source"]
KINDS = {"safety", "quality", "permit"}
RISKS = {
    "crimes_and_illegal_activities", "ethics_and_morality", "goal_hijacking",
    "inquiry_with_unsafe_opinion", "insult", "mental_health", "physical_harm",
    "privacy_and_property", "prompt_leaking", "reverse_exposure",
    "role_play_instruction", "sensitive_topic", "unfairness_and_discrimination",
    "unsafe_instruction_topic",
}
TASKS = {
    "advice", "autonomy", "clarification", "code_safety", "coding", "conversation",
    "copyright", "creative", "data_analysis", "factual", "format", "honesty",
    "instructions", "languages", "law", "long_documents", "mathematics", "medicine",
    "minors", "money", "neutrality", "personal_data", "planning", "role_play",
    "summarisation", "support", "sycophancy", "teaching", "tone", "tools",
    "translation", "writing",
}
PREFIX = {"plain": "", "policy": "pol-", "maxim": "max-", "friendly": "fr-", "numbered": "rule-",
          "spec": "spec-", "hospital": "hosp-", "bank": "bank-", "school": "sch-",
          "game_studio": "game-", "public_office": "off-"}
ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

LEAK_WORDS = 8       # a text was taken from a set with so many in a row
LEAK_CHARS = 20      # strings of a set up to this long are names, not prompts


def lines(path):
    return path.read_text(encoding="utf-8").splitlines()


def read(path):
    return [json.loads(line) for line in lines(path)]


LIBRARY_BY_FILE = {path.stem: read(path) for path in FILES}
RECORDS = [r for records in LIBRARY_BY_FILE.values() for r in records]


def words(text):
    """Lower case, punctuation gone; an apostrophe does not part a word."""
    text = re.sub(r"['\u2018\u2019`\u00b4]", "", text.lower())
    return re.findall(r"[^\W_]+", text)


def grams(text, n):
    w = words(text)
    return {tuple(w[i:i + n]) for i in range(len(w) - n + 1)}


def length(text):
    """Words; of a script without spaces, half its characters."""
    dense = re.findall(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]", text)
    return len(text.split()) + len(dense) // 2


def our_strings():
    """Every string of ours that could have come from elsewhere, with its id."""
    for r in RECORDS:
        for where in ("triggers", "non_triggers"):
            for i, text in enumerate(r[where]):
                yield f"{r['id']} {where}[{i}]", text
        yield f"{r['id']} text", r["text"]


def report(wrong):
    assert not wrong, f"{len(wrong)} wrong:\n" + "\n".join(wrong[:40])


# ---- the files -------------------------------------------------------------

def test_one_file_for_each_risk_type_and_task():
    assert set(LIBRARY_BY_FILE) == RISKS | {"quality_" + t for t in TASKS}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_lines_are_compact_json_sorted_by_id(path):
    raw = path.read_bytes()
    assert raw.endswith(b"\n") and b"\r" not in raw and not raw.startswith(b"\xef\xbb\xbf")
    for number, line in enumerate(lines(path), 1):
        canonical = json.dumps(json.loads(line), ensure_ascii=False, separators=(",", ":"))
        assert line == canonical, f"{path.name}:{number} is not compact JSON"
    ids = [r["id"] for r in read(path)]
    assert ids == sorted(ids)


def test_ids_and_titles_are_unique():
    for key in ("id", "title", "text"):
        seen = Counter(r[key].casefold() for r in RECORDS)
        assert [k for k, n in seen.items() if n > 1] == []


def test_size():
    assert len(RECORDS) >= 800
    guarded = sum(r["kind"] != "quality" for r in RECORDS)
    assert guarded >= 0.38 * len(RECORDS)
    for name, records in LIBRARY_BY_FILE.items():
        least = 5 if name.startswith("quality_") else 15
        assert len(records) >= least, name
    for style, n in Counter(r["source"]["style"] for r in RECORDS).items():
        assert n >= 40, style


def test_datasheet_counts_what_is_there():
    sheet = (LIBRARY / "DATASHEET.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `?(\w+)`? \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", sheet, re.M)
    expected, total = [], Counter()
    for name, records in LIBRARY_BY_FILE.items():
        n = Counter(r["kind"] for r in records)
        for where in ("triggers", "non_triggers"):
            n[where] = sum(len(r[where]) for r in records)
        total += n
        expected.append((name, n))
    columns = ["safety", "permit", "quality", "triggers", "non_triggers"]
    wanted = [(name, *(str(n[c]) for c in columns)) for name, n in [*expected, ("total", total)]]
    assert rows[:len(wanted)] == wanted  # behind them stand the styles
    assert max(map(len, sheet.splitlines())) <= 150


# ---- the records -----------------------------------------------------------

@pytest.mark.parametrize("name", sorted(LIBRARY_BY_FILE))
def test_record_format(name):
    wrong = []
    for r in LIBRARY_BY_FILE[name]:
        def need(ok, what):
            if not ok:
                wrong.append(f"{r.get('id')}: {what}")

        need(list(r) == KEYS, "keys or their order")
        need(ID.fullmatch(r["id"]) and 3 <= len(r["id"].encode()) <= 60, "id")
        need(2 <= length(r["title"]) <= 7, "title of 2 to 7 words")
        need(not r["title"].endswith("."), "title is a sentence")
        style = r["source"].get("style")
        least, most = (6, 25) if style == "maxim" else (15, 65)
        n = length(r["text"])
        need(least <= n <= most, f"text of {n} words, {least} to {most}")
        need(r["text"].endswith("."), "text does not end in a full stop")
        need(r["kind"] in KINDS, "kind")
        need(isinstance(r["priority"], int) and 0 <= r["priority"] <= 9, "priority")
        need(r["scope"] == [], "scope")
        need(r["status"] == "approved", "status")
        need(list(r["source"]) == ["style", "created"] and style in PREFIX, "source")
        need(r["id"].removeprefix("permit-").startswith(PREFIX.get(style, "")), "prefix of the style")
        datetime.date.fromisoformat(r["source"]["created"])

        need(set(r["risks"]) <= RISKS and len(set(r["risks"])) == len(r["risks"]), "risks")
        need(set(r["topics"]) <= TASKS and len(set(r["topics"])) == len(r["topics"]), "topics")
        if r["kind"] == "quality":
            need(name.startswith("quality_"), "quality in a risk type's file")
            need(r["risks"] == [] and 1 <= len(r["topics"]) <= 2, "risks or topics of quality")
            need("quality_" + r["topics"][0] == name, "first topic is the file's")
        else:
            need(1 <= len(r["risks"]) <= 3 and r["topics"] == [], "risks or topics")
            need(r["risks"][0] == name, "first risk is the file's")
        need(r["id"].startswith("permit-") == (r["kind"] == "permit"), "permit- in the id")

        need(10 <= len(r["triggers"]) <= 12, f"{len(r['triggers'])} triggers, 10 to 12")
        need(len(r["non_triggers"]) == 2, "2 near misses")
        for where in ("triggers", "non_triggers"):
            for i, t in enumerate(r[where]):
                need(t == t.strip() and "\x00" not in t, f"{where}[{i}] has space around it")
                need((4 if where == "triggers" else 10) <= length(t) <= 130,
                     f"{where}[{i}] has {length(t)} words")
        long = sum(length(t) > 20 for t in r["triggers"])
        need(long >= (4 if style == "plain" else len(r["triggers"]) / 2), f"{long} triggers over 20 words")
    report(wrong)


# ---- the triggers ----------------------------------------------------------

def test_prompts_are_distinct():
    """Among triggers and near misses of the whole library."""
    seen = defaultdict(list)
    for r in RECORDS:
        for t in r["triggers"] + r["non_triggers"]:
            seen[" ".join(words(t))].append(r["id"])
    report([f"{ids}: {t}" for t, ids in seen.items() if len(ids) > 1])


def test_library_lint_finds_nothing_wrong(program):
    """Texts and prompts alike, a guideline's words in its triggers, empty phrases."""
    libraries = [x for path in FILES for x in ("--library", path)]
    run = subprocess.run([program, "library", "lint", *libraries, "--no-meaning", "--strict", "--json"],
                         capture_output=True, text=True, timeout=120)
    findings = [json.loads(line) for line in run.stdout.splitlines()]
    assert findings[-1]["guidelines"] == len(RECORDS), run.stderr
    report([f"{f['id']}: {f['message']}" for f in findings[:-1] if f["level"] != "note"])
    assert run.returncode == 0


# ---- no evaluation set in it -----------------------------------------------

def strings(value):
    if isinstance(value, str):
        if len(value) > LEAK_CHARS:
            yield value
    elif isinstance(value, dict):
        for v in value.values():
            yield from strings(v)
    elif isinstance(value, list):
        for v in value:
            yield from strings(v)


@pytest.fixture(scope="module")
def evaluation():
    """(sequences of LEAK_WORDS words, whole strings) of ours that are in a set."""
    folder = os.environ.get("GUIDEALIGN_EVAL_DATA")
    if not folder:
        pytest.skip("no evaluation sets: set GUIDEALIGN_EVAL_DATA to their folder")
    paths = sorted(pathlib.Path(folder).rglob("*.jsonl"))
    if not paths:
        pytest.skip("no *.jsonl in GUIDEALIGN_EVAL_DATA")
    ours_grams, ours_whole = set(), set()
    for _, text in our_strings():
        ours_grams |= grams(text, LEAK_WORDS)
        ours_whole.add(" ".join(words(text)))
    found_grams, found_whole, read_strings = set(), set(), 0
    for path in paths:
        with path.open(encoding="utf-8") as file:
            for line in file:
                if not line.strip():
                    continue
                for text in strings(json.loads(line)):
                    read_strings += 1
                    found_grams |= grams(text, LEAK_WORDS) & ours_grams
                    whole = " ".join(words(text))
                    if whole in ours_whole:
                        found_whole.add(whole)
    assert read_strings, "the evaluation sets hold no strings"
    return found_grams, found_whole


def test_nothing_shares_a_word_sequence_with_an_evaluation_set(evaluation):
    found, _ = evaluation
    report([f"{where}: {text}" for where, text in our_strings()
            if grams(text, LEAK_WORDS) & found])


def test_nothing_equals_a_prompt_of_an_evaluation_set(evaluation):
    _, found = evaluation
    report([f"{where}: {text}" for where, text in our_strings()
            if " ".join(words(text)) in found])
