"""The programs that commands in the pages name take them: ours, uv, SAM; npm has its scripts."""

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from opencode_relay.cli import COMMANDS, command_line
from typer.testing import CliRunner

from tests.aws.tools import TOOLS

from .pages import PAGES, ROOT, TRACKED, blocks, read

SAM = TOOLS / "sam" / "bin" / "sam"
NAMES = ("opencode-relay", "uv", "sam", "npm")
FOLDERS = {path.partition("/")[0] for path in TRACKED if "/" in path}
INLINE = re.compile(rf"`((?:{'|'.join(NAMES)}) [^`]+)`")


@dataclass(frozen=True)
class Command:
    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def commands(page: str, text: str) -> list[Command]:
    """Return every command of a page's shell blocks, and those in its sentences."""
    shell = [*blocks(text, "sh"), *(found.replace("\n", " ") for found in INLINE.findall(text))]
    lines = [line for one in shell for line in re.split(r"\n|&&|\|", one.replace("\\\n", " "))]
    found = []
    for line in lines:
        words = shlex.split(line, comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):
            del words[0]
        if words:
            found.append(Command(page, tuple(words)))
    return found


ALL = [command for page in PAGES for command in commands(page, read(page))]


def ours(words: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the arguments for opencode-relay, by whatever it is started."""
    for at, word in reversed(list(enumerate(words))):
        # Not a stack's name or a user's, which is the same word.
        before = words[at - 1]
        if Path(word).name == "opencode-relay" and (before == "--" or not before.startswith("-")):
            return words[at + 1 :]
    return None


def by_uv(words: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the arguments for uv itself, without the program that it runs."""
    if words[0] != "uv":
        return None
    if words[1:2] != ("run",):
        return words[1:]
    at = 2
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in {"--group", "--python", "--with"} else 1
    return words[1:at]


def by_sam(words: tuple[str, ...]) -> tuple[str, ...] | None:
    return words[1:] if words[0] == "sam" else None


def npm_script(words: tuple[str, ...]) -> str | None:
    match [word for word in words if not word.startswith("-")]:
        case ["npm", "run", *rest]:
            return next(word for word in rest if not (ROOT / word).is_dir())
        case ["npm", "test", *_]:
            return "test"
    return None


def distinct(taken: list[tuple[str, ...] | None]) -> list[tuple[str, ...]]:
    return sorted({one for one in taken if one is not None})


OURS = distinct([ours(command.words) for command in ALL])
BY_UV = distinct([by_uv(command.words) for command in ALL])
BY_SAM = distinct([by_sam(command.words) for command in ALL])


def takes(program: str | Path, arguments: tuple[str, ...]) -> bool:
    """Whether a program would run this: with --help behind it, it reads all and does nothing."""
    done = subprocess.run(
        [program, *arguments, "--help"],
        env={"HOME": "/nonexistent", "PATH": "/usr/bin:/bin", "SAM_CLI_TELEMETRY": "0"},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@pytest.mark.parametrize("arguments", OURS, ids=" ".join)
def test_opencode_relay_takes(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(command_line(*COMMANDS), [*arguments, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output


@pytest.mark.parametrize("arguments", BY_UV, ids=" ".join)
def test_uv_takes(arguments: tuple[str, ...]) -> None:
    uv = shutil.which("uv")
    if not uv:
        pytest.skip("needs uv")
    assert takes(uv, arguments)


@pytest.mark.parametrize("arguments", BY_SAM, ids=" ".join)
def test_sam_takes(arguments: tuple[str, ...]) -> None:
    if not SAM.exists():
        pytest.skip("needs SAM: tests/aws/install-tools")
    assert takes(SAM, arguments)


def test_commands_were_found() -> None:
    """An empty list would let the tests above pass."""
    assert {("serve",), ("demo",), ("connect",)} <= set(OURS)
    assert any(arguments[:2] == ("instances", "revoke") for arguments in OURS)
    options = {word for arguments in OURS for word in arguments if word.startswith("--")}
    assert {"--stack", "--instance", "--once", "--return-url"} <= options
    assert {("run",), ("tool", "install", ".")} <= set(BY_UV)
    assert {("build",), ("deploy",)} <= set(BY_SAM)
    assert {"build", "check", "test"} <= {npm_script(command.words) for command in ALL}


def test_an_option_that_is_none_would_be_noticed() -> None:
    result = CliRunner().invoke(
        command_line(*COMMANDS), ["instances", "list", "--nonsense", "--help"]
    )
    assert result.exit_code != 0
    uv = shutil.which("uv")
    assert not uv or not takes(uv, ("run", "--nonsense"))
    assert not SAM.exists() or not takes(SAM, ("deploy", "--nonsense", "x"))


def test_npms_scripts_are_in_the_package() -> None:
    scripts = json.loads(read("plugin/package.json"))["scripts"]
    for command in ALL:
        script = npm_script(command.words)
        assert script is None or script in scripts, command


def test_modules_and_programs_of_ours_are_there() -> None:
    for command in ALL:
        for before, word in zip(("", *command.words), command.words, strict=False):
            if before == "-m" and word.partition(".")[0] in FOLDERS:
                module = ROOT / word.replace(".", "/")
                assert module.with_suffix(".py").exists() or (module / "__main__.py").exists()
        if command.words[0].partition("/")[0] in FOLDERS:
            assert (ROOT / command.words[0]).stat().st_mode & 0o100, command
