"""Sharing of a captioner: a folder in the layout of the Hugging Face hub, with a generated model card."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligncap import artifacts
from aligncap.captioner.checkpoint import CheckpointPaths, load_weights, write_system
from aligncap.corpora.registry import is_adapter, licence_of, traits_of
from aligncap.errors import ModelError
from aligncap.storage import scratch_beside, storing
from aligncap.systems import SEPARATOR, plain_name

if TYPE_CHECKING:
    from aligncap.serving.captioner import Captioner

SHOWN = ("emotion_agreement_macro", "coverage", "factuality_hallucination", "faithfulness_hallucination", "similarity")
MODEL_LICENCES = {  # of the default models; for others the card names the source
    "smollm2-135m-instruct": "Apache-2.0",
    "whisper-base": "MIT",
    "all-minilm-l6-v2": "Apache-2.0",
}


def save(captioner: Captioner, folder: Path, base_models: bool, half: bool, command: str | None = None) -> Path:
    """Save a captioner as ``Captioner.save`` does. The folder is built beside its target and renamed.

    ``command`` is what makes the checkpoint again, for the card; by default the run of its experiment.
    """
    if folder.exists():
        raise ModelError(f"{folder}: is there already; give another folder, or delete it")
    with storing(folder), scratch_beside(folder) as scratch:
        built = scratch / "built"
        built.mkdir()
        for path in CheckpointPaths.of(captioner.folder):
            if half and path.suffix == ".safetensors":
                _copy_half(path, built / path.name)
            elif path.is_file():
                shutil.copyfile(path, built / path.name)
        if half:
            write_system(CheckpointPaths.of(built), captioner.system)  # the digests are of other weights
        described = {
            "model_type": "aligncap",
            "library_name": "aligncap",
            "base_models": {role: source["name"] for role, source in sorted(captioner.system["models"].items())},
        }
        artifacts.write_json(described, built / "config.json")
        card = model_card(captioner.folder, captioner.system, captioner.name, command)
        artifacts.write_text(card, built / "README.md")
        if base_models:
            for name in sorted({source["name"] for source in captioner.system["models"].values()}):
                shutil.copytree(captioner.models / name, built / "models" / name)
        built.replace(folder)
    return folder


def _copy_half(source: Path, target: Path) -> None:
    from safetensors.torch import save_file

    tensors = load_weights(source)
    save_file({name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}, target)


def push(captioner: Captioner, repository: str, private: bool, base_models: bool, endpoint: str | None) -> str:
    """Upload a captioner as ``Captioner.push_to_hub`` does."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    api = HfApi(endpoint=endpoint, library_name="aligncap")
    with tempfile.TemporaryDirectory(prefix="aligncap-") as scratch:
        folder = save(captioner, Path(scratch) / "model", base_models, half=False)
        try:
            api.create_repo(repository, private=private, exist_ok=True)
            done = api.upload_folder(
                repo_id=repository, folder_path=folder, commit_message=f"AlignCap {captioner.name}"
            )
        except (HfHubHTTPError, HFValidationError, OSError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ModelError(
                f"{repository}: the hub refuses: {reason}; give 'organisation/name', and a token that may write in "
                "HF_TOKEN or by 'hf auth login'"
            ) from None
    return str(done.commit_url)


def model_card(folder: Path, system: dict[str, Any], name: str, command: str | None = None) -> str:
    """Return the model card (``README.md``): metadata, training, data, figures, and uses that are not allowed.

    Args:
        folder: Checkpoint; figures and the corpora's settings are read from the experiment in which it lies.
        system: Content of its ``system.json``.
        name: Name ``experiment/system@digest``.
        command: What makes the checkpoint again; by default the run of its experiment.
    """
    from huggingface_hub import ModelCard, ModelCardData
    from jinja2 import Environment, PackageLoader, StrictUndefined

    run = _run(folder)
    corpora = _corpora(system, run)
    metadata = ModelCardData(
        license=_licence([traits_of(corpus["adapter"]).hub_licence for corpus in corpora]),
        library_name="aligncap",
        pipeline_tag="audio-text-to-text",
        tags=["speech-emotion-captioning", "audio", "speech", "emotion"],
    )
    environment = Environment(
        loader=PackageLoader("aligncap.serving"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    text = environment.get_template("model_card.md.j2").render(
        name=name,
        system=system,
        title=f"{system.get('experiment', 'aligncap')}/{system['system']}",
        corpora=corpora,
        synthetic=all(corpus["adapter"] == "synthetic" for corpus in corpora),
        models=_models(system),
        figures=_figures(folder, system),
        left_out=_left_out(folder),
        command=command or f"make run CONFIG=experiments/{system.get('experiment')}.yaml",
        commit=run.get("git", {}).get("commit"),
        changed=run.get("git", {}).get("dirty", False),
    )
    return str(ModelCard(f"---\n{metadata.to_yaml()}\n---\n\n{text}"))


def _of_experiment(folder: Path, file: str) -> Path:
    """Return a file of the experiment in which a checkpoint lies; elsewhere there is no file of that name."""
    return folder.resolve().parent.parent / file


def _run(folder: Path) -> dict[str, Any]:
    """Return run.json of the experiment in which a checkpoint lies; empty where it lies elsewhere."""
    try:
        run: dict[str, Any] = json.loads(_of_experiment(folder, "run.json").read_text(encoding="utf-8"))
        return run
    except (OSError, ValueError):
        return {}


def _corpora(system: dict[str, Any], run: dict[str, Any]) -> list[dict[str, Any]]:
    known = run.get("config", {}).get("corpora", {})
    found = []
    for name in system.get("corpora", []):
        settings = known.get(name, {})
        adapter = settings.get("adapter", name)
        adapter = "synthetic" if adapter.startswith("synthetic") else adapter
        if not is_adapter(adapter):  # the name of a corpus, whose adapter only the experiment's run.json could tell
            adapter = "manifest"
        found.append({"name": name, "adapter": adapter, "licence": licence_of(name, adapter, settings.get("licence"))})
    return found


def _licence(identifiers: list[str]) -> str:
    """Return the licence of the weights by that of the training data: the only restrictive one, or ``other``.

    A corpus without a licence adds no terms to a restrictive one; the card names it with what its authors say.
    """
    bound = {identifier for identifier in identifiers if identifier not in ("apache-2.0", "")}
    if len(bound) == 1:
        return bound.pop()
    return "other" if bound or "" in identifiers or not identifiers else "apache-2.0"


def _models(system: dict[str, Any]) -> list[dict[str, str]]:
    roles: dict[str, list[str]] = {}
    for role, source in sorted(system["models"].items()):
        roles.setdefault(source["name"], []).append(role.replace("_", " "))
    sources = {source["name"]: source["files"] for source in system["models"].values()}
    return [
        {
            "name": name,
            "roles": ", ".join(own),
            "source": " ".join(dict.fromkeys(uri.split("#")[0].split(" ")[0] for uri in sources[name])),
            "licence": MODEL_LICENCES.get(name, "that of its source"),
        }
        for name, own in roles.items()
    ]


def _left_out(folder: Path) -> list[dict[str, Any]]:
    """Return how well the emotion is told on each training corpus by a tagger that was trained without the corpus."""
    from sklearn.metrics import accuracy_score, recall_score

    for name in ("out_of_fold", "other_folds"):
        table = _of_experiment(folder, f"tagger/{name}.parquet")
        if table.is_file() and artifacts.read_notes(table, "tagger_predictions")["folds"] == "corpus":
            break
    else:
        return []
    rows = artifacts.read(table, "tagger_predictions")
    told = rows[(rows.kind == "emotion") & (rows.target != "") & (rows.labels.map(len) > 0)]
    found = []
    for corpus, own in told.groupby("corpus", sort=False):
        said = [labels[p.argmax()] for labels, p in zip(own.labels, own.probabilities, strict=True)]
        recall = recall_score(own.target, said, labels=sorted(set(own.target)), average="macro", zero_division=0)
        found.append({"corpus": corpus, "accuracy": accuracy_score(own.target, said), "recall": recall, "n": len(own)})
    return found


def _figures(folder: Path, system: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the figures of a checkpoint on test corpora, where the experiment has a table.

    Where the table has a row of each seed and of their mean, they are those of the checkpoint's own seed.
    """
    table = _of_experiment(folder, "tables/zero_shot.parquet")
    if not table.is_file():
        return []
    marks = artifacts.read_notes(table, "table").get("marks", {})
    rows = artifacts.read_rows(table, "table")
    of_seed = f"{plain_name(system['system'])}{SEPARATOR}{system.get('seed')}"
    own = of_seed if any(row["system"] == of_seed for row in rows) else system["system"]
    return [
        {**row, "setting": "in-domain" if "in-domain" in marks.get(row["corpus"], "") else "zero-shot"}
        for row in rows
        if row["system"] == own and row["metric"] in SHOWN
    ]
