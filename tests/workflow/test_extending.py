"""The examples of docs/extending.md, word for word: each put in its place in a copy of the project, and run."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from snakemake_project import ROOT, SMOKE, Project

pytestmark = pytest.mark.workflow
TEXT = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
HEADINGS = ("A new corpus", "A new judge", "A new preference loss", "A new divergence", "A new system")


def section(heading: str) -> str:
    return re.split(r"^## ", TEXT.split(f"\n## {heading}\n", 1)[1], flags=re.MULTILINE)[0]


def code(heading: str, language: str) -> str:
    """The one block of a language in a section."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", section(heading), re.MULTILINE | re.DOTALL)
    return block


def extend(project: Project, heading: str) -> None:
    """Write the section's module where it says, and its overlay to experiments/mine.yaml."""
    path = re.search(r"Write\s+`(aligncap/extensions/\w+/\w+\.py)`", section(heading))
    assert path
    (project.folder / path[1]).write_text(code(heading, "python"), encoding="utf-8")
    (project.folder / "experiments/mine.yaml").write_text(code(heading, "yaml"), encoding="utf-8")


def run(project: Project, script: str, *arguments: str) -> str:
    return project.execute([sys.executable, "-c", script, *arguments])


@pytest.mark.parametrize("heading", HEADINGS)
def test_an_example_is_short(heading: str) -> None:
    python = code(heading, "python") if heading != "A new system" else ""
    assert len((python + code(heading, "yaml")).splitlines()) < 40


def test_a_new_corpus(project: Project, tmp_path: Path) -> None:
    extend(project, "A new corpus")
    clips = tmp_path / "JL/Raw JL corpus (unchecked and unannotated)/JL(wav+txt)"
    clips.mkdir(parents=True)
    for clip, text in (("female1_angry_10a_1", "Tom beats that farmer.\n"), ("male2_anxious_1b_2", "We ran.\n")):
        soundfile.write(clips / f"{clip}.wav", 0.3 * np.sin(np.arange(16_000) / 10), 16_000)
        (clips / f"{clip}.txt").write_text(text, encoding="utf-8")
    script = (
        "import sys; from pathlib import Path\n"
        "from aligncap.config import Corpus, SpeechSettings; from aligncap.corpora.prepare import prepare_corpus\n"
        "cfg = Corpus(adapter='jl_corpus', role='train', root=sys.argv[1])\n"
        "outs = (Path(f'{name}.parquet') for name in ('audio', 'labels', 'skipped'))\n"
        "prepare_corpus('jl', cfg, SpeechSettings(detector='off'), 0, *outs)\n"
    )
    run(project, script, str(tmp_path / "JL"))
    labels = pd.read_parquet(project.folder / "labels.parquet")
    assert labels.emotion.tolist() == ["angry", "worried"]
    assert labels.transcript.tolist() == ["Tom beats that farmer.", "We ran."]
    assert pd.read_parquet(project.folder / "audio.parquet").speaker.tolist() == ["female1", "male2"]
    project.edit("experiments/mine.yaml", "jl_corpus", "jl-korpus")
    assert "(did you mean jl_corpus?)" in project.run("-n", "--configfile", "experiments/mine.yaml", ok=False)


def test_a_new_corpus_with_human_captions_has_its_tables(project: Project, tmp_path: Path) -> None:
    """What a corpus has is its adapter's to say: no rule names a corpus."""
    (project.folder / "aligncap/extensions/corpora/told.py").write_text(
        "from aligncap.corpora.tables import Layout\n"
        "from aligncap.corpora.traits import Traits\n\n"
        "CORPUS = Layout(('told.csv',), ('file', 'caption'), lambda table, row: None, has_captions=True,\n"
        "                traits=Traits('CC0'))\n"
    )
    overlay = "corpora: {{ told: {{ adapter: told, role: {role}, root: {root}, language: en }} }}\n"
    for role, tables in (("test", {"parser_table", "listeners_table"}), ("train", set())):
        (tmp_path / "told.yaml").write_text(overlay.format(role=role, root=tmp_path))
        jobs = project.plan(*SMOKE, str(tmp_path / "told.yaml"))
        assert {job.rule for job in jobs} & {"parser_table", "listeners_table"} == tables
        (transcribed,) = (job for job in jobs if job.rule == "transcripts" and job.wildcards["corpus"] == "told")
        assert any("whisper" in file for file in transcribed.input)


def test_a_new_judge(project: Project) -> None:
    extend(project, "A new judge")
    script = (
        "from aligncap.clues.hallucination_checks import Truth; from aligncap.clues.parser.grammar import parse_clues\n"
        "from aligncap.config import Compute, Judge; from aligncap.preference.facts import ClipFacts, JudgedCaption\n"
        "from aligncap.preference.judges import score\n"
        "gold = 'The speaker sounds very sad, with a quiet voice.'\n"
        "facts = ClipFacts(Truth('sad', intensity='strong'), tuple(parse_clues(gold)), 'good bye', (gold,))\n"
        "said = [gold, 'The speaker sounds sad.', 'The speaker sounds happy because the war is over.']\n"
        "items = [JudgedCaption('c', str(n), text, True, facts) for n, text in enumerate(said)]\n"
        "for o in score(Judge(name='clue_overlap'), Compute(device='cpu'), items, None):\n"
        "    print('opinion', o.factuality, o.faithfulness, o.overall)\n"
    )
    told = [list(map(float, line.split()[1:])) for line in run(project, script).splitlines() if "opinion" in line]
    assert told[0] == [5, 5, 5] and told[0][0] > told[1][0] > told[2][0] and told[1][1] > told[2][1] >= 1
    plan = project.plan(*SMOKE, "experiments/mine.yaml")
    asked = {job.wildcards["judge"] for job in plan if job.rule == "judge_scores"}
    assert asked == {"reference", "clue_overlap"} and "judge_agreement" in {job.rule for job in plan}
    (pairs,) = [job for job in plan if job.rule == "preference_pairs"]
    assert any(path.endswith("/clue_overlap.parquet") for path in pairs.input)


def test_a_new_preference_loss(project: Project) -> None:
    extend(project, "A new preference loss")
    script = (
        "import torch; from aligncap.config import PreferenceTraining\n"
        "from aligncap.preference.train import PairLogps, preference_loss\n"
        "logps = torch.tensor([-5.0, -5.0, -30.0]).requires_grad_()\n"
        "same, n = torch.full((3,), -5.0), torch.full((3,), 4)\n"
        "loss = preference_loss(PreferenceTraining(loss='hinge', beta=0.1),\n"
        "    PairLogps(logps, torch.tensor([-5.0, -25.0, -5.0]), same, same, n, n))\n"
        "loss.sum().backward()\n"
        "print('loss', *loss.tolist()); print('grad', *logps.grad.tolist())\n"
    )
    told = {line.split()[0]: list(map(float, line.split()[1:])) for line in run(project, script).splitlines()}
    assert told["loss"] == pytest.approx([1, 0, 3.5]) and told["grad"] == pytest.approx([-0.1, 0, -0.1])
    plan = project.plan(*SMOKE, "experiments/mine.yaml")
    assert {"system": "aligncap_hinge"} in [job.wildcards for job in plan if job.rule == "train_preference"]


def test_a_new_divergence(project: Project) -> None:
    extend(project, "A new divergence")
    script = (
        "import torch; from aligncap.alignment.losses import full_divergences\n"
        "torch.manual_seed(0); teacher, student = torch.randn(4, 9), torch.randn(4, 9).requires_grad_()\n"
        "assert full_divergences(teacher, teacher, 'skew_kl').abs().max() < 1e-6\n"
        "far = full_divergences(student, teacher, 'skew_kl'); far.sum().backward()\n"
        "assert far.shape == (4,) and 0 < far.min() and far.max() < 2.3026 and student.grad.abs().sum() > 0\n"
        "closer = full_divergences(student - student.grad, teacher, 'skew_kl')\n"
        "assert closer.sum() < far.sum()\n"
    )
    run(project, script)
    plan = project.plan(*SMOKE, "experiments/mine.yaml")
    assert {"system": "kd_skew"} in [job.wildcards for job in plan if job.rule == "train_alignment"]
    project.edit("experiments/mine.yaml", "live: true", "live: false")
    told = project.run("-n", *SMOKE, "experiments/mine.yaml", ok=False)
    assert "skew_kl needs whole distributions; set teacher.live: true" in told
