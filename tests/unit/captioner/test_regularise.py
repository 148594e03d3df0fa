"""Masking, mix-up and gradient reversal do what they say, and nothing where they are off."""

import pytest
import torch

from aligncap.captioner.adapter import build_adapter
from aligncap.captioner.regularise import mask_features, mix, reverse_gradient
from aligncap.config import Adapter


def test_a_span_within_the_clip_is_masked_and_no_more_than_its_share():
    torch.manual_seed(0)
    features, mask = torch.ones(300, 2, 20, 4), torch.arange(20) < torch.tensor([[10]] * 150 + [[20]] * 150)
    hidden = mask_features(features, mask, 0.4, 0.0)[:, 0, :, 0] == 0
    assert int(hidden[:150].sum(1).max()) <= 4 and int(hidden[150:].sum(1).max()) <= 8
    assert not bool(hidden[:150, 10:].any()), "padding is not the clip's"
    edges = (hidden[:, 1:] != hidden[:, :-1]).sum(1) + hidden[:, 0] + hidden[:, -1]
    assert int(edges.max()) <= 2, "one span"
    assert float(hidden.float().sum()) == pytest.approx(0.2 * 15 * 300, rel=0.15), "half the longest, on average"


def test_dimensions_are_masked_over_the_whole_clip():
    torch.manual_seed(0)
    masked = mask_features(torch.ones(50, 2, 7, 40), torch.ones(50, 7, dtype=torch.bool), 0.0, 0.25)
    gone = masked[:, 0, 0] == 0
    assert torch.equal(masked == 0, gone[:, None, None, :].expand(50, 2, 7, 40))
    assert float(gone.float().mean()) == pytest.approx(0.25, abs=0.05)


def test_masks_are_for_training_only():
    settings = Adapter(width=16, heads=2, layers=1, noise=0.0, dropout=0.0, time_mask=0.9, feature_mask=0.5)
    adapter = build_adapter(settings, 2, 8, 12)
    inputs = torch.randn(3, 2, 6, 8), torch.ones(3, 6, dtype=torch.bool), torch.zeros(3, dtype=torch.long)
    adapter.eval()
    assert torch.equal(adapter(*inputs).embeddings, adapter(*inputs).embeddings)
    adapter.train()
    assert not torch.equal(adapter(*inputs).embeddings, adapter(*inputs).embeddings)


def test_mixing_keeps_to_the_own_side():
    torch.manual_seed(0)
    own, other = torch.zeros(200, 2, 3), torch.ones(200, 2, 3)
    mixed = mix(own, other, 0.4)
    assert float(mixed.max()) <= 0.5 and float(mixed.min()) >= 0
    assert torch.equal(mixed, mixed[:, :1, :1].expand_as(mixed)), "one share a clip"
    assert len(mixed[:, 0, 0].unique()) > 100


def test_the_gradient_is_reversed_and_the_values_stay():
    values = torch.randn(4, 3, requires_grad=True)
    turned = reverse_gradient(values, 0.5)
    assert torch.equal(turned, values)
    turned.sum().backward()
    torch.testing.assert_close(values.grad, torch.full_like(values, -0.5))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"type": "cif", "mixup": 0.2}, "mixup needs a fixed number"),
        ({"type": "conv", "length": "frames", "mixup": 0.2}, "mixup needs a fixed number"),
        ({"width": 10, "heads": 4}, "not a multiple"),
    ],
)
def test_an_adapter_that_cannot_be_is_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        Adapter(**settings)
