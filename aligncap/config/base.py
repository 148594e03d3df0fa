"""What every section of the configuration is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what NumPy and scikit-learn take
Count = Annotated[int, Field(ge=1)]
TopP = Annotated[
    float,
    Field(gt=0, le=1, description="tokens are drawn from the likeliest ones that together have this probability"),
]


class Section(BaseModel):
    """Base of every section: frozen, no key that it does not declare, and no number that is NaN or infinite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
