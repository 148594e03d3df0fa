"""Systems: what they inherit, their seeds, and which artifacts they share."""

import pytest
from test_config import systems

from aligncap.errors import ConfigError
from aligncap.systems import candidates_name, lineage, pairs_name, parse, resolve_system, seed_members, variant


def test_a_system_inherits_and_a_preference_system_takes_its_parents_overrides():
    parsed = systems(
        kd_small={"extends": "kd", "overrides": {"adapter": {"queries": 4}, "alignment": {"kd_weight": 0.5}}},
        kd_smaller={"extends": "kd_small", "overrides": {"adapter": {"queries": 2}}},
        po={"stage": "preference", "parent": "kd_smaller", "overrides": {"preference": {"beta": 0.3}}},
    )
    smaller, po = resolve_system(parsed, "kd_smaller"), resolve_system(parsed, "po")
    assert (smaller.adapter.queries, smaller.alignment.kd_weight) == (2, 0.5)
    assert (po.adapter.queries, po.alignment.kd_weight, po.preference.beta) == (2, 0.5, 0.3)
    assert parsed.adapter.queries != 2, "the experiment's own settings stay"


def test_a_preference_system_has_its_parents_own_seed():
    parsed = systems(kd={"overrides": {"seed": 5}, "seeds": [0]}, aligncap={"seeds": [0]})
    assert resolve_system(parsed, "aligncap").seed == 5 and resolve_system(parsed, "aligncap@0").seed == 0


def test_seeds_are_systems_of_their_own():
    parsed = systems(kd={"seeds": [1, 2]}, aligncap={"seeds": [2]}, small={"extends": "kd"})
    names = list(parsed.systems)
    assert names[names.index("kd") :] == ["kd", "kd@1", "kd@2", "aligncap", "aligncap@2", "small"]
    assert resolve_system(parsed, "kd@2").seed == 2 and resolve_system(parsed, "kd").seed == 0
    assert lineage(parsed, "aligncap@2").parent == "kd@2"
    assert pairs_name(parsed, "aligncap@2") == "kd@2"
    assert seed_members(parsed) == {
        "sft": {"sft": 0},
        "kd": {"kd": 0, "kd@1": 1, "kd@2": 2},
        "aligncap": {"aligncap": 0, "aligncap@2": 2},
        "small": {"small": 0},
    }
    assert parse(parsed.model_dump()).systems == parsed.systems, "what a run records can be read again"


def test_systems_with_equal_settings_share_an_artifact():
    small = {"adapter": {"queries": 4}}
    parsed = systems(
        kd_a={"extends": "kd", "overrides": small},
        kd_b={"extends": "kd", "overrides": {**small, "alignment": {"steps": 5}}},
    )
    sections = ("adapter", "warm_start", "seed")
    assert variant(parsed, "kd", sections) == variant(parsed, "sft", sections) == "base"
    assert variant(parsed, "kd_a", sections) == variant(parsed, "kd_b", sections) == "kd_a"


def test_pairs_are_shared_by_parent_and_settings():
    def po(parent: str, **preference) -> dict:
        return {"stage": "preference", "parent": parent, "overrides": {"preference": preference}}

    parsed = systems(
        other_beta=po("kd", beta=0.5),
        hot=po("kd", candidates={"temperature": 2.0}),
        hot_again=po("kd", candidates={"temperature": 2.0}, beta=0.5),
        of_sft=po("sft"),
    )
    names = {name: pairs_name(parsed, name) for name in ("aligncap", "other_beta", "hot", "hot_again", "of_sft")}
    assert names == {"aligncap": "kd", "other_beta": "kd", "hot": "hot", "hot_again": "hot", "of_sft": "sft"}


def test_pairs_that_are_built_otherwise_share_their_candidates():
    def po(**preference) -> dict:
        return {"stage": "preference", "parent": "kd", "overrides": {"preference": preference}}

    parsed = systems(
        swaps=po(pairs={"hard_negatives": "always"}),
        hot=po(candidates={"temperature": 2.0}),
        hot_swaps=po(candidates={"temperature": 2.0}, pairs={"hard_negatives": "always"}),
    )
    names = {name: (pairs_name(parsed, name), candidates_name(parsed, name)) for name in ("swaps", "hot", "hot_swaps")}
    assert names == {"swaps": ("swaps", "kd"), "hot": ("hot", "hot"), "hot_swaps": ("hot_swaps", "hot")}


def test_pairs_of_different_parents_are_never_shared():
    def po(parent: str) -> dict:
        return {
            "stage": "preference",
            "parent": parent,
            "overrides": {"preference": {"candidates": {"temperature": 2.0}}},
        }

    parsed = systems(hot_kd=po("kd"), hot_sft=po("sft"))
    assert pairs_name(parsed, "hot_kd") != pairs_name(parsed, "hot_sft")


def test_rounds_continue_rounds():
    parsed = systems(
        round2={"stage": "preference", "parent": "aligncap"},
        ipo={"stage": "preference", "parent": "kd", "overrides": {"preference": {"loss": "ipo"}}},
        ipo2={"stage": "preference", "parent": "ipo"},
        round3={"extends": "round2", "parent": "round2", "overrides": {"preference": {"pairs": {"limit": 50}}}},
        round4={"extends": "round2", "parent": "round3"},
        sft_po={"stage": "preference", "parent": "sft"},
    )
    names = {name: pairs_name(parsed, name) for name in ("aligncap", "round2", "round3", "round4", "ipo", "ipo2")}
    assert names == {
        "aligncap": "kd",
        "round2": "aligncap-next",
        "round3": "round3",
        "round4": "round4",
        "ipo": "kd",
        "ipo2": "ipo-next",
    }
    assert pairs_name(parsed, "sft_po") == "sft" and resolve_system(parsed, "sft_po").alignment.kd_weight == 0
    assert resolve_system(parsed, "ipo2").preference.loss == "ipo", "a round inherits the settings of the one before"
    assert resolve_system(parsed, "round4").preference.pairs.limit == 50


def test_pairs_of_a_round_never_share_the_name_of_the_pairs_that_its_parent_had():
    hot = {"candidates": {"temperature": 2.0}}
    parsed = systems(
        hot={"stage": "preference", "parent": "kd", "overrides": {"preference": hot}},
        cool={
            "stage": "preference",
            "parent": "hot",
            "overrides": {"preference": {"candidates": {"temperature": 1.0}}},
        },
    )
    assert pairs_name(parsed, "hot") == "hot" and pairs_name(parsed, "cool") == "hot-next"


def test_a_circle_of_parents_is_refused():
    with pytest.raises(ConfigError, match=r"parent: a circle"):
        systems(x={"stage": "preference", "parent": "y"}, y={"stage": "preference", "parent": "x"})
