"""The worked example of docs/corpora.md, word for word; the last command on the models of experiments/smoke.yaml."""

import re
import shutil
import sys

import pandas as pd
import pytest
from snakemake_project import ROOT, Project
from voice import write_voice

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(3600)]


def blocks(document: str, heading: str, language: str) -> list[str]:
    """The fenced blocks of one language in a section of a document."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    section = re.split(r"^## ", text.split(f"\n## {heading}", 1)[1], flags=re.MULTILINE)[0]
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def test_a_folder_of_wavs_and_a_csv_in_five_commands(smoke_copy: Project) -> None:
    project, heading = smoke_copy, "Your own recordings"
    calls = project.folder.parent / "calls"
    for name in ("0001.wav", "0002.wav"):
        write_voice(calls / "wav" / name)
    (calls / "wav/0003.flac").write_bytes(b"")
    (calls / "calls.csv").write_text(blocks("corpora.md", heading, "csv")[0], encoding="utf-8")
    (project.folder / "experiments/calls.yaml").write_text(blocks("corpora.md", heading, "yaml")[0], encoding="utf-8")
    (project.folder / ".venv").symlink_to(sys.prefix)
    setup, plan, prepare, left_out, run = blocks("corpora.md", heading, "sh")[0].splitlines()
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert setup == "make setup" and {"setup", "run"} <= set(targets)
    assert "prepare_corpus" in project.execute(["bash", "-c", plan])
    project.execute(["bash", "-c", prepare])
    said = project.execute(["bash", "-c", left_out]).splitlines()[-1]
    assert said == blocks("corpora.md", heading, "text")[0].strip()
    made = project.folder / "results/calls/corpora/calls"
    assert pd.read_parquet(made / "audio.parquet").speaker.tolist() == ["A7", "A7"]
    labels = pd.read_parquet(made / "labels.parquet")
    assert labels.emotion.tolist() == ["angry", "neutral"]
    assert labels.captions[0].tolist() == ["The speaker is audibly annoyed and talks fast."]

    tiny = f"{sys.executable} tools/run_pipeline.py --configfile experiments/smoke.yaml "
    assert run.startswith("make run CONFIG=")
    # What the corpus does not change is as in the smoke experiment, so it need not be made again.
    shutil.copytree(project.folder / "results/smoke", made.parents[1], dirs_exist_ok=True)
    told = project.execute(["bash", "-c", run.replace("make run CONFIG=", tiny)])
    assert "report: results/calls/report.html" in told
    page = (project.folder / "results/calls/report.html").read_text(encoding="utf-8")
    assert len(re.findall(r'class="example"[^>]* data-corpus="calls"', page)) == 2
    assert "The speaker is audibly annoyed and talks fast." in page and "corpora.calls.licence" in page
