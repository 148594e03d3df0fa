"""Random orders and seeds derived by hashing, the same on every machine and independent of all other random draws."""

from __future__ import annotations

import hashlib


def digest_of(*parts: object) -> bytes:
    """Return the SHA-256 over the parts joined by a slash, as the sort key of a reproducible random order."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).digest()


def seed_of(*parts: object) -> int:
    """Return a seed for a random generator, from 0 to 2^32 - 1."""
    return int.from_bytes(digest_of(*parts)[:4], "big")
