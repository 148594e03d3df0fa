"""Alignment before decoding: each loss is least where speech is text, and knows what its gradient is for."""

import pytest
import torch

from aligncap.alignment.rivals import BeforeDecoding, VClub, embed_texts, info_nce, pooled_mse
from aligncap.alignment.training_items import caption_items
from aligncap.captioner.adapter import Speech
from aligncap.captioner.model import CaptionModel
from aligncap.config import AdapterSettings, Alignment, Compute, Prompts
from aligncap.models.sources import model_folder


def test_mse_is_of_each_utterance_and_zero_where_both_are_equal():
    one = torch.randn(3, 4)
    assert torch.equal(pooled_mse(one, one), torch.zeros(3))
    torch.testing.assert_close(
        pooled_mse(one, one + torch.tensor([[0.0], [1.0], [2.0]])), torch.tensor([0.0, 1.0, 4.0])
    )


def test_info_nce_is_least_for_true_pairs_and_spares_equal_texts():
    text = torch.eye(4)
    groups = torch.arange(4)
    good, bad = info_nce(text, text, groups, 0.1), info_nce(text.roll(1, 0), text, groups, 0.1)
    assert float(good.max()) < 0.01 and float(bad.min()) > 5
    # Two clips with the same text: without groups they would push each other away.
    same = torch.stack([text[0], text[0], text[2], text[3]])
    apart = float(info_nce(same, same, groups, 0.1)[0])
    together = float(info_nce(same, same, torch.tensor([0, 0, 2, 3]), 0.1)[0])
    assert together < 0.01 < apart
    assert float(info_nce(text[:1], text[:1], groups[:1], 0.1)) == 0, "a batch of one has nothing to contrast"


def fitted_club(x: torch.Tensor, y: torch.Tensor) -> VClub:
    club = VClub(x.shape[1], y.shape[1])
    optimizer = torch.optim.Adam(club.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        club.learning_loss(x, y).mean().backward()
        optimizer.step()
    return club


def test_vclub_sees_dependence_and_none_where_there_is_none():
    torch.manual_seed(0)
    x, noise = torch.randn(256, 4), torch.randn(256, 4)
    dependent = 0.9 * x + (1 - 0.81) ** 0.5 * noise
    # I(x; y) of a correlation of 0.9 is -1/2 log(1 - 0.81) = 0.83 nat a dimension; the bound lies above it.
    assert 0.6 < float(fitted_club(x, dependent).bound(x, dependent)) < 5
    assert float(fitted_club(x, noise).bound(x, noise)) < 0.3


def test_vclub_fits_q_on_x_and_frees_x_from_y_without_touching_either_from_the_wrong_side():
    club, x, y = VClub(4, 6), torch.randn(5, 4, requires_grad=True), torch.randn(5, 6)
    club.learning_loss(x, y).sum().backward()
    assert x.grad is None and all(p.grad is not None for p in club.parameters())
    club.zero_grad()
    club.bound(x, y).backward()
    assert x.grad is not None and all(p.grad is None or not p.grad.any() for p in club.parameters())


@pytest.fixture
def model(tiny_llm):
    torch.manual_seed(0)
    model = CaptionModel(model_folder(tiny_llm), Prompts(), Compute(precision="fp32", device="cpu"))
    model.add_adapter(AdapterSettings(width=16, heads=2, queries=2, layers=1, noise=0.0, dropout=0.0), 2, 8)
    return model


@pytest.mark.parametrize("settings", [
    {"before": "mse"}, {"before": "contrastive"}, {"before": "secap"},
], ids=lambda s: "-".join(s.values()))  # fmt: skip
def test_a_few_steps_bring_the_adapter_nearer_to_the_text(settings, model, examples):
    torch.manual_seed(0)
    alignment = Alignment(**settings, before_mi_weight=0.0)
    before, batch = BeforeDecoding(alignment, 16, model.width), caption_items(examples, model.response_ids)
    model.adapter.requires_grad_(True)
    optimizer = torch.optim.Adam([*model.adapter.parameters(), *before.parameters()], lr=1e-2)
    seen = []
    for _ in range(25):
        optimizer.zero_grad()
        loss, logged = before(model, model.speech(examples), batch)
        assert loss.shape == logged["before"].shape == (len(batch),)
        loss.sum().backward()
        optimizer.step()
        seen.append(float(logged["before"].sum()))
    assert seen[-1] < 0.7 * seen[0]


def test_an_utterance_without_text_costs_nothing(model, examples):
    before = BeforeDecoding(Alignment(before="mse"), 16, model.width)
    batch = caption_items(examples, model.response_ids)
    model.prompts = Prompts(acoustic=False)  # the first example has no transcript either
    loss, _ = before(model, model.speech(examples), batch)
    assert float(loss[0]) == 0 and float(loss[1:].min()) > 0


def test_secap_frees_its_states_from_the_transcript(model, examples):
    """The information term alone, once q is fitted, lowers the bound."""
    torch.manual_seed(0)
    batch = caption_items(examples, model.response_ids)
    before = BeforeDecoding(Alignment(before="secap", before_mi_weight=1.0), 16, model.width)
    states = torch.randn(len(batch), 2, 16, requires_grad=True)

    def said():
        mask = torch.ones(len(batch), 2, dtype=torch.bool)
        return before(model, Speech(torch.zeros(len(batch), 2, model.width), states, mask, None), batch)[1]

    optimizer = torch.optim.Adam(before.club.parameters(), lr=1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        said()["club_nll"].sum().backward()
        optimizer.step()
    first = float(said()["information"][0])
    assert first > 0.01
    for _ in range(20):
        (gradient,) = torch.autograd.grad(said()["information"].mean(), states)
        with torch.no_grad():
            states -= 0.5 * gradient
    assert float(said()["information"][0]) < first


def test_texts_are_embedded_with_their_lengths(model):
    embedded, mask = embed_texts(model, [[5, 6, 7], [], [9]])
    assert embedded.shape == (3, 3, model.width)
    assert mask.tolist() == [[True] * 3, [False] * 3, [True, False, False]]
