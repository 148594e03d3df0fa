"""Figures 1 to 4 and their special inputs: in-domain dev utterances, and hidden states for speech and text input."""

DROP = [system for system in settings.figures.drop if system in of_stage("alignment", "preference")]
REPRESENTED = [
    system for system in settings.figures.representations.systems if system in of_stage("alignment", "preference")
]
SELECTIVE = {key: path for key, path in evaluations().items() if plain_name(key[0]) in settings.figures.selective}
# A figure is made where the experiment has something to draw.
FIGURES = [
    *(["figure1"] if DROP else []),
    *(["figure2"] if "table3" in TABLES else []),
    *(["figure3"] if REPRESENTED else []),
    *(["figure4"] if SELECTIVE else []),
]


rule devset:
    input:
        plan="<results>/plan.parquet",
        references="<results>/corpora/{corpus}/references.parquet",
        predicted="<results>/clues/{corpus}/predicted.parquet",
    output:
        references="<results>/in_domain/corpora/{corpus}/references.parquet",
        predicted="<results>/in_domain/clues/{corpus}/predicted.parquet",
    log:
        "<logs>/devset/{corpus}.log",
    benchmark:
        "<benchmarks>/devset/{corpus}.tsv"
    wildcard_constraints:
        corpus=one_of(TRAIN),
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=more(1000),
        runtime=more(10),
    params:
        limit=settings.figures.in_domain,
        code=digest("devset"),
    script:
        "../workflow_scripts/devset.py"


use rule caption_testset as caption_devset with:
    input:
        checkpoint=lambda w: checkpoint_of(w.system),
        llm=model("llm"),
        features="<results>/features/{corpus}.parquet",
        predicted="<results>/in_domain/clues/{corpus}/predicted.parquet",
    output:
        captions="<results>/in_domain/captions/{system}/{corpus}.parquet",
    log:
        "<logs>/caption_devset/{system}/{corpus}.log",
    benchmark:
        "<benchmarks>/caption_devset/{system}/{corpus}.tsv"
    wildcard_constraints:
        system=one_of(DROP),
        corpus=one_of(TRAIN),


use rule score_captions as score_devset with:
    input:
        **{
            **SCORED_WITH,
            "references": "<results>/in_domain/corpora/{corpus}/references.parquet",
            "opinions": [],  # figure 1 shows no metric of the second instrument
        },
        captions=[f"<results>/in_domain/captions/{system}/{{corpus}}.parquet" for system in DROP],
    output:
        evaluations=[f"<results>/in_domain/evaluation/{system}/{{corpus}}.parquet" for system in DROP],
    log:
        "<logs>/score_devset/{corpus}.log",
    benchmark:
        "<benchmarks>/score_devset/{corpus}.tsv"
    wildcard_constraints:
        corpus=one_of(TRAIN),
    params:
        captioned=DROP,
        scored=DROP,
        evaluation=plain(settings.evaluation) | {"meteor": False, "spice": "off"},  # nor these


rule figure_drop:
    input:
        in_domain=[f"<results>/in_domain/evaluation/{system}/{corpus}.parquet" for system in DROP for corpus in TRAIN],
        tested=[f"<results>/evaluation/{system}/{corpus}.parquet" for system in DROP for corpus in TEST],
        references=of_test("<results>/corpora/{corpus}/references.parquet"),
    output:
        **drawn(1, "", "examples"),
    log:
        "<logs>/figure_drop/figure1.log",
    benchmark:
        "<benchmarks>/figure_drop/figure1.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=more(1500),
        runtime=more(15),
    params:
        systems=DROP,
        train=TRAIN,
        test=TEST,
        evaluation=plain(settings.evaluation),
        code=digest("figure_drop"),
    script:
        "../workflow_scripts/figure_drop.py"


rule figure_methods:
    input:
        table="<results>/tables/table3.parquet",
        tests="<results>/tables/table3_tests.parquet",
    output:
        **drawn(2, ""),
    log:
        "<logs>/figure_methods/figure2.log",
    benchmark:
        "<benchmarks>/figure_methods/figure2.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=more(1500),
        runtime=more(15),
    params:
        code=digest("figure_methods"),
    script:
        "../workflow_scripts/figure_methods.py"


rule representations:
    # Training corpora only: on a test corpus the text side could hold no more than the speech side reads too.
    input:
        **INPUTS,
        checkpoint=lambda w: checkpoint_of(w.system),
        llm=model("llm"),
    output:
        vectors="<results>/representations/{system}.parquet",
    log:
        "<logs>/representations/{system}.log",
    benchmark:
        "<benchmarks>/representations/{system}.tsv"
    wildcard_constraints:
        system=one_of(REPRESENTED),
    conda:
        "../envs/llm.yaml"
    threads: THREADS
    resources:
        gpu=gpus(1),
        mem_mb=more(3000),
        runtime=more(60),
    params:
        corpora=TRAIN,
        representations=plain(settings.figures.representations, without={"systems"}),
        compute=plain(settings.compute),
        code=digest("representations"),
    script:
        "../workflow_scripts/representations.py"


rule figure_tsne:
    input:
        vectors=[f"<results>/representations/{system}.parquet" for system in REPRESENTED],
    output:
        **drawn(3, "points", "measures", "tests"),
    log:
        "<logs>/figure_tsne/figure3.log",
    benchmark:
        "<benchmarks>/figure_tsne/figure3.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=more(2000),
        runtime=more(15),
    params:
        systems=REPRESENTED,
        figures=plain(settings.figures, only={"perplexity", "seed"}),
        evaluation=plain(settings.evaluation),
        code=digest("figure_tsne"),
    script:
        "../workflow_scripts/figure_tsne.py"


rule figure_selective:
    input:
        evaluations=list(SELECTIVE.values()),
        predicted=of_test("<results>/clues/{corpus}/predicted.parquet"),
    output:
        **drawn(4, "", "areas"),
    log:
        "<logs>/figure_selective/figure4.log",
    benchmark:
        "<benchmarks>/figure_selective/figure4.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=more(1500),
        runtime=more(15),
    params:
        rows=[list(row) for row in SELECTIVE],
        test=TEST,
        members=MEMBERS,
        evaluation=plain(settings.evaluation, only={"bootstrap", "seed"}),
        code=digest("figure_selective"),
    script:
        "../workflow_scripts/figure_selective.py"
