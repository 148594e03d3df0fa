"""A captioner's LLM as other programs read it: ``LLM_0`` for transformers, and the student's LoRA for peft.

The LoRA stays apart, because merged into bf16 weights it would be lost by rounding. The speech adapter is left out: who
reads these folders is given embeddings.
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.storage import storing

ADAPTER = "default"  # the name that peft gives an adapter


def export_llm0(model: CaptionModel, folder: Path) -> None:
    """Write ``LLM_0``, without the student's LoRA, and its tokenizer as a transformers folder.

    Args:
        model: Captioner whose LoRA was added and not folded.
        folder: Folder to write; its weights take as much room as they do in memory.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    tensors = {
        name.replace(".base_layer.", "."): tensor
        for name, tensor in model.llm.state_dict().items()
        if "lora_" not in name
    }
    with storing(folder):
        model.llm.save_pretrained(folder, state_dict=tensors)
        model.tokenizer.save_pretrained(folder)


def export_lora(model: CaptionModel, folder: Path) -> tuple[int, list[str]]:
    """Write the student's LoRA as a peft folder, in fp32.

    Args:
        model: Captioner whose LoRA was added and not folded.
        folder: Folder to write.

    Returns:
        The rank of the LoRA, and the names of the layers that it changes, as they end in each block.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    config = model.llm.peft_config[ADAPTER]
    tensors = {
        f"base_model.model.{name.replace(f'.{ADAPTER}.', '.')}": tensor.detach().cpu().contiguous()
        for name, tensor in lora_tensors(model.llm).items()
    }
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        config.save_pretrained(folder)
        save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return int(config.r), sorted({name.partition(".lora_")[0].rpartition(".")[2] for name in tensors})
