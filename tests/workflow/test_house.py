"""Rules of the house: where the code of a rule is, which way imports go, how long a module may be."""

import ast
import dataclasses
import importlib
import re

import pytest
import snakemake.api  # noqa: F401  (first: snakemake.workflow cannot be imported by itself)
import snakemake.workflow
from snakemake_project import ROOT
from test_code_digest import digests

CODE = digests(ROOT / "aligncap")
SCRIPTS = sorted((ROOT / "workflow_scripts").glob("*.py"))
RULES = {
    match[1]: match[2]
    for path in sorted((ROOT / "rules").glob("*.smk"))
    for match in re.finditer(r"^ *rule (\w+):\n(.*?)(?=^ *rule |\Z)", path.read_text(), re.MULTILINE | re.DOTALL)
}


def test_a_script_has_the_name_of_its_rule() -> None:
    assert {path.stem for path in SCRIPTS} == set(RULES)
    for rule, body in RULES.items():
        assert re.search(rf'^ +script:\n +"\.\./workflow_scripts/{rule}\.py"$', body, re.MULTILINE)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_only_joins_its_rule_to_one_function(path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 30
    assert ast.get_docstring(tree)
    assert "__future__" not in text and ".config[" not in text
    assert text.endswith('if __name__ == "__main__":\n    main(snakemake)  # noqa: F821\n')
    assert [node.name for node in tree.body if isinstance(node, ast.FunctionDef)] == ["main"]
    assert not any(isinstance(node, ast.For | ast.While | ast.Try) for node in ast.walk(tree))


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_says_what_it_needs(rule: str) -> None:
    for directive in ("output", "params", "log", "benchmark", "conda", "resources", "script"):
        assert re.search(rf"^ +{directive}:", RULES[rule], re.MULTILINE), directive
    for resource in ("mem_mb", "runtime"):
        assert f"{resource}=more(" in RULES[rule], "a retry asks for more"
    assert f'code=digest("{rule}")' in RULES[rule]
    environment = re.search(r'"\.\./(envs/\w+\.yaml)"', RULES[rule])
    assert environment and (ROOT / environment[1]).is_file()
    assert ("compute=" in RULES[rule]) == ("threads: THREADS" in RULES[rule])


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_takes_the_accelerator_if_its_code_can_use_one(rule: str) -> None:
    modules = CODE.closure(ROOT / "workflow_scripts" / f"{rule}.py")
    using = {name for name, path in modules.items() if "pick_device(compute)" in path.read_text()}
    if rule != "speech_features":
        using.discard("aligncap.speech.features")  # others only read features with it
    assert bool(re.search(r"\bgpu=(gpus|.*gpu_of)", RULES[rule])) == bool(using)


# What rule bodies unpack, by the text that stands there.
UNPACKED = {
    "**INPUTS": {"plan", "features", "references", "gold", "predicted"},
    "**TEXT_INPUTS": {"plan", "features", "references", "gold"},
    "**named_checkpoint()": {"adapter", "lora", "system", "log"},
    '**drawn(1, "", "examples")': {"svg", "png", "parquet", "examples"},
    '**drawn(2, "")': {"svg", "png", "parquet"},
    '**drawn(3, "points", "measures", "tests")': {"svg", "png", "points", "measures", "tests"},
    '**drawn(4, "", "areas")': {"svg", "png", "parquet", "areas"},
    "**SCORED_WITH": {"references", "prosody", "timbre", "transcripts", "audio", "encoder", "opinions", "metrics"},
}


def declared(body: str, directive: str) -> set[str]:
    """Names of a rule's inputs, outputs or parameters."""
    match = re.search(rf"^( +){directive}:\n(.*?)(?=^\1\w+:|\Z)", body, re.MULTILINE | re.DOTALL)
    text = match[2] if match else ""
    named = set(re.findall(rf"^ {{{len(match[1]) + 4}}}(\w+)=", text, re.MULTILINE)) if match else set()
    return named.union(*(names for unpacked, names in UNPACKED.items() if unpacked in text))


@pytest.mark.parametrize("rule", RULES)
def test_a_field_of_what_a_function_takes_has_the_name_that_the_rule_gives_it(rule: str) -> None:
    script = (ROOT / "workflow_scripts" / f"{rule}.py").read_text()
    homes = dict(
        (name.strip(), module)
        for module, names in re.findall(r"^ +from (aligncap\S+) import \(?([\w,\s]+?)\)?$", script, re.MULTILINE)
        for name in names.split(",")
    )
    sources = {"inputs": ["input"], "outputs": ["output"], "settings": ["params"]}
    for kind, name in re.findall(r"given\.(inputs|outputs|settings)\((\w+)\)", script):
        taken = getattr(importlib.import_module(homes[name]), name)
        if hasattr(taken, "_fields"):
            required = set(taken._fields) - set(taken._field_defaults)
        else:
            unset = dataclasses.MISSING
            required = {f.name for f in dataclasses.fields(taken) if f.default is f.default_factory is unset}
        given = set().union(*(declared(RULES[rule], directive) for directive in sources[kind]))
        wildcards = set(re.findall(r"{(\w+)}", RULES[rule])) | {"system"} if kind == "settings" else set()
        assert required <= given | wildcards, f"{name}: {sorted(required - given - wildcards)}"


def test_the_package_does_not_know_snakemake() -> None:
    modules = [path for path in (ROOT / "aligncap").rglob("*.py") if re.search("snakemake", path.read_text())]
    importing = [p for p in modules if re.search(r"^\s*(import|from) snakemake", p.read_text(), re.MULTILINE)]
    assert importing == []


def test_the_snakefile_is_a_table_of_contents() -> None:
    text = (ROOT / "Snakefile").read_text()
    assert len(text.splitlines()) <= 38 and text.count("rule ") == 1 and "def " not in text


def test_names_of_the_rule_files_hide_nothing_of_snakemake() -> None:
    # Rule files run in the namespace of snakemake.workflow: a `parse` of ours once replaced theirs.
    for path in [*(ROOT / "rules").glob("*.smk"), *(ROOT / "rules").glob("*.py")]:
        text = path.read_text()
        names = re.findall(r"^(?:def )?([A-Za-z_]\w*)(?= = |\()", text, re.MULTILINE)
        assert not {name for name in names if hasattr(snakemake.workflow, name)}, path.name
        for line in re.findall(r"^from (\S+) import (.+?)(?:  #.*)?$", text, re.MULTILINE):
            for name in line[1].split(", "):
                own = name.split(" as ")[-1]
                if hasattr(snakemake.workflow, own):
                    source = __import__(line[0], fromlist=["x"])
                    assert getattr(source, own) is getattr(snakemake.workflow, own), f"{path.name}: {own}"
