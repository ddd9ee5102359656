"""The rules that keep the code readable, held by a machine."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import daemon

ROOT = Path(__file__).parents[2]
WINGS = ("daemon", "drift", "retrain", "dashboards", "benchmarks", "tests", "docs")
SOURCES = sorted(path for wing in WINGS for path in (ROOT / wing).rglob("*.py") if "versions" not in path.parts)
OURS = [path for path in SOURCES if "tests" not in path.relative_to(ROOT).parts]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_file_can_be_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_function_fits_on_a_screen(path):
    tree = ast.parse(path.read_text())
    long = [
        f"{node.name} ({node.end_lineno - node.lineno + 1} lines)"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= 70
    ]

    assert long == []


@pytest.mark.parametrize("path", OURS, ids=name)
def test_a_module_says_what_question_it_answers(path):
    tree = ast.parse(path.read_text())

    assert ast.get_docstring(tree) or not tree.body


FORBIDDEN = re.compile(
    r"TODO|FIXME|XXX|NotImplementedError|pragma: no cover|mock\.patch|monkeypatch\.setattr|weights_only=False|"
    r"shell=True|^\s*import pickle|^\s*except:"
)


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_nothing_is_left_half_done(path):
    if path == Path(__file__):
        pytest.skip("this file names the forbidden words")
    found = [line.strip() for line in path.read_text().splitlines() if FORBIDDEN.search(line)]

    assert found == []


WEAK_NAMES = re.compile(r"(Manager|Helper|Handler|Info|Utils?)$|Data$")


@pytest.mark.parametrize("path", OURS, ids=name)
def test_a_class_is_named_after_what_it_is(path):
    tree = ast.parse(path.read_text())
    weak = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and WEAK_NAMES.search(node.name)]

    assert weak == []
    assert path.stem not in {"utils", "util", "helpers", "common", "misc"}


@pytest.mark.parametrize("path", OURS, ids=name)
def test_every_lint_ignore_has_a_reason(path):
    bare = [
        line.strip()
        for line in path.read_text().splitlines()
        if re.search(r"#\s*(noqa: [A-Z0-9, ]+|type: ignore\[[a-z, -]+\]|noqa)\s*$", line)
    ]

    assert bare == []


def test_the_package_called_daemon_is_ours():
    assert Path(daemon.__file__).parent == ROOT / "daemon"


def test_mypy_is_strict_without_exceptions():
    text = (ROOT / "pyproject.toml").read_text()

    assert "strict = true" in text
    assert "[[tool.mypy.overrides]]" not in text


def test_the_lock_file_names_no_host_and_pins_with_hashes():
    text = (ROOT / "requirements.lock").read_text()
    pins = re.findall(r"(?m)^[A-Za-z0-9_.-]+==\S+ \\$", text)

    assert "://" not in text
    assert len(pins) > 80
    assert not re.search(r"(?m)^torch==", text)


def test_the_loop_starts_without_paying_for_torch_or_uproot():
    heavy = ("torch", "brevitas", "hls4ml", "uproot")
    code = f"import daemon.reconcile, sys; print([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert answer.stdout.strip() == "[]"


def test_the_import_contracts_hold():
    answer = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )

    assert answer.returncode == 0, answer.stdout


def test_the_readme_names_every_verb_of_the_command_line():
    answer = subprocess.run(
        [str(Path(sys.executable).parent / "retrigger"), "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    verbs = re.findall(r"(?m)^  ([a-z][a-z-]+) {2,}", answer.stdout)
    readme = (ROOT / "README.md").read_text()

    assert len(verbs) > 12
    assert [verb for verb in verbs if f"retrigger {verb}" not in readme] == []
