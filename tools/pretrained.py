"""Write pretrained/, the captioner that comes with the project: weights of a checkpoint as fp16, and a model card."""

import shutil
import sys
from pathlib import Path

from aligncap import Captioner
from aligncap.serving.sharing import save

MEGABYTES = 12  # what a clone of the project may grow by


def main(checkpoint: Path, target: Path) -> None:
    """Write ``target`` anew from a checkpoint folder."""
    written = target.with_name(f".{target.name}.new")
    shutil.rmtree(written, ignore_errors=True)
    save(Captioner.load(checkpoint), written, base_models=False, half=True, command="make pretrained")
    size = sum(path.stat().st_size for path in written.iterdir()) / 1e6
    if size > MEGABYTES:
        sys.exit(f"{written}: {size:.1f} MB, at most {MEGABYTES} belong into the repository; lower lora.rank")
    shutil.rmtree(target, ignore_errors=True)
    written.replace(target)
    print(f"{target}: {size:.1f} MB")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
