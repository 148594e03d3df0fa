"""Import captions of another model."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk):
        from aligncap.evaluation.baselines import import_captions

        import_captions(Path(smk.params.source), Path(smk.input.audio), Path(smk.output.captions))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
