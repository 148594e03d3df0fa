"""Collect the LLM's representations of speech and of the paired text."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Compute, Representations
        from aligncap.evaluation.figures.representations import RepresentationInputs, collect_representations

        settings, compute = Representations(**smk.params.representations), Compute(**smk.params.compute)
        collect_representations(settings, compute, given.inputs(RepresentationInputs), Path(smk.output.vectors))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
