"""Fit the LLM to captioning on text input."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.alignment.teacher import AdaptationSettings, AdaptedTeacher, adapt_teacher
        from aligncap.training.data import TrainingInputs

        adapt_teacher(given.settings(AdaptationSettings), given.inputs(TrainingInputs), given.outputs(AdaptedTeacher))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
