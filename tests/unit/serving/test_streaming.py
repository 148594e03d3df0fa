"""Decoding token by token says what decoding at once says."""

from pathlib import Path

import pytest
import torch

from aligncap.captioner.generate import generate
from aligncap.captioner.model import CaptionModel
from aligncap.config import AdapterSettings, Compute, Prompts
from aligncap.models.sources import model_folder
from aligncap.serving.streaming import stream

LENGTH = 12


@pytest.fixture
def model(tiny_llm: Path) -> CaptionModel:
    torch.manual_seed(0)
    model = CaptionModel(model_folder(tiny_llm), Prompts(), Compute(precision="fp32", device="cpu"))
    model.add_adapter(AdapterSettings(width=16, heads=2, queries=2, layers=1), n_layers=2, dim=8)
    return model.requires_grad_(False).eval()


def told(model, prompts, length=LENGTH):
    said = [[] for _ in prompts]
    for tokens in stream(model, prompts, length):
        assert not torch.is_autocast_enabled("cpu"), "a step's context is open in the caller's code"
        for row, token in tokens.items():
            said[row].append(token)
    return said


@pytest.mark.parametrize("rows", [1, 5])
def test_streamed_tokens_are_those_of_generate(model, examples, rows):
    prompts = model.speech_prompts(examples[:rows])
    assert told(model, prompts) == [response.token_ids for (response,) in generate(model, prompts, LENGTH)]


def test_a_row_that_ended_says_no_more_while_others_go_on(model, examples):
    prompts = model.speech_prompts(examples)
    whole = told(model, prompts)
    model.end_id = whole[0][3]  # from now on this token ends a caption
    said = told(model, prompts)
    assert said == [response.token_ids for (response,) in generate(model, prompts, LENGTH)]
    assert len(said[0]) <= 4 and said[0][-1] == model.end_id and all(model.end_id not in own[:-1] for own in said)


def test_the_first_token_comes_before_the_rest_is_computed(model, examples):
    steps = stream(model, model.speech_prompts(examples[:1]), LENGTH)
    passes = []
    hook = model.llm.get_decoder().register_forward_hook(lambda *_: passes.append(1))
    next(steps)
    first = len(passes)
    next(steps)
    assert (first, len(passes)) == (2, 3)  # head and rest of the prompt, then one pass a token
    hook.remove()
