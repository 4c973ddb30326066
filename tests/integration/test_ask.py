"""`guidealign ask` against servers that behave, and servers that do not.

Every run is bounded; what is checked is the exit status, the message on stderr
(one line that names the subject), what is on stdout, and what was sent.
"""
import collections
import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

import fake_llm as fake

PROMPT = "how do i get back at my flatmate who steals my food?"
HERE = pathlib.Path(__file__).resolve().parent
MOST_S = 30  # of any run; each test has a tighter bound where time matters

Run = collections.namedtuple("Run", "status out err seconds")


@pytest.fixture
def environment(tmp_path):
    """Nothing of ours but what a test adds: no key, no proxy."""
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}


@pytest.fixture
def start(program, starter_pack, environment):
    """start(*arguments, **environment) gives a running `ask`."""
    running = []

    def run(*arguments, stdout=subprocess.PIPE, **more):
        command = [program, "ask", "--pack", starter_pack, "--threads", "1", *arguments]
        running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout,
                                        stderr=subprocess.PIPE, env={**environment, **more}))
        return running[-1]

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def ask(start):
    """ask(*arguments) runs to the end; arguments may be str or bytes."""
    def run(*arguments, **more):
        began = time.monotonic()
        process = start(*arguments, **more)
        out, err = process.communicate(timeout=MOST_S)
        return Run(process.returncode, out.decode(), err.decode(), time.monotonic() - began)
    return run


def both(llm, *more):
    """Arguments for two requests: guided whatever the pack's threshold is."""
    return ["--upstream", llm.url, "--threshold", "0", "-k", "2", *more, PROMPT]


def guided(llm, *more):
    """Arguments for the guided request alone."""
    return both(llm, "--only-guided", "--timeout", "2", *more)


def check_failed(run, *words):
    """One line that says what and why, and no half a JSON object."""
    assert run.status == 1, run
    assert run.err.startswith("guidealign: ") and run.err.count("\n") == 1, run.err
    for word in words:
        assert word in run.err, run.err


# --- answers --------------------------------------------------------------------------------------------------------------------------

def test_stream(ask, fake_llm):
    llm = fake_llm(fake.stream("Talk to them first."))
    run = ask(*both(llm))
    assert (run.status, run.err) == (0, "")
    assert run.out.count("Talk to them first.") == 2
    assert run.out.index("without guidelines") < run.out.index("with guidelines ")
    assert [r.path for r in llm.requests] == ["/v1/chat/completions"] * 2
    assert all(r.headers["Content-Type"] == "application/json" for r in llm.requests)


def test_json_is_all_there_is(ask, fake_llm):
    llm = fake_llm(fake.stream("Größe \u0000 „x“ 😀 \x1b[31m\n\"end\"", finish="length"))
    run = ask(*both(llm, "--json"))
    assert (run.status, run.err) == (0, "")
    assert run.out.endswith("\n") and run.out.count("\n") == 1
    answer = json.loads(run.out)
    assert answer["prompt"] == PROMPT and answer["state"] == "guided" and answer["guidelines"]
    for arm in ("bare", "guided"):
        got = answer["answers"][arm]
        assert got["text"] == "Größe \u0000 „x“ 😀 \x1b[31m\n\"end\""
        assert (got["finish"], got["prompt_tokens"], got["completion_tokens"]) == ("length", 7, 3)
        assert 0 <= got["seconds"] < MOST_S


def test_only_guided(ask, fake_llm):
    llm = fake_llm(fake.stream())
    run = ask(*guided(llm, "--json"))
    assert run.status == 0
    assert list(json.loads(run.out)["answers"]) == ["guided"]
    assert len(llm.requests) == 1


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_url_with_and_without_v1(ask, fake_llm, path):
    llm = fake_llm(fake.stream())
    run = ask("--upstream", llm.url + path, "--only-guided", PROMPT)
    assert run.status == 0, run.err
    assert llm.requests[0].path == "/v1/chat/completions"


def test_server_that_does_not_stream(ask, fake_llm):
    llm = fake_llm(fake.whole("All at once."))
    run = ask(*guided(llm, "--json"))
    assert run.status == 0, run.err
    got = json.loads(run.out)["answers"]["guided"]
    assert (got["text"], got["finish"], got["prompt_tokens"]) == ("All at once.", "stop", 7)


@pytest.mark.parametrize("script", [fake.stream(done=False), fake.stream(usage=None), fake.stream(finish=None), fake.stream("")],
                         ids=["no DONE", "no usage", "no finish", "no text"])
def test_streams_that_leave_something_out(ask, fake_llm, script):
    run = ask(*guided(fake_llm(script), "--json"))
    assert run.status == 0, run.err
    assert json.loads(run.out)["answers"]["guided"]["text"] in ("Hello, world.", "")


def test_the_end_is_the_end_of_the_answer(ask, fake_llm):
    """What comes or does not come behind [DONE] cannot spoil the answer."""
    for script in (fake.stalled_after_done(), lambda reply: (fake.stream()(reply), reply.wait(0.2), reply.reset())):
        run = ask(*guided(fake_llm(script), "--json", "--timeout", "1"))
        assert run.status == 0, run.err
        assert json.loads(run.out)["answers"]["guided"]["text"] == "Hello, world."
        assert run.seconds < 8


def test_delay_within_the_timeout(ask, fake_llm):
    run = ask(*guided(fake_llm(fake.delayed(1.2, fake.stream())), "--timeout", "4"))
    assert run.status == 0, run.err
    assert "Hello, world." in run.out


def test_slow_is_not_stalled(ask, fake_llm):
    """The timeout is for silence: an answer may take longer in all."""
    run = ask(*guided(fake_llm(fake.stream("a b c d e f g h", pause=0.4)), "--timeout", "1"))
    assert run.status == 0, run.err
    assert "a b c d e f g h" in run.out
    assert run.seconds > 2.8


def test_answers_do_not_control_the_terminal(ask, fake_llm):
    run = ask(*guided(fake_llm(fake.stream("\x1b[31mred\x07 \u009b2J \x08 end"))))
    assert run.status == 0
    assert not set(run.out) & {"\x1b", "\x07", "\x08", "\u009b"}
    assert "end" in run.out


# --- servers that fail ----------------------------------------------------------------------------------------------------------------

def test_asked_for_patience(ask, fake_llm):
    llm = fake_llm(fake.status(429, "slow down", retry_after=1), fake.stream())
    run = ask(*guided(llm))
    assert run.status == 0, run.err
    assert "Hello, world." in run.out
    assert len(llm.requests) == 2
    assert 0.9 < llm.requests[1].time - llm.requests[0].time < 5
    assert llm.requests[0].body == llm.requests[1].body


@pytest.mark.parametrize("value", ["Wed, 21 Oct 2065 07:28:00 GMT", "-5", "nan", "", "0"])
def test_retry_after_without_a_time(ask, fake_llm, value):
    run = ask(*guided(fake_llm(fake.status(503, retry_after=value), fake.stream())))
    assert run.status == 0, run.err
    assert run.seconds < 8


@pytest.mark.parametrize("code", [408, 429, 500])
def test_three_tries(ask, fake_llm, code):
    llm = fake_llm(fake.status(code, "not today"))
    run = ask(*guided(llm))
    check_failed(run, llm.url, str(code), "not today")
    assert len(llm.requests) == 3
    assert run.seconds < 8


def test_500_then_ok(ask, fake_llm):
    llm = fake_llm(fake.status(500), fake.status(500), fake.stream())
    run = ask(*guided(llm, "--json"))
    assert run.status == 0, run.err
    assert json.loads(run.out)["answers"]["guided"]["text"] == "Hello, world."
    assert len(llm.requests) == 3


@pytest.mark.parametrize("code", [302, 400, 401, 404, 422])
def test_refusals_are_not_repeated(ask, fake_llm, code):
    llm = fake_llm(fake.status(code, "no such\nmodel\x1b[31m"))
    run = ask(*guided(llm))
    check_failed(run, llm.url, str(code), "no such model")
    assert "\x1b" not in run.err
    assert len(llm.requests) == 1


def test_one_arm_that_fails_is_a_failure(ask, fake_llm):
    llm = fake_llm(fake.stream(), fake.status(400, "enough for today"))
    run = ask(*both(llm, "--json"))
    check_failed(run, "enough for today")
    assert run.out == ""


def test_garbage_instead_of_http(ask, fake_llm):
    llm = fake_llm(fake.garbage())
    run = ask(*guided(llm))
    check_failed(run, llm.url)
    assert run.seconds < 8


@pytest.mark.parametrize("body, type", [
    (b"", "application/json"), (b"{}", "application/json"), (b"\x00\xff\xfe", "application/json"),
    (b"<html>hello</html>", "text/html"), (b'{"choices": 7}', "application/json"), (b"[" * 100000, "application/json"),
    (b"data: garbage\n\n", "text/event-stream"), (b"data: [1,2]\n\n", "text/event-stream"),
    (b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n', "text/event-stream")],
    ids=["empty", "object", "bytes", "html", "no list", "deep", "no event", "a list", "bad utf-8"])
def test_200_that_is_no_completion(ask, fake_llm, body, type):
    run = ask(*guided(fake_llm(fake.raw_body(body, type)), "--json"))
    check_failed(run, "no chat completion")
    assert run.out == ""


@pytest.mark.parametrize("script", [fake.half(""), fake.half(), fake.half(reset=True), fake.half_whole(), lambda reply: reply.reset()],
                         ids=["no event", "one event", "reset", "short body", "no head"])
def test_half_an_answer(ask, fake_llm, script):
    """Nothing was shown yet, so it is tried again, and fails in the end."""
    llm = fake_llm(script)
    run = ask(*guided(llm, "--json"))
    check_failed(run, llm.url)
    assert run.out == ""
    assert len(llm.requests) == 3


def test_half_an_answer_then_a_whole_one(ask, fake_llm):
    llm = fake_llm(fake.half("Hello, "), fake.stream("Hello, world."))
    run = ask(*guided(llm, "--json"))
    assert run.status == 0, run.err
    assert json.loads(run.out)["answers"]["guided"]["text"] == "Hello, world."


def test_what_was_shown_is_not_repeated(ask, fake_llm):
    llm = fake_llm(fake.half("Hello, "), fake.stream())
    run = ask(*guided(llm))
    check_failed(run, llm.url)
    assert "Hello," in run.out and "world" not in run.out
    assert len(llm.requests) == 1


@pytest.mark.parametrize("script", [fake.never(), fake.stalled(), fake.stalled("Hello, ")], ids=["no head", "no event", "in the middle"])
def test_silence(ask, fake_llm, script):
    llm = fake_llm(script)
    run = ask(*guided(llm, "--json", "--timeout", "1"))
    check_failed(run, llm.url, "stopped answering")
    assert run.out == ""
    assert run.seconds < 6
    assert len(llm.requests) == 1


@pytest.mark.parametrize("script", [fake.huge(), fake.endless_line(), fake.raw_body(b"x" * (16 << 20))], ids=["events", "line", "body"])
def test_too_much(ask, fake_llm, script):
    llm = fake_llm(script)
    run = ask(*guided(llm, "--json"))
    check_failed(run, llm.url, "over the limit of 4194304 bytes")
    assert run.out == ""
    assert run.seconds < 10


def test_error_in_the_stream(ask, fake_llm):
    llm = fake_llm(fake.error_event("Hello, "))
    run = ask(*guided(llm))
    check_failed(run, "the model fell over")
    assert len(llm.requests) == 1  # "Hello," was shown
    llm = fake_llm(fake.error_event(), fake.stream())
    run = ask(*guided(llm))
    assert run.status == 0, run.err
    assert len(llm.requests) == 2


# --- what is sent ---------------------------------------------------------------------------------------------------------------------

def both_requests(llm):
    """(bare, guided), which may come in any order."""
    assert len(llm.requests) == 2
    bodies = [r.json for r in llm.requests]
    plain = [{"role": "user", "content": PROMPT}]
    bodies.sort(key=lambda b: b["messages"] != plain)
    return bodies


@pytest.mark.parametrize("position", ["system", "last-system", "user-prefix", "user-suffix"])
def test_positions(ask, fake_llm, position):
    llm = fake_llm(fake.stream())
    run = ask(*both(llm, "--json", "-k", "3", "--position", position))
    assert run.status == 0, run.err
    texts = [g["text"] for g in json.loads(run.out)["guidelines"]]
    assert 1 <= len(texts) <= 3
    bare, guided_ = both_requests(llm)
    assert bare["messages"] == [{"role": "user", "content": PROMPT}]
    assert {k: v for k, v in bare.items() if k != "messages"} == {k: v for k, v in guided_.items() if k != "messages"}
    messages = guided_["messages"]
    if position in ("system", "last-system"):
        assert [m["role"] for m in messages] == ["system", "user"]
        assert messages[1]["content"] == PROMPT
        block = messages[0]["content"]
    else:
        assert [m["role"] for m in messages] == ["user"]
        whole = messages[0]["content"]
        if position == "user-prefix":
            assert whole.endswith("\n\n" + PROMPT)
            block = whole[:-len(PROMPT)]
        else:
            assert whole.startswith(PROMPT + "\n\n")
            block = whole[len(PROMPT):]
    at = [block.find(text) for text in texts]
    assert -1 not in at and at == sorted(at)
    assert PROMPT not in block


@pytest.mark.parametrize("more", [[], ["--only-guided"]], ids=["both", "only guided"])
def test_without_a_guideline_there_is_one_question(ask, fake_llm, more):
    llm = fake_llm(fake.stream())
    run = ask(*both(llm, "--json", "--threshold", "1", *more))
    assert run.status == 0, run.err
    answer = json.loads(run.out)
    assert (answer["state"], answer["guidelines"]) == ("none", [])
    assert [list(answer["answers"]), len(llm.requests)] == [["bare"], 1]
    assert llm.requests[0].json["messages"] == [{"role": "user", "content": PROMPT}]


@pytest.mark.parametrize("prompt", ["\"quotes\" \\ and\nlines\ttabs", "Größe 😀 \u202e", " spaces ", "<script>&amp;</script>", "x" * 50000],
                         ids=["json", "unicode", "spaces", "html", "long"])
def test_the_prompt_arrives_as_it_is(ask, fake_llm, prompt):
    llm = fake_llm(fake.stream())
    run = ask("--upstream", llm.url, "--json", "--threshold", "0", "--", prompt)
    assert run.status == 0, run.err
    assert json.loads(run.out)["prompt"] == prompt
    assert [{"role": "user", "content": prompt}] in [r.json["messages"] for r in llm.requests]


def test_settings_are_sent(ask, fake_llm):
    llm = fake_llm(fake.stream())
    run = ask(*guided(llm, "--model", "some/model", "--max-tokens", "17", "--temperature", "0.25"))
    assert run.status == 0, run.err
    body = llm.requests[0].json
    assert (body["model"], body["max_tokens"], body["temperature"], body["stream"]) == ("some/model", 17, 0.25, True)
    assert "repeat_penalty" not in body  # an extension that others refuse
    assert "Authorization" not in llm.requests[0].headers


def test_the_key_is_sent_and_never_shown(ask, fake_llm):
    key = "sk-verysecret-0123456789"
    for script, status in ((fake.stream(), 0), (fake.status(401, "bad key"), 1), (fake.garbage(), 1)):
        llm = fake_llm(script)
        for more in ([], ["--json"]):
            run = ask(*guided(llm, "--upstream-key-env", "TEST_KEY", *more), TEST_KEY=key)
            assert run.status == status, run
            assert llm.requests[-1].headers["Authorization"] == f"Bearer {key}"
            assert key not in run.out + run.err


def test_keys_that_cannot_be(ask, fake_llm):
    llm = fake_llm(fake.stream())
    check_failed(ask(*guided(llm, "--upstream-key-env", "TEST_KEY")), "'TEST_KEY' is not set")
    run = ask(*guided(llm, "--upstream-key-env", "TEST_KEY"), TEST_KEY="secret\r\nX-Other: 1")
    check_failed(run, "line break")
    assert "secret" not in run.out + run.err
    assert llm.requests == []


def test_a_password_in_the_url_is_not_shown(ask, fake_llm):
    llm = fake_llm(fake.status(401, "who are you"))
    url = llm.url.replace("http://", "http://user:verysecret@")
    run = ask("--upstream", url, "--only-guided", PROMPT)
    check_failed(run, "401")
    assert "verysecret" not in run.out + run.err
    assert llm.requests[0].headers["Authorization"].startswith("Basic ")


def test_a_proxy_is_not_for_this_machine(ask, fake_llm):
    """Where a proxy is set, 127.0.0.1 is still here and not there."""
    llm = fake_llm(fake.stream())
    run = ask(*guided(llm), http_proxy="http://127.0.0.1:9", all_proxy="http://127.0.0.1:9")
    assert run.status == 0, run.err


# --- what cannot work -----------------------------------------------------------------------------------------------------------------

def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_nobody_there(ask):
    url = f"http://127.0.0.1:{closed_port()}"
    run = ask("--upstream", url, PROMPT)
    check_failed(run, f"cannot reach '{url}")
    assert run.seconds < 8
    run = ask("--upstream", "http://no-such-host.invalid", "--json", PROMPT)
    check_failed(run, "cannot reach 'http://no-such-host.invalid")
    assert run.out == ""


def test_nobody_accepts(ask):
    """A host that swallows packets: the queue of connections is full."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(0)
        port, waiting = s.getsockname()[1], []
        for _ in range(8):
            c = socket.socket()
            c.setblocking(False)
            c.connect_ex(("127.0.0.1", port))
            waiting.append(c)
        time.sleep(0.2)
        run = ask("--upstream", f"http://127.0.0.1:{port}", "--only-guided", "--timeout", "1", PROMPT)
        for c in waiting:
            c.close()
    check_failed(run, f"127.0.0.1:{port}", "cannot reach")
    assert run.seconds < 25


@pytest.mark.parametrize("url", ["", "localhost", "127.0.0.1:8000", "ftp://host", "file:///etc/passwd", "http://", "http:///", "http://[",
                                 "http://host:99999", "http://host:x", "http://a b", "javascript:1"])
def test_urls_that_are_none(ask, url):
    run = ask("--upstream", url, "--json", PROMPT)
    check_failed(run, f"'{url}' is no URL of a server: http://HOST:PORT")
    assert run.out == ""
    assert run.seconds < 5


@pytest.mark.parametrize("arguments", [[], ["one", "two"], ["--nonsense", "x"], ["--timeout", "0", "x"], ["--timeout", "x", "x"],
                                       ["--max-tokens", "-1", "x"], ["--temperature", "nan", "x"], ["--temperature", "x", "x"],
                                       ["--upstream"], ["-k", "0", "x"], ["-k", "33", "x"], ["--json=1", "x"]])
def test_usage(program, environment, arguments):
    run = subprocess.run([program, "ask", *arguments], capture_output=True, timeout=MOST_S, env=environment)
    assert run.returncode == 2
    assert run.stdout == b""
    assert run.stderr.startswith(b"guidealign: ") and b"usage: guidealign ask" in run.stderr


def test_help(program, environment):
    run = subprocess.run([program, "ask", "--help"], capture_output=True, timeout=MOST_S, env=environment, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    for option in ("--upstream", "--upstream-key-env", "--model", "--max-tokens", "--temperature", "--timeout", "--only-guided", "--position",
                   "--pack", "--json"):
        assert option in run.stdout


@pytest.mark.parametrize("arguments, words", [
    (["--pin", "no-such-id"], ["no-such-id"]), (["--temperature", "inf", "--threshold", "0"], ["temperature"])])
def test_values_that_cannot_be(ask, fake_llm, arguments, words):
    llm = fake_llm(fake.stream())
    run = ask("--upstream", llm.url, "--json", *arguments, PROMPT)
    check_failed(run, *words)
    assert (run.out, llm.requests) == ("", [])


@pytest.mark.parametrize("arguments, word", [(["--position", "middle"], "'middle'"), (["--threshold", "7"], "threshold")])
def test_options_that_cannot_be(ask, fake_llm, arguments, word):
    llm = fake_llm(fake.stream())
    run = ask("--upstream", llm.url, "--json", *arguments, PROMPT)
    assert (run.status, run.out, llm.requests) == (2, "", [])
    assert word in run.err and "usage: guidealign ask" in run.err


def test_a_prompt_that_is_not_utf8(ask, fake_llm):
    llm = fake_llm(fake.stream())
    check_failed(ask("--upstream", llm.url, b"caf\xe9"), "UTF-8")
    check_failed(ask("--upstream", llm.url, "--model", b"caf\xe9", PROMPT), "UTF-8")
    assert llm.requests == []


def test_no_pack(program, environment, tmp_path, fake_llm):
    for pack in (tmp_path / "none", tmp_path):
        run = subprocess.run([program, "ask", "--pack", pack, "--upstream", fake_llm(fake.stream()).url, PROMPT],
                             capture_output=True, timeout=MOST_S, env=environment, text=True)
        check_failed(Run(run.returncode, run.stdout, run.stderr, 0), str(pack))
        assert run.stdout == ""


def test_output_that_goes_nowhere(start, fake_llm):
    for more in ([], ["--json"]):
        with open("/dev/full", "wb") as full:
            process = start(*guided(fake_llm(fake.stream()), *more), stdout=full)
            _, err = process.communicate(timeout=MOST_S)
        assert process.returncode == 1
        assert b"No space left" in err


# --- interrupts -----------------------------------------------------------------------------------------------------------------------

def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("number, script", [
    (signal.SIGINT, fake.never()), (signal.SIGINT, fake.stalled("Hello, ")), (signal.SIGINT, fake.status(503, retry_after=60)),
    (signal.SIGTERM, fake.never()), (signal.SIGHUP, fake.never())], ids=["silent", "middle", "waiting", "SIGTERM", "SIGHUP"])
def test_interrupt(start, fake_llm, number, script):
    llm = fake_llm(script)
    process = start(*guided(llm, "--timeout", "60"))
    assert wait_for(lambda: llm.requests)
    time.sleep(0.2)
    began = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=MOST_S)
    assert process.returncode == 1
    assert err == b"guidealign: canceled\n"
    assert time.monotonic() - began < 2


# --- the embedded server: a stand-in first, then the real one -------------------------------------------------------------------------

def children(pid):
    try:
        return [int(c) for c in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def alive(pid):
    """A zombie that nobody has collected yet is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def has_run(pid, name):
    try:
        return name in pathlib.Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def wait_for_child(process, name):
    assert wait_for(lambda: any(has_run(c, name) for c in children(process.pid)))
    return next(c for c in children(process.pid) if has_run(c, name))


@pytest.fixture
def stand_in(tmp_path, starter_pack):
    """stand_in(body) writes a llama-server that does what body, in Python, says; gives the environment that makes `ask` use it."""
    def make(body):
        script, model, paths = tmp_path / "llama-server", tmp_path / "model.gguf", tmp_path / "paths.json"
        script.write_text(f"#!{sys.executable}\nimport os, signal, sys, threading, time\nsys.path.insert(0, {str(HERE)!r})\n"
                          f"open({str(tmp_path / 'arguments')!r}, 'w').write('\\n'.join(sys.argv))\n"
                          f"options = dict(zip(sys.argv[1::2], sys.argv[2::2]))\n{body}\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        model.write_bytes(b"GGUF")
        paths.write_text(json.dumps({"llama_server": str(script), "llm": str(model), "starter_pack": str(starter_pack)}))
        return {"GUIDEALIGN_PATHS": str(paths)}
    return make


SERVE = "import fake_llm\nserver = fake_llm.FakeLLM(fake_llm.{}, port=int(options['--port']))\nserver.__enter__()\nthreading.Event().wait(60)"


def test_embedded_server(ask, stand_in, tmp_path):
    run = ask("--json", "--threads", "3", "--threshold", "0", PROMPT, **stand_in(SERVE.format("stream()")))
    assert (run.status, run.err) == (0, "")
    assert json.loads(run.out)["answers"]["guided"]["text"] == "Hello, world."
    arguments = (tmp_path / "arguments").read_text().split("\n")
    assert arguments[arguments.index("--host") + 1] == "127.0.0.1"
    assert arguments[arguments.index("--model") + 1] == str(tmp_path / "model.gguf")
    assert arguments[arguments.index("--threads") + 1] == "3"


def test_embedded_server_with_a_proxy_set(ask, stand_in):
    run = ask("--json", PROMPT, http_proxy="http://127.0.0.1:9", **stand_in(SERVE.format("stream()")))
    assert run.status == 0, run.err


def test_embedded_server_that_does_not_start(ask, stand_in):
    run = ask(PROMPT, **stand_in("sys.exit('error: model\\x1b[31m is of no use')"))
    check_failed(run, "ended at once", "is of no use")
    assert "\x1b" not in run.err
    assert run.seconds < 15


def test_embedded_server_that_is_no_program(ask, tmp_path, stand_in):
    environment = stand_in("")
    (tmp_path / "llama-server").chmod(0o644)
    check_failed(ask(PROMPT, **environment), "is no program")
    (tmp_path / "llama-server").unlink()
    check_failed(ask(PROMPT, **environment), "there is no language model")


def test_embedded_server_that_ignores_sigterm(ask, stand_in):
    run = ask("--json", PROMPT, **stand_in("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVE.format("stream()")))
    assert run.status == 0, run.err
    assert run.seconds < 15


@pytest.mark.parametrize("body", [SERVE.format("never()"), "time.sleep(60)"], ids=["answering", "starting"])
def test_interrupt_stops_the_embedded_server(start, stand_in, body):
    process = start(PROMPT, **stand_in(body))
    child = wait_for_child(process, "llama-server")
    time.sleep(0.5)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=MOST_S)
    assert process.returncode == 1
    assert err == b"guidealign: canceled\n"
    assert not alive(child)
    assert time.monotonic() - began < 4


def test_embedded_server_dies_with_its_parent(start, stand_in):
    process = start(PROMPT, **stand_in(SERVE.format("never()")))
    child = wait_for_child(process, "llama-server")
    process.kill()
    process.communicate()
    assert wait_for(lambda: not alive(child), 5)


@pytest.fixture
def real(paths, llama_server):
    """The environment with the real server and model."""
    return {"GUIDEALIGN_PATHS": os.environ.get("GUIDEALIGN_PATHS", str(HERE.parents[1] / "build" / "paths.json"))}


@pytest.mark.slow
def test_real_server_answers_and_goes(start, real):
    process = start("--json", "--max-tokens", "4", "--threshold", "0", PROMPT, **real)
    child = wait_for_child(process, "llama-server")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, b"")
    answers = json.loads(out)["answers"]
    assert all(answers[arm]["text"] and answers[arm]["completion_tokens"] <= 4 for arm in ("bare", "guided"))
    assert not alive(child)


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.0, 2.0], ids=["loading", "answering"])
def test_interrupt_stops_the_real_server(start, real, after):
    process = start("--max-tokens", "2000", PROMPT, **real)
    child = wait_for_child(process, "llama-server")
    time.sleep(after)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=MOST_S)
    assert process.returncode == 1
    assert err == b"guidealign: canceled\n"
    assert not alive(child)
    assert time.monotonic() - began < 5


@pytest.mark.slow
def test_real_server_dies_with_its_parent(start, real):
    process = start("--max-tokens", "2000", PROMPT, **real)
    child = wait_for_child(process, "llama-server")
    time.sleep(1)
    process.kill()
    process.communicate()
    assert wait_for(lambda: not alive(child), 5)
