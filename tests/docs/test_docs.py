"""The pages say what the software does: their settings, problems, costs, words and programs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest
from opencode_relay.settings import Settings
from opencode_relay.web.problems import PROBLEMS

from tests.aws.template import FRONT, WATCH, load

from .pages import PAGES, ROOT, TRACKED, blocks, read

COMMAND = str(Path(sys.executable).with_name("opencode-relay"))


def test_settings_and_their_defaults() -> None:
    rows = dict(
        re.findall(r"^\| `(RELAY_\w+)` \| (.*?) \|", read("docs/operations.md"), re.MULTILINE)
    )
    assert set(rows) == {f"RELAY_{one.name.upper()}" for one in fields(Settings)}
    for one in fields(Settings):
        if isinstance(one.default, int | str) and one.default != "":
            assert rows[f"RELAY_{one.name.upper()}"] == f"`{one.default}`", one.name


def test_no_page_names_a_setting_that_is_none() -> None:
    settings = {f"RELAY_{one.name.upper()}" for one in fields(Settings)}
    known = settings | {"RELAY_TESTS_STRICT", "RELAY_NAME"}  # the latter is of infra/compose.yaml
    for page in PAGES:
        assert set(re.findall(r"(?<![A-Z_])RELAY_[A-Z_]+", read(page))) <= known, page


def test_template_parameters_and_their_defaults() -> None:
    rows = re.findall(
        r"^\| `([A-Z][a-z]\w+)` \| (.*?) \|", read("docs/operations.md"), re.MULTILINE
    )
    parameters = load()["Parameters"]
    assert {name: value.strip("`") for name, value in rows} == {
        name: str(one["Default"]) or "none" for name, one in parameters.items()
    }
    given = re.findall(r"\b([A-Z]\w+)=(?!=)", "".join(blocks(read("docs/operations.md"), "sh")))
    known = {*parameters, *load(FRONT)["Parameters"]}
    assert {name for name in given if not name.isupper()} <= known


def test_alarms_and_outputs_are_the_templates() -> None:
    page = read("docs/operations.md")
    alarms = [
        re.sub(r"\$\{.*?\}", "STACK", one["Properties"]["AlarmName"]["Fn::Sub"])
        for template in (load(), load(WATCH))
        for one in template["Resources"].values()
        if one["Type"] == "AWS::CloudWatch::Alarm"
    ]
    rows = re.findall(r"^\| (`STACK-.*?) \|", page, re.MULTILINE)
    assert re.findall(r"`(.*?)`", " ".join(rows)) == alarms
    outputs, resources = load()["Outputs"], load()["Resources"]
    for name in ("DnsTarget", "DnsTargetZone", "InstancesTable"):
        assert f"`{name}`" in page
        assert name in outputs
    for name in ("CallbackLog", "LoginsLog", "CollectLog", "RotateKeysLog"):
        assert f"`{name}`" in page
        assert name in resources


def test_the_costs_add_up() -> None:
    page = read("docs/operations.md")
    number = r"\$?([\d.]+)"
    row = re.compile(
        rf"^\| .* \| .* \| {number} \| {number} \| {number} \| {number} \| {number} \|$"
    )
    rows = [
        [float(n) for n in found.groups()] for found in map(row.match, page.splitlines()) if found
    ]
    assert len(rows) == 6
    for price, *ways in rows:
        for count, cost in (ways[:2], ways[2:]):
            assert abs(price * count - cost) < 0.0051, (price, count, cost)
    total = re.search(rf"\| \*\*{number}\*\* \| \| \*\*{number}\*\* \|", page)
    assert total
    assert float(total[1]) == round(sum(row[2] for row in rows), 2)
    assert float(total[2]) == round(sum(row[4] for row in rows), 2)
    # The counts are those that the tests of the built artifact assert.
    counted = re.findall(
        r"\(writes, reads\) == \((\d), (\d)\)", read("tests/aws/test_requests_counted.py")
    )
    [(writes, reads), (by_redirect, reads_by_redirect)] = counted
    assert f"{writes} writes and {reads} reads" in page
    assert f"{by_redirect} and {reads_by_redirect} by redirect" in page


SCREENS = [
    path
    for path in TRACKED
    if path.startswith(("plugin/src/", "infra/browser-extension/", "functions/opencode_relay/web/"))
]


def test_quoted_words_are_on_the_screens() -> None:
    """What docs/sign-in.md puts between “ and ” is what a person reads there."""
    screens = "".join(map(read, SCREENS))
    for name, text in re.findall(r'const ([A-Z]+) = "(.*?)";', screens):
        screens = screens.replace(f"${{{name}}}", text)
    quoted = re.findall("“(.*?)”", read("docs/sign-in.md"))
    assert len(quoted) > 5
    for words in quoted:
        said = words.replace("ChatGPT", "…").replace("’", "'").strip("… ")
        assert said in screens.replace("’", "'"), words


def test_images_are_shown_and_small() -> None:
    images = [path for path in TRACKED if path.startswith("docs/images/")]
    shown = {
        os.path.normpath(Path(page).parent / path)
        for page in PAGES
        for path in re.findall(r'src="(.*?images/.*?)"', read(page))
    }
    assert shown == set(images)
    for path in images:
        assert (ROOT / path).stat().st_size < 60_000, path


def test_problems_and_their_statuses() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", read("docs/protocol.md"), re.MULTILINE)
    assert {slug: int(status) for slug, status in rows} == {
        slug: status for slug, (status, _) in PROBLEMS.items()
    }


def test_no_example_names_a_package_that_anybody_may_publish() -> None:
    """Opencode would fetch it, and run it beside the key. A release's is pinned: NAME@VERSION."""
    named = re.compile(r'"plugin": \[\s*\[?\s*"opencode-relay"')
    assert named.search('"plugin": [["opencode-relay", {')
    for page in PAGES:
        assert not named.search(read(page)), page


def test_map_has_every_folder() -> None:
    folders = {path.partition("/")[0] for path in TRACKED if "/" in path}
    assert set(re.findall(r"^\| \[`([^`]+?)/`\]", read("README.md"), re.MULTILINE)) == folders


def test_the_protocols_programs_carry_a_login(tmp_path: Path) -> None:
    if not (shutil.which("bash") and shutil.which("curl")):
        pytest.skip("needs bash and curl")
    [program] = blocks(read("docs/protocol.md"), "python")
    [browser] = blocks(read("docs/protocol.md"), "bash")
    with serving(tmp_path) as relay:
        key = (tmp_path / "data" / "instance.key").read_text().strip()
        instance = subprocess.Popen(
            [sys.executable, "-c", program, relay, key], stdout=subprocess.PIPE, text=True
        )
        with instance:
            try:
                assert instance.stdout
                given = dict(instance.stdout.readline().split() for _ in range(2))
                played = subprocess.run(
                    ["bash", "-c", browser],
                    env={"PATH": os.environ["PATH"], "relay": relay, **given},
                    capture_output=True,
                    text=True,
                    check=True,
                )
                assert "303 See Other" in played.stdout
                assert "location: /auth/done" in played.stdout
                last = instance.stdout.read().strip()
                assert instance.wait() == 0
            finally:
                instance.kill()
    assert last == 'params {"code": "made-up", "iss": "https://idp.example.com"}'
    assert f"`{last}`" in read("docs/protocol.md")


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """Run `opencode-relay serve` on a free port; give its URL."""
    argv = [COMMAND, "serve", "--port", "0", "--data", str(home / "data"), "--name", "docs"]
    with (
        (home / "log").open("w") as log,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, text=True) as relay,
    ):
        try:
            assert relay.stdout
            url = next(line.split()[-1] for line in relay.stdout if line.startswith("Its URL"))
            yield url
        finally:
            relay.terminate()
