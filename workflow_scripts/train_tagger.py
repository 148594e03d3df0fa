"""Train the clue tagger, and predict the training clips out of fold."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.clues.tagger.training import TaggerSources, TrainedTagger, train_tagger
        from aligncap.config import TaggerSettings

        tagger, seed = TaggerSettings(**smk.params.tagger), smk.params.seed
        train_tagger(tagger, seed, given.inputs(TaggerSources), given.outputs(TrainedTagger))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
