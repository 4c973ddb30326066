"""What the integration tests share: the program, what setup made, servers.

What is absent is named, and the test counts as skipped.
"""
import json
import os
import pathlib

import pytest

from fake_llm import FakeLLM

ROOT = pathlib.Path(__file__).resolve().parents[2]


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a few seconds, or a model")


@pytest.fixture(scope="session")
def build():
    """The folder of the build under test."""
    return pathlib.Path(os.environ.get("GUIDEALIGN_BUILD", ROOT / "build" / "test"))


@pytest.fixture(scope="session")
def program(build):
    path = build / "guidealign"
    if not path.exists():
        pytest.skip(f"no {path}: build the test preset or set GUIDEALIGN_BUILD")
    return path


@pytest.fixture(scope="session")
def paths():
    """What setup noted, without what has been deleted since."""
    file = pathlib.Path(os.environ.get("GUIDEALIGN_PATHS", ROOT / "build" / "paths.json"))
    noted = json.loads(file.read_text()) if file.exists() else {}
    return {k: pathlib.Path(v) for k, v in noted.items() if isinstance(v, str) and pathlib.Path(v).exists()}


def need(paths, name):
    if name not in paths:
        pytest.skip(f"no {name}: run make setup and make build, or set GUIDEALIGN_PATHS")
    return paths[name]


@pytest.fixture(scope="session")
def starter_pack(paths):
    return need(paths, "starter_pack")


@pytest.fixture(scope="session")
def llama_server(paths):
    """(program, model)"""
    return need(paths, "llama_server"), need(paths, "llm")


@pytest.fixture
def fake_llm():
    """fake_llm(script, ...) starts a server; all are stopped behind the test."""
    started = []

    def start(*scripts):
        started.append(FakeLLM(*scripts).__enter__())
        return started[-1]

    yield start
    for server in started:
        server.__exit__()
