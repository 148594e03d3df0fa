"""Every overlay of experiments/models, on a tiny random model of the class that it names, through the whole method."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny_families
import torch
from audio_rows import audio_row
from more_inputs import more, write_targets
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, SmolLM3Config

from aligncap import artifacts
from aligncap.alignment.tasks import AlignmentTask
from aligncap.alignment.teacher import LogitsInputs, LogitsSettings, write_teacher_logits
from aligncap.alignment.train import AlignmentInputs, AlignmentSettings, train_alignment
from aligncap.alignment.warm_start import WarmAdapter, WarmStartInputs, WarmStartSettings, warm_start
from aligncap.captioner.attention import NAME
from aligncap.captioner.caption import CaptioningInputs, caption_testset
from aligncap.captioner.checkpoint import CheckpointPaths
from aligncap.captioner.generate import generate
from aligncap.captioner.model import CaptionModel
from aligncap.config import AlignCapConfig, Compute, ModelSource, Prompts
from aligncap.errors import ModelError
from aligncap.models.sources import fetch_model, model_folder
from aligncap.preference.train import (
    PairedInputs,
    PreferenceInputs,
    PreferenceSettings,
    train_preference,
    write_reference_logps,
)
from aligncap.speech.asr import TranscriptInputs, TranscriptSettings, write_transcripts
from aligncap.speech.encoder import load_encoder
from aligncap.speech.features import extract_features
from aligncap.systems import load

pytestmark = pytest.mark.usefixtures("in_tmp")

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = {path.stem: path for path in sorted((ROOT / "experiments/models").glob("*.yaml"))}
CPU = Compute(precision="fp32", device="cpu", threads=1)
PROJECTIONS = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def config_of(name: str) -> AlignCapConfig:
    """As its command has it; only what costs time is small."""
    below = [OVERLAYS["llama-3.2-1b"]] if name == "llama-3.2-3b" else []
    config = load(ROOT / "config.yaml", ROOT / "experiments/emosec.yaml", *below, OVERLAYS[name])
    few = {"steps": 2, "batch_size": 2, "accumulate": 1, "dev_every": 2, "dev_limit": 2, "save_every": 2}
    preference = config.preference.model_copy(update=few | {"stop_below": None})
    adapter = config.adapter.model_copy(update={"width": 16, "heads": 2, "layers": 1, "queries": 2})
    changed = {"adapter": adapter, "alignment": config.alignment.model_copy(update=few), "preference": preference}
    return config.model_copy(update=changed | {"warm_start": config.warm_start.model_copy(update=few)})


def fetched(write, source: ModelSource, folder: Path) -> Path:
    """Manifest of a tiny model in the place of the one that an overlay names, fetched from a folder."""
    (folder / "tiny").mkdir(parents=True)
    write(folder / "tiny")
    manifest = folder / "models" / source.name / "manifest.json"
    fetch_model(source.model_copy(update={"files": (f"file:{folder / 'tiny'}",)}), manifest)
    return manifest


def train_and_caption(config: AlignCapConfig, inputs, folder: Path, monkeypatch) -> list[dict]:
    """Warm start, KD-Regularization, PO-Regularization and captions, two steps each; what is frozen is watched."""
    write_targets(inputs, folder / "targets.parquet")
    warm = WarmAdapter(folder / "warm.safetensors", folder / "warm.parquet")
    settings = WarmStartSettings(config.adapter, config.warm_start, 0, CPU)
    warm_start(settings, more(WarmStartInputs, inputs, targets=folder / "targets.parquet"), warm)
    logits = folder / "teacher.parquet"
    teacher = LogitsSettings("tiny", config.teacher, config.lora, config.prompts, CPU)
    write_teacher_logits(teacher, more(LogitsInputs, inputs, teacher_responses=None, teacher_lora=None), logits)

    seen = {}
    forward = AlignmentTask.forward

    def watch(self, split, items):
        if not seen:
            seen.update(task=self, before={name: p.detach().clone() for name, p in self.named_parameters()})
        return forward(self, split, items)

    monkeypatch.setattr(AlignmentTask, "forward", watch)
    aligned = CheckpointPaths.of(folder / "kd")
    train_alignment(
        AlignmentSettings(
            "kd", config.alignment, config.adapter, config.lora, config.prompts, config.teacher, 0, CPU, {}
        ),
        more(
            AlignmentInputs,
            inputs,
            teacher_logits={"tiny": logits},
            teacher_responses={},
            warm_start=warm.adapter,
            tagger=warm.adapter,
            teacher_lora=None,
        ),
        aligned,
    )
    for name, tensor in seen["task"].named_parameters():
        moved = not torch.equal(tensor, seen["before"][name])
        assert moved == tensor.requires_grad == ("lora_" in name or "adapter." in name), name
        assert tensor.isfinite().all(), name
    of = {name.split(".lora_")[0].rsplit(".", 1)[1] for name in seen["before"] if ".lora_" in name}
    assert of == PROJECTIONS, "in every layer of the LLM, and not in its output"

    end = AutoTokenizer.from_pretrained(model_folder(inputs.llm)).eos_token_id
    pairs = [
        {
            "pair_id": f"tiny/u{number}#0>tiny/u{number}#1",
            "utterance_id": f"u{number}",
            "corpus": "tiny",
            "kind": "factuality",
            "chosen_id": f"tiny/u{number}#0",
            "rejected_id": f"tiny/u{number}#1",
            "chosen_ids": [40 + number, 50, end],
            "rejected_ids": [60, 61 + number, 62, end],
            "margin": 1.0,
            "role": "dev" if number == 12 else "train",
        }
        for number in range(12, 20)
    ]
    artifacts.write(pairs, folder / "pairs.parquet", "preference_pairs", "test")
    read = more(PairedInputs, inputs, parent=aligned, pairs=folder / "pairs.parquet")
    write_reference_logps(CPU, read, folder / "logps.parquet")
    preferred = CheckpointPaths.of(folder / "aligncap")
    known = more(PreferenceInputs, read, reference_logps=folder / "logps.parquet")
    train_preference(PreferenceSettings("aligncap", config.preference, 0, CPU), known, preferred)
    for log in (aligned.log, preferred.log):
        values = artifacts.read(log, "training")
        assert np.isfinite(values[values.metric == "loss"].value).all() and values.step.max() == 2

    decoding = config.decoding.model_copy(update={"max_new_tokens": 8})
    files = CaptioningInputs(preferred, inputs.llm, inputs.features["tiny"], inputs.predicted["tiny"])
    caption_testset(decoding, CPU, files, folder / "captions.parquet")
    return artifacts.read_rows(folder / "captions.parquet", "captions")


@pytest.mark.parametrize("name", tiny_families.LLMS)
def test_an_llm_of_the_family_is_trained_and_captions(name, training_inputs, tmp_path, monkeypatch):
    config = config_of(name)
    manifest = fetched(tiny_families.LLMS[name], config.models.llm, tmp_path)
    said = train_and_caption(config, replace(training_inputs, llm=manifest), tmp_path, monkeypatch)
    assert len(said) == 24 and all(0 < row["n_tokens"] <= 8 for row in said)


@pytest.mark.parametrize("name", tiny_families.ENCODERS)
def test_an_encoder_of_the_family_hears_and_what_it_heard_is_captioned(
    name, training_inputs, tmp_path, tiny_llm, monkeypatch
):
    config = config_of(name)
    source = config.models.speech_encoder
    manifest = fetched(tiny_families.ENCODERS[name], source, tmp_path)
    generator = np.random.default_rng(0)
    rows = []
    for row in artifacts.read_rows(training_inputs.plan, "plan"):
        path = tmp_path / f"{row['utterance_id']}.wav"
        soundfile.write(path, generator.normal(size=4_000 + 200 * len(rows)) * 0.1, 16_000)
        rows.append(audio_row(row["utterance_id"], path, soundfile.info(path).duration))
    artifacts.write(rows, tmp_path / "audio.parquet", "audio", "test")
    extract_features(config.features, CPU, tmp_path / "audio.parquet", manifest, tmp_path / "features.parquet")
    heard = replace(training_inputs, features={"tiny": tmp_path / "features.parquet"})
    said = train_and_caption(config, heard, tmp_path, monkeypatch)
    assert len(said) == 24 and all(row["n_tokens"] for row in said)

    samples = generator.normal(size=8_000).astype(np.float32)
    whole = load_encoder(model_folder(manifest), torch.device("cpu")).encode(samples)
    few = load_encoder(model_folder(manifest), torch.device("cpu"), max(config.features.layers)).encode(samples)
    for layer in config.features.layers:
        torch.testing.assert_close(
            few[layer], whole[layer], msg="a layer that is not computed changes one that is kept"
        )
    assert len(few) < len(whole) == {"whisper-large-v3": 33}.get(name, 25)

    if config.models.asr == source:
        artifacts.write(rows[:2], tmp_path / "two.parquet", "audio", "test")
        read = TranscriptInputs(tmp_path / "two.parquet", None, manifest)
        write_transcripts(TranscriptSettings(config.transcripts, "test", CPU), read, tmp_path / "said.parquet")
        table = artifacts.read(tmp_path / "said.parquet", "transcripts")
        assert set(table.source) == {"translated"} and (table.avg_logprob < 0).all()


def captioner(folder: Path, write) -> CaptionModel:
    folder.mkdir()
    write(folder)
    return CaptionModel(folder, Prompts(), CPU)


@pytest.mark.parametrize("name", ["qwen2.5-0.5b", "llama-3.2-1b", "smollm3-3b"])
def test_the_chat_template_has_our_instruction_no_thoughts_and_the_same_date_every_day(name, tmp_path):
    model = captioner(tmp_path / name, tiny_families.LLMS[name])
    prompt = model.text_prompt("Emotion: sad.", ())
    text = model.tokenizer.decode(list(prompt.before + prompt.after))
    if name.startswith("qwen"):
        messages = [
            {"role": "system", "content": Prompts().instruction},
            {"role": "user", "content": "Emotion: sad.\n"},
        ]
        assert text == model.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return
    assert "Today Date: 26 Jul 2024\n" in text and f"\n\n{Prompts().instruction}<|" in text
    ends = {
        "llama-3.2-1b": "Emotion: sad.\n<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        "smollm3-3b": "Emotion: sad.\n<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n",
    }
    assert text.endswith(ends[name])
    assert text.count("<|begin_of_text|>") == (1 if name.startswith("llama") else 0)


@pytest.mark.parametrize("name", ["qwen2.5-0.5b", "qwen2.5-7b", "llama-3.2-1b", "smollm3-3b"])
def test_packed_rows_cached_decoding_and_the_arithmetic_of_a_gpu_agree(name, tmp_path):
    model = captioner(tmp_path / name, tiny_families.LLMS[name])
    assert model.llm.config._attn_implementation == NAME, "heads that share keys read them where they lie"
    prompts = [model.text_prompt("Emotion: sad.", ids) for ids in ((), tuple(range(40, 50)))]
    said = [one[0] for one in generate(model, prompts, 6)]
    answers = [[one.token_ids, model.response_ids("sad")] for one in said]

    def scored(captioner: CaptionModel) -> torch.Tensor:
        with torch.inference_mode():
            return captioner.response_logps(captioner.pack(prompts, answers)).view(2, 2)

    fp32 = scored(model)
    assert fp32[:, 0].tolist() == pytest.approx([one.sum_logprob for one in said], abs=1e-4)
    model.llm.set_attn_implementation("sdpa")  # as on a GPU
    torch.testing.assert_close(scored(model), fp32, atol=1e-4, rtol=0)
    half = scored(CaptionModel(tmp_path / name, Prompts(), CPU.model_copy(update={"precision": "bf16"})))
    torch.testing.assert_close(half, fp32, atol=0.0, rtol=0.02)


def test_a_prompt_that_a_sliding_window_would_cut_is_refused(tmp_path, monkeypatch):
    """Packed rows know of no window, and a cache does: the captioner would be trained on another model than it is."""
    settings = {"use_sliding_window": True, "sliding_window": 160}
    made = SmolLM3Config
    monkeypatch.setattr("transformers.SmolLM3Config", lambda **own: made(**(own | settings)))
    model = captioner(tmp_path / "windowed", tiny_families.smollm3)
    assert model.llm.config.layer_types.count("sliding_attention") == 1
    prompts = [model.text_prompt("Emotion: sad.", ids) for ids in ((), tuple(range(40, 50)))]
    said = [one[0] for one in generate(model, prompts, 6)]
    with torch.no_grad():
        scored = model.response_logps(model.pack(prompts, [[one.token_ids] for one in said]))
    assert scored.tolist() == pytest.approx([one.sum_logprob for one in said], abs=1e-4)
    long = model.text_prompt("Emotion: sad.", tuple(range(40, 120)))
    for refused in (lambda: generate(model, [long], 6), lambda: model.pack([long], [[[40, 41]]])):
        with pytest.raises(ModelError, match="layers that look back 160; lower prompts.max_semantic_tokens"):
            refused()


def test_weights_that_an_llm_lacks_are_an_error_and_not_random(tmp_path):
    tiny_families.LLMS["llama-3.2-1b"](tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 weights, such as model.layers.1.mlp.up_proj.weight"):
        CaptionModel(tmp_path, Prompts(), CPU)


def test_every_overlay_is_tried_here_and_says_what_is_behind_it():
    assert set(OVERLAYS) == set(tiny_families.LLMS) | set(tiny_families.ENCODERS)
    for name, path in OVERLAYS.items():
        said = path.read_text(encoding="utf-8")
        assert f'experiments/models/{name}.yaml"\n' in said, "the command that tests plan"
        assert re.search(r"Apache-2.0|[Ll]icen[cs]e|llama-3.2-1b", said) and "hf://" in said
