"""`train` as its users meet it: on the base encoder and the shipped data, killed and started again, and what it says of bad input."""
import hashlib
import json
import pathlib
import signal
import subprocess
import time

import pytest

from conftest import need

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "data" / "library"
MOST_S = 120  # of any run
STEPS = 6
QUICK = ["--guidelines", 4, "--queries", 1, "--supports", 1, "--neighbours", 1, "--max-tokens", 24, "--measure-every", 3, "--triggers", 1,
         "--checkpoint-every", 1, "--freeze", 5, "--steps", STEPS, "--rate", "2e-4"]


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """A dozen guidelines of the starter library, and the pairs that speak of them."""
    folder = tmp_path_factory.mktemp("material")
    guidelines = [json.loads(line) for line in sorted(LIBRARY.glob("*.jsonl"))[0].read_text().splitlines()][:12]
    ids = {g["id"] for g in guidelines}
    pairs = []
    for path in sorted((ROOT / "data" / "pairs").glob("train-*.jsonl")):
        pairs += [p for line in path.read_text().splitlines() if ids & set((p := json.loads(line))["positives"])]
    assert len(pairs) >= 20
    for p in pairs[::4]:
        p["split"] = "dev"
    (folder / "library.jsonl").write_text("".join(json.dumps(g) + "\n" for g in guidelines))
    (folder / "pairs.jsonl").write_text("".join(json.dumps(p) + "\n" for p in pairs))
    return ["--library", folder / "library.jsonl", "--pairs", folder / "pairs.jsonl"]


def command(program, *arguments):
    return [str(a) for a in (program, "train", *arguments)]


def train(program, *arguments, status=0):
    done = subprocess.run(command(program, *arguments), capture_output=True, text=True, timeout=MOST_S)
    assert done.returncode == status, done.stderr
    return done.stderr


def weights(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def log(folder):
    path = folder / "training.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture(scope="module")
def trained(program, paths, material, tmp_path_factory):
    need(paths, "base_encoder")
    folder = tmp_path_factory.mktemp("trained")
    train(program, *material, *QUICK, "--out", folder / "model", "--threads", 1)
    return folder


def test_writes_a_model(program, trained):
    rows = log(trained / "model")
    assert [r["step"] for r in rows] == list(range(STEPS + 1))
    assert all(r["loss"] > 0 and r["rate"] > 0 and r["tokens"] > r["texts"] for r in rows[1:])
    assert [r["step"] for r in rows if "by_text" in r] == [0, 3, 6]
    assert {"config.json", "vocab.txt", "modules.json", "model.safetensors"} <= {p.name for p in (trained / "model").iterdir()}
    assert (trained / "model" / "1_Pooling" / "config.json").exists()
    assert not (trained / "model" / "checkpoint").exists()
    done = subprocess.run([program, "embed", "--json", "--model", trained / "model"], input="hello\n", capture_output=True, text=True, timeout=MOST_S)
    assert done.returncode == 0 and len(json.loads(done.stdout)["embedding"]) == 384


def test_any_number_of_threads_makes_the_same_model(program, material, trained, tmp_path):
    train(program, *material, *QUICK, "--out", tmp_path / "model", "--threads", 2)
    assert weights(tmp_path / "model") == weights(trained / "model")


def test_killed_and_started_again_it_makes_the_same_model(program, material, trained, tmp_path):
    run = command(program, *material, *QUICK, "--out", tmp_path / "model")
    killed = subprocess.Popen(run, stderr=subprocess.DEVNULL)
    end = time.monotonic() + MOST_S
    while len(log(tmp_path / "model")) < 4 and killed.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait(MOST_S) == -signal.SIGKILL, "it was done before it could be killed"
    assert (tmp_path / "model" / "checkpoint").exists() and not (tmp_path / "model" / "model.safetensors").exists()
    train(program, *material, *QUICK, "--out", tmp_path / "model")
    rows = log(tmp_path / "model")
    assert [r["step"] for r in rows].count(1) == 1, "it began anew"
    assert rows[-1]["step"] == STEPS
    assert weights(tmp_path / "model") == weights(trained / "model")


def test_a_checkpoint_of_other_options_is_refused(program, material, tmp_path):
    run = command(program, *material, *QUICK, "--out", tmp_path / "model")
    killed = subprocess.Popen(run, stderr=subprocess.DEVNULL)
    end = time.monotonic() + MOST_S
    while not (tmp_path / "model" / "checkpoint").exists() and time.monotonic() < end:
        time.sleep(0.01)
    killed.kill()
    killed.wait(MOST_S)
    assert "other options" in train(program, *material, *QUICK, "--dropout", "0.1", "--out", tmp_path / "model", status=1)


def test_what_changed_is_small_and_makes_the_model_again(program, material, trained, tmp_path):
    last = tmp_path / "last"  # without measuring the last parameters are kept
    train(program, *material, *QUICK, "--measure-every", 0, "--out", last, "--delta", tmp_path / "delta")
    assert weights(last) != weights(trained / "model")
    size = (tmp_path / "delta").stat().st_size
    assert size < 0.1 * (last / "model.safetensors").stat().st_size  # two layers of six, in a quarter of the bytes
    train(program, "--apply", tmp_path / "delta", "--out", tmp_path / "again")
    texts = "how do i pick a lock?\nwrite a poem\n"
    vectors = [[json.loads(line)["embedding"] for line in
                subprocess.run([program, "embed", "--json", "--model", folder], input=texts, capture_output=True, text=True,
                               check=True, timeout=MOST_S).stdout.splitlines()] for folder in (last, tmp_path / "again")]
    for a, b in zip(*vectors):
        assert sum(x * y for x, y in zip(a, b)) > 0.9999
    assert "another one" in train(program, "--apply", tmp_path / "delta", "--encoder", tmp_path / "again", "--out", tmp_path / "twice", status=1)


@pytest.mark.parametrize("arguments, status, message", [
    (["--out", "x"], 2, "--library FILE and --out DIR are needed"),
    (["--library", "/no/such.jsonl", "--out", "x"], 1, "/no/such.jsonl"),
    (["--library", LIBRARY / "AUTHORING.md", "--out", "x"], 1, "AUTHORING.md:1"),
    (["--library", sorted(LIBRARY.glob("*.jsonl"))[0], "--out", "x", "--encoder", "/no/such"], 1, "/no/such"),
    (["--library", "l", "--out", "x", "--temperature", "0"], 2, "--temperature is above 0"),
    (["--library", "l", "--out", "x", "--precision", "int8"], 2, "--precision is f32, bf16 or auto"),
    (["--library", "l", "--out", "x", "--schedule", "steps"], 2, "--schedule is linear or cosine"),
    (["--library", sorted(LIBRARY.glob("*.jsonl"))[0], "--out", "x", "--freeze", "7"], 1, "one must learn"),
    (["--apply", ROOT / "README.md", "--out", "x"], 1, "README.md"),
])
def test_says_what_is_wrong(program, tmp_path, arguments, status, message):
    arguments = [tmp_path / a if a == "x" else a for a in arguments]
    assert message in train(program, *arguments, status=status)
    assert not (tmp_path / "x" / "model.safetensors").exists()


def test_a_rate_that_is_too_high_is_no_silent_disaster(program, material, tmp_path):
    said = train(program, *material, *QUICK, "--rate", "1e30", "--decay", "0", "--clip", "0", "--measure-every", "0", "--out", tmp_path / "model", status=1)
    assert "not finite" in said and "lower the rate" in said


def test_the_shipped_retriever_finds_what_it_never_met(program, starter_pack):
    """Half of what three organisations' guidelines ask for, and a quarter by their texts alone: the base encoder finds 0.40 and 0.17."""
    assert (ROOT / "data" / "retriever" / "delta.safetensors").stat().st_size < 25e6
    for ranker, least in (("pack", 0.50), ("text", 0.27)):
        done = subprocess.run([program, "eval", "retrieval", "--json", "--pack", starter_pack, "--ranker", ranker,
                               "--pairs", ROOT / "data" / "pairs" / "test-new-organisation.jsonl"], capture_output=True, text=True, timeout=MOST_S)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["recall"] >= least
