"""Compare what people write of voices with what was measured on them."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Evaluation
        from aligncap.evaluation.listeners import write_listeners_table

        tables = zip(*(map(Path, smk.input[name]) for name in ("references", "gold", "prosody")), strict=True)
        inputs = dict(zip(smk.params.corpora, tables, strict=True))
        write_listeners_table(
            Evaluation(**smk.params.evaluation), inputs, Path(smk.output.parquet), Path(smk.output.md)
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
