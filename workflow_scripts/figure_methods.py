"""Draw figure 2: the alignment methods side by side."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.evaluation.figures.methods import MethodsFiles, draw_methods

        draw_methods(Path(smk.input.table), Path(smk.input.tests), given.outputs(MethodsFiles))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
