"""No pickle under any name, and no checksum that is quietly not checked."""

import huggingface_hub
import pytest
import torch

from aligncap.config import ModelSource
from aligncap.errors import ModelError
from aligncap.models.sources import fetch_model


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_refused_though_it_ends_in_bin(tmp_path, zipped):
    weights = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.zeros(1)}, weights, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match="may hold code"):
        fetch_model(ModelSource(name="m", files=(f"file:{weights}",)), tmp_path / "models" / "m" / "manifest.json")
    assert not (tmp_path / "models" / "m").exists()


@pytest.mark.parametrize("uri", ["file:{folder}", "hf://org/name@0123abc"])
def test_a_checksum_that_cannot_be_checked_is_an_error(tmp_path, uri):
    (tmp_path / "weights").mkdir()
    source = ModelSource(name="m", files=(uri.format(folder=tmp_path / "weights"),), sha256=("0" * 64,))
    with pytest.raises(ModelError, match="sha256 empty"):
        fetch_model(source, tmp_path / "m" / "manifest.json")


def test_a_hub_snapshot_is_asked_for_without_files_that_hold_code(tmp_path, monkeypatch):
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "config.json").write_text("{}")
    asked = {}

    def snapshot_download(repository, **options):
        asked.update(options, repository=repository)
        return str(tmp_path / "snapshot")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    fetch_model(ModelSource(name="m", files=("hf://org/name@0123abc",)), tmp_path / "m" / "manifest.json")
    assert (asked["repository"], asked["revision"]) == ("org/name", "0123abc")
    assert "*.bin.index.json" in asked["ignore_patterns"] and "*.py" in asked["ignore_patterns"]
    assert (tmp_path / "m" / "config.json").is_file()
