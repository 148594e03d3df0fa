"""The rule graph: read, thinned, laid out and drawn."""

import re
from xml.etree import ElementTree

import pytest

from aligncap.errors import ArtifactError
from aligncap.evaluation.rule_graph import draw, draw_rule_graph, layered, read_dot, reduced

DOT = """digraph snakemake_dag {
    node[shape=box];
	0[label = "all", color = "0.1 0.6 0.85", style="rounded"];
	1[label = "report", style="rounded"];
	2[label = "train_alignment\\nsystem: kd", style="rounded"];
	3[label = "prepare_corpus"];
	4[label = "snapshot"];
	1 -> 0
	2 -> 1
	3 -> 1
	3 -> 2
	4 -> 1
}
"""


def test_dot_is_read_without_the_target_that_collects():
    names, edges = read_dot(DOT)
    assert names == ["report", "train_alignment", "prepare_corpus", "snapshot"]
    assert set(edges) == {
        ("train_alignment", "report"),
        ("prepare_corpus", "report"),
        ("prepare_corpus", "train_alignment"),
        ("snapshot", "report"),
    }
    with pytest.raises(ArtifactError, match="not a graph in DOT"):
        read_dot("nothing to be done")


def test_a_second_round_leads_back_and_is_drawn_once():
    names = ["kd", "candidates", "pairs", "logps", "po", "captions"]
    steps = [("kd", "po"), ("kd", "candidates"), ("candidates", "pairs"), ("pairs", "logps"), ("logps", "po")]
    back = [("po", "candidates"), ("po", "logps")]
    lines = [f'{n}[label = "{name}"];' for n, name in enumerate(names)]
    lines += [f"{names.index(a)} -> {names.index(b)}" for a, b in [*back, *steps, ("po", "captions")]]
    found, edges = read_dot("\n".join(lines))
    assert set(edges) == {*steps, ("po", "captions")}
    assert "captions" in draw(found, edges)


def test_what_follows_from_other_edges_is_left_out():
    names, edges = read_dot(DOT)
    assert ("prepare_corpus", "report") not in reduced(names, edges)
    assert len(reduced(names, edges)) == 3


def test_every_edge_goes_down_and_a_first_rule_stands_near_what_needs_it():
    names, edges = read_dot(DOT)
    layer = layered(names, edges)
    assert all(layer[a] < layer[b] for a, b in edges)
    assert layer["snapshot"] == layer["report"] - 1


def test_boxes_do_not_overlap_and_words_say_the_same():
    names = [f"rule_{n:02d}" for n in range(30)]
    edges = [(names[a], names[b]) for a in range(30) for b in range(a + 1, 30) if (a * 7 + b * 3) % 11 == 0]
    text = draw(names, edges)
    assert text == draw(names, edges)
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    boxes = [tuple(float(box.get(k)) for k in ("x", "y", "width")) for box in root.iter(f"{space}rect")]
    assert len(boxes) == 30
    for number, (x, y, width) in enumerate(boxes):
        assert x >= 0
        for other_x, other_y, other_width in boxes[number + 1 :]:
            assert y != other_y or x + width < other_x or other_x + other_width < x
    words = root.find(f"{space}desc").text
    assert all(re.search(rf"{b} after [^;]*{a}", words) for a, b in edges)


def test_the_graph_comes_from_a_program_that_gets_the_configuration(tmp_path, monkeypatch):
    (tmp_path / "printer.py").write_text(
        "import json, sys\n"
        "names = json.load(open(sys.argv[2]))['names']\n"
        "if not names: sys.exit('no rules')\n"
        "for n, name in enumerate(names): print(f'{n}[label = \"{name}\"];')\n"
        "print('0 -> 1')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    draw_rule_graph(["printer", "--graph"], {"names": ["first", "second"]}, tmp_path / "dag.svg")
    assert 'id="rule-second"' in (tmp_path / "dag.svg").read_text()
    with pytest.raises(ArtifactError, match=r"printer --graph: exit 1 \(no rules\)"):
        draw_rule_graph(["printer", "--graph"], {"names": []}, tmp_path / "dag.svg")
