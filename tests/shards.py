"""Shards of WebDataset for tests."""

import io
import tarfile
from pathlib import Path


def write_shard(path: Path, members: dict[str, bytes]) -> Path:
    """Write a tar of members by name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path
