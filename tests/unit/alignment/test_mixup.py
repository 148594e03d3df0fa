"""Mix-up keeps to its own side, and is for adapters of a fixed number of embeddings."""

import pytest
import torch

from aligncap.alignment.tasks import mix
from aligncap.config import AdapterSettings


def test_mixing_keeps_to_the_own_side():
    torch.manual_seed(0)
    own, other = torch.zeros(200, 2, 3), torch.ones(200, 2, 3)
    mixed = mix(own, other, 0.4)
    assert float(mixed.max()) <= 0.5 and float(mixed.min()) >= 0
    assert torch.equal(mixed, mixed[:, :1, :1].expand_as(mixed)), "one share a clip"
    assert len(mixed[:, 0, 0].unique()) > 100


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"type": "cif", "mixup": 0.2}, "mixup needs a fixed number"),
        ({"width": 10, "heads": 4}, "not a multiple"),
    ],
)
def test_an_adapter_that_cannot_be_is_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        AdapterSettings(**settings)
