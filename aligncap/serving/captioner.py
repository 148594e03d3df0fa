"""The captioner as a Python object, which returns one sentence and the clues of a recording."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aligncap.config import Compute, Doubt, Features, ModelSource, Prompts, SpeechSettings, TaggerSettings, Transcripts
from aligncap.errors import AudioError, ConfigError, ModelError
from aligncap.serving.locations import PRETRAINED, base_model, models_folder
from aligncap.tracking.store import checkpoint_digest
from aligncap.vocabulary import Clue

if TYPE_CHECKING:
    from aligncap.captioner.example import Example
    from aligncap.captioner.model import CaptionModel
    from aligncap.serving.sounds import Recording, Sound

BATCH = 16  # clips that go through adapter and LLM together
WINDOW = 4  # batches whose features are computed before they are sorted by length
MAX_DURATION_S = 60.0
UNFAMILIAR = (
    "this sounds unlike the speech that the captioner was trained on, so what it says of the speaker is a guess"
)
# Sections of system.json that determine features and clues.
HEARING = ("models", "speech", "features", "transcripts", "tagger")


@dataclass(frozen=True)
class PreparedClip:
    """Features, clues and transcript of one recording, computed before the LLM runs."""

    example: Example  # input of ``CaptionModel.speech_prompts``
    clues: list[Clue]  # tags that reach their threshold, with their probabilities
    transcript: str
    name: str = ""  # its path, or a name that the caller gives
    duration_s: float = 0.0
    familiarity: float = 1.0  # 0-1, see ``aligncap.clues.tagger.familiarity``
    warnings: tuple[str, ...] = ()  # what a reader of the caption should know


@dataclass(frozen=True)
class Caption:
    """The caption of one clip, with clues and transcript."""

    path: str
    caption: str
    clues: list[dict[str, Any]]  # kind, word, lemma, intensity, negated, probability (0-1)
    transcript: str  # of the ASR, in the language that the checkpoint's transcripts.task says
    duration_s: float
    finished: bool  # the sentence ended within max_new_tokens
    familiarity: float  # 0-1: how like the training speech the clip sounds
    warnings: list[str]  # what a reader of the caption should know; empty where all is well


def _digest(sections: Mapping[str, Any], tagger: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of settings and tagger weights."""
    digest = hashlib.sha256(json.dumps(sections, sort_keys=True).encode())
    for name in sorted(tagger):
        digest.update(name.encode() + tagger[name].tobytes())
    return digest.hexdigest()


class Captioner:
    """A trained checkpoint with all models that it needs to caption a clip.

    Examples:
        >>> captioner = Captioner.load("results/default/checkpoints/aligncap")  # doctest: +SKIP
        >>> captioner.caption("speech.wav").caption  # doctest: +SKIP
    """

    def __init__(self, folder: Path, models: Path, compute: Compute, doubt: Doubt) -> None:
        from aligncap.captioner.checkpoint import (
            CheckpointPaths,
            load_checkpoint,
            load_tagger,
            read_system,
            settings_of,
        )
        from aligncap.clues.tagger import model as tagger
        from aligncap.models.device import clip_threads, pick_device
        from aligncap.speech.asr import Transcriber
        from aligncap.speech.encoder import load_encoder

        paths = CheckpointPaths.of(folder)
        self.folder, self.models, self.doubt = folder, models, doubt
        self.system: dict[str, Any] = read_system(paths)
        with settings_of(paths.system):
            sources = {role: ModelSource(**source) for role, source in self.system["models"].items()}
            self.speech = SpeechSettings(**self.system["speech"])
            self._features = Features(**self.system["features"])
            self._transcripts = Transcripts(**self.system["transcripts"])
            self._prompts = Prompts(**self.system["prompts"])
            self._clues = TaggerSettings(**self.system["tagger"])
        folders = {role: base_model(models, source) for role, source in sources.items()}
        device = pick_device(compute)
        self.threads = clip_threads(compute, device)
        self.model: CaptionModel = load_checkpoint(paths, folders["llm"], compute)
        self.model.fold_lora()
        tensors = {name: t.numpy() for name, t in load_tagger(paths).items()}
        self._tagger = tagger.Tagger.from_tensors(tensors)
        heard_by = {name: self.system[name] for name in HEARING} | {"words": self._prompts.max_semantic_tokens}
        self.hearing = _digest(heard_by, tensors)  # captioners of the same digest compute the same ``PreparedClip``
        if self._tagger.normalise != "train":
            raise ConfigError(
                f"{folder}: its tagger normalises by the statistics of a whole {self._tagger.normalise}, which a "
                "single file has not; train one with tagger.normalise: train"
            )
        self._text_clue = None
        if self._clues.text_clue == "join":
            from aligncap.clues.text_clue import TextClue
            from aligncap.models.sentence_encoder import SentenceEncoder

            self._text_clue = TextClue(SentenceEncoder(folders["sentence_encoder"]))
        self._encoder = load_encoder(folders["speech_encoder"], device, max(self._features.layers))
        self._transcriber = Transcriber(folders["asr"], compute, self._transcripts)

    @classmethod
    def load(
        cls,
        folder: str | Path = PRETRAINED,
        models: str | Path | None = None,
        compute: Compute | None = None,
        doubt: Doubt | None = None,
    ) -> Captioner:
        """Load a checkpoint folder; base models that are not there are fetched.

        Args:
            folder: Folder that training or ``save`` wrote, for example ``results/default/checkpoints/aligncap``; by
                default the pretrained captioner of the project.
            models: Folder of the base models; by default the environment's ``ALIGNCAP_MODELS``, else a folder
                ``models`` in the checkpoint, above it or in the working directory.
            compute: Device, threads and precision. The default is a GPU where there is one, torch's number of threads
                (``OMP_NUM_THREADS``, else the cores), and fp32, in which a clip's caption does not depend on the other
                clips of its batch.
            doubt: What captions do about an emotion that is in doubt; by default they say it as if it were sure.

        Raises:
            ModelError: A file is missing or does not fit.
            ConfigError: The checkpoint's tagger needs a whole corpus, or this device does not compute in the
                ``transcripts.compute_type`` that it was trained with.
        """
        checkpoint = Path(folder)
        if not checkpoint.is_dir():
            raise ModelError(f"{folder}: no such checkpoint folder; train one with 'make demo'")
        place = models_folder(Path(models) if models else None, checkpoint)
        if compute is None:
            import torch

            compute = Compute(precision="fp32", threads=torch.get_num_threads())
        return cls(checkpoint, place, compute, doubt or Doubt())

    @property
    def name(self) -> str:
        """``experiment/system@digest`` of the checkpoint."""
        return checkpoint_name(self.folder)

    def caption(self, sound: Sound, language: str | None = None) -> Caption:
        """Caption one clip; see ``caption_all``."""
        return next(self.caption_all([sound], language))

    def caption_all(
        self,
        sounds: Iterable[Sound],
        language: str | None = None,
        max_new_tokens: int = 40,
        batch_size: int = BATCH,
        max_duration_s: float = MAX_DURATION_S,
    ) -> Iterator[Caption]:
        """Caption clips in order, each with the same caption that it gets alone.

        Each core hears one clip at a time; adapter and LLM take ``batch_size`` clips of similar length at once.

        Args:
            sounds: Paths that soundfile or PyAV can read (any sample rate, channels are averaged), arrays ``[n]`` at
                16 kHz, or mappings with an array and its rate; see ``aligncap.serving.sounds.read_sound``.
            language: ISO 639-1 of the speech; detected by the ASR where None.
            max_new_tokens: Maximum length of a caption in tokens.
            batch_size: Number of clips at once; ``WINDOW`` times as many are held in memory.
            max_duration_s: Maximum duration in seconds; longer clips are refused.

        Raises:
            AudioError: A clip is not usable audio; the message says why. To go on after such a clip, use
                ``prepare_clip`` and ``describe``.
        """
        from aligncap.serving.sounds import read_sound
        from aligncap.speech.parallel import each_in_a_thread

        def heard(sound: Sound) -> PreparedClip:
            name, clip = read_sound(sound, max_duration_s)
            return self.prepare_clip(clip.samples, language, name, clip.warnings)

        waiting = iter(sounds)
        while window := list(each_in_a_thread(heard, islice(waiting, WINDOW * batch_size), self.threads)):
            order = sorted(range(len(window)), key=lambda i: window[i].duration_s)
            captions: dict[int, Caption] = {}
            for start in range(0, len(order), batch_size):
                chunk = order[start : start + batch_size]
                captions |= zip(chunk, self.describe([window[i] for i in chunk], max_new_tokens), strict=True)
            yield from (captions[i] for i in range(len(window)))

    def prepare_clip(
        self,
        samples: NDArray[np.float32],
        language: str | None = None,
        name: str = "",
        warnings: Sequence[str] = (),
    ) -> PreparedClip:
        """Compute all inputs of the LLM for a recording: features, clues and transcript.

        Captioners with the same ``hearing`` compute the same result, so one may caption what another computed.

        Args:
            samples: Samples, float32 ``[n]``, mono, 16 kHz, full scale 1.
            language: ISO 639-1 of the speech; detected by the ASR where None.
            name: Name of the recording.
            warnings: What is known of the recording already, as ``aligncap.speech.audio.Clip`` tells it.

        Raises:
            AudioError: There is no speech in it, or the language is no ISO 639-1 code.
        """
        from aligncap.captioner.example import Example
        from aligncap.clues.prompts import acoustic_prompt, semantic_ids
        from aligncap.clues.tagger.familiarity import doubted
        from aligncap.speech.alone import at_one_level, speech_alone
        from aligncap.speech.audio import SAMPLE_RATE
        from aligncap.speech.detector import find_speech
        from aligncap.speech.features import pool_layers
        from aligncap.speech.prosody import measure

        speech = speech_alone(samples, find_speech(samples, self.speech, name))
        heard = at_one_level(speech)
        features = pool_layers(self._encoder.encode(heard), self._features)
        transcript, _ = self._transcriber.transcribe(heard, language)
        prosody = vars(measure(speech)) if self._tagger.measured else {}
        tags, familiar = self._tagger.predict(features, prosody)
        clues = self._tags(doubted(tags, familiar, self._clues.unfamiliar), transcript)
        ids = semantic_ids(self.model.tokenizer, transcript, self._prompts.max_semantic_tokens)
        example = Example(name, "", (), "", acoustic_prompt(clues), tuple(ids), features)
        told = (*warnings, *([UNFAMILIAR] if familiar < self._clues.unfamiliar else []))
        duration_s = round(len(samples) / SAMPLE_RATE, 3)
        return PreparedClip(example, clues, transcript, name, duration_s, round(familiar, 4), told)

    def prepare_each(self, recordings: Iterable[Recording | AudioError]) -> Iterator[PreparedClip | AudioError]:
        """Prepare recordings in order, one on each core; what goes wrong with one is its own.

        Args:
            recordings: Recordings, taken a few ahead; the error of one that could not be read is passed on.
        """
        from aligncap.speech.audio import fault_of
        from aligncap.speech.parallel import each_in_a_thread

        def prepared(recording: Recording | AudioError) -> PreparedClip | AudioError:
            if isinstance(recording, AudioError):
                return recording
            try:
                with fault_of(recording.name):
                    return self.prepare_clip(*recording)
            except AudioError as error:
                return error

        return each_in_a_thread(prepared, recordings, self.threads)

    def describe(self, clips: Sequence[PreparedClip], max_new_tokens: int = 40) -> list[Caption]:
        """Return the captions of one batch of recordings, in order; each core decodes its share of them.

        Args:
            clips: Recordings of the batch, B of them; memory grows with B times the longest.
            max_new_tokens: Maximum length of a caption in tokens.
        """
        import torch

        from aligncap.captioner.caption import settled
        from aligncap.captioner.generate import generate

        with torch.no_grad():
            prompts = self.model.speech_prompts([clip.example for clip in clips])
        said = [
            settled(self.model, response, clip.clues, self.doubt)
            for clip, (response,) in zip(clips, generate(self.model, prompts, max_new_tokens), strict=True)
        ]
        return [
            Caption(
                clip.name,
                own.text,
                [clue.to_dict() for clue in clip.clues],
                clip.transcript,
                clip.duration_s,
                own.finished,
                clip.familiarity,
                list(clip.warnings),
            )
            for clip, own in zip(clips, said, strict=True)
        ]

    def describe_each(self, clips: Sequence[PreparedClip], max_new_tokens: int = 40) -> list[Caption | AudioError]:
        """Return the captions of one batch, or clip by clip where the batch fails.

        Args:
            clips: As of ``describe``; there may be none.
            max_new_tokens: Maximum length of a caption in tokens.

        Returns:
            For each clip its caption, or the error that belongs to it alone.
        """
        from aligncap.speech.audio import fault_of

        if not clips:
            return []
        try:
            with fault_of(clips[0].name):
                return list(self.describe(clips, max_new_tokens))
        except AudioError as error:
            if len(clips) == 1:
                return [error]
        return [own for clip in clips for own in self.describe_each([clip], max_new_tokens)]

    def _tags(self, tags: dict[str, dict[str, float]], transcript: str) -> list[Clue]:
        from aligncap.clues.text_clue import join

        if self._text_clue is not None and "emotion" in tags:
            text = self._text_clue.tags([transcript])[0]
            tags = {**tags, "emotion": join(tags["emotion"], text, self._clues.text_weight)}
        return self._tagger.clues(tags, self._clues.threshold)

    def save(self, folder: str | Path, base_models: bool = False, half: bool = False) -> Path:
        """Write the checkpoint in the layout of the Hugging Face hub, with a generated model card.

        Args:
            folder: Target folder, which must not exist.
            base_models: Whether to copy the base models into its folder ``models``, so that it needs no other files.
            half: Whether to store the weights as fp16, in half the space; a caption may differ in a word.

        Returns:
            ``folder``, which ``Captioner.load`` reads.

        Raises:
            ModelError: The folder exists.
        """
        from aligncap.serving.sharing import save

        return save(self, Path(folder), base_models, half)

    def push_to_hub(
        self, repository: str, private: bool = True, base_models: bool = False, endpoint: str | None = None
    ) -> str:
        """Upload the files that ``save`` writes to a model hub.

        Args:
            repository: ``organisation/name``; created where it does not exist.
            private: Whether a new repository is private. The licences of the training data, which the card names,
                determine who may use the weights.
            base_models: Whether to include the base models, as in ``save``.
            endpoint: Address of another hub than huggingface.co. The token comes from ``HF_TOKEN`` or ``hf auth
                login``.

        Returns:
            Address of the commit.

        Raises:
            ModelError: The hub refuses the upload; the message says why.
        """
        from aligncap.serving.sharing import push

        return push(self, repository, private, base_models, endpoint)


def marked(name: str, doubt: Doubt) -> str:
    """Return the name that marks captions of a checkpoint: it tells what they do about doubt, if anything."""
    return name if doubt.way == "say" else f"{name}, {doubt.way} below {doubt.below:g}"


def checkpoint_name(folder: Path) -> str:
    """Return ``experiment/system@digest`` of a checkpoint folder without loading it; the digest covers trained files.

    Raises:
        ModelError: A file is missing.
    """
    from aligncap.captioner.checkpoint import CheckpointPaths, read_system

    system = read_system(CheckpointPaths.of(folder))
    return f"{system.get('experiment', '')}/{system['system']}@{checkpoint_digest(Path(folder))}"
