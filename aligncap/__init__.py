"""AlignCap: speech emotion captioning aligned with text and with human preferences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aligncap.serving.captioner import Captioner

__all__ = ["Captioner"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # torch and transformers take seconds to import; a rule that only reads Parquet does not pay for them.
    if name == "Captioner":
        from aligncap.serving.captioner import Captioner

        return Captioner
    raise AttributeError(f"module 'aligncap' has no attribute '{name}'")
