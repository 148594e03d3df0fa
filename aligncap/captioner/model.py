"""The captioner: an LLM that reads text prompts or speech embeddings and gives response distributions.

``LLM_0`` is the base model with the LoRA of the teacher's adaptation merged in. The student is ``LLM_0`` with a second
LoRA and the speech adapter. Text input, which the teacher reads, is ``x_T = [instruction; P_act; P_sem]``. Speech input
is ``x_S = [instruction; P_act; P_sem; A(f(s))]`` (paper, figure 4; the layout in the chat template is ours). Without an
adapter ``x_S`` has no ``A(f(s))``: this is the cascade.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from peft import LoraConfig, get_peft_model, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from aligncap.captioner import attention
from aligncap.captioner.adapter import Speech, SpeechAdapter, build_adapter, pad_features
from aligncap.captioner.example import Example
from aligncap.captioner.packing import Packed, Prompt, pack
from aligncap.config import AdapterSettings, Compute, Lora, Prompts
from aligncap.errors import ConfigError, ModelError, cause
from aligncap.models.device import clip_threads, pick_device, pick_dtype

CONTENT = "\u241econtent\u241e"
# Some templates write today's date (Llama 3, SmolLM3): prompts, and what is cached of them, would change overnight.
# This is the date that Llama's own template takes where there is no clock.
FROZEN = "{% macro strftime_now(format) %}26 Jul 2024{% endmacro %}{{ '' }}"


def lora_tensors(llm: nn.Module) -> dict[str, Tensor]:
    """Return the LoRA parameters of a model by name."""
    return {name: p for name, p in llm.named_parameters() if "lora_" in name}


def load_exactly(module_tensors: dict[str, Tensor], tensors: dict[str, Tensor], where: str) -> None:
    """Copy ``tensors`` into ``module_tensors``; both must have the same names and shapes.

    Raises:
        ModelError: A name is missing or unexpected, or a shape differs; the message names the file ``where``.
    """
    if set(module_tensors) != set(tensors):
        missing, extra = sorted(set(module_tensors) - set(tensors)), sorted(set(tensors) - set(module_tensors))
        raise ModelError(
            f"{where}: does not fit this model: missing {missing[:3]}, unexpected {extra[:3]}; "
            "it was made with other settings or another base model"
        )
    with torch.no_grad():
        for name, target in module_tensors.items():
            if target.shape != tensors[name].shape:
                raise ModelError(f"{where}: {name} has shape {list(tensors[name].shape)}, want {list(target.shape)}")
            target.copy_(tensors[name])


def _sliding_window(config: Any) -> int | None:
    """Return how many tokens the layers with sliding attention look back; None where there are none."""
    kinds = getattr(config, "layer_types", None)
    if kinds is not None and "sliding_attention" not in kinds:
        return None
    window: int | None = getattr(config, "sliding_window", None)
    return window


def lora_config(lora: Lora) -> LoraConfig:
    """Return the configuration of peft for the section ``lora``."""
    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    return LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets, task_type="CAUSAL_LM"
    )


class CaptionModel(nn.Module):
    """The captioning model: an LLM, its tokenizer and, for speech input, an adapter.

    Args:
        folder: transformers folder of the base LLM.
        prompts: Section ``prompts``.
        compute: Device, and precision of the LLM. LoRA and adapter are always fp32.
    """

    def __init__(self, folder: Path, prompts: Prompts, compute: Compute) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        super().__init__()
        self.prompts = prompts
        self.device = device = pick_device(compute)
        self.dtype = pick_dtype(compute, device)
        self.threads = clip_threads(compute, device)  # shares of a batch that are decoded side by side
        # Both accept the 4-D mask of packed sequences. On rows this short torch's fused CPU kernel is slower.
        eager = device.type == "cpu"
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                attn_implementation="eager" if eager else "sdpa",
                dtype=self.dtype,
                use_safetensors=True,
                output_loading_info=True,
            )
        except Exception as error:  # whatever damaged files make the library raise
            raise ModelError(
                f"{folder}: no language model, or damaged ({cause(error)}); delete it and run again"
            ) from error
        self.llm: Any = loaded[0]
        if missing := sorted(loaded[1]["missing_keys"]):  # they would be random
            raise ModelError(
                f"{folder}: lacks {len(missing)} weights, such as {missing[0]}; delete it and fetch it again"
            )
        if eager:
            attention.group_heads(self.llm)
        self.to(device).requires_grad_(False).eval()
        self.adapter: SpeechAdapter | None = None
        self.end_id: int = self.tokenizer.eos_token_id
        if self.end_id is None:
            raise ModelError(f"{folder.name}: the tokenizer has no end token, so a caption could not end")
        self.window = _sliding_window(self.llm.config)  # how far a layer looks back, in tokens; None: to the beginning
        self._opening, self._closing = self._frame()

    def _frame(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the token ids before and after the content, from the chat template or from plain text.

        Where the template has a system message, the instruction replaces its default, which may be long. Where it has
        thoughts before the answer (SmolLM3, Qwen3), they are switched off.
        """
        instruction = self.prompts.instruction
        if not (self.prompts.chat_template and self.tokenizer.chat_template):
            return self.encode(f"{self.tokenizer.bos_token or ''}{instruction}\n"), self.encode("\nAnswer:")
        try:
            text = self._chat({"role": "system", "content": instruction}, {"role": "user", "content": CONTENT})
        except TemplateError:  # some templates, such as Gemma's, refuse a system message
            text = self._chat({"role": "user", "content": f"{instruction}\n{CONTENT}"})
        before, after = text.split(CONTENT)
        return self.encode(before), self.encode(after)

    def _chat(self, *messages: dict[str, str]) -> str:
        template = FROZEN + self.tokenizer.get_chat_template()
        return str(
            self.tokenizer.apply_chat_template(
                messages,
                chat_template=template,
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=False,
            )
        )

    def encode(self, text: str) -> tuple[int, ...]:
        """Tokenize a text without adding special tokens."""
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def response_ids(self, caption: str) -> list[int]:
        """Tokenize a caption and append the end token."""
        return [*self.encode(caption.strip()), self.end_id]

    def decode(self, ids: Sequence[int]) -> str:
        """Decode the token ids of a response to one line of text without special tokens."""
        return " ".join(self.tokenizer.decode(list(ids), skip_special_tokens=True).split())

    @property
    def width(self) -> int:
        """Width of the LLM's embeddings."""
        return int(self.llm.get_input_embeddings().weight.shape[1])

    def merge_lora(self, lora: Lora, tensors: dict[str, Tensor]) -> None:
        """Merge a LoRA into the weights, which turns the base model into ``LLM_0``."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks for a property that transformers is to rename
            wrapped = self._wrapped(lora, get_peft_model, self.llm, lora_config(lora))
        load_exactly(lora_tensors(self.llm), tensors, "the teacher's LoRA")
        self.llm = wrapped.merge_and_unload()
        self.llm.requires_grad_(False)

    def add_lora(self, lora: Lora, tensors: dict[str, Tensor] | None = None) -> None:
        """Add a trainable LoRA with the given weights; without them B is 0, so that the output does not change."""
        self.llm = self._wrapped(lora, inject_adapter_in_model, lora_config(lora), self.llm)
        for layer in self._lora_layers():
            layer.cast_input_dtype_enabled = False  # autocast rounds the small LoRA instead of widening its large input
        for tensor in lora_tensors(self.llm).values():
            tensor.data = tensor.data.float()
        if tensors is not None:
            load_exactly(lora_tensors(self.llm), tensors, "the LoRA")
        self.llm.to(self.device)

    def _wrapped(self, lora: Lora, wrap: Callable[..., Any], *given: Any) -> Any:
        """Let peft wrap the LLM.

        Raises:
            ConfigError: None of its modules has a name of ``lora.targets``.
        """
        try:
            return wrap(*given)
        except ValueError as error:
            linear = {name.rpartition(".")[2] for name, own in self.llm.named_modules() if isinstance(own, nn.Linear)}
            raise ConfigError(
                f"lora.targets: {list(lora.targets)}: the language model has no such module; its linear ones are "
                f"{', '.join(sorted(linear))}"
            ) from error

    def fold_lora(self) -> None:
        """Merge the LoRA into the weights of a model that only captions, which is faster and the same up to rounding.

        It is not merged into bf16 weights, where it would be lost by rounding, nor into weights that are tied to the
        input embeddings.
        """
        tied = self.llm.get_input_embeddings().weight
        for layer in self._lora_layers() if self.dtype == torch.float32 else ():
            if layer.get_base_layer().weight is not tied:
                layer.merge()

    def _lora_layers(self) -> list[Any]:
        return [module for module in self.llm.modules() if isinstance(module, BaseTunerLayer)]

    def arithmetic(self) -> torch.autocast:
        """Return the autocast context for passes through the LLM, in which bf16 weights and the fp32 LoRA combine."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    def add_adapter(self, config: AdapterSettings, n_layers: int, dim: int) -> SpeechAdapter:
        """Add a speech adapter whose output has the scale of the LLM's token embeddings."""
        self.adapter = build_adapter(config, n_layers, dim, self.width)
        self.adapter.match_scale(self.llm.get_input_embeddings().weight)
        return self.adapter.to(self.device)

    @contextmanager
    def without_lora(self) -> Iterator[None]:
        """Make the model ``LLM_0`` within the context: the student's LoRA is switched off, and there is no dropout."""
        layers = self._lora_layers()
        trainable = {name: tensor.requires_grad for name, tensor in lora_tensors(self.llm).items()}
        training = self.llm.training
        self.llm.eval()
        for layer in layers:
            layer.enable_adapters(False)
        try:
            yield
        finally:
            for layer in layers:
                layer.enable_adapters(True)
            for name, tensor in lora_tensors(self.llm).items():  # peft sets it to another value
                tensor.requires_grad_(trainable[name])
            self.llm.train(training)

    def context_ids(self, p_act: str, p_sem_ids: Sequence[int]) -> tuple[int, ...]:
        """Return the token ids of ``[P_act; P_sem]``, the part of the text input that differs between utterances."""
        ids: tuple[int, ...] = ()
        if self.prompts.acoustic and p_act:
            ids += self.encode(f"{p_act}\n")
        if self.prompts.semantic and p_sem_ids:
            ids += (*self.encode('Words: "'), *p_sem_ids, *self.encode('"\n'))
        return ids

    def text_prompt(self, p_act: str, p_sem_ids: Sequence[int]) -> Prompt:
        """Build the text input ``x_T = [instruction; P_act; P_sem]``."""
        return Prompt(self._opening + self.context_ids(p_act, p_sem_ids), None, self._closing)

    def speech(self, examples: Sequence[Example]) -> Speech | None:
        """Compute the speech embeddings ``A(f(s))`` of each example; None where the model has no adapter."""
        if self.adapter is None:
            return None
        features, mask = pad_features([example.features for example in examples])
        counts = torch.tensor([len(example.p_sem_ids) for example in examples])
        speech: Speech = self.adapter(features.to(self.device), mask.to(self.device), counts.to(self.device))
        return speech

    def speech_prompts(self, examples: Sequence[Example], speech: Speech | None = None) -> list[Prompt]:
        """Build the speech input ``x_S = [instruction; P_act; P_sem; A(f(s))]`` of each example, with predicted clues.

        Args:
            examples: B utterances.
            speech: Result of the method ``speech`` for these utterances; None to compute it.
        """
        speech = self.speech(examples) if speech is None else speech
        contexts = [self._opening + self.context_ids(e.predicted_p_act, e.p_sem_ids) for e in examples]
        if speech is None:
            return [Prompt(context, None, self._closing) for context in contexts]
        lead = self.encode("Speech: ")
        counts = speech.mask.sum(1).tolist()
        return [
            Prompt(context + lead, embeddings[:count], self._closing)
            for context, embeddings, count in zip(contexts, speech.embeddings, counts, strict=True)
        ]

    def require_window(self, length: int) -> None:
        """Refuse a prompt with its response that a sliding window would cut: packed rows and the cache know of none.

        Raises:
            ModelError: ``length`` tokens are more than the window.
        """
        if self.window is not None and length > self.window:
            raise ModelError(
                f"a prompt and its response have {length} tokens, and the language model has layers that look back "
                f"{self.window}; lower prompts.max_semantic_tokens, adapter.queries or decoding.max_new_tokens, or "
                "take another model"
            )

    def pack(self, prompts: Sequence[Prompt], responses: Sequence[Sequence[Sequence[int]]]) -> Packed:
        """Pack prompts and responses into rows; see ``aligncap.captioner.packing.pack``."""
        lengths = (len(prompt) + max(map(len, own)) for prompt, own in zip(prompts, responses, strict=True))
        self.require_window(max(lengths, default=0))
        return pack(prompts, responses, self.llm.get_input_embeddings(), self.device)

    def response_logits(self, packed: Packed) -> Tensor:
        """Compute the logits ``[N, V]``, fp32, that predict the response tokens, without those of other positions."""
        dtype = packed.embeddings.dtype
        bias = torch.zeros(packed.mask.shape, dtype=dtype, device=self.device)
        bias = bias.masked_fill(~packed.mask, torch.finfo(dtype).min)
        with self.arithmetic():
            hidden = self.llm.get_decoder()(
                inputs_embeds=packed.embeddings,
                attention_mask=bias,
                position_ids=packed.positions,
                use_cache=False,
            ).last_hidden_state
            return self.llm.get_output_embeddings()(hidden[packed.rows, packed.columns]).float()

    def response_logps(self, packed: Packed, logits: Tensor | None = None) -> Tensor:
        """Sum the log-probabilities of each response's tokens, ``[n_responses]``, in nat."""
        logits = self.response_logits(packed) if logits is None else logits
        token_logps = -nn.functional.cross_entropy(logits, packed.labels, reduction="none")
        return torch.zeros(packed.n_responses, device=self.device).index_add(0, packed.owners, token_logps)
