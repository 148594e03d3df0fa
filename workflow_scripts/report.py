"""Write the report."""

from pathlib import Path

from aligncap.job import by_name, job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Report
        from aligncap.evaluation.report import ReportInputs, write_report

        params, files, out = smk.params, smk.input, Path(smk.output.html)
        tables = (by_name(params.corpora, t) for t in (files.references, files.transcripts, files.predicted))
        inputs = ReportInputs(
            *map(Path, (files.table, files.snapshot)),
            by_name([tuple(row) for row in params.rows], files.evaluations),
            *tables,
            training=by_name(params.training, files.training),
            out_of_fold=Path(files.out_of_fold),
            pairs=by_name(params.pairs, files.pairs),
            benchmarks=sorted((out.parent / "benchmarks").rglob("*.tsv")),
            synthetic=params.synthetic,
        )
        write_report(Report(**params.report), inputs, out)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
