"""The check which metrics are available here, made before anything is trained."""

from __future__ import annotations

import logging
from pathlib import Path

from aligncap import artifacts
from aligncap.config import Evaluation
from aligncap.evaluation.metrics import TEXT_METRICS, why_absent

logger = logging.getLogger(__name__)


def probe_metrics(evaluation: Evaluation, out: Path) -> None:
    """Look for Java and for the files that SPICE needs (rule ``probe_metrics``).

    Args:
        evaluation: Settings, of which ``meteor`` and ``spice`` are used.
        out: JSON file: metric -> null, or the reason why it will be absent.

    Raises:
        MetricError: SPICE is required and unavailable.
    """
    absent = why_absent(evaluation.meteor, evaluation.spice)
    for reason in dict.fromkeys(absent.values()):
        logger.warning("%s will be absent: %s", ", ".join(m for m, why in absent.items() if why == reason), reason)
    artifacts.write_json({metric: absent.get(metric) for metric in TEXT_METRICS}, out)
