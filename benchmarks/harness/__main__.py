"""`benchmarks/run NAME [--quick] [--json] [--plot] [--kept]`: measure one table, print it.

Ends with status 1 if a goal is missed, 2 if nothing could be measured. `--json` and `--plot` keep
what was found in docs/performance/, and `--kept` prints what is kept there, without measuring.
"""

import argparse
import importlib
import json
import os
import sys
from pathlib import Path

from benchmarks.contenders.installs import Missing

from .plot import bars
from .processes import CLIENT_CORE, pin
from .results import ROOT, as_text
from .rounds import Busy, Plan, Wrong

TABLES = Path(__file__).parents[1] / "tables"
KEPT = ROOT / "docs" / "performance"


def names() -> dict[str, str]:
    """Return the tables, each with the first line of what it says of itself."""
    found = sorted(path.stem for path in TABLES.glob("[a-z]*.py"))
    return {
        name: (importlib.import_module(f"benchmarks.tables.{name}").__doc__ or "").split("\n")[0]
        for name in found
    }


def again(name: str, parser: argparse.ArgumentParser) -> int:
    """Print a table that is kept."""
    kept = KEPT / f"{name}.json"
    if not kept.exists():
        parser.error(f"nothing is kept of it yet: benchmarks/run {name} --json")
    print(as_text(json.loads(kept.read_text("utf-8"))))
    return 0


def main(args: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/run")
    parser.add_argument("name", nargs="?", choices=sorted(p.stem for p in TABLES.glob("[a-z]*.py")))
    parser.add_argument("--quick", action="store_true", help="prove that it runs, measure nothing")
    parser.add_argument("--json", action="store_true", help="keep docs/performance/NAME.json")
    parser.add_argument("--plot", action="store_true", help="keep docs/performance/NAME.svg")
    parser.add_argument("--kept", action="store_true", help="print docs/performance/NAME.json")
    options = parser.parse_args(args)
    if not options.name:
        for name, about in names().items():
            print(f"{name}: {about}")
        return 0
    if options.kept:
        return again(options.name, parser)
    if len(os.sched_getaffinity(0)) < 2:  # noqa: PLR2004
        parser.error("server and client need a core each, and here is only one.")
    if options.quick and (options.json or options.plot):
        parser.error("a quick run's figures mean nothing: they are not kept.")
    table = importlib.import_module(f"benchmarks.tables.{options.name}")
    cores = os.sched_getaffinity(0)
    pin(CLIENT_CORE)
    try:
        result = table.measure(Plan(quick=options.quick))
    except (Busy, Missing, Wrong) as wrong:
        print(f"{options.name}: {wrong}", file=sys.stderr)
        return 2
    finally:
        os.sched_setaffinity(0, cores)
    print(result.as_text())
    if options.quick:
        print("\nA quick run: everything runs and answers rightly; the figures mean nothing.")
        return 0
    KEPT.mkdir(exist_ok=True)
    if options.json:
        kept = json.dumps(result.as_json(options.name), indent=1, ensure_ascii=False)
        (KEPT / f"{options.name}.json").write_text(kept + "\n")
    if options.plot:
        bars(result, next(iter(next(iter(result.rows.values())))), KEPT / f"{options.name}.svg")
    return 0 if result.met() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
