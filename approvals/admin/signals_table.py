"""Signals, weights and score in the words of operators' pages."""

from typing import Any

from approvals.scoring import Signals, Weights, composite_score

_MEANINGS = (
    ("output_instability", "Output instability", "how far the words of the two outputs differ"),
    ("numeric_variance", "Numeric variance", "how far their numbers differ"),
    ("prompt_drift", "Prompt drift", "whether the prompt is another than the approved one"),
)
_ABSENT = {
    "output_instability": "absent: there were no two outputs",
    "numeric_variance": "absent: there are no numbers, or no outputs",
    "prompt_drift": "absent: no prompt is approved",
}

OUTPUTS_MISSING = (
    "The tool's risk is high and there were no two outputs of the model endpoint to compare, so there is no score and "
    "it is blocked. The prompt alone does not count here, not even the approved one."
)


def signal_rows(signals: Signals, weights: Weights, score: float | None) -> list[dict[str, Any]]:
    """A row a signal: its value, its weight, and what it adds to the score, where there is one."""
    present = {name: getattr(weights, name) for name, _, _ in _MEANINGS if getattr(signals, name) is not None}
    total = sum(present.values())
    rows = []
    for name, title, meaning in _MEANINGS:
        value = getattr(signals, name)
        is_counted = value is not None and total > 0 and score is not None
        rows.append(
            {
                "title": title,
                "meaning": meaning,
                "value": _figure(value) if value is not None else _ABSENT[name],
                "is_present": value is not None,
                "weight": f"{getattr(weights, name):g}",
                "adds": _figure(value * present[name] / total) if is_counted else "–",
            }
        )
    return rows


def verdict_words(signals: Signals, weights: Weights, score: float | None, block_at: float, *, blocked: bool) -> str:
    """The score against the threshold, as a sentence."""
    if score is None and composite_score(signals, weights) is not None:
        return OUTPUTS_MISSING
    if score is None:
        return "No signal counts, so there is no score; without a score it is blocked."
    if blocked:
        return f"The score {_figure(score)} reaches the threshold {block_at:g}, so it is blocked."
    return f"The score {_figure(score)} stays below the threshold {block_at:g}, so it is not blocked."


def _figure(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
