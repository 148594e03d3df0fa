"""Draw figure 1: hallucinations, and the loss on corpora outside the training."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Evaluation
        from aligncap.evaluation.figures.drop import DropInputs, FigureFiles, draw_drop

        evaluation, files = Evaluation(**smk.params.evaluation), given.outputs(FigureFiles)
        draw_drop(evaluation, smk.params.systems, given.inputs(DropInputs), files)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
