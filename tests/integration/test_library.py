"""`guidealign library` as its users meet it: bad files, killed processes, full
disks, several people at once, and the whole way from import to rollback."""
import json
import os
import pathlib
import pty
import random
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GUIDEALIGN_BUILD", ROOT / "build" / "test"))
PROGRAM = BUILD / "guidealign"
SHIPPED = sorted((ROOT / "data" / "library").glob("*.jsonl"))
TIMEOUT = 120

if not PROGRAM.exists():
    pytest.skip(f"no {PROGRAM}: build the test preset or set GUIDEALIGN_BUILD", allow_module_level=True)


class Library:
    """The program with one library in a folder of its own."""

    def __init__(self, folder, name="library.db"):
        self.folder = pathlib.Path(folder)
        self.path = self.folder / name

    def command(self, *args):
        return [str(PROGRAM), "library", *map(str, args)]

    def env(self, **more):
        return {**os.environ, "GUIDEALIGN_LIBRARY": str(self.path), "USER": "ada", **more}

    def run(self, *args, env=None, **options):
        return subprocess.run(self.command(*args), env=self.env(**(env or {})), capture_output=True,
                              timeout=TIMEOUT, **options)

    def ok(self, *args, **options):
        run = self.run(*args, **options)
        assert run.returncode == 0, run.stderr.decode()
        return run.stdout.decode()

    def json(self, *args, **options):
        return [json.loads(line) for line in self.ok(args[0], "--json", *args[1:], **options).splitlines()]

    def fails(self, *args, code=1, **options):
        """The message of a command that must fail, with nothing on stdout."""
        run = self.run(*args, **options)
        assert run.returncode == code, (run.returncode, run.stdout, run.stderr)
        assert run.stdout == b""
        return run.stderr.decode()

    def write(self, name, *lines):
        path = self.folder / name
        path.write_bytes(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines))
        return path

    def records(self, *args):
        return {r["id"]: r for r in self.json("list", *args)}

    def head(self):
        versions = self.json("history")
        return versions[0]["version"] if versions else 0


@pytest.fixture
def lib(tmp_path):
    return Library(tmp_path)


def record(ident, text="x", **more):
    return json.dumps({"id": ident, "text": text, **more})


def many(count, text="Say what helps."):
    return [record(f"g-{i:05d}", f"{text} {i}", title=f"Number {i}", risks=["insult"],
                   triggers=[f"prompt {i} {j} " + "word " * 15 for j in range(8)]) for i in range(count)]


# ---- import ----

def test_one_bad_line_among_many(lib):
    lines = many(5000)
    lines[3216] = '{"id":"g-03216","titel":"x"}'
    path = lib.write("library.jsonl", *lines)
    assert lib.fails("import", path).splitlines() == [
        f"guidealign: {path}:3217: unknown key 'titel'",
        "guidealign: nothing was imported: 1 of 5000 records is bad, --keep-going takes the others"]
    assert lib.json("list") == [] and lib.head() == 0
    run = lib.run("import", "--keep-going", path)
    assert run.returncode == 0
    assert run.stdout == b"version 1: 4999 added, 0 updated, 0 unchanged, 1 rejected\n"
    assert b"library.jsonl:3217: unknown key 'titel'" in run.stderr
    assert len(lib.json("list")) == 4999


def test_missing_text_is_named_as_promised(lib):
    lib.write("library.jsonl", *[record(f"a{i}") for i in range(16)], '{"id":"b"}')
    run = lib.run("import", "library.jsonl", cwd=lib.folder)
    assert run.returncode == 1
    assert run.stderr.decode().splitlines()[0] == 'guidealign: library.jsonl:17: "text" is missing'


def test_errors_are_bounded(lib):
    path = lib.write("bad.jsonl", *["{}"] * 1000)
    lines = lib.fails("import", path).splitlines()
    assert len(lines) == 22
    assert lines[20] == "guidealign: and 980 more"
    run = lib.run("import", "--json", "--keep-going", path)
    assert run.returncode == 1  # nothing of it was any good
    result = json.loads(run.stdout)
    assert result["rejected"] == 1000 and len(result["errors"]) == 20 and result["version"] is None
    assert result["errors"][0] == {"file": str(path), "line": 1, "message": f'{path}:1: "text" is missing'}


def test_duplicates_within_and_across_files(lib):
    one = lib.write("one.jsonl", record("a"), record("b"), record("a", "other"))
    two = lib.write("two.jsonl", record("c"), record("b"))
    errors = lib.fails("import", one, two)
    assert f"{one}:3: id 'a' stands in {one}:1 already" in errors
    assert f"{two}:2: id 'b' stands in {one}:2 already" in errors


def test_existing_guidelines(lib):
    path = lib.write("a.jsonl", record("a"), record("b"))
    assert "2 added" in lib.ok("import", path)
    assert lib.ok("import", path) == "nothing to change: 0 added, 0 updated, 2 unchanged, 0 rejected\n"
    assert lib.head() == 1
    path = lib.write("a.jsonl", record("a"), record("b", "other"), record("c"))
    assert f"{path}:2: id 'b' is in the library with another content, --update replaces it" in lib.fails("import", path)
    assert set(lib.records()) == {"a", "b"}
    assert "1 added, 1 updated, 1 unchanged" in lib.ok("import", "--update", path)
    assert lib.records()["b"]["text"] == "other"


def test_status_on_import(lib):
    path = lib.write("a.jsonl", record("a"), record("b", status="retired"))
    lib.ok("import", path)
    assert {i: r["status"] for i, r in lib.records().items()} == {"a": "draft", "b": "retired"}
    lib.ok("approve", "a")
    assert "2 unchanged" in lib.ok("import", path)  # it does not say that a is a draft
    assert "1 updated, 1 unchanged" in lib.ok("import", "--approve", "--update", path)
    assert {r["status"] for r in lib.records().values()} == {"approved"}
    lib.ok("import", "--update", lib.write("b.jsonl", record("a", "changed")))
    assert lib.records()["a"]["status"] == "draft"  # nobody has reviewed that text


def test_standard_input_bom_crlf_blank_lines(lib):
    data = b"\xef\xbb\xbf\r\n" + record("a").encode() + b"\r\n\r\n  \r\n" + record("b").encode()
    assert "2 added" in lib.ok("import", "-", input=data)
    assert "standard input:3: a JSON object" in lib.fails("import", "-", input=b"\n\n[]\n")


@pytest.mark.parametrize("line, message", [
    (b'{"text":"a\\u0000b"}', '"text" has a NUL character'),
    (b'{"text":"a\x00b"}', "malformed JSON at byte 10: control character in a string"),
    (b'{"text":"a\xc3"}', "malformed JSON at byte 10: invalid UTF-8"),
    (b'{"text":"\xed\xa0\x80"}', "malformed JSON at byte 9: invalid UTF-8"),
    (b'{"text":"\\udc00"}', "bad \\u escape"),
    (b'{"text":"x","id":"a\\u0000"}', '"id" has a NUL character'),
    (b'{"text":"x","id":"a\\tb"}', '"id" has a control character'),
    (b'{"text":"x","id":"' + b"a" * 129 + b'"}', '"id" has 129 bytes, the limit is 128'),
    (b'{"text":"x","text":"y"}', "key 'text' stands twice"),
    (b'{"text":"x"', "malformed JSON at byte 11: ',' or '}' expected"),
    (b'{"text":"x","risks":["violence"]}', "'violence', which is none of the 14 risk types"),
    (b"x" * (8 << 20) + b"x", "line over 8388608 bytes"),
])
def test_lines_that_are_refused(lib, line, message):
    path = lib.write("bad.jsonl", record("good"), line)
    errors = lib.fails("import", path)
    assert f"{path}:2: " in errors and message in errors
    assert lib.json("list") == []


def test_any_id_and_any_text(lib):
    ids = ["é" * 64, "日本語", "a'b\"c\\d", "  spaces  ", "--help", "%s%n", "; DROP TABLE records", "👩‍👧", "-", "a,b"]
    path = lib.write("ids.jsonl", *[record(i, f"text\n\t\x01 of {i}", title="tïtle") for i in ids])
    lib.ok("import", path)
    assert set(lib.records()) == set(ids)
    for i in ids:
        assert lib.json("show", "--", i)[0]["text"] == f"text\n\t\x01 of {i}"
        assert lib.json("approve", "--", i)[0]["id"] == i
    assert "\x01" not in lib.ok("show", "日本語") and "\x1b" not in lib.ok("list")


def test_export_and_import_again(lib, tmp_path):
    lib.ok("import", *SHIPPED)
    first = lib.ok("export")
    assert first.count("\n") == len(lib.json("list"))
    lines = sorted(line for p in SHIPPED for line in p.read_text(encoding="utf-8").splitlines())
    assert sorted(first.splitlines()) == lines  # as it was written, byte for byte
    out = tmp_path / "out.jsonl"
    assert f"are in '{out}'" in lib.ok("export", "-o", out)
    assert out.read_text(encoding="utf-8") == first
    other = Library(tmp_path, "other.db")
    other.ok("import", out)
    assert other.ok("export") == first


def test_export_of_a_version_and_status(lib, tmp_path):
    lib.ok("import", lib.write("a.jsonl", record("a"), record("b")))
    lib.ok("edit", "a", "--text", "new")
    lib.ok("approve", "b")
    assert [r["text"] for r in map(json.loads, lib.ok("export", "--version", 1).splitlines())] == ["x", "x"]
    assert [r["id"] for r in map(json.loads, lib.ok("export", "--status", "approved").splitlines())] == ["b"]
    assert lib.ok("export", "--version", 0) == ""
    assert "there is no version 4, the newest is 3" in lib.fails("export", "--version", 4)
    out = tmp_path / "kept.jsonl"
    out.write_text("kept")
    lib.fails("export", "--version", 9, "-o", out)
    assert out.read_text() == "kept"
    before = lib.path.read_bytes()
    assert "is the library itself" in lib.fails("export", "-o", lib.path)
    assert lib.path.read_bytes() == before


# ---- editing ----

def test_add_edit_approve_retire(lib):
    made = lib.json("add", "--title", "Tracking a partner", "--text", "Name what to do instead.", "--risk",
                    "privacy_and_property", "--trigger", "where is she?", "--trigger", "find him", "--priority", 7)
    ident = made[0]["id"]
    assert made == [{"id": ident, "result": "added", "version": 1}]
    assert ident.startswith("tracking-a-partner-")
    got = lib.json("show", ident)[0]
    assert list(got) == ["id", "title", "text", "kind", "risks", "topics", "priority", "scope", "triggers",
                         "non_triggers", "status", "source"]
    assert (got["kind"], got["status"], got["priority"]) == ("safety", "draft", 7)
    assert got["triggers"] == ["where is she?", "find him"] and list(got["source"]) == ["created"]
    assert "there is another guideline" in lib.fails("add", "--id", ident, "--text", "other")
    assert lib.json("edit", ident, "--title", "New", "--trigger", "only", "--risk", "", "--reason", "why") == [
        {"id": ident, "result": "updated", "version": 2}]
    got = lib.json("show", ident)[0]
    assert (got["title"], got["triggers"], got["risks"]) == ("New", ["only"], [])
    assert lib.json("edit", ident, "--title", "New")[0]["result"] == "unchanged"
    assert lib.json("approve", ident)[0] == {"id": ident, "result": "approved", "version": 3}
    assert lib.json("approve", ident)[0] == {"id": ident, "result": "unchanged", "version": None}
    assert lib.json("retire", ident)[0]["result"] == "retired"
    assert lib.json("list", "--status", "approved") == [] and len(lib.json("list", "--status", "retired")) == 1
    assert "there is no guideline 'none'" in lib.fails("approve", ident, "none")
    assert lib.json("show", ident)[0]["status"] == "retired"  # all of them or none
    assert "there is no guideline 'none'" in lib.fails("edit", "none", "--title", "t")
    assert '"text" is blank' in lib.fails("edit", ident, "--text", " ")


def test_records_on_standard_input(lib):
    assert lib.json("add", "-", input=b'{\n "id": "a",\n "text": "x"\n}\n')[0]["id"] == "a"
    assert "standard input: unknown key 'trigers'" in lib.fails("add", "-", input=b'{"text":"x","trigers":[]}')
    assert "standard input: malformed JSON" in lib.fails("add", "-", input=b"")
    assert lib.json("edit", "a", "-", input=record("a", "new").encode())[0]["version"] == 2
    assert "an id cannot change" in lib.fails("edit", "a", "-", input=record("b", "new").encode())
    assert lib.records()["a"]["text"] == "new"


def test_edit_finds_a_conflict(lib):
    lib.ok("add", "--id", "a", "--text", "one")
    lib.ok("edit", "a", "--text", "two", "--expect", 1, "--author", "bob")
    assert "'a' was changed in version 2, by somebody else" in lib.fails("edit", "a", "--text", "three", "--expect", 1)
    assert lib.records()["a"]["text"] == "two"


def in_terminal(lib, args, env):
    """(status, what the terminal showed) of a command whose stdin and stdout are a terminal."""
    pid, fd = pty.fork()
    if pid == 0:
        try:
            os.execve(PROGRAM, lib.command(*args), lib.env(**env))
        finally:
            os._exit(126)
    shown = b""
    while True:
        try:
            data = os.read(fd, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def editor(lib, name, script):
    path = lib.folder / name
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return str(path)


def test_edit_in_an_editor(lib):
    lib.ok("add", "--id", "a", "--text", "some text", "--trigger", "t")
    folder = lib.folder / "tmp dir"
    folder.mkdir()
    env = {"TMPDIR": str(folder), "VISUAL": ""}
    good = editor(lib, "good", 'test "$1" = --flag && sed -i "s/some text/other text/" "$2"')
    status, shown = in_terminal(lib, ["edit", "a"], {**env, "EDITOR": f"{good} --flag"})
    assert status == 0, shown
    assert lib.records()["a"]["text"] == "other text" and os.listdir(folder) == []
    same = editor(lib, "same", "exit 0")
    status, shown = in_terminal(lib, ["edit", "a"], {**env, "EDITOR": same})
    assert status == 0 and "nothing to change" in shown and os.listdir(folder) == []
    bad = editor(lib, "bad", 'sed -i "s/other text//" "$1"')
    status, shown = in_terminal(lib, ["edit", "a"], {**env, "EDITOR": bad})
    kept = folder / os.listdir(folder)[0]
    assert status == 1 and '"text" is empty; your text is kept in' in shown and str(kept) in shown
    assert '"text": ""' in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    kept.unlink()
    # somebody else changes it while the editor is open: neither change is lost
    busy = editor(lib, "busy", f'{" ".join(lib.command("edit", "a", "--text", "theirs"))} && sed -i "s/other/mine/" "$1"')
    status, shown = in_terminal(lib, ["edit", "a"], {**env, "EDITOR": busy})
    assert status == 1 and "by somebody else; your text is kept in" in shown
    assert lib.records()["a"]["text"] == "theirs"
    assert "mine text" in (folder / os.listdir(folder)[0]).read_text()
    failing = editor(lib, "failing", "exit 3")
    status, shown = in_terminal(lib, ["edit", "a"], {**env, "EDITOR": failing})
    assert status == 1 and f"the editor '{failing}' failed" in shown


# ---- reading ----

def test_history_diff_rollback(lib):
    lib.ok("import", lib.write("a.jsonl", record("a"), record("b")), "--author", "eve", "--reason", "first")
    lib.ok("edit", "a", "--text", "better", "--risk", "insult", "--reason", "clearer")
    lib.ok("add", "--id", "c", "--title", "C", "--text", "new one")
    history = lib.json("history")
    assert [(v["version"], v["author"], v["action"], v["reason"], v["changes"]) for v in history] == [
        (3, "ada", "add", "", 1), (2, "ada", "edit", "clearer", 1), (1, "eve", "import", "first", 2)]
    assert all(v["created"].endswith("Z") and len(v["created"]) == 24 for v in history)
    assert [v["version"] for v in lib.json("history", "a")] == [2, 1]
    assert "there is no guideline 'z'" in lib.fails("history", "z")
    assert lib.ok("diff", 1, 2) == ("version 1 to 2\n~ a, changed\n    - text: x\n    + text: better\n"
                                    "    + risks: insult\n")
    assert lib.ok("diff") == "version 2 to 3\n+ c, added\n    + title: C\n    + text: new one\n"
    assert lib.ok("diff", 3, 1).splitlines()[1:3] == ["~ a, changed", "    - text: better"]
    assert "- c, removed" in lib.ok("diff", 3, 1)
    changes = {d["id"]: d for d in lib.json("diff", 1)}
    assert {i: d["change"] for i, d in changes.items()} == {"a": "changed", "c": "added"}
    assert changes["c"]["before"] is None and changes["a"]["after"]["text"] == "better"
    assert lib.json("rollback", 1, "--reason", "too early") == [{"version": 4, "to": 1, "changes": 2}]
    assert set(lib.records()) == {"a", "b"} and lib.records()["a"]["text"] == "x"
    assert lib.ok("diff", 1) == "version 1 to 4: no difference\n"
    assert lib.json("history")[0]["reason"] == "too early" and lib.json("history")[0]["action"] == "rollback to 1"
    assert lib.json("history", "c")[0]["deleted"] is True
    assert "there is no guideline 'c'" in lib.fails("show", "c")
    assert lib.json("show", "c", "--version", 3)[0]["text"] == "new one"
    lib.ok("rollback", 3)
    assert lib.records()["a"]["text"] == "better" and "c" in lib.records()
    assert lib.json("rollback", 3) == [{"version": None, "to": 3, "changes": 0}]
    assert "there is no version 9, the newest is 5" in lib.fails("rollback", 9)


def test_list_filters(lib):
    lib.ok("import", lib.write("a.jsonl", record("a", "Sag Überblick", risks=["insult"], scope=["shop"]),
                               record("b", kind="permit", risks=["insult", "mental_health"]),
                               record("c", topics=["coding"], status="approved")))

    def ids(*args):
        return "".join(lib.records(*args))
    assert ids() == "abc"
    assert ids("--risk", "insult") == "ab" and ids("--risk", "insult", "--kind", "permit") == "b"
    assert ids("--topic", "coding") == "c" and ids("--scope", "shop") == "a" and ids("--status", "approved") == "c"
    assert ids("--text", "überBLICK") == "a" and ids("--text", "nothing like it") == ""
    lib.ok("retire", "a")
    assert ids("--status", "draft") == "b" and ids("--status", "draft", "--version", 1) == "ab"


def test_table_fits_the_terminal(lib):
    lib.ok("import", *SHIPPED)
    status, shown = in_terminal(lib, ["list"], {})
    lines = shown.splitlines()
    assert status == 0 and len(lines) > 20
    assert max(map(len, lines)) <= 80


# ---- what is said to whom ----

def commands(lib):
    yield ["import", lib.write("i.jsonl", record("i"), record("j"))]
    yield ["add", "--id", "k", "--text", "x"]
    yield ["edit", "k", "--title", "t"]
    yield ["approve", "i", "j", "j"]
    yield ["retire", "j"]
    yield ["list"]
    yield ["show", "i"]
    yield ["history"]
    yield ["history", "i"]
    yield ["diff"]
    yield ["diff", "0", "2"]
    yield ["rollback", "1"]
    yield ["export"]
    yield ["export", "-o", lib.folder / "o.jsonl"]


def test_json_is_all_there_is_on_stdout(lib):
    for args in commands(lib):
        out = lib.ok(*args, "--json")
        assert out.endswith("\n"), args
        for line in out.splitlines():
            assert isinstance(json.loads(line), dict), args


@pytest.mark.parametrize("args", [
    [], ["nonsense"], ["import"], ["import", "--nope", "x"], ["add"], ["add", "--text"], ["add", "x"],
    ["add", "-", "--text", "x"], ["add", "--text", "x", "--kind", "nice"], ["add", "--text", "x", "--priority", "10"],
    ["edit"], ["edit", "a", "b"], ["edit", "a"], ["edit", "a", "--status", "good"], ["edit", "a", "-", "--title", "t"],
    ["approve"], ["retire"], ["show"], ["show", "a", "b"], ["history", "a", "b"], ["history", ""], ["rollback"],
    ["rollback", "x"], ["rollback", "-1"], ["diff", "1", "2", "3"], ["diff", "1.5"], ["list", "x"],
    ["list", "--status", "good"], ["list", "--risk", "war"], ["list", "--kind", "x"], ["export", "x"],
    ["export", "--version", "x"], ["export", "--version", "99999999999999999999"],
])
def test_bad_usage(lib, args):
    message = lib.fails(*args, code=2, stdin=subprocess.DEVNULL)
    assert "usage: guidealign library" in message
    assert not lib.path.exists()


def test_help(lib):
    overview = lib.ok("--help")
    for name in ["import", "export", "list", "show", "add", "edit", "approve", "retire", "history", "diff", "rollback"]:
        assert f"\n  {name} " in overview
        text = lib.ok(name, "--help")
        assert text.startswith(f"usage: guidealign library {name} ") and "\nexample\n" in text


def test_output_that_cannot_be_written(lib):
    lib.ok("import", lib.write("a.jsonl", *many(200)))
    for args in (["list"], ["list", "--json"], ["export"], ["history"], ["show", "g-00001"], ["diff"]):
        with open("/dev/full", "wb") as full:
            run = subprocess.run(lib.command(*args), env=lib.env(), stdout=full, stderr=subprocess.PIPE, timeout=TIMEOUT)
        assert run.returncode == 1 and b"cannot write the output: No space left" in run.stderr, args


def test_author(lib):
    lib.ok("add", "--id", "a", "--text", "x", env={"USER": "", "LOGNAME": "grace"})
    lib.ok("add", "--id", "b", "--text", "x", "--author", "Zoë, policy team")
    assert [v["author"] for v in lib.json("history")] == ["Zoë, policy team", "grace"]
    env = {k: v for k, v in lib.env().items() if k not in ("USER", "LOGNAME")}
    subprocess.run(lib.command("add", "--id", "c", "--text", "x"), env=env, check=True, timeout=TIMEOUT,
                   stdout=subprocess.DEVNULL)
    assert lib.json("history")[0]["author"] != ""
    assert "the author is empty" in lib.fails("add", "--id", "d", "--text", "x", "--author", " ")


# ---- files ----

def test_no_library(lib):
    for args in (["list"], ["show", "a"], ["history"], ["diff"], ["export"], ["rollback", "1"], ["approve", "a"],
                 ["edit", "a", "--title", "t"]):
        assert f"there is no library '{lib.path}'" in lib.fails(*args)
        assert os.listdir(lib.folder) == []


def test_other_files_are_refused_and_kept(lib):
    other = sqlite3.connect(lib.path)
    other.execute("CREATE TABLE bookmarks(url)")
    other.commit()
    other.close()
    path = lib.write("a.jsonl", record("a"))
    for content in (lib.path.read_bytes(), b'{"text":"x"}\n', b"SQLite format 3\0" + b"x" * 5000, os.urandom(10000)):
        lib.path.write_bytes(content)
        for args in (["list"], ["import", path], ["add", "--text", "x"], ["rollback", "0"]):
            message = lib.fails(*args)
            assert f"'{lib.path}' is no guideline library" in message or "is damaged" in message, message
        assert lib.path.read_bytes() == content
    lib.path.unlink()
    lib.path.mkdir()
    assert "is no guideline library" in lib.fails("import", path)


def test_newer_schema(lib):
    lib.ok("add", "--id", "a", "--text", "x")
    db = sqlite3.connect(lib.path)
    db.execute("PRAGMA user_version = 2")
    db.commit()
    db.close()
    before = lib.path.read_bytes()
    for args in (["list"], ["add", "--id", "b", "--text", "x"]):
        assert "was made by a newer guidealign: its schema is 2, this program knows 1" in lib.fails(*args)
    assert lib.path.read_bytes() == before


@pytest.fixture
def as_nobody():
    """(folder, options of subprocess.run) for a user who may be denied things."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ga-library-"))
    options = {}
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
        options = {"user": 65534, "group": 65534, "extra_groups": []}
        if subprocess.run(["test", "-x", PROGRAM], **options).returncode:
            shutil.rmtree(folder)
            pytest.skip(f"another user cannot run {PROGRAM}")
    yield folder, options
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_read_only_folder(as_nobody):
    folder, options = as_nobody
    lib = Library(folder)
    lib.ok("add", "--id", "a", "--text", "x", **options)
    before = lib.path.read_bytes()
    folder.chmod(0o555)
    assert len(lib.json("list", **options)) == 1
    assert len(lib.json("history", **options)) == 1
    message = lib.fails("add", "--id", "b", "--text", "x", **options)
    assert f"cannot write '{lib.path}'" in message
    lib.path.chmod(0o444)
    assert len(lib.json("list", **options)) == 1
    message = lib.fails("approve", "a", **options)
    assert f"cannot write '{lib.path}'" in message
    assert os.listdir(folder) == ["library.db"] and lib.path.read_bytes() == before
    other = Library(folder, "other.db")
    assert "cannot open" in other.fails("add", "--text", "x", **options)
    lib.path.chmod(0)
    assert f"cannot open '{lib.path}'" in lib.fails("list", **options)


def leave_in_the_middle(source, target):
    """Copy a library as a process that is killed while it writes would leave it: changed, with a journal."""
    db = sqlite3.connect(source.path, isolation_level=None)
    db.execute("PRAGMA cache_size = 1")
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO versions VALUES(2, '', 'eve', 'half', '')")
    for i in range(500):
        db.execute("INSERT INTO records VALUES(?, 2, 0, ?)", (f"half-{i}", record(f"half-{i}", "x" * 500)))
    for suffix in ("", "-journal"):
        shutil.copy(f"{source.path}{suffix}", f"{target.path}{suffix}")
    db.execute("ROLLBACK")
    db.close()


def test_left_in_the_middle_of_a_change(lib, as_nobody):
    folder, options = as_nobody
    lib.ok("add", "--id", "a", "--text", "x")
    left = Library(folder)
    leave_in_the_middle(lib, left)
    for path in folder.iterdir():
        path.chmod(0o666)
    assert left.path.stat().st_size > lib.path.stat().st_size
    folder.chmod(0o555)
    message = left.fails("list", **options)
    assert "was left in the middle of a change, and undoing it needs the right to write it and its folder" in message
    folder.chmod(0o777)
    assert list(left.records()) == ["a"] and left.head() == 1  # by a reader
    assert os.listdir(folder) == ["library.db"]
    leave_in_the_middle(lib, left)
    left.ok("add", "--id", "b", "--text", "x")  # by a writer
    assert list(left.records()) == ["a", "b"] and left.head() == 2
    check_whole(left)


def check_whole(lib):
    db = sqlite3.connect(lib.path)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    db.close()


def check_full(lib, path, **options):
    """An import that runs out of space says so and changes nothing."""
    message = lib.fails("import", path, **options)
    assert f"cannot write '{lib.path}'" in message, message
    assert list(lib.records()) == ["a"] and lib.head() == 1
    check_whole(lib)
    return message


def test_file_size_limit(lib):
    lib.ok("add", "--id", "a", "--text", "x")
    path = lib.write("many.jsonl", *many(5000))

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    check_full(lib, path, preexec_fn=limit)
    assert "5000 added" in lib.ok("import", path)


def test_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if shutil.which("mount") is None or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("a full disk needs the right to mount a tmpfs")
    try:
        lib = Library(disk)
        lib.ok("add", "--id", "a", "--text", "x")
        path = Library(tmp_path).write("many.jsonl", *many(5000))
        assert "no space left on the device" in check_full(lib, path)
        with open(disk / "filler", "wb", buffering=0) as filler, pytest.raises(OSError):
            while True:
                filler.write(b"x" * 4096)
        assert "cannot write" in lib.fails("export", "-o", disk / "out.jsonl")
        assert "no space left on the device" in lib.fails("add", "--id", "b", "--text", "x")
        assert sorted(os.listdir(disk)) == ["filler", "library.db"]
        assert list(lib.records()) == ["a"]
        (disk / "filler").unlink()
        lib.ok("add", "--id", "b", "--text", "x")
        assert list(lib.records()) == ["a", "b"]
    finally:
        subprocess.run(["umount", disk], check=True)


# ---- several at once, and none to the end ----

def test_adding_at_the_same_time(lib):
    script = 'for i in 1 2 3 4 5; do "$0" library add --id "p$1-$i" --text "text $i" --author "p$1" || exit 1; done'
    workers = [subprocess.Popen(["sh", "-c", script, PROGRAM, str(p)], env=lib.env(), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE) for p in range(8)]
    for worker in workers:
        _, errors = worker.communicate(timeout=TIMEOUT)
        assert worker.returncode == 0, errors.decode()
    assert set(lib.records()) == {f"p{p}-{i}" for p in range(8) for i in range(1, 6)}
    history = lib.json("history")
    assert [v["version"] for v in history] == list(range(40, 0, -1))
    assert all(v["changes"] == 1 for v in history)
    check_whole(lib)


def test_same_id_at_the_same_time(lib):
    lib.ok("add", "--id", "other", "--text", "x")
    workers = [subprocess.Popen(lib.command("add", "--id", "a", "--text", f"text {p}"), env=lib.env(),
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for p in range(8)]
    errors = [w.communicate(timeout=TIMEOUT)[1] for w in workers]
    assert sorted(w.returncode for w in workers) == [0] + [1] * 7
    assert sum(b"there is another guideline 'a'" in e for e in errors) == 7
    assert lib.head() == 2


@pytest.mark.slow
def test_killed_while_importing(lib):
    """Twenty times: the library is what it was or what it was to become."""
    count, rng = 3000, random.Random(1)
    paths = []
    for generation in range(2):
        paths.append(lib.write(f"{generation}.jsonl", *many(count, f"Generation {generation}:")))
    started = time.monotonic()
    lib.ok("import", paths[0])
    whole = time.monotonic() - started
    now, head, killed, rolled_back = 0, 1, 0, 0
    for _ in range(20):
        process = subprocess.Popen(lib.command("import", "--update", paths[1 - now]), env=lib.env(),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, whole * 1.2))
        process.send_signal(signal.SIGKILL)
        killed += process.wait(timeout=TIMEOUT) == -signal.SIGKILL
        rolled_back += (lib.folder / "library.db-journal").exists()
        texts = {r["text"].split(":")[0] for r in lib.json("list")}
        versions = lib.json("history")
        assert len(texts) == 1 and len(lib.json("list")) == count
        assert versions[0]["version"] in (head, head + 1)
        if versions[0]["version"] > head:
            now, head = 1 - now, head + 1
        assert versions[0]["changes"] == count
        assert texts == {f"Generation {now}"}
        check_whole(lib)
    assert killed > 0
    lib.ok("add", "--id", "last", "--text", "x")
    assert not (lib.folder / "library.db-journal").exists()
    print(f"\nkilled {killed} of 20, {rolled_back} in the middle of writing, {head - 1} got through")


@pytest.mark.slow
def test_killed_while_creating(lib):
    path = lib.write("a.jsonl", *many(200))
    rng = random.Random(2)
    for _ in range(20):
        for name in os.listdir(lib.folder):
            if name.startswith("library.db"):
                (lib.folder / name).unlink()
        process = subprocess.Popen(lib.command("import", path), env=lib.env(), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=TIMEOUT)
        lib.ok("import", path)  # whatever is there, this completes it
        assert len(lib.json("list")) == 200 and lib.head() == 1
        check_whole(lib)


@pytest.mark.slow
def test_thirty_thousand(lib):
    path = lib.write("many.jsonl", *many(30000))

    def timed(*args):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.monotonic()
        lib.ok(*args)
        spent = time.monotonic() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"  {' '.join(map(str, args))[:40]:40} {1000 * spent:6.0f} ms, {1000 * busy:6.0f} ms of CPU")
    print()
    timed("import", path)
    timed("list")
    timed("list", "--json")
    timed("list", "--text", "nothing like it")
    timed("show", "g-15000")
    timed("edit", "g-15000", "--title", "t")
    timed("export", "-o", lib.folder / "out.jsonl")
    timed("diff", 1)
    timed("rollback", 0)
    assert lib.json("list") == []


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, *sys.argv[1:]]))
