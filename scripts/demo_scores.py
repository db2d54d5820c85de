"""Prints the scores before and after spiking from the metrics table that `spikemodel` writes.

Usage: python scripts/demo_scores.py METRICS
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

TITLES = {
    "overall": "probes kept for checking, never in a model",
    "spike_loso": "probes in the model, each left out once",
}
COLUMNS = {
    "me": "ME",
    "rmse": "RMSE",
    "ubrmse": "ubRMSE",
    "picp90": "in 90 % interval",
    "width90": "its width",
}


def score_lines(rows: list[dict[str, str]], scope: str) -> list[str]:
    """Return the lines of one scope: a heading, and a line a source."""
    chosen = [row for row in rows if row["scope"] == scope]
    if not chosen:
        return []
    counts = f"{chosen[0]['stations']} stations, {chosen[0]['n']} readings"
    head = "".join(f"{title:>18}" for title in COLUMNS.values())
    lines = [f"{TITLES[scope]} ({counts})", f"  {'':<8}{head}"]
    for row in chosen:
        values = "".join(f"{number(row[column]):>18}" for column in COLUMNS)
        lines.append(f"  {row['source']:<8}{values}")
    return lines


def number(text: str) -> str:
    """Return a number with three decimals; a dash where there is none."""
    return f"{float(text):.3f}" if text else "–"


def main() -> None:
    """Print the scores of every scope there is."""
    with Path(sys.argv[1]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    print("Scores before and after spiking, m³ m⁻³ (ME = predicted less measured)")
    for scope in TITLES:
        for line in score_lines(rows, scope):
            print(line)


if __name__ == "__main__":
    main()
