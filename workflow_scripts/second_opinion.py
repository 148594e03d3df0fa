"""Find the emotion of captions with the second instrument."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk):
        from aligncap.config import Compute
        from aligncap.evaluation.second_instrument import second_opinion

        second_opinion(
            Compute(**smk.params.compute),
            [Path(path) for path in smk.input.captions],
            Path(smk.input.references),
            Path(smk.input.instrument),
            Path(smk.input.llm),
            Path(smk.output.opinions),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
