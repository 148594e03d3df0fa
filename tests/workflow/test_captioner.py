"""The checkpoint that a run made captions files, from the shell and from Python."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake_project import Project

from aligncap import Captioner

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(3600)]


@pytest.fixture
def wav(smoke: Project) -> Path:
    return sorted((smoke.folder / "results/smoke/corpora/synthetic_de/wav").glob("*.wav"))[0]


def command(smoke: Project, *arguments: object) -> subprocess.CompletedProcess:
    script = [sys.executable, "-m", "aligncap.serving.cli", "caption", *map(str, arguments)]
    return subprocess.run(script, cwd=smoke.folder, capture_output=True, text=True, check=False)


def test_the_command_prints_one_json_object_a_file_and_names_what_it_could_not_read(smoke, wav, tmp_path):
    not_audio = tmp_path / "letter.wav"
    not_audio.write_bytes(b"%PDF-1.7 not audio")
    done = command(smoke, "--model", "results/smoke/checkpoints/aligncap", "--json", wav, not_audio, wav)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1 and len(rows) == 2 and rows[0] == rows[1]
    assert set(rows[0]) >= {"path", "caption", "clues"} and rows[0]["path"] == str(wav)
    complaint = [line for line in done.stderr.splitlines() if line.startswith("aligncap:")]
    assert len(complaint) == 1 and "letter.wav" in complaint[0]


def test_a_folder_that_is_no_checkpoint_is_one_line(smoke, wav):
    done = command(smoke, "--model", "results/nowhere", wav)
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith("aligncap: results/nowhere: no such")


def test_the_object_says_what_the_pipeline_said(smoke, wav):
    """One file alone gets the caption that its corpus got."""
    import pandas as pd

    captioner = Captioner.load(smoke.folder / "results/smoke/checkpoints/kd")
    captions = pd.read_parquet(smoke.folder / "results/smoke/captions/kd/synthetic_de.parquet")
    want = captions.set_index("utterance_id").caption[wav.stem]
    assert captioner.caption(wav, language="de").caption[: len(want)] == want


def test_missing_base_models_are_fetched(smoke, monkeypatch, tmp_path):
    monkeypatch.setenv("ALIGNCAP_MODELS", str(tmp_path))
    Captioner.load(smoke.folder / "results/smoke/checkpoints/kd")
    assert {path.parent.name for path in tmp_path.glob("*/manifest.json")} == {"tiny-llama", "tiny-whisper"}
