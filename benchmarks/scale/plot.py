"""The plot that made the choice: a million logins' cost against the delay that asking adds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .alternatives import AT_ONCE, CHOSEN

Row = dict[str, Any]
# Labels that would lie on another, in points beside their mark.
BESIDE = {
    CHOSEN: ("right", -8, -10),
    AT_ONCE: ("left", 10, -12),
    "every 2 s, then every second": ("center", -4, -13),
    "growing, then held 20 s, 128 MB": ("center", 0, -13),
    "growing, then held 20 s, 256 MB": ("left", 4, 6),
    "held 20 s, as it was": ("center", 0, 26),
    "held 20 s, 256 MB": ("center", 0, -13),
    "held 20 s, 128 MB": ("center", 0, -13),
}


def draw(rows: list[Row], family: list[Row], goals: dict[str, float], to: Path) -> None:
    """Write an SVG, the same bytes for the same figures."""
    import matplotlib as mpl  # noqa: PLC0415  # only who plots needs it

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "opencode-relay", "svg.fonttype": "none"}
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
    axes.axvspan(0.1, goals["dollars"], 0, 1, color="#2b8a3e", alpha=0.05, lw=0)
    axes.axvline(goals["dollars"], color="#2b8a3e", ls="--", lw=1)
    axes.axhline(goals["median delay, s"], color="#2b8a3e", ls="--", lw=1)
    axes.text(goals["dollars"] * 1.02, 0.155, f"goal: ${goals['dollars']:.0f}", color="#2b8a3e")
    axes.text(640, goals["median delay, s"] * 1.04, "goal: 1 s", color="#2b8a3e", ha="right")
    axes.plot(
        [one["dollars"] for one in family],
        [one["p50"] for one in family],
        ".",
        color="#868e96",
        label="the chosen rule with other numbers",
    )
    for one in rows:
        mine = one["name"] == CHOSEN
        color = "#c92a2a" if mine else "#1864ab"
        axes.plot([one["dollars"]] * 2, [one["p50"], one["p90"]], color=color, lw=1, alpha=0.4)
        axes.plot(
            one["dollars"], one["p50"], "*" if mine else "o", color=color, ms=14 if mine else 5
        )
        side, dx, dy = BESIDE.get(one["name"], ("left", 6, -3))
        axes.annotate(
            one["name"],
            (one["dollars"], one["p50"]),
            xytext=(dx, dy),
            textcoords="offset points",
            fontsize=8,
            color=color,
            ha=side,
        )
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(26, 700),
        ylim=(0.15, 12),
        xlabel="dollars for a million delivered logins",
        ylabel="seconds added by asking: median, and up to the 90th percentile",
        title="Holding requests, asking at a fixed pace, and asking at a growing one",
    )
    axes.set_xticks([30, 40, 60, 100, 200, 400], labels=["30", "40", "60", "100", "200", "400"])
    axes.set_yticks([0.2, 0.5, 1, 2, 5, 10], labels=["0.2", "0.5", "1", "2", "5", "10"])
    axes.minorticks_off()
    axes.legend(loc="upper right", frameon=False, fontsize=8)
    figure.savefig(to, metadata={"Date": None})
    plt.close(figure)
