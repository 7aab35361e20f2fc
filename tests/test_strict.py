"""The strict run itself: what tests/conftest.py lets pass and what it fails."""

from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py").read_text()
RUNS = "def test_runs(): pass\n"
SKIPS = "import pytest\n@pytest.mark.skip(reason='no browser')\ndef test_skips(): pass\n"
SKIPS_ITS_MODULE = "import pytest\npytest.importorskip('no_such_module')\n"


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("RELAY_TESTS_STRICT", "1")
    pytester.makeconftest(CONFTEST)
    pytester.mkdir("e2e").joinpath("EXPECTED").write_text("2\n")
    write(pytester, "e2e/test_one.py", RUNS)
    write(pytester, "e2e/test_two.py", RUNS)
    return pytester


def write(suite: pytest.Pytester, path: str, source: str) -> None:
    (suite.path / path).write_text(source)


def run(suite: pytest.Pytester, *args: str) -> pytest.RunResult:
    return suite.runpytest_subprocess("--import-mode=importlib", *args)


def test_a_whole_run_passes(suite: pytest.Pytester) -> None:
    assert run(suite).ret == pytest.ExitCode.OK


@pytest.mark.parametrize("skips", [SKIPS, SKIPS_ITS_MODULE], ids=["test", "module"])
def test_a_skip_anywhere_fails_the_run(suite: pytest.Pytester, skips: str) -> None:
    write(suite, "test_other.py", skips)
    result = run(suite)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["strict run: skipped: test_other.py*"])


def test_too_few_end_to_end_tests_fail_the_run(suite: pytest.Pytester) -> None:
    write(suite, "test_other.py", RUNS)
    result = run(suite, "--deselect", "e2e/test_two.py")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["strict run: only 1 of 2 end-to-end tests ran"])


def test_a_run_that_is_not_strict_may_skip(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RELAY_TESTS_STRICT")
    write(suite, "e2e/test_two.py", SKIPS)
    assert run(suite).ret == pytest.ExitCode.OK
