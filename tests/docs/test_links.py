"""Every page's links lead somewhere, down to the heading, and the index leads to every page."""

import re

import pytest

from .pages import PAGES, ROOT, read

LINK = re.compile(
    r"\]\(<?([^)\s>]+)>?(?:\s[^)]*)?\)"  # [text](target "title")
    r'|(?:src|href)="([^"]+)"'
    r"|^\[[^\]]+\]:\s*(\S+)",  # [reference]: target
    re.MULTILINE,
)


def without_code(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```$|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Name each heading as GitHub does; the second of a name has -1."""
    names: dict[str, int] = {}
    text = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        shown = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        again = names[name] = names.get(name, -1) + 1
        if again:
            names[f"{name}-{again}"] = 0
    return set(names)


def dead(page: str, text: str) -> list[str]:
    """Return the links of a page that lead nowhere in this repository."""
    found = []
    for target in filter(None, (one for link in LINK.findall(without_code(text)) for one in link)):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        linked = ((ROOT / page).parent / path).resolve()
        there = linked.read_text("utf-8") if path and linked.is_file() and anchor else text
        if not (linked.exists() and linked.is_relative_to(ROOT)) or (
            anchor and anchor not in anchors(there)
        ):
            found.append(target)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_links_resolve(page: str) -> None:
    assert dead(page, read(page)) == []


@pytest.mark.parametrize(
    "text",
    [
        "[gone](gone.md)",
        "[gone](README.md#gone)",
        "[gone](#gone)",
        '[gone](gone.md "with a title")',
        "[gone][1]\n\n[1]: gone.md",
        '<img src="gone.png" alt="">',
        '<a href="#gone">gone</a>',
        "[out](../../gone.md)",
        "[`code`](gone.md)",
        "## Twice\n\n## Twice\n\n[gone](#twice-2)",
    ],
)
def test_a_dead_link_would_be_noticed(text: str) -> None:
    assert len(dead("docs/made-up.md", text)) == 1


def test_a_link_that_lives_is_not_dead() -> None:
    text = "## Twice\n\n## Twice\n\n[a](#twice-1) [b](README.md#documentation) [c](https://a.example/#b)"
    assert dead("docs/made-up.md", text) == []


def test_index_has_every_page() -> None:
    linked = re.findall(r"\]\(([^)#]+)\)", read("docs/README.md"))
    named = {((ROOT / "docs") / target).resolve() for target in linked}
    assert {ROOT / page for page in PAGES} - {ROOT / "docs/README.md"} <= named
