"""Speech-text alignment: warm start, teacher, and every system of stage `alignment`."""


rule warm_start:
    input:
        **INPUTS,
        targets="<results>/tagger/out_of_fold.parquet",
        llm=model("llm"),
        launch=LAUNCH_FILES,
    output:
        adapter="<results>/warm_start/{variant}/adapter.safetensors",
        log="<results>/warm_start/{variant}/training.parquet",
    log:
        "<logs>/warm_start/{variant}.log",
    benchmark:
        "<benchmarks>/warm_start/{variant}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: THREADS * PROCESSES
    resources:
        gpu=gpus(PROCESSES),
        mem_mb=more(4000 * PROCESSES),
        runtime=more(240),
    params:
        corpora=TRAIN,
        adapter=lambda w: plain(EFFECTIVE[WARM_START[w.variant]].adapter),
        warm_start=lambda w: plain(EFFECTIVE[WARM_START[w.variant]].warm_start),
        seed=lambda w: EFFECTIVE[WARM_START[w.variant]].seed,
        compute=plain(settings.compute),
        launch=LAUNCH,
        code=digest("warm_start"),
    script:
        "../workflow_scripts/warm_start.py"


if settings.teacher.adapt:

    rule parse_descriptions:
        input:
            files=settings.teacher.descriptions,
        output:
            descriptions="<results>/teacher/descriptions.parquet",
        log:
            "<logs>/parse_descriptions/descriptions.log",
        benchmark:
            "<benchmarks>/parse_descriptions/descriptions.tsv"
        conda:
            "../envs/llm.yaml"
        resources:
            mem_mb=more(1500),
            runtime=more(30),
        params:
            code=digest("parse_descriptions"),
        script:
            "../workflow_scripts/parse_descriptions.py"

    rule adapt_teacher:
        input:
            **TEXT_INPUTS,
            predicted=[],
            llm=model("llm"),
            descriptions=["<results>/teacher/descriptions.parquet"] if settings.teacher.descriptions else [],
            launch=LAUNCH_FILES,
        output:
            lora="<results>/teacher/lora.safetensors",
            log="<results>/teacher/training.parquet",
        log:
            "<logs>/adapt_teacher/teacher.log",
        benchmark:
            "<benchmarks>/adapt_teacher/teacher.tsv"
        conda:
            "../envs/llm.yaml"
        threads: THREADS * PROCESSES
        resources:
            gpu=gpus(PROCESSES),
            mem_mb=more(4000 * PROCESSES),
            runtime=more(720),
        params:
            corpora=TRAIN,
            teacher=plain(settings.teacher, only={"adapt", "adaptation"}),
            lora=plain(settings.lora),
            prompts=plain(settings.prompts),
            seed=settings.seed,
            compute=plain(settings.compute),
            launch=LAUNCH,
            code=digest("adapt_teacher"),
        script:
            "../workflow_scripts/adapt_teacher.py"


rule teacher_responses:
    input:
        **TEXT_INPUTS,
        predicted=lambda w: predicted_clues(RESPONSES[w.variant]),
        llm=model("llm"),
        teacher_lora=teacher_lora(),
    output:
        responses="<results>/teacher_responses/{variant}/{corpus}.parquet",
    log:
        "<logs>/teacher_responses/{variant}/{corpus}.log",
    benchmark:
        "<benchmarks>/teacher_responses/{variant}/{corpus}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: THREADS
    resources:
        gpu=gpus(1),
        mem_mb=more(3000),
        runtime=more(720),
    params:
        corpora=TRAIN,
        teacher=lambda w: plain(EFFECTIVE[RESPONSES[w.variant]].teacher, only={"clues", "sampling"}),
        lora=plain(settings.lora),
        prompts=lambda w: plain(EFFECTIVE[RESPONSES[w.variant]].prompts),
        seed=settings.seed,
        max_new_tokens=settings.decoding.max_new_tokens,
        compute=plain(settings.compute),
        code=digest("teacher_responses"),
    script:
        "../workflow_scripts/teacher_responses.py"


rule teacher_logits:
    input:
        **TEXT_INPUTS,
        predicted=lambda w: predicted_clues(TEACHER[w.variant]),
        teacher_responses=lambda w: teacher_responses_of(TEACHER[w.variant], w.corpus),
        llm=model("llm"),
        teacher_lora=teacher_lora(),
    output:
        logits=part_of("<results>/teacher_logits/{variant}/{corpus}.parquet"),
    log:
        in_part("<logs>/teacher_logits/{variant}/{corpus}.log"),
    benchmark:
        in_part("<benchmarks>/teacher_logits/{variant}/{corpus}.tsv")
    conda:
        "../envs/llm.yaml"
    threads: THREADS
    resources:
        gpu=gpus(1),
        mem_mb=more(3000),
        runtime=more(720),
    params:
        corpora=TRAIN,
        teacher=lambda w: plain(
            EFFECTIVE[TEACHER[w.variant]].teacher, only={"clues", "responses", "top_k", "temperature"}
        ),
        lora=plain(settings.lora),
        prompts=lambda w: plain(EFFECTIVE[TEACHER[w.variant]].prompts),
        compute=plain(settings.compute),
        code=digest("teacher_logits"),
    script:
        "../workflow_scripts/teacher_logits.py"


rule train_alignment:
    input:
        **INPUTS,
        teacher_logits=lambda w: teacher_logits_of(w.system),
        teacher_responses=lambda w: teacher_responses_of(w.system),
        warm_start=lambda w: warm_start_of(w.system),
        tagger="<results>/tagger/tagger.safetensors",
        llm=model("llm"),
        teacher_lora=teacher_lora(),
        launch=LAUNCH_FILES,
    output:
        **named_checkpoint(),
    log:
        "<logs>/train_alignment/{system}.log",
    benchmark:
        "<benchmarks>/train_alignment/{system}.tsv"
    wildcard_constraints:
        system=one_of(of_stage("alignment")),
    conda:
        "../envs/llm.yaml"
    threads: THREADS * PROCESSES
    resources:
        gpu=gpus(PROCESSES),
        mem_mb=more(6000 * PROCESSES),
        runtime=more(1440),
    params:
        corpora=TRAIN,
        alignment=lambda w: plain(EFFECTIVE[w.system].alignment),
        adapter=lambda w: plain(EFFECTIVE[w.system].adapter),
        lora=plain(settings.lora),
        prompts=lambda w: plain(EFFECTIVE[w.system].prompts),
        teacher=lambda w: plain(EFFECTIVE[w.system].teacher, only={"clues", "live", "responses", "temperature"}),
        seed=lambda w: EFFECTIVE[w.system].seed,
        description=DESCRIPTION,
        compute=plain(settings.compute),
        launch=LAUNCH,
        code=digest("train_alignment"),
    script:
        "../workflow_scripts/train_alignment.py"
