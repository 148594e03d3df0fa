"""Draw figure 4: risk of hallucination against the share of clips captioned."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Evaluation
        from aligncap.evaluation.figures.selective import SelectiveFiles, SelectiveInputs, draw_selective

        evaluation, files = Evaluation(**smk.params.evaluation), given.outputs(SelectiveFiles)
        draw_selective(evaluation, smk.params.members, given.inputs(SelectiveInputs), files)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
