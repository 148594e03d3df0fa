"""Tables 1 to 4: rows of the zero-shot table that the config selects, tested against a baseline."""

TABLES = contents.comparisons(settings)


rule comparison_table:
    input:
        zero_shot="<results>/tables/zero_shot.parquet",
        evaluations=lambda w: list(evaluations(contents.compared(settings, w.table)).values()),
        judged=lambda w: list(judged(w.table).values()),
    output:
        parquet="<results>/tables/{table}.parquet",
        csv=report("<results>/tables/{table}.csv", caption="../report/table.rst", category="Tables"),
        md="<results>/tables/{table}.md",
        tex="<results>/tables/{table}.tex",
        tests="<results>/tables/{table}_tests.parquet",
        tests_csv="<results>/tables/{table}_tests.csv",
    log:
        "<logs>/comparison_table/{table}.log",
    benchmark:
        "<benchmarks>/comparison_table/{table}.tsv"
    wildcard_constraints:
        table=one_of(TABLES),
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=more(1500),
        runtime=more(30),
    params:
        rows=lambda w: [list(row) for row in contents.compared(settings, w.table)],
        judged=lambda w: [list(row) for row in judged(w.table)],
        name=lambda w: w.table,
        table=lambda w: plain(getattr(settings.tables, w.table)),
        training_judge=settings.preference.judge.name,
        members=MEMBERS,
        evaluation=plain(settings.evaluation),
        code=digest("comparison_table"),
    script:
        "../workflow_scripts/comparison_table.py"


CLAIMS = [list(pair) for pair in contents.claims(settings)]


if CLAIMS:

    rule claims_table:
        input:
            evaluations=list(evaluations(contents.claimed(settings)).values()),
        output:
            parquet="<results>/tables/claims.parquet",
            csv=report("<results>/tables/claims.csv", caption="../report/claims.rst", category="Tables"),
            md="<results>/tables/claims.md",
            tex="<results>/tables/claims.tex",
        log:
            "<logs>/claims_table/claims.log",
        benchmark:
            "<benchmarks>/claims_table/claims.tsv"
        conda:
            "../envs/evaluation.yaml"
        resources:
            mem_mb=more(1500),
            runtime=more(30),
        params:
            claims=CLAIMS,
            rows=[list(row) for row in contents.claimed(settings)],
            members=MEMBERS,
            evaluation=plain(settings.evaluation),
            code=digest("claims_table"),
        script:
            "../workflow_scripts/claims_table.py"


rule tag_reliance:
    input:
        evaluations=list(evaluations().values()),
        predicted=of_test("<results>/clues/{corpus}/predicted.parquet"),
    output:
        parquet="<results>/tables/tag_reliance.parquet",
        md="<results>/tables/tag_reliance.md",
    log:
        "<logs>/tag_reliance/tag_reliance.log",
    benchmark:
        "<benchmarks>/tag_reliance/tag_reliance.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=more(1500),
        runtime=more(30),
    params:
        rows=[list(row) for row in evaluations()],
        members=MEMBERS,
        corpora=TEST,
        evaluation=plain(settings.evaluation, only={"bootstrap", "seed"}),
        code=digest("tag_reliance"),
    script:
        "../workflow_scripts/tag_reliance.py"


rule assertions_table:
    input:
        evaluations=list(evaluations().values()),
    output:
        parquet="<results>/tables/assertions.parquet",
        csv=report("<results>/tables/assertions.csv", caption="../report/assertions.rst", category="Tables"),
        md="<results>/tables/assertions.md",
    log:
        "<logs>/assertions_table/assertions.log",
    benchmark:
        "<benchmarks>/assertions_table/assertions.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=more(1500),
        runtime=more(30),
    params:
        rows=[list(row) for row in evaluations()],
        members=MEMBERS,
        evaluation=plain(settings.evaluation, only={"bootstrap", "seed"}),
        code=digest("assertions_table"),
    script:
        "../workflow_scripts/assertions_table.py"
