"""The worked examples of docs/corpora.md and docs/extending.md, word for word, as far as `prepare_corpus`."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from snakemake_project import ROOT, Project

pytestmark = pytest.mark.workflow


def blocks(document: str, heading: str, language: str) -> list[str]:
    """The fenced blocks of one language in a section of a document."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    section = re.split(r"^## ", text.split(f"\n## {heading}", 1)[1], flags=re.MULTILINE)[0]
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def write_wav(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(np.arange(16_000) / 10), 16_000)


def test_a_folder_of_wavs_and_a_csv_in_five_commands(project: Project) -> None:
    heading = "Your own recordings"
    calls = project.folder.parent / "calls"
    for name in ("0001.wav", "0002.wav"):
        write_wav(calls / "wav" / name)
    (calls / "wav/0003.flac").write_bytes(b"")
    (calls / "calls.csv").write_text(blocks("corpora.md", heading, "csv")[0], encoding="utf-8")
    (project.folder / "experiments/calls.yaml").write_text(blocks("corpora.md", heading, "yaml")[0], encoding="utf-8")
    (project.folder / ".venv").symlink_to(sys.prefix)
    setup, plan, prepare, left_out, run = blocks("corpora.md", heading, "sh")[0].splitlines()
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert (
        setup == "make setup" and run == "make run CONFIG=experiments/calls.yaml" and {"setup", "run"} <= set(targets)
    )
    assert "prepare_corpus" in project.execute(["bash", "-c", plan])
    project.execute(["bash", "-c", prepare])
    said = project.execute(["bash", "-c", left_out]).splitlines()[-1]
    assert said == blocks("corpora.md", heading, "text")[0].strip()
    made = project.folder / "results/calls/corpora/calls"
    assert pd.read_parquet(made / "audio.parquet").speaker.tolist() == ["A7", "A7"]
    labels = pd.read_parquet(made / "labels.parquet")
    assert labels.emotion.tolist() == ["angry", "neutral"]
    assert labels.captions[0].tolist() == ["The speaker is audibly annoyed and talks fast."]


def test_a_new_corpus_is_two_edits(project: Project, tmp_path: Path) -> None:
    (declaration,), (name,) = (blocks("extending.md", "A new corpus", kind) for kind in ("python", "text"))
    assert len((declaration + name).splitlines()) < 40
    project.edit("aligncap/corpora/named.py", "NAMED = {\n", f"NAMED = {{\n{declaration}")
    project.edit("aligncap/config/corpora.py", "AdapterName = Literal[\n", f"AdapterName = Literal[\n{name}")
    clips = tmp_path / "JL/Raw JL corpus (unchecked and unannotated)/JL(wav+txt)"
    for clip, text in (("female1_angry_10a_1", "Tom beats that farmer.\n"), ("male2_anxious_1b_2", "We ran.\n")):
        write_wav(clips / f"{clip}.wav")
        (clips / f"{clip}.txt").write_text(text, encoding="utf-8")
    script = (
        "import sys; from pathlib import Path\n"
        "from aligncap.config import Corpus; from aligncap.corpora.prepare import prepare_corpus\n"
        "cfg = Corpus(adapter='jl_corpus', role='train', root=sys.argv[1])\n"
        "prepare_corpus('jl', cfg, 0, *(Path(f'{name}.parquet') for name in ('audio', 'labels', 'skipped')))\n"
    )
    project.execute([sys.executable, "-c", script, str(tmp_path / "JL")])
    labels = pd.read_parquet(project.folder / "labels.parquet")
    assert labels.emotion.tolist() == ["angry", "worried"]
    assert labels.transcript.tolist() == ["Tom beats that farmer.", "We ran."]
    assert pd.read_parquet(project.folder / "audio.parquet").speaker.tolist() == ["female1", "male2"]
    overlay = "corpora: { jl: { adapter: jl-korpus, role: test, root: x } }\n"
    (project.folder / "experiments/jl.yaml").write_text(overlay, encoding="utf-8")
    told = project.run("-n", "--configfile", "experiments/jl.yaml", ok=False)
    assert "(did you mean jl_corpus?)" in told
