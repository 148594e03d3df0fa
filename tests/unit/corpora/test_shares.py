"""Groups that come near to a share of the clips, whatever their sizes."""

import pytest

from aligncap.corpora.shares import nearest_share


@pytest.mark.parametrize(
    ("sizes", "wanted", "most", "taken"),
    [
        ([1] * 10, 3, None, "abc"),
        ([1] * 10, 0, None, "a"),
        ([96, 1, 1, 1, 1], 10, None, "bcde"),
        ([96, 1, 1, 1, 1], 10, 2, "bc"),
        ([4, 60, 4, 4, 4], 7, None, "a"),
        ([30, 20, 50], 5, None, "b"),
        ([50, 50], 90, 1, "a"),
        ([2, 3], 4, None, "ab"),
    ],
)
def test_the_groups_taken(sizes: list[int], wanted: float, most: int | None, taken: str) -> None:
    groups = {chr(ord("a") + number): size for number, size in enumerate(sizes)}
    assert nearest_share(groups, wanted, most) == list(taken)
