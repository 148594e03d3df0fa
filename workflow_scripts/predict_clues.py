"""Predict the clues of a corpus from speech."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.clues.tagger.prediction import PredictionInputs, PredictionSettings, predict_clues

        predict_clues(given.settings(PredictionSettings), given.inputs(PredictionInputs), Path(smk.output.predicted))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
