"""`retrieve`, `embed`, `pack` and `paths` as other programs meet them: the JSON
they promise, what they say of bad input, and what they do when the output goes
nowhere.  And the library as others build with it.

Most of it runs on a small model and a small pack that are made here, a little
on the starter pack.
"""
import json
import math
import os
import pathlib
import random
import shutil
import struct
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOST_S = 60  # of any run
RISKS = ["crimes_and_illegal_activities", "unfairness_and_discrimination", "insult", "mental_health",
         "ethics_and_morality", "physical_harm", "privacy_and_property", "sensitive_topic",
         "inquiry_with_unsafe_opinion", "goal_hijacking", "unsafe_instruction_topic", "reverse_exposure",
         "role_play_instruction", "prompt_leaking"]
GUIDELINES = [
    {"id": "run", "title": "Running", "text": "the dog is to run in it.", "kind": "safety",
     "risks": ["insult", "physical_harm"], "triggers": ["run dog run!", "dogs jumping"], "priority": 7},
    {"id": "mat", "title": "Mats", "text": "the cat sat on the mat.", "kind": "quality",
     "triggers": ["a cat sat", "is it on the mat?"]},
    {"id": "fox", "title": "Foxes", "text": "a quick brown fox jumped over the lazy dog.", "kind": "permit",
     "risks": ["privacy_and_property"], "triggers": ["the fox, quick!"], "non_triggers": ["brown lazy fox"]},
    {"id": "over", "text": "jump over it, we jumped.", "kind": "quality", "scope": ["shop"]},
    {"id": "été", "title": "Été", "text": "dogs sat on dogs.", "kind": "safety", "risks": ["mental_health"]},
    {"id": "draft", "text": "the lazy draft", "kind": "safety", "status": "draft"},
]
APPROVED = 5
# all texts are much alike to a model with random weights
MAKE = ["--duplicate", "0.9999"]


# ---- a small model and a small pack ----

WORDS = ("[PAD] [UNK] [CLS] [SEP] [MASK] the a cat dog sat on mat ##s ##ing run quick brown fox jump over lazy . , ! ? "
         "is it ##ed in of to we you i").split()


def tiny_model(folder):
    """A BERT with random weights in Hugging Face layout."""
    H, I, V, P, rng = 24, 40, len(WORDS), 40, random.Random(1)
    shapes = {"embeddings.word_embeddings.weight": [V, H], "embeddings.position_embeddings.weight": [P, H],
              "embeddings.token_type_embeddings.weight": [2, H]}

    def linear(name, n, k):
        shapes[name + ".weight"], shapes[name + ".bias"] = [n, k] if k else [n], [n]

    linear("embeddings.LayerNorm", H, 0)
    for i in range(2):
        at = f"encoder.layer.{i}."
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            linear(at + name, H, H)
        linear(at + "attention.output.LayerNorm", H, 0)
        linear(at + "intermediate.dense", I, H)
        linear(at + "output.dense", H, I)
        linear(at + "output.LayerNorm", H, 0)
    header, data = {}, b""
    for name, shape in shapes.items():
        n = math.prod(shape)
        one = 1.0 if name.endswith("LayerNorm.weight") else 0.0
        values = struct.pack(f"<{n}f", *(one + rng.uniform(-0.3, 0.3) for _ in range(n)))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + data)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (folder / "config.json").write_text(json.dumps(
        {"architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu", "hidden_size": H,
         "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": I, "vocab_size": V,
         "max_position_embeddings": P, "type_vocab_size": 2, "layer_norm_eps": 1e-12}))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "small.jsonl"
    path.write_text("".join(json.dumps({"status": "approved", **g}) + "\n" for g in GUIDELINES))
    return path


@pytest.fixture(scope="module")
def run(program, tmp_path_factory):
    """run(command, ...) with nothing set up but what a test adds."""
    home = tmp_path_factory.mktemp("home")
    empty = home / "paths.json"
    empty.write_text("{}")

    def go(*arguments, input=None, env=None, **more):
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8",
                       "GUIDEALIGN_PATHS": str(empty), **(env or {})}
        if "stdout" not in more:
            more["stdout"] = subprocess.PIPE
        return subprocess.run([program, *arguments], input=input, stderr=subprocess.PIPE, timeout=MOST_S,
                              env=environment, **more)
    return go


@pytest.fixture(scope="module")
def pack(run, model, records, tmp_path_factory):
    path = tmp_path_factory.mktemp("pack") / "small.gapack"
    done = run("pack", "--library", records, "--encoder", model, "--out", path, *MAKE)
    assert done.returncode == 0, done.stderr
    return path


def fails(done, *words, code=1):
    """One line on stderr with these words, and nothing on stdout."""
    err = done.stderr.decode()
    assert (done.returncode, done.stdout or b"") == (code, b""), err
    assert err.startswith("guidealign: ") and err.endswith("\n")
    assert code == 2 or err.count("\n") == 1
    for word in words:
        assert word in err, err
    return err


def objects(done, warning=b""):
    assert (done.returncode, done.stderr) == (0, warning), done.stderr
    lines = done.stdout.split(b"\n")
    assert lines.pop() == b""
    return [json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON")) for line in lines]


# ---- the contract of retrieve --json ----

def is_share(x):
    return isinstance(x, (int, float)) and not isinstance(x, bool) and 0 <= x <= 1


def check_decision(d, prompt=None, raw=False):
    assert set(d) == {"prompt", "pack", "state", "guidelines", "risks", "us", "tokens"}
    assert isinstance(d["prompt"], str) and (prompt is None or d["prompt"] == prompt)
    assert len(d["pack"]) == 12 and int(d["pack"], 16) >= 0
    assert d["state"] in ("guided", "none", "skipped")
    assert type(d["us"]) is int and d["us"] >= 0
    assert list(d["risks"]) == ["unsafe", *RISKS]
    assert all(is_share(p) for p in d["risks"].values())
    for g in d["guidelines"]:
        assert set(g) == {"id", "title", "text", "score", "risks", "kind", "tokens"}
        assert all(isinstance(g[k], str) for k in ("id", "title", "text"))
        assert g["id"] and g["text"] and is_share(g["score"])
        assert isinstance(g["risks"], list) and set(g["risks"]) <= set(RISKS)
        assert g["kind"] in ("safety", "permit", "quality") and type(g["tokens"]) is int
    assert type(d["tokens"]) is int
    if not raw:
        assert (d["state"] == "guided") == bool(d["guidelines"])
        assert d["tokens"] == sum(g["tokens"] for g in d["guidelines"])
    assert len({g["id"] for g in d["guidelines"]}) == len(d["guidelines"])


def test_json(run, pack):
    d, = objects(run("retrieve", "--pack", pack, "--threshold", "0", "--json", "the cat sat"))
    check_decision(d, "the cat sat")
    assert d["state"] == "guided"
    # no draft, no other's scope; the permit only if nothing is risky
    assert {g["id"] for g in d["guidelines"]} - {"fox"} == {"run", "mat", "été"}


def test_raw(run, pack):
    d, = objects(run("retrieve", "-p", pack, "--raw", "--json", "-k", "1", "--threshold", "1", "run dog run"))
    check_decision(d, "run dog run", raw=True)
    scores = [g["score"] for g in d["guidelines"]]
    assert len(scores) == APPROVED  # no threshold, no scope, no k
    assert scores == sorted(scores, reverse=True) and scores[0] > scores[-1]
    by_id = {g["id"]: g for g in GUIDELINES}
    for g in d["guidelines"]:
        put = by_id[g["id"]]
        assert (g["title"], g["text"], g["kind"]) == (put.get("title", ""), put["text"], put["kind"])
        assert sorted(g["risks"]) == sorted(put.get("risks", []))


def test_options(run, pack):
    def ids(*options):
        d, = objects(run("retrieve", "-p", pack, "--json", "--threshold", "0", *options, "is it on the mat?"))
        check_decision(d)
        return [g["id"] for g in d["guidelines"]]

    everything = ids()
    assert {*everything} - {"fox"} == {"run", "mat", "été"}
    assert ids("-k", "2") == ids("-k2") == ids("--k=2") == everything[:2]
    assert ids("--budget", "0") == []
    assert set(ids("--scope", "shop")) == {*everything, "over"}
    assert ids("--scope", "bank", "--scope", "shopping") == everything
    assert ids("--pin", "over", "--pin", "été", "--pin", "over")[:2] == ["over", "été"]
    assert ids("--threads", "3") == everything
    assert sorted(ids("--diversity", "1")) == sorted(everything)
    assert objects(run("retrieve", "-p", pack, "--json", "--threshold", "1", "a"))[0]["state"] == "none"


@pytest.mark.parametrize("prompt", ["", " ", "\t\n \r\n", "\x00"])
def test_nothing_to_go_by(run, pack, prompt):
    line = json.dumps({"prompt": prompt}).encode()
    for raw in ([], ["--raw"]):
        d, = objects(run("retrieve", "-p", pack, "--json", "--threshold", "0", *raw, "--input", "-", input=line))
        check_decision(d, prompt, raw=bool(raw))
        assert d["state"] == "skipped" and set(d["risks"].values()) == {0}
        assert [g["score"] for g in d["guidelines"]] == [0] * (APPROVED if raw else 0)


def test_for_people(run, pack):
    done = run("retrieve", "-p", pack, "--threshold", "0", "is it\x1b[31m on the mat?")
    out = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert "Mats (mat)" in out and "the cat sat on the mat." in out and "guided" in out
    assert "\x1b" not in out  # a prompt does not colour the terminal
    done = run("retrieve", "-p", pack, "--raw", "-k", "32", "is it?")
    assert done.stdout.decode().count("(") == APPROVED


# ---- input ----

def jsonl(*lines):
    return b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)


def test_input_lines(run, pack, tmp_path):
    lines = [{"prompt": "the cat"}, {"prompt": "run dog", "id": 7, "other": [1.5e3, None]},
             {"messages": [{"role": "user", "content": "the cat"}]},
             {"messages": [{"role": "system", "content": "be a fox"}, {"role": "user", "content": "run"},
                           {"role": "user", "content": "dog"}]},
             {"messages": [{"role": "user", "content": [{"type": "text", "text": "run"}, {"type": "image_url"},
                                                        {"type": "text", "text": "dog"}]},
                           {"role": "assistant", "content": None, "tool_calls": []}]}]
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(jsonl(lines[0]) + b"\n" + jsonl(lines[1]).replace(b"\n", b"\r\n") + jsonl(*lines[2:])[:-1])
    got = objects(run("retrieve", "-p", pack, "--json", "--threshold", "0", "--input", path))
    assert [d["prompt"] for d in got] == ["the cat", "run dog", "the cat", "dog", "dog"]
    for d in got:
        check_decision(d)
        del d["us"]
    assert got[0] == got[2]
    assert {**got[4], "prompt": ""} == {**got[3], "prompt": ""}  # parts count as turns do
    piped = objects(run("retrieve", "-p", pack, "--json", "--threshold", "0", "-i", "-", input=path.read_bytes()))
    assert [{k: v for k, v in d.items() if k != "us"} for d in piped] == got
    assert objects(run("retrieve", "-p", pack, "--json", "-i", "-", input=b"")) == []


def test_only_the_user_steers(run, pack):
    def guided(system, tool):
        line = jsonl({"messages": [{"role": "system", "content": system}, {"role": "user", "content": "a cat"},
                                   {"role": "assistant", "content": system}, {"role": "tool", "content": tool},
                                   {"role": "user", "content": "sat"}]})
        d, = objects(run("retrieve", "-p", pack, "--json", "--raw", "-i", "-", input=line))
        return d["guidelines"], d["risks"]

    assert guided("we is", "in it") == guided("run dog run!", "the fox, quick!")


def test_nul_and_unicode(run, pack):
    prompt = "the \0cat sät \U0001F408 \u2028 \x7f"
    d, = objects(run("retrieve", "-p", pack, "--json", "-i", "-", input=jsonl({"prompt": prompt})))
    check_decision(d, prompt)
    hidden, plain = objects(run("retrieve", "-p", pack, "--json", "--raw", "-i", "-",
                                input=jsonl({"prompt": "\0\0the cat"}, {"prompt": "the cat"})))
    assert hidden["guidelines"] == plain["guidelines"]  # and did not end at the NUL


BAD_LINES = [
    (b"{", "JSON"), (b'{"prompt": "a"', "JSON"), (b'{"prompt": "a"} x', "JSON"), (b"[]", "prompt"), (b'"a"', ""),
    (b"{}", "prompt"), (b'{"prompt": 7}', "prompt"), (b'{"prompt": null}', "prompt"), (b'{"messages": {}}', "messages"),
    (b'{"prompt": "a", "prompt": "b"}', "duplicate"), (b'{"messages": [7]}', "role"),
    (b'{"messages": [{"content": "a"}]}', "message 0"), (b'{"messages": [{"role": "user"}, {"role": "god"}]}', "message 1"),
    (b'{"prompt": "caf\xe9"}', "byte 0xe9"), (b'{"prompt": "\\ud800"}', "JSON"), (b"\xef\xbb\xbf{}", "JSON"),
    (b'{"prompt": "a"}\0', "JSON"), (b'{"prompt": \x1b[31m}', "JSON"),
]


@pytest.mark.parametrize("line, word", BAD_LINES)
def test_bad_line(run, pack, tmp_path, line, word):
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(jsonl({"prompt": "a cat"}, line, {"prompt": "a dog"}))
    done = run("retrieve", "-p", pack, "--json", "--input", path)
    err = done.stderr.decode()
    assert done.returncode == 1
    assert err.startswith(f"guidealign: {path}:2: ") and err.count("\n") == 1 and word in err
    assert "\x1b" not in err
    assert [json.loads(x)["prompt"] for x in done.stdout.splitlines()] == ["a cat"]  # what came before it stands
    assert b"standard input:1: " in run("retrieve", "-p", pack, "-i", "-", input=line + b"\n").stderr


def test_too_many_messages(run, pack):
    line = jsonl({"messages": [{"role": "user", "content": "a"}] * 5000})
    fails(run("retrieve", "-p", pack, "-i", "-", input=line), "standard input:1: ", "5000 messages", "4096")


def test_long_lines(run, pack):
    """8 MiB are the limit of a line; a prompt of nearly that size is answered."""
    words = "the cat sat on the mat. " * (7 << 20 >> 4)
    fails(run("retrieve", "-p", pack, "-i", "-", input=b"x" * (10 << 20)), "standard input:1: ", "8388608")
    long = words[:(8 << 20) - 100]
    d, = objects(run("retrieve", "-p", pack, "--json", "-i", "-", input=jsonl({"prompt": long})))
    check_decision(d, long)


def test_argument_that_is_no_utf8(run, pack):
    fails(run("retrieve", "-p", pack, b"the caf\xe9"), "UTF-8", "byte 7")
    fails(run("retrieve", "-p", pack, "--pin", b"\xff", "the cat"), "pin")


def test_missing_input(run, pack, tmp_path):
    fails(run("retrieve", "-p", pack, "--input", tmp_path / "none"), str(tmp_path / "none"))
    fails(run("retrieve", "-p", pack, "--input", tmp_path), str(tmp_path))
    fails(run("embed", "-m", pack, tmp_path / "none"), str(tmp_path / "none"))


# ---- exit statuses ----

@pytest.mark.parametrize("arguments", [
    ["retrieve"], ["retrieve", "a", "b"], ["retrieve", "a", "--input", "-"], ["retrieve", "--nope", "a"], ["retrieve", "-z", "a"],
    ["retrieve", "-k", "0", "a"], ["retrieve", "-k", "33", "a"], ["retrieve", "-k", "x", "a"], ["retrieve", "a", "-k"],
    ["retrieve", "--threshold", "low", "a"], ["retrieve", "--threshold", "nan", "a"], ["retrieve", "--budget", "-1", "a"],
    ["retrieve", "--threads", "0", "a"], ["retrieve", "--threads", "257", "a"], ["retrieve", "--json=1", "a"],
    ["embed", "a", "b"], ["embed", "--precision", "f64"], ["embed", "--threads", "0"],
    ["pack"], ["pack", "--library", "x"], ["pack", "--out", "x"], ["pack", "--library", "x", "--out", "y", "z"],
    ["pack", "--library", "x", "--out", "y", "--shrinkage", "2"], ["pack", "--library", "x", "--out", "y", "--text-weight", "-1"],
    ["pack", "--library", "x", "--out", "y", "--text-weight", "inf"], ["pack", "--library", "x", "--out", "y", "--duplicate", "0"],
    ["paths", "x"], ["nope"], []])
def test_bad_usage(run, arguments):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"usage: guidealign" in done.stderr


@pytest.mark.parametrize("option, word", [(["--threshold", "1.5"], "threshold"), (["--threshold", "inf"], "threshold"),
                                          (["--diversity", "2"], "diversity"), (["--diversity", "-1"], "diversity"),
                                          (["--pin", "nobody"], "'nobody'")])
def test_values_that_cannot_be(run, pack, option, word):
    fails(run("retrieve", "-p", pack, *option, "a cat"), word, code=1 if option[0] == "--pin" else 2)


def test_bad_option_is_not_the_lines_fault(run, pack):
    err = fails(run("retrieve", "-p", pack, "--threshold", "7", "-i", "-", input=jsonl({"prompt": "a"})), "threshold", code=2)
    assert "standard input" not in err
    fails(run("retrieve", "-p", pack, "--threshold", "7", "-i", "-", input=b""), "threshold", code=2)


@pytest.mark.parametrize("command", ["retrieve", "embed", "pack", "paths"])
def test_help(run, command):
    done = run(command, "--help")
    assert (done.returncode, done.stderr) == (0, b"")
    out = done.stdout.decode()
    assert out.startswith(f"usage: guidealign {command}") and "\nexample\n" in out and "--json" in out


def test_dashes_end_the_options(run, pack):
    d, = objects(run("retrieve", "-p", pack, "--json", "--", "--raw"))
    check_decision(d, "--raw")


# ---- packs that are no good ----

def test_no_pack(run, tmp_path):
    fails(run("retrieve", "a"), "no starter pack", "--pack")
    fails(run("embed"), "no retriever", "--model")
    fails(run("pack", "--library", "x", "--out", tmp_path / "y"), "no retriever", "--encoder")
    for path in (tmp_path / "none", tmp_path, pathlib.Path("/dev/null"), tmp_path / "empty"):
        (tmp_path / "empty").write_bytes(b"")
        fails(run("retrieve", "-p", path, "a"), str(path))
        fails(run("embed", "-m", path if path != tmp_path else tmp_path / "empty", input=b"a\n"), "'")


def test_broken_packs(run, pack, tmp_path):
    whole, rng = pack.read_bytes(), random.Random(2)
    broken = tmp_path / "broken.gapack"
    for length in [0, 1, 95, 96, 800, *sorted(rng.sample(range(len(whole)), 10)), len(whole) - 1]:
        broken.write_bytes(whole[:length])
        fails(run("retrieve", "-p", broken, "a"), str(broken), "pack")
    for at in [0, 8, 12, 16, 40, 64, 96, 300, *rng.sample(range(len(whole)), 20), len(whole) - 1]:
        flipped = bytearray(whole)
        flipped[at] ^= 1 << rng.randrange(8)
        broken.write_bytes(flipped)
        fails(run("retrieve", "-p", broken, "--json", "a"), str(broken), "pack")
    broken.write_bytes(whole + b"\0")
    fails(run("retrieve", "-p", broken, "a"), str(broken), "copied in part")
    broken.write_bytes(whole.replace(b"\r\n", b"\n", 1))
    fails(run("retrieve", "-p", broken, "a"), "not a pack")
    assert run("retrieve", "-p", pack, "a").returncode == 0


@pytest.mark.slow
def test_broken_starter_pack(run, starter_pack, tmp_path):
    size, broken = starter_pack.stat().st_size, tmp_path / "broken.gapack"
    shutil.copyfile(starter_pack, broken)
    with open(broken, "r+b") as f:
        for at in (size // 3, size - 700_000, size - 1):
            f.seek(at)
            old = f.read(1)
            f.seek(at)
            f.write(bytes([old[0] ^ 0x10]))
            f.flush()
            fails(run("retrieve", "-p", broken, "a"), str(broken), "checksum of section '")
            f.seek(at)
            f.write(old)
            f.flush()
        assert run("retrieve", "-p", broken, "a").returncode == 0
        f.truncate(size // 2)
    fails(run("retrieve", "-p", broken, "a"), str(broken), "copied in part")


def test_starter_pack(run, starter_pack):
    """Ordinary prompts get few guidelines or none, and the default is used where no pack is named."""
    prompts = ["can i give my dog ibuprofen?", "what is the capital of france?",
               "my boss reads my private mails, can i read his?"]
    named = objects(run("retrieve", "-p", starter_pack, "--json", "-i", "-", input=jsonl(*({"prompt": p} for p in prompts))))
    for d, prompt in zip(named, prompts, strict=True):
        check_decision(d, prompt)
        assert len(d["guidelines"]) <= 6 and d["tokens"] <= 400
    noted = starter_pack.parent / "paths.json"
    if noted.exists():
        d, = objects(run("retrieve", "--json", prompts[0], env={"GUIDEALIGN_PATHS": str(noted)}))
        assert {**d, "us": 0} == {**named[0], "us": 0}


# ---- output that goes nowhere ----

def test_full_disk(run, pack, model, tmp_path):
    commands = [(["retrieve", "-p", pack, "a"], None), (["retrieve", "-p", pack, "--json", "a"], None),
                (["retrieve", "-p", pack, "--json", "--raw", "-i", "-"], jsonl(*[{"prompt": "a cat"}] * 200)),
                (["embed", "-m", model], b"a\n" * 600), (["embed", "-m", model, "--json"], b"a\n"),
                (["paths"], None), (["paths", "--json"], None), (["retrieve", "--help"], None)]
    for arguments, given in commands:
        with open("/dev/full", "wb") as full:
            done = run(*arguments, input=given, stdout=full)
        assert done.returncode == 1, arguments
        assert done.stderr.startswith(b"guidealign: cannot write the output") and b"No space left" in done.stderr


def test_closed_pipe(run, pack, model):
    """The reader is gone before the first line: an error, not a signal, and no work on all the rest."""
    for arguments, line in ((["retrieve", "-p", pack, "--json", "--raw", "-i", "-"], jsonl({"prompt": "a cat"})),
                            (["embed", "-m", model], b"a cat\n")):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = run(*arguments, input=line * 3000, stdout=writer)
        finally:
            os.close(writer)
        assert done.returncode == 1
        assert b"Broken pipe" in done.stderr and done.stderr.count(b"\n") == 1


# ---- embed ----

def embeddings(done, warning=b""):
    rows = objects(done, warning)
    assert all(set(r) == {"embedding"} for r in rows)
    for r in rows:
        assert abs(sum(x * x for x in r["embedding"]) - 1) < 1e-5
    return [r["embedding"] for r in rows]


def test_a_large_library_is_searched_exactly(run, model, tmp_path):
    """Beyond some thousands most guidelines are ruled out by codes of 4 bits; the choice is the same as by all scores."""
    rng = random.Random(5)
    records = tmp_path / "many.jsonl"
    records.write_text("".join(json.dumps({
        "id": f"g{i}", "status": "approved", "text": " ".join(rng.choices(WORDS[5:], k=12)),
        **({"risks": ["insult"]} if i % 2 else {}),  # guarded by a higher threshold
        **({"scope": ["s"]} if i % 3 == 0 else {})}) + "\n" for i in range(4500)))
    many = tmp_path / "many.gapack"
    made = run("pack", "--library", records, "--encoder", model, "--out", many, "--duplicate", "2")
    assert made.returncode == 0, made.stderr
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": " ".join(rng.choices(WORDS[5:], k=9))}) + "\n" for _ in range(40)))
    scoped = {f"g{i}" for i in range(0, 4500, 3)}
    ranked = run("retrieve", "--pack", many, "--input", prompts, "--json", "--raw").stdout.splitlines()
    least = json.loads(run("pack", "--library", records, "--encoder", model, "--out", many, "--duplicate", "2",
                           "--json").stdout)["calibration"]
    for threshold in ("0", "0.2", None):
        given = ("--threshold", threshold) if threshold else ()
        of_kind = {"quality": float(threshold or least["threshold"]),
                   "safety": float(threshold or least["safety_threshold"])}
        chosen = run("retrieve", "--pack", many, "--input", prompts, "--json", *given, "-k", "5",
                     "--diversity", "0", "--budget", "100000").stdout.splitlines()
        assert len(chosen) == len(ranked) == 40
        for line, whole in zip(chosen, ranked):
            best = [(g["id"], g["score"]) for g in json.loads(whole)["guidelines"]
                    if g["id"] not in scoped and g["score"] >= of_kind[g["kind"]]][:5]
            assert [(g["id"], g["score"]) for g in json.loads(line)["guidelines"]] == best


def test_embed(run, model, pack, tmp_path):
    text = "the cat sat\n\nrun, dog\nthe cat sat\r\na fox".encode()
    rows = embeddings(run("embed", "--model", model, "--json", input=text))
    assert [len(r) for r in rows] == [24] * 5  # an empty line is a text too
    assert rows[0] == rows[3] != rows[2]
    plain = run("embed", "-m", model, input=text)
    assert (plain.returncode, plain.stderr) == (0, b"")
    assert [[float(x) for x in line.split()] for line in plain.stdout.decode().splitlines()] == rows
    file = tmp_path / "texts"
    file.write_bytes(text)
    assert run("embed", "-m", model, file).stdout == plain.stdout
    # a pack has the same encoder, in 8 bits unless it was made otherwise
    eight = run("embed", "-m", model, "--precision", "int8", input=text).stdout
    assert run("embed", "-m", pack, input=text).stdout == eight != plain.stdout
    assert run("embed", "-m", model, "--precision", "int4", input=text).returncode == 2
    assert run("embed", "-m", model, input=b"").stdout == b""


def test_embed_threads(run, model):
    rng = random.Random(3)
    text = "".join(" ".join(rng.choices(WORDS[5:], k=rng.randrange(60))) + "\n" for _ in range(700)).encode()
    one = run("embed", "-m", model, "--threads", "1", "--json", input=text)
    two = run("embed", "-m", model, "--threads", "2", "--json", input=text)
    eight = [run("embed", "-m", model, "--precision", "int8", "--threads", n, "--json", input=text).stdout
             for n in "12"]
    assert eight[0] == eight[1] != one.stdout
    assert one.returncode == 0 and one.stdout == two.stdout and one.stdout.count(b"\n") == 700
    assert b"texts were cut at 40 tokens" in one.stderr == two.stderr


def test_embed_bad_lines(run, model):
    done = run("embed", "-m", model, "--json", input=b"a cat\nthe caf\xe9\na dog\n")
    assert done.returncode == 1 and b"standard input:2: invalid UTF-8 at byte 7" in done.stderr
    assert len(done.stdout.splitlines()) == 1  # what came before it stands
    done = run("embed", "-m", model, input=b"a\n" * 300 + b"x" * (9 << 20))
    assert done.returncode == 1 and b"standard input:301: " in done.stderr and b"8388608" in done.stderr
    assert len(done.stdout.splitlines()) == 300
    nul, plain = embeddings(run("embed", "-m", model, "--json", input=b"\0the cat\nthe cat\n"))
    assert nul == plain


def test_embed_golden(run, paths):
    """The vectors of the Python reference, through the program."""
    if "base_encoder" not in paths:
        pytest.skip("no base_encoder: run make setup")
    golden = [g for g in json.loads((ROOT / "tests/golden/encoder.json").read_text())["base"]
              if "\n" not in g["text"] and "\r" not in g["text"]]
    text = "".join(g["text"] + "\n" for g in golden).encode()
    rows = embeddings(run("embed", "-m", paths["base_encoder"], "--json", input=text),
                      b"guidealign: warning: 1 texts were cut at 256 tokens\n")
    assert len(rows) == len(golden) > 5
    for row, g in zip(rows, golden):
        assert sum(a * b for a, b in zip(row, g["embedding"], strict=True)) > 0.99999, g["text"][:60]


# ---- pack ----

def test_pack_report(run, model, records, pack, tmp_path):
    out = tmp_path / "new.gapack"
    report, = objects(run("pack", "--library", records, "--encoder", model, "--out", out, "--json", *MAKE))
    assert set(report) == {"out", "pack", "guidelines", "triggers", "duplicates", "bytes", "left_out", "risk",
                           "calibration"}
    assert (report["out"], report["guidelines"], report["triggers"]) == (str(out), APPROVED, 5)
    assert report["bytes"] == out.stat().st_size
    assert report["left_out"]["triggers"] == 0 and report["risk"]["prompts"] == 6
    assert out.read_bytes() == pack.read_bytes()  # the same input, the same file
    d, = objects(run("retrieve", "-p", out, "--json", "a"))
    assert d["pack"] == report["pack"]
    done = run("pack", "-l", records, "-e", model, "-o", out, "--threads", "3", *MAKE)
    assert done.returncode == 0 and report["pack"].encode() in done.stdout
    assert out.read_bytes() == pack.read_bytes()
    assert os.listdir(tmp_path) == ["new.gapack"]


def test_pack_from_a_store(run, model, records, pack, tmp_path):
    db, out = tmp_path / "library.db", tmp_path / "db.gapack"
    done = run("library", "import", "--library", db, records)
    assert done.returncode == 0, done.stderr
    report, = objects(run("pack", "--library", db, "--encoder", model, "--out", out, "--json", *MAKE))
    assert report["guidelines"] == APPROVED
    assert out.read_bytes() == pack.read_bytes()


def test_pack_options(run, model, records, pack, tmp_path):
    ids = set()
    for i, option in enumerate([[], ["--text-weight", "1"], ["--heading", "Rules:"], ["--duplicate", "0.2"]]):
        report, = objects(run("pack", "-l", records, "-e", model, "-o", tmp_path / str(i), "--json", *option))
        ids.add(report["pack"])
    assert len(ids) == 4 and report["duplicates"] > 0


@pytest.mark.parametrize("lines, words", [
    ([], ["none of 0"]), ([{"text": "a draft"}], ["none of 1", "approve"]), ([b"{"], [":1"]), ([{"title": "x"}], [":1", "text"]),
    ([{"id": "a", "text": "x", "status": "approved"}, {"id": "a", "text": "y", "status": "approved"}], ["'a'"])])
def test_pack_refuses(run, model, tmp_path, lines, words):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.gapack"
    source.write_bytes(jsonl(*lines))
    fails(run("pack", "-l", source, "-e", model, "-o", out), *words)
    assert os.listdir(tmp_path) == ["in.jsonl"]


def test_pack_nowhere(run, model, records, tmp_path):
    out = tmp_path / "none" / "out.gapack"
    fails(run("pack", "-l", records, "-e", model, "-o", out), str(out))
    fails(run("pack", "-l", tmp_path / "none.db", "-e", model, "-o", tmp_path / "x"), "none.db")
    fails(run("pack", "-l", records, "-e", tmp_path, "-o", tmp_path / "x"), str(tmp_path))
    fails(run("pack", "-l", records, "-e", model, "-o", tmp_path), str(tmp_path))
    assert os.listdir(tmp_path) == []


# ---- paths ----

KEYS = ["base_encoder", "retriever", "starter_pack", "nginx_module", "llm", "llama_server", "cache"]


def test_paths(run, pack, tmp_path):
    nothing, = objects(run("paths", "--json"))
    assert nothing == dict.fromkeys(KEYS)
    noted = tmp_path / "paths.json"
    noted.write_text(json.dumps({"starter_pack": str(pack), "llm": str(tmp_path / "gone"), "cache": 7, "other": "x"}))
    env = {"GUIDEALIGN_PATHS": str(noted)}
    got, = objects(run("paths", "--json", env=env))
    assert got == {**dict.fromkeys(KEYS), "starter_pack": str(pack)}  # what was deleted since is not there
    shown = run("paths", env=env).stdout.decode().splitlines()
    assert [line.split()[0] for line in shown] == KEYS and str(pack) in shown[2] and "(not there)" in shown[0]
    check_decision(objects(run("retrieve", "--json", "a", env=env))[0], "a")
    assert run("embed", "--json", input=b"a\n", env={"GUIDEALIGN_PATHS": str(noted)}).returncode == 1  # no retriever
    noted.write_text("{")  # as if there were none; another may stand beside the program
    assert run("paths", env=env).returncode == 0


# ---- the library, as others build with it ----

def cc(*arguments):
    done = subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", *map(str, arguments)], capture_output=True,
                          timeout=MOST_S, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def check_example(program, pack, environment=None):
    def example(*arguments):
        return subprocess.run([program, *arguments], capture_output=True, timeout=MOST_S, text=True, env=environment)

    done = example(pack, "the cat sat on the mat.")
    assert (done.returncode, done.stderr) == (0, "")
    assert "[user]\nthe cat sat on the mat." in done.stdout
    assert example().returncode == 2
    broken = example("/nowhere.gapack", "a")
    assert broken.returncode == 1 and "/nowhere.gapack" in broken.stderr


def needs(*tools):
    for tool in tools:
        if not shutil.which(tool):
            pytest.skip(f"no {tool}")


def plain(build):
    """Skip where the build is instrumented: what links it has to be as well."""
    cache = (build / "CMakeCache.txt").read_text()
    if "GA_SANITIZE:STRING=\n" not in cache or "GA_COVERAGE:BOOL=ON" in cache:
        pytest.skip("an instrumented build")


def test_example_static(build, pack, tmp_path):
    needs("cc")
    archive = build / "libguidealign.a"
    if not archive.exists():
        pytest.skip(f"no {archive}")
    plain(build)
    cc("-I", ROOT / "include", ROOT / "examples" / "compose.c", archive, "-lutf8proc", "-lpthread", "-lm",
       "-o", tmp_path / "compose")
    check_example(tmp_path / "compose", pack)


def test_headers_alone(tmp_path):
    """Each public header compiles by itself, as C and as C++."""
    needs("cc")
    for header in sorted((ROOT / "include" / "guidealign").glob("*.h")):
        source = tmp_path / "one.c"
        source.write_text(f"#include <guidealign/{header.name}>\nint main(void) {{ return 0; }}\n")
        cc("-Wpedantic", "-I", ROOT / "include", "-c", source, "-o", tmp_path / "one.o")
        if shutil.which("c++"):
            done = subprocess.run(["c++", "-Wall", "-Werror", "-x", "c++", "-I", ROOT / "include", "-c", source,
                                   "-o", tmp_path / "one.o"], capture_output=True, timeout=MOST_S)
            assert done.returncode == 0, done.stderr


@pytest.fixture
def prefix(build, tmp_path):
    needs("cc", "cmake", "pkg-config")
    if not (build / "cmake_install.cmake").exists() or not (build / "libguidealign.so").exists():
        pytest.skip(f"no complete build in {build}")
    plain(build)
    where = tmp_path / "prefix"
    done = subprocess.run(["cmake", "--install", build, "--prefix", where], capture_output=True, timeout=MOST_S, text=True)
    assert done.returncode == 0, done.stderr
    return where


def test_installed_elsewhere(prefix):
    pc, = prefix.rglob("guidealign.pc")
    done = subprocess.run(["pkg-config", "--cflags", "guidealign"], capture_output=True, timeout=MOST_S, text=True,
                          env={"PATH": os.environ["PATH"], "PKG_CONFIG_PATH": str(pc.parent)})
    assert f"-I{prefix}/include" == str(pathlib.Path(os.path.normpath(done.stdout.strip())))


def test_install(prefix, pack, tmp_path):
    """Installed, found by pkg-config, and used shared and static."""
    assert sorted(p.name for p in (prefix / "include" / "guidealign").iterdir()) == sorted(
        p.name for p in (ROOT / "include" / "guidealign").iterdir())
    pc, = prefix.rglob("guidealign.pc")
    environment = {"PATH": os.environ["PATH"], "PKG_CONFIG_PATH": str(pc.parent)}

    def flags(*options):
        done = subprocess.run(["pkg-config", *options, "guidealign"], capture_output=True, timeout=MOST_S, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    source, library = ROOT / "examples" / "compose.c", pc.parents[1]
    cc(source, *flags("--cflags", "--libs"), "-o", tmp_path / "shared")
    check_example(tmp_path / "shared", pack, {"LD_LIBRARY_PATH": str(library)})
    static = [f for f in flags("--cflags", "--libs", "--static") if f != "-lguidealign"]
    cc(source, library / "libguidealign.a", *static, "-o", tmp_path / "static")
    check_example(tmp_path / "static", pack)
    symbols = subprocess.run(["nm", "-D", "--defined-only", library / "libguidealign.so"], capture_output=True,
                             timeout=MOST_S, text=True).stdout.split()
    defined = [s for s in symbols if "ga_" in s]
    assert "ga_guide" in [s.split("@")[0] for s in defined]
    assert not [s for s in defined if s.startswith("ga__")], "internal names leave the library"
    done = subprocess.run([prefix / "bin" / "guidealign", "retrieve", "-p", pack, "--json", "a"], capture_output=True,
                          timeout=MOST_S)
    check_decision(objects(done)[0], "a")
