"""Addresses of the hub, end to end: `fetch_model` in a process of its own against a hub on loopback."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import hub_mirror
import pytest
from hub_mirror import Hub, Repository, commit_of

FIRST, SECOND = commit_of(1), commit_of(2)
WEIGHTS = bytes(range(256)) * 400
FILES = {
    "config.json": b'{"model_type": "llama"}',
    "model.safetensors": WEIGHTS,
    "chat_template.jinja": b"{{ messages }}",
    "1_Pooling/config.json": b"{}",
}
REFUSED = {
    "pytorch_model.bin": b"\x80\x04a pickle",
    "pytorch_model.bin.index.json": b"{}",
    "model.fp32-00001-of-00001.safetensors": WEIGHTS * 2,
    "modeling_evil.py": b"print(1)",
    "README.md": b"# nothing that is read",
}
SHARDS = tuple(f"model-0000{number}-of-00002.safetensors" for number in (1, 2))
INDEX = json.dumps({"weight_map": dict(zip("ab", SHARDS, strict=True))}).encode()
TOKEN, OTHER = "hf_may_read_it", "hf_may_not"
# Asked line by line, so that the libraries are imported once; what it says is kept to look for tokens.
WORKER = """
import json, os, sys
from pathlib import Path
from aligncap.config import ModelSource
from aligncap.errors import AlignCapError
from aligncap.job import log_to
from aligncap.models.sources import fetch_model
log_to(Path("worker.log"))
for line in sys.stdin:
    asked = json.loads(line)
    os.environ.pop("HF_TOKEN", None)
    os.environ |= asked["environment"]
    try:
        fetch_model(ModelSource(name=asked["name"], files=tuple(asked["files"])), Path(asked["manifest"]))
        told = None
    except AlignCapError as error:
        told = str(error)
    print(json.dumps(told), flush=True)
"""


def environment(hub: Hub, home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return kept | {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


@dataclass
class Fetching:
    """A process that fetches models, and where they are."""

    hub: Hub
    home: Path
    process: subprocess.Popen[str]

    def __call__(self, address: str, token: str | None = None, name: str = "m") -> str | None:
        """Fetch; what is told where that fails."""
        given = {"HF_TOKEN": token} if token else {}
        asked = {"name": name, "files": [address], "manifest": str(self.folder(name) / "manifest.json")}
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(asked | {"environment": given}) + "\n")
        self.process.stdin.flush()
        told: str | None = json.loads(self.process.stdout.readline())
        assert told is None or "\n" not in told
        return told

    def folder(self, name: str = "m") -> Path:
        return self.home / "models" / name

    def has(self, name: str = "m") -> set[str]:
        folder = self.folder(name)
        found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        return found - {"manifest.json"}


@pytest.fixture(scope="module")
def fetch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fetching]:
    home = tmp_path_factory.mktemp("home")
    with hub_mirror.serving() as hub, (home / "told").open("w") as told:
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            cwd=home,
            env=environment(hub, home / "hub"),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
        )
        yield Fetching(hub, home, process)
        assert process.stdin
        process.stdin.close()
        process.wait(10)
    said = (home / "told").read_text() + (home / "worker.log").read_text()
    assert TOKEN not in said and OTHER not in said


@pytest.fixture
def repository(fetch: Fetching, request: pytest.FixtureRequest) -> Callable[..., Repository]:
    """Put a repository of the test's own on the hub, whose name ends as the test says."""
    fetch.hub.requests.clear()
    fetch.hub.tokens.clear()

    def add(name: str, files: dict[str, bytes] | None = None, **how) -> Repository:
        commits = {FIRST: FILES | REFUSED if files is None else files}
        made = Repository(commits, {"main": FIRST}, **how)
        fetch.hub.repositories[name] = made
        return made

    return add


def test_a_commit_a_tag_a_branch_and_a_pull_request(fetch, repository):
    made = repository("org/named")
    made.commits[SECOND] = {**FILES, "config.json": b'{"model_type": "qwen2"}'}
    made.refs |= {"v1.0": FIRST, "feature/x": SECOND, "refs/pr/1": SECOND}
    for revision, commit in {
        FIRST: FIRST,
        "v1.0": FIRST,
        "main": FIRST,
        "feature/x": SECOND,
        "refs/pr/1": SECOND,
    }.items():
        assert fetch(f"hf://org/named@{revision}") is None
        assert (fetch.folder() / "config.json").read_bytes() == made.commits[commit]["config.json"]
        listing = json.loads((fetch.folder() / "manifest.json").read_text())
        assert listing["commits"] == {f"hf://org/named@{revision}": commit}
        digests = {entry["path"]: entry["sha256"] for entry in listing["files"]}
        assert digests["model.safetensors"] == hashlib.sha256(WEIGHTS).hexdigest()
    told = (fetch.home / "worker.log").read_text()
    assert f"hf://org/named@feature/x is commit {SECOND}" in told, "a branch moves"
    assert f"@{FIRST} is commit" not in told
    gone = fetch(f"hf://org/named@{commit_of(3)}")
    assert f"models: m: hf://org/named@{commit_of(3)}: has no revision {commit_of(3)}" in gone
    assert "has no revision v2" in fetch("hf://org/named@v2")
    assert "give a revision" in fetch("hf://org/named@<commit>"), "as the overlays have it"


def test_only_data_is_fetched_and_nothing_in_two_precisions(fetch, repository):
    repository("org/data")
    assert fetch("hf://org/data@main") is None
    assert fetch.has() == set(FILES)
    assert not [r.path for r in fetch.hub.requests if any(name in r.path for name in REFUSED)], "not even asked for"


def test_what_other_programs_left_in_the_cache_is_not_taken(fetch, repository):
    repository("org/shared")
    assert fetch("hf://org/shared@main") is None
    (snapshot,) = (fetch.home / "hub/hub/models--org--shared/snapshots").iterdir()
    (snapshot / "pytorch_model.bin").write_bytes(REFUSED["pytorch_model.bin"])
    assert fetch("hf://org/shared@main", name="again") is None
    assert fetch.has("again") == set(FILES)
    assert len(fetch.hub.bodies("store")) == 1, "fetched once for both"


def test_weights_that_are_pickles_alone_or_are_not_all_there(fetch, repository):
    without = {name: data for name, data in FILES.items() if not name.endswith(".safetensors")}
    repository("org/pickle", without | {"pytorch_model.bin": b"\x80\x04", "model.pt": b"\x80\x04"})
    assert "holds no safetensors and no GGUF" in fetch("hf://org/pickle@main", name="none")
    assert not fetch.hub.bodies("store") and not fetch.folder("none").exists()
    index = json.dumps(
        {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    )
    halves = {"model.safetensors.index.json": index.encode(), "model-00001-of-00002.safetensors": WEIGHTS}
    repository("org/half", without | halves)
    told = fetch("hf://org/half@main", name="none")
    assert (
        "model.safetensors.index.json lists model-00002-of-00002.safetensors, which this revision does not have" in told
    )
    for number, listed in enumerate((b"[]", b"{", b'{"weight_map": {"a": 1}}', b"[" * 100_000)):
        repository(f"org/odd{number}", FILES | {"model.safetensors.index.json": listed})
        told = fetch(f"hf://org/odd{number}@main", name="none")
        assert "model.safetensors.index.json is no list of weights" in told, listed[:9]
    repository("org/absent", absent={"1_Pooling/config.json"})
    told = fetch("hf://org/absent@main", name="none")
    assert "a file that the hub lists is missing" in told and "1_Pooling/config.json" in told
    assert not fetch.folder("none").exists()


def test_a_token_goes_to_the_hub_and_not_to_where_it_redirects(fetch, repository):
    repository("org/secret", gated=True, private=True)
    fetch.hub.tokens[TOKEN] = {"org/secret"}
    assert fetch("hf://org/secret@main", TOKEN) is None
    assert fetch.has() == set(FILES)
    sent = {(r.host, r.headers.get("authorization")) for r in fetch.hub.requests if "org/secret" in r.path}
    assert sent == {("hub", f"Bearer {TOKEN}"), ("store", None)}
    for path in (*fetch.folder().rglob("*"), *(fetch.home / "hub").rglob("*")):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes()


REFUSALS = {
    "gated, no token": ({"gated": True}, None, ["is gated, and there is no token (HF_TOKEN); accept its licence at"]),
    "gated, of another": ({"gated": True}, OTHER, ["is gated, and the token in use may not read it", "HF_TOKEN"]),
    "private, no token": (
        {"private": True},
        None,
        ["no such repository at", "private, and there is no token"],
    ),
    "private, of another": ({"private": True}, OTHER, ["no such repository at", "the token in use may not read it"]),
    "a token that is none": ({}, "hf_unknown", ["does not know the token in use; put a new one into HF_TOKEN"]),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_repository_that_may_not_be_read_is_one_line_with_the_remedy(fetch, repository, case):
    how, token, parts = REFUSALS[case]
    repository("org/closed", **how)
    fetch.hub.tokens[OTHER] = set()
    told = fetch("hf://org/closed@main", token, name="closed")
    assert told.startswith("models: closed: hf://org/closed@main: ")
    assert all(part in told for part in parts) and "org/closed" in told
    assert not fetch.folder("closed").exists() and not fetch.hub.bodies("store")


def test_a_repository_that_moved_and_one_that_never_was(fetch, repository):
    repository("org/new")
    fetch.hub.moved["org/old"] = "org/new"
    assert fetch("hf://org/old@main") is None
    assert fetch.has() == set(FILES)
    assert f"no such repository at {fetch.hub.endpoint}/org/never" in fetch("hf://org/never@main")


def test_a_lost_connection_is_gone_on_with(fetch, repository):
    """From the last whole chunk of 10 MiB, which is how huggingface_hub reads."""
    chunk = 10 << 20
    large = WEIGHTS * (3 * chunk // len(WEIGHTS))
    repository("org/lost", {**FILES, "model.safetensors": large}, cuts={"model.safetensors": [chunk + 5, chunk + 7]})
    assert fetch("hf://org/lost@main") is None
    assert (fetch.folder() / "model.safetensors").read_bytes() == large
    ranges = [request.headers.get("range") for request in fetch.hub.bodies("store")]
    assert ranges == [None, f"bytes={chunk}-", f"bytes={2 * chunk}-"]


def test_other_bytes_of_the_same_length_are_noticed_and_fetched_again(fetch, repository):
    made = repository("org/damaged", damaged={"model.safetensors"})
    told = fetch("hf://org/damaged@main", name="whole")
    assert "model.safetensors has the sha256" in told and hashlib.sha256(WEIGHTS).hexdigest() in told
    assert "run the same command again" in told and not fetch.folder("whole").exists()
    made.damaged.clear()
    assert fetch("hf://org/damaged@main", name="whole") is None
    assert (fetch.folder("whole") / "model.safetensors").read_bytes() == WEIGHTS
    assert len(fetch.hub.bodies("store")) == 2 and sum("config.json" in r.path for r in fetch.hub.bodies("hub")) == 2


def alone(own: dict[str, str], folder: Path, address: str, before: Sequence[str] = ()) -> str | None:
    """What is told by a fetch in a process of its own, whose command follows another."""
    asked = {"name": "m", "files": [address], "manifest": "m/manifest.json", "environment": {}}
    done = subprocess.run(
        [*before, sys.executable, "-c", WORKER],
        cwd=folder,
        env=own,
        text=True,
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
    )
    told: str | None = json.loads(done.stdout)
    return told


def test_without_a_network_the_cache_is_taken_where_it_is_asked_for(fetch, repository, tmp_path):
    repository("org/kept")
    assert fetch("hf://org/kept@main") is None
    nowhere = environment(fetch.hub, fetch.home / "hub") | {"HF_ENDPOINT": "http://127.0.0.1:9"}
    told = alone(nowhere, tmp_path, "hf://org/kept@main")
    assert "the connection to http://127.0.0.1:9 fails" in told and "HF_ENDPOINT" in told and "\n" not in told
    assert alone(nowhere | {"HF_HUB_OFFLINE": "1"}, tmp_path, "hf://org/kept@main") is None
    assert (tmp_path / "m/model.safetensors").read_bytes() == WEIGHTS


def test_a_killed_fetch_keeps_the_files_that_are_complete(fetch, repository, tmp_path):
    """A file that was under way begins anew: huggingface_hub goes on with one in the same process alone."""
    files = {SHARDS[0]: WEIGHTS, SHARDS[1]: WEIGHTS[::-1], "model.safetensors.index.json": INDEX, "config.json": b"{}"}
    made = repository("org/large", files, held={SHARDS[1]})
    code = (
        "from pathlib import Path; from aligncap.config import ModelSource; from aligncap.models.sources import *\n"
        "fetch_model(ModelSource(name='m', files=('hf://org/large@main',)), Path('m/manifest.json'))"
    )
    command, own = [sys.executable, "-c", code], environment(fetch.hub, tmp_path / "hub")
    with subprocess.Popen(command, cwd=tmp_path, env=own, stderr=subprocess.DEVNULL) as process:
        while not any(SHARDS[1] in request.path for request in fetch.hub.bodies("store")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "m").exists()
    made.held.clear()
    fetch.hub.requests.clear()
    subprocess.run(command, cwd=tmp_path, env=own, check=True, stderr=subprocess.DEVNULL)
    assert (tmp_path / "m" / SHARDS[1]).read_bytes() == WEIGHTS[::-1]
    assert [Path(request.path.partition("?")[0]).name for request in fetch.hub.bodies("store")] == [SHARDS[1]]


def test_a_disk_of_the_cache_that_takes_no_more(fetch, repository, tmp_path):
    """By `ulimit -f`, which answers as a full disk does, with another number."""
    repository("org/large")
    small = ["bash", "-c", 'ulimit -f 8; exec "$@"', "bash"]
    told = alone(environment(fetch.hub, tmp_path / "hub"), tmp_path, "hf://org/large@main", small)
    assert f"cannot be stored in {tmp_path}/hub/hub: " in told and "or name another in HF_HOME" in told
