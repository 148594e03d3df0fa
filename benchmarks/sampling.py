"""K candidates an utterance, against `generate(num_return_sequences=K)` of transformers.

Both sample the same number of utterances of a folder of recordings with the same temperature and nucleus, at the same
number of sequences at once. The samples differ, because the random numbers do; that both draw from the same
distribution is shown by the mean log-probability of a token, which the table has beside the number of tokens.

    python benchmarks/sampling.py ../shared/data/emodb/audio
"""

from typing import Any

import torch
from captioning import NEW_TOKENS, by_transformers, parser_of_clips, prompts_of
from clips import arithmetic, evenly, speed_lines, take_turns

from aligncap.captioner.generate import Sampling, generate
from aligncap.captioner.model import CaptionModel
from aligncap.captioner.packing import Prompt
from aligncap.config import Candidates, Compute
from aligncap.evaluation.wording import markdown_table
from aligncap.preference.candidates import ROWS
from aligncap.serving.captioner import Captioner
from aligncap.speech.audio import load_audio

SETTINGS = Candidates()
Answers = list[list[list[int]]]  # of each prompt, of each sample, token ids with the end


def sampled(model: CaptionModel, prompts: list[Prompt], samples: int) -> Answers:
    """Sample as the users of transformers do."""
    drawn = {"do_sample": True, "temperature": SETTINGS.temperature, "top_p": SETTINGS.top_p, "top_k": 0}
    answers = by_transformers(model, prompts, num_return_sequences=samples, **drawn)
    return [answers[start : start + samples] for start in range(0, len(answers), samples)]


def by_us(model: CaptionModel, prompts: list[Prompt], samples: int) -> Answers:
    """Sample as the rule ``candidates`` does."""
    drawn = Sampling(samples, SETTINGS.temperature, SETTINGS.top_p, list(range(len(prompts))))
    return [[own.token_ids for own in group] for group in generate(model, prompts, NEW_TOKENS, drawn)]


def main() -> None:
    """Read the options, time both in turn, and print a table."""
    parser = parser_of_clips(__doc__, 16)
    parser.add_argument("--samples", type=int, default=8)
    options = parser.parse_args()
    compute = Compute(device="cpu", precision="fp32", threads=options.threads)
    captioner, plain = (Captioner.load(options.checkpoint, compute=compute) for _ in range(2))
    plain.model.llm.set_attn_implementation("sdpa")  # as transformers has it by default
    clips = [captioner.prepare_clip(load_audio(path)) for path in evenly(options.folder, options.clips)]
    prompts = prompts_of(captioner, clips)
    size = max(1, ROWS // options.samples)
    batches = [prompts[start : start + size] for start in range(0, len(prompts), size)]
    torch.set_num_threads(options.threads)
    ways: dict[str, Any] = {
        "`generate`": lambda: [sampled(plain.model, own, options.samples) for own in batches],
        "ours": lambda: [by_us(captioner.model, own, options.samples) for own in batches],
    }
    spent, found = take_turns(ways, options.rounds)
    lines = speed_lines(spent, len(clips))
    for line in lines:
        tokens, logprob = 0, 0.0
        for own, answers in zip(batches, found[line[0]], strict=True):
            with torch.no_grad():
                logprob += float(captioner.model.response_logps(captioner.model.pack(own, answers)).sum())
            tokens += sum(len(ids) for group in answers for ids in group)
        line += [str(tokens), f"{logprob / tokens:.3f}"]
    head = [f"K = {options.samples} candidates", "s an utterance", "times as fast", "tokens", "nat a token"]
    print("\n".join(markdown_table("lrrrr", head, lines)))
    captioner.model.threads = 1  # what another thread computes is not counted
    print(arithmetic(ways, len(clips)))


if __name__ == "__main__":
    main()
