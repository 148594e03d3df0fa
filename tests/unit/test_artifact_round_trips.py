"""What is written is what is read, for random rows of every schema."""

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aligncap import artifacts

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)  # all of Unicode but lone surrogates
SIZES = {pa.int32(): 31, pa.int64(): 63}
WIDTHS = {pa.float16(): 16, pa.float32(): 32, pa.float64(): 64}


def values(column: pa.Field) -> st.SearchStrategy[Any]:
    """Values of a column, null among them where the schema allows it."""
    kind = column.type
    if pa.types.is_list(kind):
        found = st.lists(values(kind.value_field), max_size=3)
    elif pa.types.is_struct(kind):
        found = st.fixed_dictionaries({part.name: values(part) for part in kind})
    elif pa.types.is_integer(kind):
        found = st.integers(-(2 ** SIZES[kind]), 2 ** SIZES[kind] - 1)
    elif pa.types.is_floating(kind):
        found = st.floats(allow_nan=False, width=WIDTHS[kind])
    elif pa.types.is_boolean(kind):
        found = st.booleans()
    else:
        found = st.binary(max_size=9) if pa.types.is_large_binary(kind) else TEXT
    return st.none() | found if column.nullable else found


def rows(schema: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(
        st.fixed_dictionaries({column.name: values(column) for column in artifacts.SCHEMAS[schema]}), max_size=5
    )


@pytest.mark.parametrize("schema", sorted(artifacts.SCHEMAS))
def test_rows_come_back_from_a_list_and_from_a_data_frame(schema: str) -> None:
    @settings(max_examples=15, deadline=None, derandomize=True, database=None)
    @given(rows(schema))
    def come_back(given_rows: list[dict[str, Any]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            first, second = Path(folder) / "a.parquet", Path(folder) / "b.parquet"
            artifacts.write(given_rows, first, schema, "test")
            assert artifacts.read_rows(first, schema) == given_rows
            artifacts.write(artifacts.read(first, schema), second, schema, "test")
            assert artifacts.read_rows(second, schema) == given_rows
            assert first.read_bytes() == second.read_bytes()

    come_back()
