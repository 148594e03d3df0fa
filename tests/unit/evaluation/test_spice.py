"""SPICE: looked for before anything is trained, absent with a reason, run with pycocoevalcap's options."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from aligncap.config import Evaluation
from aligncap.errors import MetricError
from aligncap.evaluation import java, metrics, spice
from aligncap.evaluation.probe import probe_metrics

# A stand-in for Java 11 and the jar: reports its version, else scores every item by its number of words.
FAKE_JAVA = """#!{python}
import json, sys
if sys.argv[1:] == ["-version"]:
    sys.exit(sys.stderr.write('openjdk version "{version}"\\n') and 0)
items = json.load(open(sys.argv[sys.argv.index("-jar") + 2]))
scored = [{{"image_id": i["image_id"], "scores": {{"All": {{"f": len(i["test"].split()) / 10}}}}}} for i in items]
json.dump(scored[::-1], open(sys.argv[sys.argv.index("-out") + 1], "w"))
"""


@pytest.fixture
def with_java(tmp_path, monkeypatch):
    def put(version: str) -> None:
        path = tmp_path / "bin" / "java"
        path.parent.mkdir(exist_ok=True)
        path.write_text(FAKE_JAVA.format(python=sys.executable, version=version))
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(path.parent))
        monkeypatch.delenv("JAVA_HOME", raising=False)

    return put


@pytest.fixture
def with_jars(tmp_path, monkeypatch):
    lib = tmp_path / "spice" / "lib"
    lib.mkdir(parents=True)
    (lib.parent / "spice-1.0.jar").touch()
    for name in (f"{spice.CORENLP}.jar", f"{spice.CORENLP}-models.jar"):
        (lib / name).touch()
    monkeypatch.setattr(spice, "pycocoevalcap_file", lambda part: tmp_path / part)
    return lib


@pytest.mark.parametrize(("version", "fits"), [("1.8.0_392", True), ("11.0.21", True), ("17.0.15", False)])
def test_java_8_to_11(with_java, with_jars, version, fits):
    with_java(version)
    reason = spice.why_not()
    assert (reason is None) == fits
    assert fits or "Java 8 to 11" in reason and "found Java 17" in reason


def test_missing_models_come_with_the_remedy(with_java, with_jars):
    with_java("11.0.21")
    (with_jars / f"{spice.CORENLP}-models.jar").unlink()
    assert "get_stanford_models" in spice.why_not() and "download" in spice.why_not()


def test_scores_come_back_in_order(with_java, with_jars):
    with_java("11.0.21")
    corpus, items = spice.score(["one", "one two three"], [["a"], ["b", "c"]])
    assert items == [0.1, 0.3] and corpus == pytest.approx(0.2)


def test_a_jar_that_fails_is_an_error(with_java, with_jars, tmp_path):
    with_java("11.0.21")
    fake = tmp_path / "bin" / "java"
    fake.write_text(fake.read_text().replace("json.dump(scored[::-1]", "json.dump(scored[:1]"))
    with pytest.raises(MetricError, match="SPICE"):
        spice.score(["one", "two"], [["a"], ["b"]])


def test_require_fails_early_and_auto_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(spice, "why_not", lambda: "no Java 8")
    monkeypatch.setattr(java, "find_java", lambda: shutil.which("true"))
    out = tmp_path / "metrics.json"
    with pytest.raises(MetricError, match="evaluation.spice: require, but no Java 8"):
        probe_metrics(Evaluation(spice="require"), out)
    assert not out.exists()
    probe_metrics(Evaluation(spice="auto", meteor=False), out)
    found = json.loads(out.read_text())
    assert set(found) == set(metrics.TEXT_METRICS)
    assert found["spice"] == found["spider"] == "no Java 8" and found["bleu4"] is None
    assert "switched off" in found["meteor"]


def test_without_java_the_probe_names_every_metric(tmp_path, monkeypatch):
    def none():
        raise MetricError("java: none")

    monkeypatch.setattr(java, "find_java", none)
    probe_metrics(Evaluation(), tmp_path / "metrics.json")
    assert all("java: none" in v or "off" in v for v in json.loads((tmp_path / "metrics.json").read_text()).values())


def test_a_bare_off_of_yaml_is_off():
    assert Evaluation(spice=False).spice == "off"


def test_spider_is_the_mean_of_cider_and_spice(monkeypatch):
    candidates = {"a": "very sad voice", "b": "loud and angry"}
    references = {"a": ["a sad voice"], "b": ["an angry voice"]}
    monkeypatch.setattr(spice, "why_not", lambda: None)
    monkeypatch.setattr(spice, "score", lambda candidates, references: (0.3, [0.2, 0.4]))
    monkeypatch.setattr(java, "find_java", lambda: "java")
    monkeypatch.setattr(java, "tokenise", lambda texts: {text: text for text in texts})
    scored, unavailable = metrics.text_metrics({"x": candidates}, references, meteor=False, wish="auto")
    corpus = scored["x"].corpus
    assert set(unavailable) == {"meteor"} and corpus["spice"] == 0.3
    assert corpus["spider"] == pytest.approx((corpus["cider_d"] + 0.3) / 2)
    assert scored["x"].items["b"]["spider"] == pytest.approx((scored["x"].items["b"]["cider_d"] + 0.4) / 2)
