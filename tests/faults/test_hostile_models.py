"""Weights and settings made to do harm: headers that lie, digests that differ, lists that lead outside."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from aligncap.captioner.checkpoint import CheckpointPaths, load_checkpoint, load_weights
from aligncap.config import Compute, ModelSource
from aligncap.errors import AlignCapError, ModelError
from aligncap.models.sources import fetch_model, model_folder


def one_line(error: AlignCapError, *parts: str) -> None:
    told = str(error)
    assert "\n" not in told and len(told) < 700 and all(part in told for part in parts), told


def safetensors(header: str | bytes, length: int | None = None, data: bytes = bytes(64)) -> bytes:
    text = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(shape: list[int], begin: int = 0, end: int = 64, dtype: str = "F32") -> str:
    return json.dumps({"a": {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}})


SAFETENSORS = {
    "empty": b"",
    "seven bytes": bytes(7),
    "a header of 2**64 - 1 bytes": safetensors("{}", (1 << 64) - 1),
    "a header of 2**63 bytes": safetensors("{}", 1 << 63),
    "a header of a terabyte": safetensors("{}", 1 << 40),
    "a header larger than the file": safetensors("{}", 1_000),
    "a header that is no JSON": safetensors("{oops"),
    "a header that is a list": safetensors("[1, 2]"),
    "a header that is no UTF-8": safetensors(b'{"\xff": 1}'),
    "a header of brackets": safetensors('{"a":' * 50_000),
    "an unknown type": safetensors(tensor([16], dtype="F31")),
    "a shape of 2**62": safetensors(tensor([1 << 62])),
    "a shape that overflows": safetensors(tensor([1 << 40, 1 << 40])),
    "a negative shape": safetensors(tensor([-16])),
    "places beyond the end": safetensors(tensor([1 << 20], 0, 4 << 20)),
    "places that run backwards": safetensors(tensor([16], 64, 0)),
    "places of 2**63": safetensors(tensor([16], 0, 1 << 63)),
    "a gap before the tensor": safetensors(tensor([8], 32, 64)),
    "a pickle": b"\x80\x04\x95" + bytes(60),
    "a zip archive": b"PK\x03\x04" + bytes(60),
}


@pytest.mark.parametrize("fault", SAFETENSORS)
def test_a_safetensors_file_that_lies_is_one_line(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "adapter.safetensors"
    path.write_bytes(SAFETENSORS[fault])
    with pytest.raises(ModelError, match="no safetensors file, or damaged") as caught:
        load_weights(path)
    one_line(caught.value, str(path), "fetch the checkpoint again")


def gguf(tensors: int, values: int, rest: bytes = b"", magic: bytes = b"GGUF", version: int = 3) -> bytes:
    return magic + struct.pack("<IQQ", version, tensors, values) + rest + bytes(256)


def key(name: bytes, kind: int, value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(name) if length is None else length) + name + struct.pack("<I", kind) + value


HUGE = 1 << 62
GGUF = {
    "empty": b"",
    "another magic": gguf(0, 0, magic=b"GGML"),
    "an unknown version": gguf(0, 0, version=99),
    "of the other byte order": gguf(0, 0, version=0x03000000),
    "2**62 tensors": gguf(HUGE, 0),
    "2**62 values": gguf(0, HUGE),
    "a name of 2**62 bytes": gguf(0, 1, key(b"general.name", 8, b"", HUGE)),
    "a text of 2**62 bytes": gguf(0, 1, key(b"general.name", 8, struct.pack("<Q", HUGE))),
    "an array of 2**62 numbers": gguf(0, 1, key(b"a", 9, struct.pack("<IQ", 4, HUGE))),
    "an unknown kind of value": gguf(0, 1, key(b"a", 77, bytes(8))),
    "no architecture": gguf(0, 1, key(b"general.name", 4, bytes(4))),
    "a safetensors file": safetensors(tensor([16])),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", GGUF)
def test_a_gguf_file_that_lies_is_one_line_and_leaves_nothing(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(GGUF[fault])
    source = ModelSource(name="m", files=(f"file:{path}",), format="gguf")
    with pytest.raises(ModelError, match="format gguf: cannot be read") as caught:
        fetch_model(source, tmp_path / "models/m/manifest.json")
    one_line(caught.value, "fetch it again")
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize("change", ["flip", "cut", "more", "swap"])
def test_weights_whose_digest_differs_are_not_taken(tmp_path: Path, change: str) -> None:
    data = bytes(range(256))
    wanted = hashlib.sha256(data).hexdigest()
    other = {"flip": b"\1" + data[1:], "cut": data[:-1], "more": data + b"\0", "swap": data[::-1]}[change]
    (tmp_path / "w.safetensors").write_bytes(other)
    source = ModelSource(name="m", files=(f"file:{tmp_path}/w.safetensors",), sha256=(wanted,))
    with pytest.raises(ModelError, match="sha256 is [0-9a-f]{64}, the config says") as caught:
        fetch_model(source, tmp_path / "models/m/manifest.json")
    one_line(caught.value, wanted, "not what was meant")
    assert not (tmp_path / "models/m").exists()


LISTS = {
    "no JSON": ("{", "damaged"),
    "a list": ("[]", "damaged"),
    "no files": ("{}", "damaged"),
    "files that are a number": ('{"files": 3}', "damaged"),
    "a file without size": ('{"files": [{"path": "a"}]}', "damaged"),
    "a file that is a text": ('{"files": ["a"]}', "damaged"),
    "brackets without end": ("[" * 100_000, "damaged"),
    "a path that leads outside": ('{"files": [{"path": "../a", "bytes": 1}]}', "leads outside"),
    "an absolute path": ('{"files": [{"path": "/etc/passwd", "bytes": 1}]}', "leads outside"),
    "another size": ('{"files": [{"path": "a", "bytes": 7}]}', "7 bytes expected, got 1"),
    "a size that is a text": ('{"files": [{"path": "a", "bytes": "1"}]}', "1 bytes expected"),
    "a file that is not there": ('{"files": [{"path": "b", "bytes": 1}]}', "1 bytes expected, got None"),
}


@pytest.mark.parametrize("fault", LISTS)
def test_a_list_of_a_models_files_that_is_none_is_one_line(tmp_path: Path, fault: str) -> None:
    text, told = LISTS[fault]
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=told) as caught:
        model_folder(tmp_path / "manifest.json")
    one_line(caught.value, str(tmp_path), "run again")


SETTINGS: dict[str, tuple[Any, str]] = {
    "no settings": ({"format": 2}, "KeyError: 'lora'"),
    "another format": ({"format": 1}, "checkpoint format 1"),
    "a list": ([1, 2], "damaged"),
    "a text": ("x", "damaged"),
    "digests that are a list": ({"format": 2, "sha256": [1, 2]}, "damaged"),
    "a digest of other weights": ({"format": 2, "sha256": {"adapter.safetensors": "0" * 64}}, "its SHA-256 is"),
    "a LoRA that is a text": ({"format": 2, "lora": "big", "prompts": {}, "adapter": {}}, "damaged"),
    "a LoRA without rank": ({"format": 2, "lora": {"rank": 0}, "prompts": {}, "adapter": {}}, "damaged"),
    "an unknown key": ({"format": 2, "lora": {"run": "x"}, "prompts": {}, "adapter": {}}, "damaged"),
    "prompts that are null": ({"format": 2, "lora": {}, "prompts": None, "adapter": {}}, "damaged"),
    "an adapter of no kind": ({"format": 2, "lora": {}, "prompts": {}, "adapter": {"type": "x"}}, "damaged"),
}


@pytest.mark.parametrize("fault", SETTINGS)
def test_settings_of_a_checkpoint_that_are_none_are_one_line(tmp_path: Path, fault: str) -> None:
    settings, told = SETTINGS[fault]
    paths = CheckpointPaths.of(tmp_path)
    for path in (paths.adapter, paths.lora):
        save_file({"a": torch.zeros(1)}, path)
    paths.system.write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        load_checkpoint(paths, tmp_path / "no-model", Compute(device="cpu", precision="fp32"))
    one_line(caught.value, str(tmp_path), told)


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_a_language_model_that_is_damaged_or_a_pickle_is_one_line(tmp_path: Path, weights: str) -> None:
    manifest = tmp_path / "tiny/manifest.json"
    fetch_model(ModelSource(name="tiny", files=("random:llama",)), manifest)
    (tmp_path / "tiny/model.safetensors").unlink()
    torch.save({"a": torch.zeros(1)}, tmp_path / "tiny" / weights)
    from aligncap.captioner.model import CaptionModel
    from aligncap.config import Prompts

    with pytest.raises(ModelError, match="no language model, or damaged") as caught:
        CaptionModel(tmp_path / "tiny", Prompts(), Compute(device="cpu", precision="fp32"))
    one_line(caught.value, str(tmp_path / "tiny"), "delete it and run again")
