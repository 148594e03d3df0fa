"""Build (better, worse) pairs from scored candidates."""

from pathlib import Path

from aligncap.job import by_name, job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Pairs
        from aligncap.preference.pairs import build_pairs

        build_pairs(
            Pairs(**smk.params.pairs),
            smk.params.seed,
            Path(smk.input.candidates),
            Path(smk.input.scores),
            *(by_name(smk.params.corpora, smk.input[n]) for n in ("gold", "references", "transcripts", "prosody")),
            Path(smk.input.plan),
            Path(smk.input.llm),
            smk.params.max_new_tokens,
            Path(smk.output.pairs),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
