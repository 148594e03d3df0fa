"""Calls the script of a rule as Snakemake does, in a process of its own: ``python job_parts.py job.json``."""

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

SCRIPTS = Path(__file__).resolve().parents[3] / "workflow_scripts"


class Named(list):  # as Snakemake's lists with names
    def __init__(self, **named):
        super().__init__(named.values())
        self.__dict__.update(named)
        self.items, self.keys = named.items, named.keys


def main(path: str) -> None:
    job = json.loads(Path(path).read_text())
    parts = ("input", "output", "params", "resources", "wildcards")
    smk = SimpleNamespace(rule=job["rule"], log=job["log"], **{part: Named(**job.get(part, {})) for part in parts})
    runpy.run_path(str(SCRIPTS / f"{job['rule']}.py"))["main"](smk)


if __name__ == "__main__":
    main(sys.argv[1])
