"""The judge `local`: expectation over the digits, the same alone and in a batch, on random tiny models."""

import numpy as np
import pytest
import torch
from made_up_items import facts, items

from aligncap.captioner.model import CaptionModel
from aligncap.config import Compute, Judge, ModelSource, Prompts
from aligncap.errors import ModelError
from aligncap.models.sources import fetch_model
from aligncap.preference.facts import JudgedCaption
from aligncap.preference.judges import local, rubric

CPU = Compute(precision="fp32", device="cpu", threads=1)
JUDGE = Judge(name="local")


@pytest.fixture(scope="module", params=["qwen2", "gpt2"])
def model(request, tmp_path_factory):
    """(manifest, has a chat template): gpt2 has learned positions and gets none."""
    folder = tmp_path_factory.mktemp("models") / request.param
    manifest = folder / "manifest.json"
    fetch_model(ModelSource(name=request.param, files=(f"random:{request.param}",)), manifest)
    if request.param == "gpt2":
        from transformers import AutoModelForCausalLM

        (folder / "chat_template.jinja").unlink()
        torch.manual_seed(1)
        long = AutoModelForCausalLM.from_pretrained(folder).config
        long.n_positions = 8192
        AutoModelForCausalLM.from_config(long).save_pretrained(folder)
        manifest.write_text('{"files": []}')
    return manifest


def test_digits_are_read_with_and_without_a_blank():
    class Tokenizer:
        def __len__(self):
            return 8

        def batch_decode(self, ids):
            texts = ["1", " 1", "2", "3", " 4", "5", "55", " "]
            return [texts[i] for (i,) in ids]

    assert local.digit_tokens(Tokenizer()) == [[0, 1], [2], [3], [4], [5]]


def test_a_tokenizer_without_digits_is_refused():
    class Tokenizer:
        def __len__(self):
            return 3

        def batch_decode(self, ids):
            return ["1", "2", "12"]

    with pytest.raises(ModelError, match="no token for the digit 3"):
        local.digit_tokens(Tokenizer())


def test_probabilities_are_renormalised_over_the_digits():
    logits = torch.log(torch.tensor([[0.1, 0.1, 0.1, 0.1, 0.2, 0.0001, 0.3999]]))
    shares, mass = local.digit_probabilities(logits, [[0, 1], [2], [3], [4], [5]])
    assert mass.tolist() == pytest.approx([0.6001], abs=1e-4)
    assert shares[0].tolist() == pytest.approx(
        [0.2 / 0.6001, 0.1 / 0.6001, 0.1 / 0.6001, 0.2 / 0.6001, 0.0001 / 0.6001]
    )


def plainly(manifest, item, aspect):
    """The same score from one whole text, one forward pass and no packing."""
    model = CaptionModel(
        manifest.parent, Prompts(instruction=rubric.part("rubric")), Compute(precision="fp32", device="cpu")
    )
    frame = model.text_prompt("", ())
    tail = f"{rubric.caption_text(item)}\n\n{rubric.part('digit', aspect=aspect)}"
    ids = [*frame.before, *model.encode(f"{rubric.facts_text(item.facts)}\n\n"), *model.encode(tail), *frame.after]
    with torch.no_grad():
        probabilities = model.llm(torch.tensor([ids])).logits[0, -1].softmax(-1)
    digits = [probabilities[model.encode(digit)[0]].item() for digit in "12345"]
    return float(np.dot(digits, range(1, 6)) / sum(digits))


def test_a_score_is_the_expectation_of_the_digit(model):
    own = [*items(9, clips=2), JudgedCaption("tiny", "u7", "cut off", False, facts("angry", transcript="no"))]
    opinions = local.score(JUDGE, CPU, own, model)
    for place in (0, 3, 8, 9):
        assert opinions[place].factuality == pytest.approx(plainly(model, own[place], "factuality"), abs=1e-4)
        assert opinions[place].faithfulness == pytest.approx(plainly(model, own[place], "faithfulness"), abs=1e-4)
    assert len({round(o.factuality, 6) for o in opinions}) > 5, "captions are told apart"
    first = opinions[0]
    assert first.overall == pytest.approx((0.4 * first.factuality + 0.3 * first.faithfulness) / 0.7)
    assert first.rationale.startswith("factuality P(1..5) = ") and "of all" in first.rationale


def test_a_caption_is_scored_the_same_alone_and_among_others(model):
    own = items(11, clips=3)
    together = local.score(JUDGE, CPU, own, model)
    for place in (0, 5, 10):
        (alone,) = local.score(JUDGE, CPU, [own[place]], model)
        assert alone.factuality == pytest.approx(together[place].factuality, abs=1e-4)
    backwards = local.score(Judge(name="local", local={"batch_size": 1}), CPU, own[::-1], model)
    assert [o.faithfulness for o in backwards] == pytest.approx([o.faithfulness for o in together[::-1]], abs=1e-4)


def test_a_prompt_longer_than_the_judges_window_names_the_judge(model, monkeypatch):
    monkeypatch.setattr("aligncap.captioner.model._sliding_window", lambda _: 100)
    with pytest.raises(ModelError, match=r"models\.judge: the scoring prompt has \d+ tokens .* takes 100; choose one"):
        local.score(JUDGE, CPU, items(1), model)


def test_bf16_is_near(model):
    own = items(3)
    near = local.score(JUDGE, Compute(device="cpu", threads=1, precision="bf16"), own, model)
    exact = local.score(JUDGE, CPU, own, model)
    assert [o.factuality for o in near] == pytest.approx([o.factuality for o in exact], abs=0.05)


def test_a_model_with_a_short_context_is_refused(tmp_path):
    manifest = tmp_path / "tiny" / "manifest.json"
    fetch_model(ModelSource(name="tiny", files=("random:gpt2",)), manifest)
    with pytest.raises(ModelError, match=r"scoring prompt has \d+ tokens for 'u0' and the model takes 1024"):
        local.score(JUDGE, CPU, items(1), manifest)


def test_no_captions_no_scores(model):
    assert local.score(JUDGE, CPU, [], model) == []
