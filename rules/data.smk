# Raw files, real or made → arrays, index and truth.
rule fetch:
    input:
        code=lambda w: plan.code("fetch", "datasets", plan.kind("datasets", w.dataset)),
    output:
        manifest="<results>/{dataset}/fetched/manifest.csv",
    log:
        "<logs>/{dataset}/fetch.log",
    priority: 3  # which raw files are missing is said before anything else is begun
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        options=lambda w: plan.options("datasets", w.dataset, function="fetch"),
    shell:
        "python scripts/fetch.py {params.options} --label {wildcards.dataset} --manifest {output.manifest} &> {log}"


rule simulate:
    input:
        code=lambda w: plan.code("simulate", "datasets", plan.kind("datasets", w.dataset)),
    output:
        manifest="<results>/{dataset}/simulated/manifest.csv",
    log:
        "<logs>/{dataset}/simulate.log",
    priority: 3  # what a dataset's long trainings wait for
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda w, attempt: 2_000 * attempt,
        runtime=lambda w: plan.resource(w.dataset, "runtime", 720),
    params:
        options=lambda w: plan.options("datasets", w.dataset, function="simulate"),
    shell:
        "python scripts/simulate.py {params.options} --manifest {output.manifest} &> {log}"


rule prepare:
    input:
        manifest=lambda w: plan.manifest(w.dataset),
        code=lambda w: plan.code("prepare", "datasets", plan.kind("datasets", w.dataset)),
    output:
        part=temp("<results>/{dataset}/data/parts/{part}of{parts}.npz"),
    log:
        "<logs>/{dataset}/prepare/{part}of{parts}.log",
    priority: 3  # what a dataset's long trainings wait for
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda w, attempt: plan.resource(w.dataset, "mem_mb", 4_000) * attempt,
        runtime=lambda w: plan.resource(w.dataset, "runtime", 720),
    params:
        options=lambda w: plan.options("datasets", w.dataset, function="prepare"),
    shell:
        "python scripts/prepare.py {params.options} --manifest {input.manifest}"
        " --part {wildcards.part} --parts {wildcards.parts} --out {output.part} &> {log}"


rule pack:
    input:
        parts=lambda w: plan.part_files(w.dataset),
        manifest=lambda w: plan.manifest(w.dataset),
        code=lambda w: plan.code("pack"),
    output:
        images="<results>/{dataset}/data/images.npy",
        truth="<results>/{dataset}/data/truth.npy",
        index="<results>/{dataset}/data/index.parquet",
        info="<results>/{dataset}/data/info.json",
    log:
        "<logs>/{dataset}/pack.log",
    priority: 3  # what a dataset's long trainings wait for
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=lambda w, attempt: plan.resource(w.dataset, "mem_mb", 4_000) * attempt,
        runtime=lambda w: plan.resource(w.dataset, "runtime", 720),
    params:
        options=lambda w: plan.options("datasets", w.dataset, function="pack"),
        source=lambda w: plan.source(w.dataset),
        settings=lambda w: plan.dataset_settings(w.dataset),
    shell:
        "python scripts/pack.py {params.options} --parts {input.parts} --manifest {input.manifest} --source {params.source}"
        " --settings {params.settings}"
        " --images {output.images} --truth {output.truth} --index {output.index} --info {output.info} &> {log}"


rule choose:
    input:
        index="<results>/{dataset}/data/index.parquet",
        info="<results>/{dataset}/data/info.json",
        code=lambda w: plan.code("choose"),
    output:
        explained="<results>/{dataset}/data/explained.parquet",
        facts="<results>/{dataset}/data/facts.json",
    log:
        "<logs>/{dataset}/choose.log",
    priority: 3  # it takes a moment, and may refuse what is wished for
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        options=lambda w: plan.options("datasets", w.dataset, function="choose"),
    shell:
        "python scripts/choose.py {params.options} --index {input.index} --info {input.info}"
        " --explained {output.explained} --facts {output.facts} &> {log}"
