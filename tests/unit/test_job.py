import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from types import SimpleNamespace

from aligncap.job import job


class Named(list):  # as Snakemake's lists with names
    def __init__(self, **named):
        super().__init__(named.values())
        self.__dict__.update(named)
        self.items, self.keys = named.items, named.keys


smk = SimpleNamespace(
    rule="teacher_logits", log=["logs/x/a.log"], wildcards=Named(system="kd@2", corpus="a"),
    params=Named(compute={"threads": 1}, code="f00"),
    output=Named(logits="results/x/a.parquet", rest=Named(kd="r/kd.parquet", sft="r/sft.parquet")),
)
with job(smk):
    import torch

    assert torch.get_num_threads() == 1
    from aligncap import errors
    from aligncap.tracking import runs as tracking

    with tracking.tracked("teacher_logits", "kd", {"lr": 0.1}) as run:  # a function that tracks itself
        run.metric(1, "train", "loss", 2.0)
    with tracking.tracked("another", "", {}) as run:
        run.metric(1, "train", "loss", 3.0)
    if sys.argv[1:]:
        raise getattr(errors, sys.argv[1])("config: seed: 'x' is\\nnot a number")
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {"ALIGNCAP_EXPERIMENT": "x", "ALIGNCAP_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def rows(folder: Path, stem: str) -> list[dict]:
    return [json.loads(line) for line in (folder / f"work/tracking/x/{stem}.jsonl").read_text().splitlines()]


def test_a_job_is_one_run_that_links_its_outputs(tmp_path: Path) -> None:
    assert run(tmp_path).returncode == 0
    found = rows(tmp_path, "teacher_logits-kd@2-a")
    assert [row["kind"] for row in found] == ["open", "params", "metric", "link", "link", "link", "close"]
    assert found[0]["run_name"] == "teacher_logits/kd@2/a" and found[0]["params"]["code"] == "f00"
    assert found[1]["params"] == {"lr": "0.1"} and found[2]["value"] == 2.0
    tags = {"stage": "teacher_logits", "system": "kd", "seed": "2", "corpus": "a", "experiment": "x"}
    assert tags.items() <= found[0]["tags"].items()
    links = {row["name"]: row["path"] for row in found if row["kind"] == "link"}
    assert links == {"logits": "results/x/a.parquet", "rest.0": "r/kd.parquet", "rest.1": "r/sft.parquet"}
    assert found[-1]["status"] == "FINISHED"
    assert rows(tmp_path, "another")[1]["value"] == 3.0
    assert not (tmp_path / "mlflow.db").exists()  # short: left to the end of the pipeline


def test_an_error_of_the_user_is_one_line_and_a_failed_run(tmp_path: Path) -> None:
    done = run(tmp_path, "ConfigError")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr and "config: seed: 'x' is not a number" in done.stderr
    assert done.stderr.splitlines()[-1] in (tmp_path / "logs/x/a.log").read_text()
    found = rows(tmp_path, "teacher_logits-kd@2-a")
    assert found[-1]["status"] == "FAILED" and "link" not in {row["kind"] for row in found}
