"""SPICE by the jar in pycocoevalcap, which needs Java 8 to 11 and CoreNLP models that must be downloaded separately.

Nothing is downloaded here. ``why_not`` checks first, so that a run which requires SPICE fails before it trains.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from aligncap.errors import MetricError
from aligncap.evaluation.java import JVM_OPTIONS, pycocoevalcap_file

CORENLP = "stanford-corenlp-3.6.0"
VERSIONS = range(8, 12)  # its object serialisation reaches into classes that Java 16 closed
HEAP = "-Xmx8G"  # as in pycocoevalcap
TIMEOUT_S = 3600


def _version(java: str) -> int | None:
    """Return the major version of a ``java``, or None where it does not start."""
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    return int(found.group(1)) if found else None


def find_java() -> str:
    """Return the path of a ``java`` of a version that SPICE runs on, from PATH or else below JAVA_HOME.

    Raises:
        MetricError: There is none; the message names the versions found.
    """
    home = os.environ.get("JAVA_HOME")
    places = [shutil.which("java"), str(Path(home) / "bin" / "java") if home else None]
    found = {place: _version(place) for place in places if place}
    for place, version in found.items():
        if version in VERSIONS:
            return place
    have = ", ".join(f"Java {version}" for version in found.values() if version) or "none"
    raise MetricError(
        f"SPICE needs Java {VERSIONS[0]} to {VERSIONS[-1]} on PATH or below JAVA_HOME, found {have}; "
        "install one and point JAVA_HOME to it"
    )


def why_not() -> str | None:
    """Return why SPICE is unavailable here, with the remedy, or None where it is available."""
    try:
        library = pycocoevalcap_file("spice/spice-1.0.jar").parent / "lib"
        missing = [name for name in (f"{CORENLP}.jar", f"{CORENLP}-models.jar") if not (library / name).is_file()]
        if missing:
            raise MetricError(
                f"SPICE needs {' and '.join(missing)}, a download of about 0.5 GB; "
                "run 'python -m pycocoevalcap.spice.get_stanford_models' once"
            )
        find_java()
    except MetricError as error:
        return str(error)
    return None


def score(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[float, list[float]]:
    """Return corpus SPICE (mean F1 of scene-graph tuples) and that of each item, 0-1, with pycocoevalcap's options.

    Unlike its wrapper this writes nothing into site-packages. Both inputs are PTB tokenised and in the same order.

    Raises:
        MetricError: SPICE is unavailable here, or failed.
    """
    reason = why_not()
    if reason is not None:
        raise MetricError(reason)
    jar = pycocoevalcap_file("spice/spice-1.0.jar")
    asked = [
        {"image_id": str(number), "test": candidate, "refs": list(texts)}
        for number, (candidate, texts) in enumerate(zip(candidates, references, strict=True))
    ]
    with tempfile.TemporaryDirectory(prefix="spice-") as name:
        folder = Path(name)
        source, out, cache = folder / "in.json", folder / "out.json", folder / "cache"
        cache.mkdir()
        source.write_text(json.dumps(asked), encoding="utf-8")
        options = [str(source), "-cache", str(cache), "-out", str(out), "-subset", "-silent"]
        command = [find_java(), HEAP, *JVM_OPTIONS, "-jar", str(jar), *options]
        try:
            subprocess.run(command, cwd=jar.parent, capture_output=True, timeout=TIMEOUT_S, check=True)
            found = json.loads(out.read_text("utf-8"))
            scores = {item["image_id"]: float(item["scores"]["All"]["f"]) for item in found}
            items = [scores[str(number)] for number in range(len(asked))]
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
            raise MetricError(f"SPICE: {error}; it needs up to 8 GB of memory") from error
    return sum(items) / len(items), items
