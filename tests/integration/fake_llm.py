"""A scripted server that speaks, and misspeaks, the OpenAI-compatible API.

    with FakeLLM(status(500), stream("hello")) as llm:
        ...  llm.url, llm.requests

One script answers one chat completion; the last one answers all that follow.
Everything that waits ends when the server is stopped.  By itself, as
`fake_llm.py --port N [--name value ...]`, it answers like a llama-server.
"""
import http.server
import json
import socket
import struct
import sys
import threading
import time


class Request:
    """What was asked, and when."""

    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.time = time.monotonic()

    @property
    def json(self):
        return json.loads(self.body)


class Reply:
    """What a script writes to."""

    def __init__(self, handler):
        self.handler, self.stopping = handler, handler.server.stopping
        self.write = handler.wfile.write

    def head(self, status, **headers):
        """The status line and the headers; content_type= is Content-Type."""
        lines = [f"HTTP/1.1 {status} Whatever"]
        headers = {"connection": "close", **headers}
        lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in headers.items()]
        self.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    def event(self, data):
        text = data if isinstance(data, str) else json.dumps(data)
        self.write(f"data: {text}\n\n".encode())

    def piece(self, text):
        self.event({"object": "chat.completion.chunk",
                    "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})

    def wait(self, seconds=60):
        self.stopping.wait(seconds)

    def reset(self):
        """Break the connection as a crash would, without saying goodbye."""
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.handler.connection.close()


# --- scripts: each returns what is done to a Reply ------------------------------------------------------------------------------------

def stream(text="Hello, world.", finish="stop", pause=0, usage=(7, 3), done=True):
    """A streamed answer, word by word."""
    def play(reply):
        reply.head(200, content_type="text/event-stream")
        for i, word in enumerate(text.split(" ")):
            reply.piece(word if i == 0 else " " + word)
            reply.wait(pause)
        reply.event({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        if usage:
            reply.event({"choices": [], "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1]}})
        if done:
            reply.event("[DONE]")
    return play


def whole(text="Hello, world."):
    """The answer of a server that does not stream."""
    body = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                       "usage": {"prompt_tokens": 7, "completion_tokens": 3}})
    return raw_body(body.encode())


def raw_body(body, content_type="application/json", status=200):
    def play(reply):
        reply.head(status, content_type=content_type, content_length=len(body))
        reply.write(body)
    return play


def status(code, message="it said no", **headers):
    """An error as the API words it."""
    body = json.dumps({"error": {"message": message, "type": "test", "code": code}}).encode()

    def play(reply):
        reply.head(code, content_type="application/json", content_length=len(body), **headers)
        reply.write(body)
    return play


def delayed(seconds, then):
    def play(reply):
        reply.wait(seconds)
        then(reply)
    return play


def garbage(head=b"\x00\xff\x16\x03\x01 this is not HTTP\r\n\r\n" * 20):
    """Bytes that are no HTTP at all."""
    return lambda reply: reply.write(head)


def half(text="Hello, ", reset=False):
    """Some of a stream, then the connection is closed."""
    def play(reply):
        reply.head(200, content_type="text/event-stream")
        if text:
            reply.piece(text)
        if reset:
            reply.wait(0.2)  # a reset may overtake what was written before
            reply.reset()
    return play


def half_whole():
    """Less than the Content-Length promises."""
    def play(reply):
        reply.head(200, content_type="application/json", content_length=1000)
        reply.write(b'{"choices": [')
    return play


def never():
    """The request is read and not answered."""
    return lambda reply: reply.wait()


def stalled(text=""):
    """Headers, perhaps some text, then nothing."""
    def play(reply):
        reply.head(200, content_type="text/event-stream")
        if text:
            reply.piece(text)
        reply.wait()
    return play


def stalled_after_done(text="Hello, world."):
    """The answer is complete, the connection stays open."""
    def play(reply):
        stream(text)(reply)
        reply.wait()
    return play


def huge(total=64 << 20, word="x" * 65536):
    """Far more than anybody wants."""
    def play(reply):
        reply.head(200, content_type="text/event-stream")
        for _ in range(total // len(word)):
            reply.piece(word)
        reply.event("[DONE]")
    return play


def endless_line(total=64 << 20):
    """An event that does not end."""
    def play(reply):
        reply.head(200, content_type="text/event-stream")
        reply.write(b"data: ")
        for _ in range(total >> 16):
            reply.write(b"x" * 65536)
    return play


def error_event(text="", message="the model fell over"):
    """An error in the middle of a stream that began well."""
    def play(reply):
        reply.head(200, content_type="text/event-stream")
        if text:
            reply.piece(text)
        reply.event({"error": {"message": message, "code": 500}})
        reply.event("[DONE]")
    return play


# --- the server -----------------------------------------------------------------------------------------------------------------------

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        found = self.path in ("/health", "/v1/models")
        body = b'{"status":"ok"}' if found else b"{}"
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
                         % (200 if found else 404, len(body), body))

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.close_connection = True
        script = self.server.owner.take(Request(self.path, dict(self.headers.items()), body))
        try:
            script(Reply(self))
            self.wfile.flush()
        except OSError:
            pass  # the client has gone, which most scripts provoke

    def finish(self):
        try:
            super().finish()
        except (OSError, ValueError):
            pass

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads, block_on_close, allow_reuse_address = True, False, True

    def handle_error(self, *_):
        pass


class FakeLLM:
    def __init__(self, *scripts, port=0):
        self.scripts = list(scripts) or [stream()]
        self.requests = []
        self._lock = threading.Lock()
        self._server = Server(("127.0.0.1", port), Handler)
        self._server.owner, self._server.stopping = self, threading.Event()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def take(self, request):
        """Note the request; the script that answers it."""
        with self._lock:
            self.requests.append(request)
            return self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


if __name__ == "__main__":
    options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    with FakeLLM(stream(), port=int(options["--port"])):
        threading.Event().wait(60)
