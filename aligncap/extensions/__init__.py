"""What you add: a module in one of these packages is known to the configuration by its name, and needs no other edit.

``corpora``, ``judges``, ``losses`` and ``divergences`` say what a module of theirs must hold; docs/extending.md has an
example of each.
"""

from __future__ import annotations

from pathlib import Path


def names(kind: str) -> tuple[str, ...]:
    """Names of the modules in ``aligncap/extensions/{kind}``, sorted; none of them is imported for that."""
    return tuple(sorted(path.stem for path in (Path(__file__).parent / kind).glob("[a-z]*.py")))
