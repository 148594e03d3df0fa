"""Common parts of the other files in rules/: the typed config, names of systems and corpora, params and paths."""

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import get_args

from aligncap.config import JudgeName
from aligncap.devices import gpu_here
from aligncap.job import HELD_VARIABLE, held_run, hold_run, join_run
from aligncap.systems import candidates_name, corpus_names, judge_named, keys_of_judge, lineage, load, pairs_name
from aligncap.systems import named_files, plain_name, reads_cached_logits, resolve_system, seed_members, variant
from aligncap.systems import RESPONSES_SECTIONS, TEACHER_SECTIONS, WARM_START_SECTIONS
from aligncap.corpora.registry import licence_of, traits_of
from aligncap.errors import AlignCapError, ConfigError
from aligncap.evaluation.tables import contents
from snakemake.exceptions import WorkflowError


include: "code_digest.py"


try:
    # Read here and not taken from Snakemake, which makes the text "null" of a null in `--config`, a number of 2024_05,
    # and the last of two equal keys; and which puts an overlay's systems first. What systems share is named after the
    # first of them, so config.yaml's lead whatever lies over it: what one stack has trained, another takes up.
    settings = load(
        Path(workflow.basedir) / "config.yaml",
        *workflow.config_settings.configfiles,
        assignments=workflow.config_settings.config_args or (),
    )
except ConfigError as error:
    raise WorkflowError(str(error)) from None

if not workflow.is_main_process:  # a job on a cluster; here, before Snakemake removes what the job is to make
    try:
        join_run()
    except AlignCapError as error:
        raise WorkflowError(str(error)) from None

TRAIN, TEST, UNLABELLED = (corpus_names(settings, role) for role in ("train", "test", "unlabelled"))
STAGES = contents.stages(settings)
MEMBERS = seed_members(settings)  # trained system -> itself and {system}@{seed}, with their seeds
EFFECTIVE = {system: resolve_system(settings, system) for system in settings.systems}
RESULTS = f"results/{settings.experiment}"
THREADS = settings.compute.threads
# Training jobs alone may have several processes; no other rule depends on how they are started.
PROCESSES = settings.launch.processes


def of_stage(*stages):
    return [system for system, stage in STAGES.items() if stage in stages]


def models_by_name():
    roles = {role: source for role, source in settings.models.model_dump().items() if source}
    named = {source["name"]: source for source in roles.values()}
    for role, source in roles.items():
        if source != named[source["name"]]:
            raise WorkflowError(
                f"config: models.{role}.name: '{source['name']}' names two different sources; rename one"
            )
    return {source.name: source for source in (getattr(settings.models, role) for role in roles)}


MODELS = models_by_name()


@cache
def variant_of(system, sections):
    """Return the name of the artifact that a system shares with those whose sections are equal."""
    return variant(settings, system, sections)


# Artifacts that systems share when their effective settings are equal: name -> a system that has these settings.
WARM_START = {
    variant_of(s, WARM_START_SECTIONS): s for s in of_stage("alignment") if EFFECTIVE[s].adapter.type != "none"
}
TEACHER = {variant_of(s, TEACHER_SECTIONS): s for s in of_stage("alignment") if reads_cached_logits(EFFECTIVE[s])}
RESPONSES = {
    variant_of(s, RESPONSES_SECTIONS): s for s in of_stage("alignment") if EFFECTIVE[s].teacher.responses != "reference"
}
CANDIDATES = {candidates_name(settings, s): s for s in of_stage("preference")}
PAIRS = {pairs_name(settings, s): s for s in of_stage("preference")}

# Run identity and secrets travel by the environment: in params they would make rules run again.
os.environ.update(
    ALIGNCAP_EXPERIMENT=settings.experiment,
    ALIGNCAP_TRACKING_URI=settings.tracking.uri if settings.tracking.enabled else "",
)


def one_of(names):
    return "|".join(re.escape(name) for name in names) or "(?!)"


pathvars:
    results=RESULTS,
    logs=f"logs/{settings.experiment}",
    benchmarks=f"{RESULTS}/benchmarks",


wildcard_constraints:
    model=one_of(MODELS),
    corpus=one_of(settings.corpora),
    system=one_of(settings.systems),
    variant=one_of([*WARM_START, *TEACHER, *RESPONSES]),
    candidates=one_of(CANDIDATES),
    pairs=one_of(PAIRS),


def plain(section, only=None, without=None):
    """Return a config section, or the part of it that a rule depends on, as a sorted plain dict."""
    return json.loads(json.dumps(section.model_dump(mode="json", include=only, exclude=without), sort_keys=True))


def candidate_settings(candidates):
    """Return the settings of the candidates, those of vLLM where it is their engine."""
    return plain(candidates, without=None if candidates.engine == "vllm" else {"vllm"})


LAUNCH = plain(settings.launch, only={"processes"} if PROCESSES == 1 else None)
LAUNCH_FILES = [settings.launch.accelerate] if PROCESSES > 1 else []


def more(amount):
    """Return an amount of memory or minutes that a job asks for, and that each retry of it asks for once more."""
    return lambda wildcards, attempt: amount * attempt


# What the run has computed, for its jobs on a cluster: each of them reads this file anew.
DIGESTS_VARIABLE = "ALIGNCAP_DIGESTS"
DIGESTS = {} if workflow.is_main_process else json.loads(os.environ.get(DIGESTS_VARIABLE, "{}"))
DIGESTS = DIGESTS or code_digests(Path(workflow.basedir), Path(".snakemake/code_digests.json"))


def digest(script):
    return DIGESTS[script]


def existing(*files):
    """Return those files outside the project that exist, because the DAG must build on a machine that lacks them."""
    return [file for file in files if file and Path(file).is_file()]


def model(role):
    return f"models/{getattr(settings.models, role).name}/manifest.json"


def of_train(path):
    """Return the artifact's path for every training corpus, in the order of the config."""
    return [path.replace("{corpus}", corpus) for corpus in TRAIN]


def of_test(path):
    """Return the artifact's path for every test corpus, for scoring and the report."""
    return [path.replace("{corpus}", corpus) for corpus in TEST]


def of_unlabelled(path):
    """Return the artifact's path for every corpus that only self-training uses."""
    return [path.replace("{corpus}", corpus) for corpus in UNLABELLED]


def of_all(path):
    """Return the artifact's path for every corpus, training corpora first, for scoring."""
    return of_train(path) + of_test(path)


def text_clue_encoder():
    """Return the sentence encoder, where the text clue is joined with the tagger's."""
    return [model("sentence_encoder")] if settings.tagger.text_clue == "join" else []


def checkpoint_of(system="{system}"):
    """Return the four files of a checkpoint, in the order of `CheckpointPaths`."""
    files = ("adapter.safetensors", "lora.safetensors", "system.json", "training.parquet")
    return [f"<results>/checkpoints/{system}/{file}" for file in files]


def named_checkpoint():
    return dict(zip(("adapter", "lora", "system", "log"), checkpoint_of(), strict=True))


def parent_of(system):
    return lineage(settings, system).parent


def in_part(path):
    """Return the log or benchmark of one shard's job; the path itself where stages are not sharded."""
    head, _, ending = path.rpartition(".")
    return f"{head}/{{scatteritem}}.{ending}" if settings.shards > 1 else path


def part_of(artifact):
    """Return one shard's part of an artifact, which goes once all are gathered; the path itself as `in_part`."""
    parts = artifact.replace("<results>/", "<results>/parts/", 1)
    return temp(in_part(parts)) if settings.shards > 1 else artifact


def teacher_lora():
    return ["<results>/teacher/lora.safetensors"] if settings.teacher.adapt else []


def training_inputs():
    """Return the inputs of every training stage: the files of `aligncap.training.data.TrainingInputs`."""
    return {
        "plan": "<results>/plan.parquet",
        "features": of_train("<results>/features/{corpus}.parquet"),
        "references": of_train("<results>/corpora/{corpus}/references.parquet"),
        "gold": of_train("<results>/clues/{corpus}/gold.parquet"),
        "predicted": of_train("<results>/clues/{corpus}/predicted.parquet"),
    }


def own_text(corpus):
    """Return the labels with a corpus's published transcripts, which are read for training corpora only."""
    if settings.corpora[corpus].role == "train" and settings.transcripts.train_source == "corpus":
        return [f"<results>/corpora/{corpus}/labels.parquet"]
    return []


def teacher_logits_of(system):
    """Return a system's cached teacher distributions; none without distillation or with a live teacher."""
    if not reads_cached_logits(EFFECTIVE[system]):
        return []
    name = variant_of(system, TEACHER_SECTIONS)
    return of_train(f"<results>/teacher_logits/{name}/{{corpus}}.parquet")


def candidates_of(pairs):
    """Return the candidates of these pairs, which pairs that differ only in judge or construction share."""
    return f"<results>/candidates/{candidates_name(settings, PAIRS[pairs])}.parquet"


def judge_of(pairs, name=None):
    """Return the judge of this name, else the one that makes these pairs, with the settings of these pairs."""
    own = EFFECTIVE[PAIRS[pairs]].preference.judge
    return judge_named(own, name) if name else own


def judge_model(judge):
    """Return the models that a judge needs."""
    local = "judge" if settings.models.judge else "llm"
    return {"reference": [model("sentence_encoder")], "local": [model(local)]}.get(judge.name, [])


def judge_answers(judge):
    return existing(judge.human.answers) if judge.name == "human" else []


def gpus(count):
    """Return a function that says how many accelerators a model job asks for.

    `cpu` looks for none. Where `auto` would find none on this machine, as many jobs run at once as cores and memory
    allow. A dry run says what asks for one, and a cluster's nodes may have what this machine has not. Snakemake knows
    which of them it is only when it asks for the resources of a job.
    """

    def asked(wildcards):
        here = workflow.local_exec and not workflow.dryrun
        none = settings.compute.device == "cpu" or (settings.compute.device == "auto" and here and not gpu_here())
        return 0 if none else count

    return asked


def gpu_of(judge):
    """Return what a judge asks for; only an LLM on this machine uses an accelerator."""
    return gpus(1 if judge.name == "local" else 0)


def teacher_responses_of(system, corpus=None):
    """Return the teacher's responses for a system, of one corpus or of all; none where it learns from captions."""
    if EFFECTIVE[system].teacher.responses == "reference":
        return []
    name = variant_of(system, RESPONSES_SECTIONS)
    path = f"<results>/teacher_responses/{name}/{{corpus}}.parquet"
    return of_train(path) if corpus is None else [path.replace("{corpus}", corpus)]


def warm_start_of(system):
    """Return the warm-started adapter of a system; none where it has no adapter."""
    if EFFECTIVE[system].adapter.type == "none":
        return []
    return [f"<results>/warm_start/{variant_of(system, WARM_START_SECTIONS)}/adapter.safetensors"]


def predicted_clues(system):
    """Return the predicted clues where a system's teacher reads them."""
    return INPUTS["predicted"] if EFFECTIVE[system].teacher.clues == "predicted" else []


INPUTS = training_inputs()
TEXT_INPUTS = {name: files for name, files in INPUTS.items() if name != "predicted"} | {"features": []}
DESCRIPTION = {
    "experiment": settings.experiment,
    "corpora": TRAIN,
    "models": {
        role: plain(getattr(settings.models, role))
        for role in ("asr", "llm", "speech_encoder", *(["sentence_encoder"] if text_clue_encoder() else []))
    },
    **{name: plain(getattr(settings, name)) for name in ("features", "speech", "tagger", "transcripts")},
}


def evaluations(keys=None):
    """Return {(system, test corpus): evaluation} of these keys, else of all that the experiment scores."""
    own = contents.scored(settings) if keys is None else keys
    return {(system, corpus): f"<results>/evaluation/{system}/{corpus}.parquet" for system, corpus in own}


def captions_of(corpus):
    """Return the captions of a test corpus by all systems but chance, external ones included."""
    return [f"<results>/captions/{s}/{c}.parquet" for s, c in evaluations() if c == corpus and STAGES[s] != "chance"]


def judged(table):
    """Return {(system or one seed of it, test corpus): judged captions}; only table 4 has win rates."""
    keys = [key for key in contents.compared(settings, table) if key[0] in JUDGED] if table == "table4" else []
    return {(system, corpus): f"<results>/judged/{system}/{corpus}.parquet" for system, corpus in keys}


def drawn(number, *data):
    """Return a figure's pictures and its data, by the names of its `…Files`."""
    head = f"<results>/figures/figure{number}"
    shown = report(f"{head}.svg", caption=f"../report/figure{number}.rst", category="Figures")
    pictures = {"svg": shown, "png": f"{head}.png"}
    tables = {name or "parquet": f"{head}_{name}.parquet" if name else f"{head}.parquet" for name in data}
    return {**pictures, **tables}


def training_logs():
    logs = {f"warm_start {name}": f"<results>/warm_start/{name}/training.parquet" for name in WARM_START}
    if settings.teacher.adapt and of_stage("alignment"):
        logs["adapt_teacher"] = "<results>/teacher/training.parquet"
    for system in of_stage("alignment", "preference"):
        logs[system] = f"<results>/checkpoints/{system}/training.parquet"
    return logs


# Test corpora whose captions people wrote, or may have: what the parser and measured prosody are compared with.
HUMAN = contents.by_people(settings)


def targets():
    agreement = ["<results>/tables/judge_agreement.parquet"] if settings.judging.compared and PAIRS else []
    measured = [f"<results>/tables/{table}.parquet" for table in ("parser", "listeners") if HUMAN]
    return [
        "<results>/report.html",
        "<results>/tables/zero_shot.parquet",
        "<results>/run.json",
        "<results>/tables/tagger.md",
        *(f"<results>/tables/{table}.parquet" for table in TABLES),
        *(f"<results>/figures/{figure}.svg" for figure in FIGURES),
        *(["<results>/tables/claims.parquet"] if CLAIMS else []),
        *agreement,
        *measured,
    ]


onstart:
    os.environ[DIGESTS_VARIABLE] = json.dumps(DIGESTS)
    if HELD_VARIABLE not in os.environ:
        try:
            hold_run(Path(RESULTS))
        except AlignCapError as error:
            raise WorkflowError(str(error)) from None
        os.environ[HELD_VARIABLE] = held_run()
    if settings.tracking.enabled:
        from aligncap.tracking.runs import start_pipeline

        start_pipeline(settings)


onsuccess:
    if settings.tracking.enabled:
        from aligncap.tracking.syncing import finish_pipeline
        from aligncap.tracking.results import record_results

        record_results(settings, Path(RESULTS))
        finish_pipeline(settings.experiment, ok=True)


onerror:
    if settings.tracking.enabled:
        from aligncap.tracking.syncing import finish_pipeline

        finish_pipeline(settings.experiment, ok=False)
