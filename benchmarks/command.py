"""The command line: which parts run, what is printed, and the exit code."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import (
    applicability,
    comparison,
    covariates,
    endtoend,
    forests,
    memory,
    modelfiles,
    outside,
    scaling,
    targets,
)
from .comparison import Sizes
from .exactness import Check
from .table import Result, Target, form_table
from .timing import Plan

PARTS = ("peers", "files", "map", "memory", "training", "scaling", "covariates", "applicability")
QUICK = ("peers", "files", "map")
_OF_FORESTS = tuple(part for part in PARTS if part not in ("covariates", "applicability"))
_CHILDREN = {
    "peer": memory.child_peer,
    "map": endtoend.child_map,
    "load": modelfiles.child_load,
    "terrain": covariates.child_terrain,
    "backscatter": covariates.child_backscatter,
    "statistics": covariates.child_statistics,
    "applicability": applicability.child_applicability,
}


@dataclass
class Report:
    """What a run has found so far."""

    results: list[Result] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Whether all that was checked is exact, and something was."""
        return bool(self.checks) and all(check.exact for check in self.checks)

    def __str__(self) -> str:
        parts = [form_table(self.results)] if self.results else []
        parts += self.tables
        parts.append("\n".join(str(check) for check in self.checks))
        parts.append("\n".join(str(target) for target in self.targets))
        return "\n\n".join(part for part in parts if part)


def main(arguments: Sequence[str]) -> int:
    """Run the benchmarks; return 1 where a result is not exact."""
    if arguments[:1] == ["--child"]:
        print(json.dumps(_CHILDREN[arguments[1]](*arguments[2:])))
        return 0
    options = _parse(arguments)
    parts = options.part or (QUICK if options.quick else PARTS)
    rows = options.rows or ([50_000, 200_000] if options.quick else [50_000, 200_000, 400_000])
    start = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - start:4.0f} s] {text}", file=sys.stderr, flush=True)

    report = Report()
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        for place, n in enumerate(sorted(rows)):
            if set(parts) & set(_OF_FORESTS):
                _measure(report, n, place == 0, parts, options.quick, Path(folder), say)
        if "covariates" in parts:
            found = covariates.measure(options.quick, Path(folder), say)
            report.checks += found.checks
            report.tables.append(found.form("covariates"))
        if "applicability" in parts:
            found = applicability.measure(options.quick, Path(folder), say)
            report.checks += found.checks
            report.tables.append(found.form("area of applicability"))
    if "peers" in parts:
        report.targets[:0] = targets.of_peers(report.results)
    print(report)
    if not report.exact:
        print("FAILED: a result is not exact")
    return 0 if report.exact else 1


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bash benchmarks/run.sh", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="peers, files and map, below 4 min")
    parser.add_argument("--part", nargs="+", choices=PARTS, help="only these parts")
    parser.add_argument("--rows", nargs="+", type=int, help="numbers of training rows")
    return parser.parse_args(arguments)


_LATE = 190  # seconds into a quick run on a busy machine
_STARTED = time.monotonic()


def _sizes(quick: bool, first: bool) -> Sizes:
    if not quick:
        return Sizes(524_288, Plan(2.0, 5))
    return Sizes(
        131_072,
        Plan(0.5, 3),
        outside=(outside.RANGER,) if first else (),
        blocks=first,
        late=lambda: time.monotonic() - _STARTED > _LATE,
    )


def _measure(
    report: Report, n: int, first: bool, parts: Sequence[str], quick: bool, folder: Path, say
) -> None:
    """Measure what is asked for with `n` rows; all but the peers with the first number only."""
    if not first and "peers" not in parts:
        return
    pair = comparison.grow(n, first, say)
    checks = comparison.check_exact(pair)
    report.checks += checks
    files = forests.write_pair(pair, folder)
    if "peers" in parts:
        sizes = _sizes(quick, first)
        report.results += comparison.compare(pair, files, sizes, folder, say)
    if not first:
        return
    if "files" in parts:
        report.targets += modelfiles.of_files(files, say)
    if "map" in parts:
        model = forests.as_model(pair.ours, pair.rows.X)
        edge, runs = (1024, 3) if quick else (2048, 5)
        share = endtoend.share_of_engine(model, folder, edge, runs, say)
        report.targets.append(targets.of_map(share))
    if "memory" in parts:
        say("peak memory of predict, 5 and 20 million pixels")
        small, large = (endtoend.peak_of_map(files, folder, w, h) for w, h in SCENES)
        report.targets += targets.of_memory(small, large)
    if "training" in parts:
        report.targets.append(scaling.of_training(pair.rows, say))
    if "scaling" in parts:
        report.tables.append(scaling.growth(pair.ours, say))


SCENES = ((2560, 2048), (5120, 4096))
