"""What can be measured here, looked up before anything is trained."""

from __future__ import annotations

import logging
from pathlib import Path

from aligncap import artifacts
from aligncap.config import Evaluation
from aligncap.evaluation.metrics import TEXT_METRICS, why_absent

logger = logging.getLogger(__name__)


def probe_metrics(evaluation: Evaluation, out: Path) -> None:
    """Rule ``probe_metrics``: look for Java and for what SPICE needs.

    Args:
        evaluation: ``meteor`` and ``spice`` are used.
        out: JSON: metric -> null, or why it will be absent.

    Raises:
        MetricError: SPICE is required and cannot be had.
    """
    absent = why_absent(evaluation.meteor, evaluation.spice)
    for reason in dict.fromkeys(absent.values()):
        logger.warning("%s will be absent: %s", ", ".join(m for m, why in absent.items() if why == reason), reason)
    artifacts.write_json({metric: absent.get(metric) for metric in TEXT_METRICS}, out)
