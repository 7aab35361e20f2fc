"""A table as a picture: a bar for a row's median, a line from its lowest to its highest round."""

from pathlib import Path
from statistics import median

from .results import Result


def bars(result: Result, column: str, to: Path) -> None:
    """Write an SVG, the same bytes for the same figures."""
    import matplotlib as mpl  # noqa: PLC0415  # only who plots needs it

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "opencode-relay"
    from matplotlib import pyplot as plt  # noqa: PLC0415

    rows = {name: row[column] for name, row in result.rows.items() if column in row}
    middles = [median(values) for values in rows.values()]
    below = [one - min(values) for one, values in zip(middles, rows.values(), strict=True)]
    above = [max(values) - one for one, values in zip(middles, rows.values(), strict=True)]
    own = [{goal.row for goal in result.goals} >= {name} for name in rows]
    colours = ["#c92a2a" if mine else "#1864ab" for mine in own]
    figure, axes = plt.subplots(figsize=(8, 0.45 * len(rows) + 1), layout="constrained")
    axes.barh(list(rows), middles, xerr=[below, above], color=colours, ecolor="#495057")
    axes.invert_yaxis()
    axes.set_xlabel(column)
    axes.set_title(result.title)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(to, metadata={"Date": None})
    plt.close(figure)
