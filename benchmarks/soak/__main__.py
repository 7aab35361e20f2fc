"""Load and faults: thousands of logins at once against a relay to which bad things happen.

    uv run python -m benchmarks.soak [--target serve|lambda|dynamodb] [--logins N] [--seconds S]
        [--faults RATE] [--at-once N] [--pause S] [--seed N] [--json FILE] [--keep DIR]

Our Python client opens, waits, unseals and finishes; people come back from the IdP and press the
pages' buttons by HTTP. Meanwhile the relay is killed and restarted, callers hang up, the store
fails, clocks are wrong, keys rotate, and strangers try what they must not do. Then all is calm, and
the relay has to let go of everything that they left. Ends with status 1 when a promise broke, or
when some kind of fault was never met: tally.py lists them all.

`serve` is the real command, each process forked from one that has imported it; `lambda` is the
built artifact under Lambda's Runtime Interface Client on DynamoDB Local, and needs what
tests/aws/install-tools installs; `dynamodb` are two of the real command over DynamoDB Local, killed
in turns. Time leaps for everybody, so that logins expire and rotated keys
come into use within minutes. Not shown: a power cut, a disk that lies, a network between machines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import sys
import tempfile
from pathlib import Path

import uvloop
from opencode_relay import __version__

from benchmarks.harness.results import commit
from benchmarks.soak.run import Soak
from benchmarks.soak.serve import Serve
from benchmarks.soak.tally import Tally, table
from benchmarks.soak.world import Clock, Target, World

FUNCTIONS = Path(__file__).parents[2] / "functions"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--target", choices=["serve", "lambda", "dynamodb"], default="serve")
    parser.add_argument("--logins", type=int, default=1_000_000, metavar="N", help="at most")
    parser.add_argument("--seconds", type=float, metavar="S", help="begin no login after these")
    parser.add_argument(
        "--faults", type=float, default=0.05, metavar="RATE", help="share of logins for each kind"
    )
    parser.add_argument("--at-once", type=int, metavar="N", help="logins at a time")
    parser.add_argument(
        "--pause", type=float, metavar="S", help="how long people take for each step, on average"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep logs and store there")
    parser.add_argument(
        "--source", type=Path, default=FUNCTIONS, help="a copy of functions/ to soak instead"
    )
    return parser.parse_args()


async def soak(given: argparse.Namespace, work: Path) -> dict[str, object]:
    tally, clock = Tally(given.faults, given.seed), Clock()
    target: Target
    if given.target == "lambda":
        # Imported here: the other target needs none of it.
        from benchmarks.soak.artifact import Artifact  # noqa: PLC0415

        target = Artifact(work, tally, clock, given.source)
    elif given.target == "dynamodb":
        from benchmarks.soak.several import Several  # noqa: PLC0415

        target = Several(work, tally, clock, given.source)
    else:
        target = Serve(work, tally, clock, given.source)
    target.at_once = given.at_once or target.at_once
    target.pause = given.pause or target.pause
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await target.start()
        run = Soak(World(tally, clock, target), given.logins, given.seconds)
        await run.run()
    finally:
        await target.stop()
    return {
        "target": given.target,
        "fault_rate": given.faults,
        "seed": given.seed,
        "at_once": target.at_once,
        "commit": commit(),
        "version": __version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "keys_used": len(run.world.kids),
        "peak_pss_bytes_of_the_relay": run.peak or None,
        **tally.result(target.faults),
    }


def main() -> int:
    given = arguments()
    with tempfile.TemporaryDirectory() as directory:
        work = given.keep or Path(directory)
        work.mkdir(exist_ok=True)
        result = uvloop.run(soak(given, work))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(table(result))
    return int(bool(result["failures"]))


if __name__ == "__main__":
    sys.exit(main())
