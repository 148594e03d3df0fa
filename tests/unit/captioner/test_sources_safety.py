"""No pickle under any name, and no checksum that is quietly not checked."""

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
