"""`tools/compare_experiments.py`: two experiments, paired by test clip and seed."""

import sys
from pathlib import Path

import pytest
from made_up import write_evaluation

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))
import compare_experiments

COUNT = 40


def experiment(folder: Path, gain: float, count: int = COUNT) -> Path:
    for number, system in enumerate(("kd", "kd@1", "sft")):
        right = [float(n % (2 + number) == 0) for n in range(count)]
        similar = [0.3 + 0.1 * number + 0.01 * (n % 7) + gain for n in range(count)]
        write_evaluation(
            folder / f"evaluation/{system}/demo.parquet", {"emotion_agreement": right, "similarity": similar}
        )
    return folder


def run(monkeypatch, capsys, *arguments) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["compare", *map(str, arguments)])
    status = compare_experiments.main()
    shown = capsys.readouterr()
    return status, shown.out, shown.err


def test_a_gain_on_every_clip_and_seed_is_found_without_spread(tmp_path, monkeypatch, capsys):
    first, second = experiment(tmp_path / "more", 0.1), experiment(tmp_path / "less", 0.0)
    status, out, _ = run(monkeypatch, capsys, first, second, "--bootstrap", 200)
    assert status == 0 and "| more - less |" in out
    assert "| `kd` | demo | similarity | +0.100 | [+0.100, +0.100] |" in out
    assert "| `sft` | demo | agreement (macro) | +0.000 | [+0.000, +0.000] |" in out
    assert "kd@1" not in out, "a seed is part of its system"
    _, out, _ = run(monkeypatch, capsys, first, second, "--systems", "sft", "--bootstrap", 200)
    assert "`kd`" not in out and "`sft`" in out


def test_what_was_scored_on_other_clips_is_left_out(tmp_path, monkeypatch, capsys):
    first, second = experiment(tmp_path / "all", 0.1), experiment(tmp_path / "some", 0.0, COUNT - 1)
    status, out, err = run(monkeypatch, capsys, first, second)
    assert status == 1 and not out
    assert "sft on demo was scored on other utterances in some" in err and "share no scores" in err


@pytest.mark.parametrize("missing", ["first", "second"])
def test_an_experiment_that_was_not_run_is_said(tmp_path, monkeypatch, capsys, missing):
    folders = {name: tmp_path / name for name in ("first", "second")}
    experiment(folders["second" if missing == "first" else "first"], 0.0)
    status, _, err = run(monkeypatch, capsys, *folders.values())
    assert status == 1 and "run both experiments first" in err


def test_variants_are_compared_with_one_system_on_dev_clips(tmp_path, monkeypatch, capsys):
    experiment(tmp_path / "in_domain", 0.0)
    status, out, _ = run(monkeypatch, capsys, tmp_path, "--dev-against", "kd", "--systems", "sft", "--bootstrap", 200)
    assert status == 0
    assert "| `sft` | demo | similarity | +0.200 | [+0.200, +0.200] |" in out and "`kd" not in out
    status, _, err = run(monkeypatch, capsys, tmp_path, "--dev-against", "absent")
    assert status == 1 and "name both in figures.drop" in err
