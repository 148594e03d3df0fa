"""Several processes train as one does: the same curve and weights, whole checkpoints, and kills that lose nothing."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from job_parts import Named
from more_inputs import more
from safetensors.torch import load_file, save_file
from tiny_config import RAW

from aligncap import artifacts
from aligncap.alignment.losses import token_nll
from aligncap.alignment.teacher import LogitsInputs, LogitsSettings, write_teacher_logits
from aligncap.alignment.train import AlignmentInputs, AlignmentSettings, train_alignment
from aligncap.alignment.training_items import caption_items
from aligncap.captioner.adapter import build_adapter
from aligncap.captioner.checkpoint import CheckpointPaths, load_checkpoint
from aligncap.config import (
    AdapterSettings,
    AlignCapConfig,
    Alignment,
    Compute,
    Lora,
    ModelSource,
    Prompts,
    Teacher,
    validated,
)
from aligncap.errors import ConfigError
from aligncap.job import Given
from aligncap.models.sources import fetch_model, model_folder
from aligncap.training.data import load_examples
from aligncap.training.processes import check_file

ROOT = Path(__file__).resolve().parents[3]
PARTS = Path(__file__).with_name("job_parts.py")
COMPUTE = Compute(precision="fp32", device="cpu", threads=1)
ADAPTER = AdapterSettings(width=16, heads=2, queries=2, layers=1, noise=0.0, dropout=0.0)
LORA, TEACHER = Lora(rank=2, alpha=4), Teacher(top_k=8)
SETTINGS = Alignment(steps=60, batch_size=4, accumulate=2, dev_every=20, dev_limit=4, save_every=5)
WAIT_S = 400  # a machine may have much else to do
pytestmark = [pytest.mark.usefixtures("in_tmp"), pytest.mark.timeout(1800)]


@pytest.fixture
def align(tmp_path, training_inputs):
    """What the rule train_alignment gives its script, with an LLM of this family."""

    def job(name: str, family: str = "llama", accelerate: str = "ddp", **changed) -> dict:
        llm = tmp_path / "models" / family / "manifest.json"
        warm, logits = tmp_path / "warm.safetensors", tmp_path / f"{family}.parquet"
        if not llm.exists():
            fetch_model(ModelSource(name=family, files=(f"random:{family}",)), llm)
            torch.manual_seed(0)
            save_file(build_adapter(ADAPTER, 2, 8, 32).state_dict(), warm)
            inputs = more(LogitsInputs, training_inputs, teacher_responses=None, teacher_lora=None)
            settings = LogitsSettings("tiny", TEACHER, LORA, Prompts(), COMPUTE)
            write_teacher_logits(settings, inputs.__class__(**{**inputs.__dict__, "llm": llm}), logits)
        shared = {
            n: [str(getattr(training_inputs, n)["tiny"])] for n in ("features", "references", "gold", "predicted")
        }
        own = {"teacher_logits": [str(logits)], "teacher_responses": [], "warm_start": [str(warm)], "teacher_lora": []}
        launch = {"processes": 2, "accelerate": str(ROOT / "profiles" / "accelerate" / f"{accelerate}.yaml")}
        return {
            "rule": "train_alignment",
            "log": [f"logs/train_alignment/{name}.log"],
            "wildcards": {"system": name},
            "input": {"plan": str(training_inputs.plan), "llm": str(llm), "tagger": str(warm), **shared, **own},
            "output": {part: str(path) for part, path in CheckpointPaths.of(tmp_path / name)._asdict().items()},
            "params": {
                "corpora": ["tiny"],
                "alignment": SETTINGS.model_dump(),
                "adapter": ADAPTER.model_dump(),
                "lora": LORA.model_dump(mode="json"),
                "prompts": Prompts().model_dump(),
                "teacher": TEACHER.model_dump(include={"clues", "live", "responses", "temperature"}),
                "seed": 0,
                "description": {},
                "compute": COMPUTE.model_dump(),
                "launch": launch,
                "code": "x",
                **changed,
            },
        }

    return job


def start(job: dict) -> subprocess.Popen:
    """Call the rule's script as Snakemake does, in a process of its own."""
    path = Path(f"{job['wildcards']['system']}.json")
    path.write_text(json.dumps(job))
    return subprocess.Popen([sys.executable, str(PARTS), str(path)], stderr=subprocess.PIPE, text=True)


def finished(job: dict, code: int = 0) -> str:
    """Run the script to its end; what it printed."""
    process = start(job)
    told = process.communicate(timeout=WAIT_S)[1]
    assert process.returncode == code, told + "".join(p.read_text() for p in Path("work").rglob("launch.log"))
    return told


def in_one_process(job: dict) -> None:
    smk = SimpleNamespace(rule=job["rule"], log=job["log"], **{part: Named(**job[part]) for part in PARTS_OF})
    given = Given(smk)
    train_alignment(given.settings(AlignmentSettings), given.inputs(AlignmentInputs), given.outputs(CheckpointPaths))


PARTS_OF = ("input", "output", "params", "wildcards")


def curve(job: dict):
    log = artifacts.read(job["output"]["log"], "training")
    return log.set_index(["split", "metric", "step"]).value


def in_training(job: dict) -> tuple[subprocess.Popen, dict[int, psutil.Process]]:
    """Start the script; it, and its processes by number, once they have written a resume point."""
    process, begun, before = start(job), time.monotonic(), resume_point()
    while resume_point() == before:
        assert process.poll() is None and time.monotonic() - begun < WAIT_S
        time.sleep(0.02)
    parts = {}
    for child in psutil.Process(process.pid).children(recursive=True):
        if "aligncap.training.processes" in child.cmdline() and "RANK" in child.environ():
            parts[int(child.environ()["RANK"])] = child
    assert set(parts) == {0, 1}
    return process, parts


def resume_point() -> list[int]:
    return [path.stat().st_mtime_ns for path in Path("work/train_alignment").rglob("resume.safetensors")]


def gone(processes: Iterable[psutil.Process]) -> bool:
    return not psutil.wait_procs(list(processes), timeout=20)[1]


def differences(one: dict, other: dict) -> dict[str, float]:
    """The largest difference of a weight of each file, and of the curve."""
    found = {"curve": float((curve(one) - curve(other)).abs().max())}
    for part in ("adapter", "lora"):
        own, theirs = load_file(one["output"][part]), load_file(other["output"][part])
        assert list(own) == list(theirs)
        found[part] = max(float((own[name] - theirs[name]).abs().max()) for name in own)
    return found


def test_two_processes_train_as_one_and_lose_nothing_when_they_are_killed(align):
    two, one = align("two"), align("one")
    script, parts = in_training(two)
    script.kill()
    assert gone(parts.values()), "nothing trains on behind a script that is gone"

    script, parts = in_training(two)
    parts[1].kill()
    told = script.communicate(timeout=WAIT_S)[1].splitlines()
    assert script.returncode == 1 and gone(parts.values())
    assert [line for line in told if "process 1 of 2 was ended by SIGKILL" in line] == told[-1:]
    assert not any("Traceback" in line for line in told)

    log = Path(two["log"][0])
    assert "process 1 of 2 was ended" in log.read_text()
    finished(two)
    assert "resuming after step" in log.read_text() and "2 processes; this one holds" in log.read_text()
    in_one_process(one)
    assert differences(two, one) == {"curve": 0.0, "adapter": 0.0, "lora": 0.0}
    assert not list(Path("work").rglob("*.safetensors")) and not list(Path("work/processes").rglob("*.json"))


def test_fsdp_of_a_qwen2_trains_as_one_process_does_and_loads_in_one(align, training_inputs):
    shared, one = align("shared", "qwen2", "fsdp"), align("one", "qwen2")
    script, parts = in_training(shared)
    script.kill()
    assert gone(parts.values())
    finished(shared)
    log = Path(shared["log"][0]).read_text()
    held, trained = map(int, re.search(r"2 processes; this one holds (\d+) of (\d+) trained weights", log).groups())
    assert "resuming after step" in log and held < trained
    in_one_process(one)
    assert all(value < 1e-5 for value in differences(shared, one).values()), differences(shared, one)

    paths = CheckpointPaths(**{part: Path(path) for part, path in shared["output"].items()})
    assert {path.name for path in paths.adapter.parent.iterdir()} == {path.name for path in paths}
    model = load_checkpoint(paths, model_folder(Path(shared["input"]["llm"])), COMPUTE)
    items = caption_items(load_examples(training_inputs, ["dev"]), model.response_ids)
    packed = model.pack(model.speech_prompts([i.example for i in items]), [[list(i.ids)] for i in items])
    loss = float(token_nll(model.response_logits(packed), packed.labels)) / len(packed.labels)
    assert loss == pytest.approx(curve(shared)["dev", "nll", SETTINGS.steps], abs=1e-5), "what was measured when shared"


def test_an_error_of_a_process_is_one_line(align):
    broken = align("broken", alignment={**SETTINGS.model_dump(), "learning_rate": 1e30, "adapter_learning_rate": 1e30})
    told = [line for line in finished(broken, code=1).splitlines() if "aligncap.job" in line]
    assert len(told) == 1 and "train_alignment broken: the loss is" in told[0] and "lower the learning rate" in told[0]
    assert told[0] in Path(broken["log"][0]).read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("distributed_type: DEEPSPEED", "distributed_type: DEEPSPEED is not known"),
        ("distributed_type: FSDP", "fsdp_version: want 2"),
        ("{ distributed_type: MULTI_GPU, mixed_precision: bf16 }", "compute.precision rules"),
        ("{ distributed_type: MULTI_GPU, num_machines: 2 }", "a job runs on one machine"),
        ("a line of text", "no configuration of accelerate"),
    ],
)
def test_a_file_of_accelerate_that_would_train_otherwise_is_refused(tmp_path, text, message):
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(ConfigError, match=f"^launch.accelerate: .*own.yaml: .*{message}"):
        check_file(tmp_path / "own.yaml")
    with pytest.raises(ConfigError, match="no configuration of accelerate"):
        check_file(tmp_path / "absent.yaml")


def test_the_items_of_a_step_are_shared_evenly_or_not_at_all():
    with pytest.raises(
        ConfigError, match="alignment.batch_size: 9 times accumulate 1 is not a multiple of launch.proc"
    ):
        validated(AlignCapConfig, {**RAW, "launch": {"processes": 2}, "alignment": {"batch_size": 9}})
    validated(AlignCapConfig, {**RAW, "launch": {"processes": 2}, "alignment": {"batch_size": 9, "accumulate": 2}})
