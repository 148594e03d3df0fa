"""Devices of their own for each job: locks that die with their holder, taken before torch looks for a GPU.

Snakemake's resource ``gpu`` only counts, so two jobs at once would both take the first GPU that they see. Here a job
takes as many as it is to have and sees no others. It keeps within those that ``CUDA_VISIBLE_DEVICES`` names, which a
cluster sets for its jobs. The locks lie in the folder of temporary files, so that they reach every checkout of a user
on a machine.
"""

from __future__ import annotations

import logging
import os
import random
import subprocess
import tempfile
import time
from pathlib import Path

from aligncap.errors import RunningError
from aligncap.storage import claim

logger = logging.getLogger(__name__)
VISIBLE = "CUDA_VISIBLE_DEVICES"
QUERY = ("nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader")
DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # of NVIDIA, of AMD, and of Windows under WSL


def gpu_here() -> bool:
    """Return whether this machine has the driver of a GPU that torch could use; torch itself is slow to ask."""
    return any(Path(driver).exists() for driver in DRIVERS)


def take_devices(wanted: int) -> None:
    """Wait for GPUs that no other job has, hold them until this process ends, and let torch see only them.

    A machine without GPUs has none to take.

    Args:
        wanted: Number of GPUs; 0 takes none.

    Raises:
        RunningError: This process may see fewer GPUs than that.
        StorageError: A lock cannot be made.
    """
    names = _visible() if wanted else {}
    if not names:
        return
    if len(names) < wanted:
        raise RunningError(
            f"the job is to have {wanted} GPUs, but sees {len(names)} here ({VISIBLE}: "
            f"{os.environ.get(VISIBLE, 'not set')}); lower launch.processes, or run where there are more"
        )
    folder = Path(tempfile.gettempdir()) / f"aligncap-{os.getuid()}" / "devices"
    told = False
    while len(held := _free(names, wanted, folder)) < wanted:
        for descriptor in held.values():
            os.close(descriptor)
        if not told:
            logger.info("waiting for %d of the GPUs %s, which other jobs have", wanted, ", ".join(names))
        told = True
        time.sleep(random.uniform(0.2, 0.6))
    os.environ[VISIBLE] = ",".join(held)  # the locks' descriptors are closed by the end of the process


def _free(names: dict[str, str], wanted: int, folder: Path) -> dict[str, int]:
    """Lock as many of the GPUs as are free and wanted; return the descriptors of the locks."""
    held: dict[str, int] = {}
    for token, name in names.items():
        if len(held) < wanted and (descriptor := claim(folder / name)) is not None:
            held[token] = descriptor
    return held


def _visible() -> dict[str, str]:
    """Return the GPUs that this process may use: what ``CUDA_VISIBLE_DEVICES`` calls each, and the name of its lock.

    The lock has the name of the card, because a cluster may number each job's cards from 0.
    """
    cards = _cards()
    told = os.environ.get(VISIBLE)
    tokens = [str(number) for number in range(len(cards))] if told is None else [t.strip() for t in told.split(",")]
    if not cards:
        return {}
    found = {}
    for token in tokens:
        if token in ("", "-1"):  # CUDA hides these and all behind them
            break
        found[token] = cards[int(token)] if token.isdigit() and int(token) < len(cards) else token
    return found


def _cards() -> list[str]:
    """Return the names of this machine's GPUs, in the order in which they are counted."""
    try:
        listed = subprocess.run(QUERY, capture_output=True, text=True, check=True, timeout=60).stdout
        return [line.split(",")[1].strip() for line in listed.splitlines() if "," in line]
    except (OSError, subprocess.SubprocessError):  # other makers' GPUs, or none
        import torch

        return [f"gpu{number}" for number in range(torch.cuda.device_count())]
