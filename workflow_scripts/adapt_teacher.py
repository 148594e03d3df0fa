"""Fit the LLM to captioning on text input."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.alignment.teacher import adapt_teacher
        from aligncap.config import Compute, Lora, Prompts, Teacher
        from aligncap.training.data import training_inputs

        adapt_teacher(
            Teacher(**smk.params.teacher),
            Lora(**smk.params.lora),
            Prompts(**smk.params.prompts),
            smk.params.seed,
            Compute(**smk.params.compute),
            training_inputs(smk.params.corpora, smk.input),
            Path(smk.input.llm),
            Path(smk.output.lora),
            Path(smk.output.log),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
