"""What a dry run plans; bad configs get one line. (Every stack that is run is planned in test_leakage.py.)"""

import json
import re
import shlex
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from snakemake_project import ROOT, SMOKE, Job, Project
from stacks import Stack, configfiles
from voice import write_voice

from aligncap.devices import gpu_here
from aligncap.serving import cli
from aligncap.systems import load

pytestmark = pytest.mark.workflow

TRAINS = {"warm_start", "adapt_teacher", "teacher_logits", "train_alignment", "candidates", "train_preference"}


def trainings(project: Project, stack: Stack) -> dict[tuple[str, ...], Job]:
    """Jobs of an experiment that take long, by their outputs."""
    jobs = project.plan("--configfile", *configfiles(stack))
    return {job.output: job for job in jobs if job.rule in TRAINS}


def test_what_the_stacks_trained_is_not_trained_again_for_the_tables_of_all(project: Project) -> None:
    """`make tables` after `make emosec` and after tables.yaml without the seeds."""
    together = trainings(project, ("emosec", "tables", "seeds"))
    for stack in [("emosec",), ("emosec", "tables")]:
        for output, job in trainings(project, stack).items():
            assert sorted(together[output].input) == sorted(job.input)


def test_the_7b_set_up_is_planned_by_the_commands_of_docs_scale(project: Project) -> None:
    """Without its models, corpora and GPUs: no more can be tried here."""
    section = (ROOT / "docs/scale.md").read_text(encoding="utf-8").split("\n## How to run it\n")[1]
    commands = "".join(re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)).replace("\\\n", "")
    fetch, one_machine, slurm = commands.splitlines()
    small, large = {"whisper-large-v3", "all-minilm-l6-v2"}, {"qwen2.5-7b-instruct", "olmo-2-7b-instruct"}
    told = project.run("-n", *shlex.split(fetch)[1:])
    assert set(re.findall(r"models/(\S+)/manifest\.json", told)) == small | large

    jobs = project.plan(*shlex.split(one_machine)[1:])
    assert not {"adapt_teacher", "teacher_responses"} & {job.rule for job in jobs}
    tokenizer_alone = {"parse_clues", "predict_clues", "preference_pairs"}
    readers = {job.rule for job in jobs if any(f"models/{name}/manifest.json" in job.input for name in large)}

    # The plugin is not installed, so what the profile says is left out.
    here = f"{sys.executable} -m snakemake -n -j 8 --resources gpu=8 java=8"
    told = project.execute(["bash", "-c", slurm.replace("snakemake --workflow-profile profiles/slurm", here)])
    asked = re.findall(r"^rule (\w+):\n(?: {4}.*\n)*? {4}resources: (.*)$", told, re.MULTILINE)
    assert readers - tokenizer_alone <= {rule for rule, resources in asked if "gpu=1, " in resources}
    raised = {rule for rule, resources in asked if "mem_mb=48000" in resources}
    assert readers - tokenizer_alone <= raised
    named = set(re.findall(r"\w+", " ".join(re.findall(r"\{.*?\}", slurm)))) - {"teacher_responses"}  # of tables.yaml
    assert named <= {job.rule for job in jobs}, "Snakemake says nothing of a rule that does not exist"


@pytest.mark.parametrize(
    "names",
    [
        ("qwen2.5-0.5b", "whisper-large-v3"),
        ("qwen2.5-7b", "wavlm-large"),
        ("llama-3.2-3b", "hubert-large"),
        ("smollm3-3b",),
    ],
    ids="+".join,
)
def test_models_of_others_are_planned_by_the_commands_of_their_overlays(
    project: Project, names: tuple[str, ...]
) -> None:
    """An LLM and an encoder at once, so that each run tries two; llama-3.2-3b lies over llama-3.2-1b."""
    files: list[str] = []
    for name in names:
        said = (project.folder / f"experiments/models/{name}.yaml").read_text(encoding="utf-8")
        (command,) = re.findall(r'^# make run CONFIG="(.*)"$', said, re.MULTILINE)
        files += [file for file in command.split() if file not in files]
        assert files[-1] == f"experiments/models/{name}.yaml"
    models = load(project.folder / "config.yaml", *(project.folder / file for file in files)).models
    jobs = project.plan("--configfile", *files)
    assert {job.wildcards["model"] for job in jobs if job.rule == "fetch_model"} == {
        source.name for source in (models.llm, models.speech_encoder, models.asr, models.sentence_encoder)
    }
    readers = {"train_alignment": models.llm, "speech_features": models.speech_encoder, "transcripts": models.asr}
    for rule, source in readers.items():
        read = [job.input for job in jobs if job.rule == rule]
        assert read and all(f"models/{source.name}/manifest.json" in files for files in read)
    assert {"train_preference", "caption_testset", "report"} <= {job.rule for job in jobs}


@pytest.mark.parametrize("overlays", [[], ["experiments/tables.yaml"]], ids=["paper", "paper, tables"])
def test_a_plan_has_the_jobs_of_the_workflow(
    project: Project, overlays: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    stack = ["experiments/paper.yaml", *overlays]
    monkeypatch.chdir(ROOT)
    assert cli.main(["plan", *stack, "--json"]) == 0
    planned: Counter[str] = Counter()
    for own in json.loads(capsys.readouterr().out)["stages"]:
        planned[own["stage"]] += own["jobs"]
    del planned["loading models"]
    free = "/reference.parquet"  # scores of the judge that asks no LLM, which the plan leaves out
    found = project.plan("--configfile", *stack)
    jobs = Counter(job.rule for job in found if not any(file.endswith(free) for file in job.output))
    assert planned == {rule: jobs[rule] for rule in planned}
    assert planned.keys() >= TRAINS - {"adapt_teacher"}


def test_lint_is_clean(project: Project) -> None:
    assert "Congratulations" in project.run("--lint")


def test_the_default_profile_is_taken_by_itself(project: Project) -> None:
    text = project.run("-n")
    assert "Using workflow specific profile profiles/default" in text
    assert text.count("gpu=1") > 10, "model jobs take the accelerator"
    assert "resources: tmpdir=" in text and "gpu=1" not in project.run("-n", *SMOKE), "smoke says device: cpu"


@pytest.mark.skipif(gpu_here(), reason="this machine has a GPU")
def test_without_a_gpu_model_jobs_wait_for_none(project: Project) -> None:
    """A dry run says what would ask for one, and the run itself asks for none."""
    asked = ("results/smoke/features/synthetic_de.parquet", *SMOKE, "--config", 'compute={"device": "auto"}')
    assert "gpu=1" in project.run("-n", *asked)
    assert "gpu=1" not in project.run(*asked)
    assert (project.folder / asked[0]).is_file()


def test_training_jobs_alone_take_a_gpu_for_each_of_their_processes(project: Project) -> None:
    several = project.run("-n", "--resources", "gpu=2", "java=1", "--config", 'launch={"processes": 2}')
    asked = re.findall(r"^rule (\w+):\n(?: {4}.*\n)*? {4}resources: .*\bgpu=(\d)", several, re.MULTILINE)
    training = {"warm_start", "adapt_teacher", "train_alignment", "train_preference"}
    assert {rule for rule, gpu in asked if gpu == "2"} == training
    assert {"transcripts", "teacher_logits", "candidates"} <= {rule for rule, gpu in asked if gpu == "1"}
    assert several.count("profiles/accelerate/ddp.yaml") >= len(training)
    assert "accelerate" not in project.run("-n"), "one process depends on no file of accelerate"


def test_a_sweep_shares_everything_before_the_preference_stage(project: Project) -> None:
    plain = project.plan()
    swept = project.plan("--configfile", "experiments/sweep_beta.yaml")
    files = {file for job in plain for file in job.output}
    added = [job for job in swept if not set(job.output) <= files]
    of_each = {"train_preference", "caption_testset", "score_captions", "judge_captions"}
    assert {job.rule for job in added} == of_each
    assert len([job for job in added if job.rule == "train_preference"]) == 3
    parents = {file for job in added if job.rule == "train_preference" for file in job.input if "checkpoints" in file}
    assert {file.split("/")[3] for file in parents} == {"kd"}


def test_a_round_samples_from_the_round_before_and_takes_it_as_its_reference(project: Project) -> None:
    rounds = (
        "  round2: { stage: preference, parent: aligncap }\n"
        "  round3: { stage: preference, parent: round2 }\n"
        "  kd_rft: { stage: preference, parent: kd, overrides: { preference: { loss: nll } } }\n"
        "  sft_po: { stage: preference, parent: sft }\n"
    )
    project.edit("config.yaml", "  kd: { stage", f"{rounds}  kd: {{ stage")
    jobs = project.plan()

    def parents(rule: str, wildcard: str) -> dict[str, set[str]]:
        return {
            job.wildcards[wildcard]: {file.split("/")[3] for file in job.input if "/checkpoints/" in file}
            for job in jobs
            if job.rule == rule
        }

    pairs = {"kd": {"kd"}, "sft": {"sft"}, "aligncap-next": {"aligncap"}, "round2-next": {"round2"}}
    assert parents("candidates", "candidates") == parents("reference_logps", "pairs") == pairs
    trained = {"aligncap": {"kd"}, "kd_rft": {"kd"}, "sft_po": {"sft"}, "round2": {"aligncap"}, "round3": {"round2"}}
    assert parents("train_preference", "system") == trained
    (control,) = (j for j in jobs if j.rule == "train_preference" and j.wildcards["system"] == "kd_rft")
    assert any("preference_pairs/kd.parquet" in file for file in control.input), "the control reads the same pairs"


def test_captions_of_another_model_have_a_win_rate_where_they_cover_every_test_corpus(project: Project) -> None:
    theirs = "  theirs: { stage: external, captions: { synthetic_de: theirs.jsonl } }\n"
    project.edit("config.yaml", "  kd: { stage", f"{theirs}  kd: {{ stage")
    rows = 'tables={"table4": {"systems": ["theirs", "chance", "constant", "sft"]}}'
    (table,) = [
        job
        for job in project.plan("results/default/tables/table4.parquet", "--config", rows)
        if job.rule == "comparison_table"
    ]
    judged = {file.split("/")[3] for file in table.input if "/judged/" in file}
    assert {"theirs", "constant", "sft"} <= judged and "chance" not in judged


def test_systems_with_equal_settings_share_the_warm_start(project: Project) -> None:
    wide = "  wide: { extends: kd, overrides: { adapter: { width: 64 } } }\n"
    project.edit("config.yaml", "  kd: { stage", f"{wide}  kd: {{ stage")
    jobs = project.plan()
    assert {job.wildcards["variant"] for job in jobs if job.rule == "warm_start"} == {"base", "wide"}
    assert {job.wildcards["variant"] for job in jobs if job.rule == "teacher_logits"} == {"base"}


def test_what_can_be_measured_is_looked_up_first_and_read_before_scoring(project: Project) -> None:
    asked = ("--config", 'evaluation={"spice": "require"}')
    jobs = project.plan(*asked)
    (probe,) = (job for job in jobs if job.rule == "probe_metrics")
    assert not probe.input
    assert re.search(r"rule probe_metrics:\n(?: {4}.*\n)*    priority: 100\n", project.run("-n", *asked))
    assert all(set(probe.output) <= set(job.input) for job in jobs if job.rule.startswith("score_"))


def test_plain_fine_tuning_waits_for_no_teacher_logits(project: Project) -> None:
    (sft,) = (job for job in project.plan() if job.rule == "train_alignment" and job.wildcards["system"] == "sft")
    assert not any("teacher_logits" in file for file in sft.input)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", 'preference={"bta": 0.3}'], "preference.bta: unknown key (did you mean beta?)"),
        (["--config", 'preference={"beta": -1}'], "preference.beta"),
        (["--config", 'systems={"x": {"extends": "nobody"}}'], "systems.x.extends: no such system"),
    ],
)
def test_a_config_error_is_one_line_without_a_traceback(project: Project, arguments: list[str], message: str) -> None:
    text = project.run("-n", *arguments, ok=False)
    assert message in text
    assert "Traceback" not in text and "ValidationError" not in text


def test_values_of_the_command_line_are_numbers_again(project: Project) -> None:
    jobs = project.plan("--config", 'preference={"beta": 0.3}', "seed=3")
    assert {job.rule for job in jobs} >= {"train_preference"}


@pytest.mark.parametrize(("source", "own"), [("corpus", True), ("asr", False)])
def test_only_train_source_corpus_reads_a_training_corpus_s_own_text(project: Project, source: str, own: bool) -> None:
    jobs = project.plan(*SMOKE, "--config", f'transcripts={{"train_source": "{source}"}}')
    reads = [any(path.endswith("/labels.parquet") for path in job.input) for job in jobs if job.rule == "transcripts"]
    assert reads and any(reads) is own and not all(reads)


def test_stages_that_read_text_alone_wait_for_no_speech(project: Project) -> None:
    systems = {"kd_same_clues": {"stage": "alignment", "overrides": {"teacher": {"clues": "predicted"}}}}
    jobs = project.plan(*SMOKE, "--config", f"systems={json.dumps(systems)}")
    text = [job for job in jobs if job.rule in ("adapt_teacher", "teacher_logits")]
    assert {job.rule for job in text} == {"adapt_teacher", "teacher_logits"}
    for job in text:
        assert not any("/features/" in file for file in job.input)
        guessed = job.wildcards.get("variant") == "kd_same_clues"
        assert any(file.endswith("/predicted.parquet") for file in job.input) == guessed


def test_where_captions_come_from_is_known_when_a_corpus_is_read(project: Project, tmp_path: Path) -> None:
    """A clip without a caption of its own is good where the grammar writes one."""
    write_voice(tmp_path / "a.wav")
    (tmp_path / "own.csv").write_text("audio_path,emotion,caption,speaker\na.wav,sad,,ann\n", encoding="utf-8")
    own = {"adapter": "manifest", "role": "train", "language": "en", "root": str(tmp_path / "own.csv")}
    corpora = {"own": own | {"captions": {"source": "grammar"}}}
    made = project.copy(tmp_path / "copy")
    target = "results/smoke/corpora/own/audio.parquet"
    made.run(*SMOKE, "--config", f"corpora={json.dumps(corpora)}", "--", target)
    assert pd.read_parquet(made.folder / target).utterance_id.tolist() == ["a"]
