"""Write the report."""

from pathlib import Path

from aligncap.job import by_name, job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Report
        from aligncap.evaluation.report import ReportInputs, write_report

        params, files, out = smk.params, smk.input, Path(smk.output.html)
        said = (by_name(params.corpora, t) for t in (files.references, files.transcripts, files.predicted))
        tables = (by_name(params.tables, t) for t in (files.tables, files.tests))
        inputs = ReportInputs(
            *map(Path, (files.table, files.snapshot)),
            by_name([tuple(row) for row in params.rows], files.evaluations),
            *said,
            by_name(params.training, files.training),
            Path(files.out_of_fold),
            by_name(params.pairs, files.pairs),
            sorted((out.parent / "benchmarks").rglob("*.tsv")),
            params.synthetic,
            *tables,
            by_name(params.figures, files.figures),
        )
        write_report(Report(**params.report), inputs, out)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
