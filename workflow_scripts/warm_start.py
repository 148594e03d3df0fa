"""Teach a new adapter the clue tags, with no LLM in the loop."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.alignment.warm_start import warm_start
        from aligncap.config import Adapter, Compute, WarmStart
        from aligncap.training.data import training_inputs

        warm_start(
            Adapter(**smk.params.adapter),
            WarmStart(**smk.params.warm_start),
            smk.params.seed,
            Compute(**smk.params.compute),
            training_inputs(smk.params.corpora, smk.input),
            Path(smk.input.targets),
            Path(smk.input.llm),
            Path(smk.output.adapter),
            Path(smk.output.log),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
