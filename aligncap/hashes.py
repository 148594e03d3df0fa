"""Orders and seeds by hash: the same on every machine, whatever else is drawn, and in whatever order things come."""

from __future__ import annotations

import hashlib


def digest_of(*parts: object) -> bytes:
    """What an order by hash sorts by: sha256 over the parts, joined by a slash."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).digest()


def seed_of(*parts: object) -> int:
    """Seed of a generator, 0 to 2^32 - 1."""
    return int.from_bytes(digest_of(*parts)[:4], "big")
