"""Train the clue tagger, and predict the training clips out of fold."""

from pathlib import Path

from aligncap.job import by_name, job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.clues.tagger.training import Heard, Measured, train_tagger
        from aligncap.config import Tagger

        files = smk.input
        features, audio, *measured = (
            by_name(smk.params.corpora, table)
            for table in (files.features, files.audio, files.references, files.prosody, files.timbre)
        )
        heard = files.heard_features, files.heard_audio, files.heard_prosody, files.heard_timbre
        unlabelled = Heard(*(by_name(smk.params.unlabelled, table) for table in heard))
        outputs = (Path(smk.output.weights), Path(smk.output.predictions), Path(smk.output.others))
        settings = Tagger(**smk.params.tagger), smk.params.seed
        train_tagger(*settings, Path(files.plan), features, audio, Measured(*measured), unlabelled, *outputs)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
