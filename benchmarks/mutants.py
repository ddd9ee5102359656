"""Whether the lifecycle's tests notice when the decision function is wrong: `make mutants`.

Each mutant changes one place of the modules that decide: a comparison flipped, ``and`` for ``or``, a condition dropped
or turned, a constant moved, a return removed.  It runs in a child of its own, where the code of the changed function is
swapped in place, against the lifecycle's tests; a mutant that no test notices is named, and the script fails.  Those in
`EQUIVALENT` cannot be noticed, and their reason stands beside them.
"""

import argparse
import ast
import importlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest

ROOT = Path(__file__).parents[1]
MODULES = ("decide", "asking", "board", "preparing", "quorum", "binding", "watching", "voided", "gating", "decision")
QUICK = (
    "decide",
    "board",
    "slots",
    "watching",
    "rarer",
    "waivers",
    "signing",
    "voices",
    "observed",
    "unread",
    "binding",
    "preparing",
)
THOROUGH = ("kills", "small_model")
LONGEST_S = 300.0
FLIPPED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
# "module.function: expression: change" → why no test can notice it
EQUIVALENT: dict[str, str] = {
    "board.superseded: o.number > c.number: compare 0 GtE": "no other candidate of a slot has its number",
    "preparing._outranks: other.number > c.number: compare 0 GtE": "no other candidate of a slot has its number",
    "preparing._doubts: c.gates.gates if c.gates else (): always": "what needs an expert has gates",
    "preparing.after_stale: c.build is None or world.bundle_problem or world.bundle != c.build.bundle_digest: drop 0": (
        "what went stale was built"
    ),
    "watching._first: return tripped: return nothing": "its callers return what tripped next",
}


@dataclass(frozen=True)
class Mutant:
    """One changed place: which module, which node of its tree, and what was done there."""

    module: str
    node: int
    change: str
    line: int
    text: str
    function: str
    expression: str

    @property
    def name(self) -> str:
        """What to call it, stable while its expression (of a condition: its line) does not change."""
        return f"{self.module}.{self.function}: {self.expression or self.text}: {self.change}"


def changes_of(node: ast.AST) -> Iterator[str]:
    """Yield what can be done to one node."""
    match node:
        case ast.Compare(ops=ops):
            for place, operator in enumerate(ops):
                yield from (f"compare {place} {other.__name__}" for other in FLIPPED[type(operator)])
        case ast.BoolOp():
            yield "and for or"
            yield from (f"drop {place}" for place in range(len(node.values)))
        case ast.If() | ast.IfExp():
            yield "always"
            yield "never"
        case ast.UnaryOp(op=ast.Not()):
            yield "drop not"
        case ast.Constant(value=bool()):
            yield "turn"
        case ast.Constant(value=int() | float()):
            yield "one more"
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            yield "plus for minus"
        case ast.Return(value=value) if value is not None and not isinstance(value, ast.Constant):
            yield "return nothing"
        case ast.comprehension(ifs=ifs):
            yield from (f"drop if {place}" for place in range(len(ifs)))


def changed(node: ast.AST, change: str) -> ast.AST:
    """Return the node after the change; it may be another one."""
    match node:
        case ast.Compare():
            _, place, operator = change.split()
            node.ops[int(place)] = getattr(ast, operator)()
        case ast.BoolOp() if change == "and for or":
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.BoolOp():
            del node.values[int(change.split()[1])]
        case ast.If() | ast.IfExp():
            either = ast.Or() if change == "always" else ast.And()
            node.test = ast.BoolOp(either, [node.test, ast.Constant(change == "always")])
        case ast.UnaryOp():
            return node.operand
        case ast.Constant(value=bool() as value):
            node.value = not value
        case ast.Constant(value=int() | float() as number):
            node.value = number + 1
        case ast.BinOp():
            node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        case ast.Return():
            node.value = ast.Constant(None)
        case ast.comprehension():
            del node.ifs[int(change.split()[2])]
    return node


class _Swap(ast.NodeTransformer):
    """Changes the node that was met as the so many-th."""

    def __init__(self, number: int, change: str) -> None:
        self._left, self._change = number, change

    def visit(self, node: ast.AST) -> ast.AST:
        here = self._left == 0
        self._left -= 1
        self.generic_visit(node)
        return changed(node, self._change) if here else node


def inside_functions(tree: ast.Module) -> set[int]:
    """Return the ids of all nodes in the bodies of functions, but for assertions and docstrings."""
    inside: set[int] = set()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for statement in function.body:
                inside |= {id(node) for node in ast.walk(statement) if not isinstance(statement, ast.Assert)}
    skipped = [node for node in ast.walk(tree) if isinstance(node, ast.Assert | ast.JoinedStr)]
    return inside - {id(node) for one in skipped for node in ast.walk(one)}


def in_order(node: ast.AST) -> Iterator[ast.AST]:
    """Yield nodes as `_Swap` meets them."""
    yield node
    for child in ast.iter_child_nodes(node):
        yield from in_order(child)


def mutants_of(name: str) -> Iterator[Mutant]:
    """Yield every mutant of one module of `daemon.lifecycle`."""
    source = (ROOT / "daemon" / "lifecycle" / f"{name}.py").read_text("utf-8")
    tree, lines = ast.parse(source), source.splitlines()
    inside, line, function = inside_functions(tree), 0, ""
    for number, node in enumerate(in_order(tree)):
        line = getattr(node, "lineno", line)
        function = node.name if isinstance(node, ast.FunctionDef) else function
        if id(node) in inside:
            expression = "" if isinstance(node, ast.If) else ast.unparse(node)
            for change in changes_of(node):
                yield Mutant(name, number, change, line, lines[line - 1].strip(), function, expression)


def swap_in(mutant: Mutant) -> None:
    """Give every function of the module the code of the changed one, whoever refers to it."""
    module = importlib.import_module(f"daemon.lifecycle.{mutant.module}")
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    _Swap(mutant.node, mutant.change).visit(tree)
    codes = _codes(compile(ast.fix_missing_locations(tree), module.__file__, "exec"))
    for function in _functions(module):
        function.__code__ = codes[function.__qualname__]


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    for value in vars(module).values():
        if isinstance(value, FunctionType) and value.__module__ == module.__name__:
            yield value
        elif isinstance(value, type) and value.__module__ == module.__name__:
            for member in vars(value).values():
                found = member.fget if isinstance(member, property) else member
                if isinstance(found, FunctionType) and found.__code__.co_filename == module.__file__:
                    yield found


def _codes(code: CodeType, before: str = "") -> dict[str, CodeType]:
    """Return every code object of a module by its qualified name, without those inside functions."""
    found: dict[str, CodeType] = {}
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and not constant.co_name.startswith("<"):
            found[before + constant.co_name] = constant
            found |= _codes(constant, f"{before}{constant.co_name}.")
    return found


class EachMutant:
    """A plugin that collects the tests once and then runs them for each mutant, in a child that ends with it."""

    def __init__(self, mutants: list[Mutant]) -> None:
        self.mutants = mutants
        self.survivors: list[Mutant] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take the place of pytest's own loop over tests."""
        if not self._passes(session, None):
            raise pytest.UsageError("the tests fail without any mutant; mend them first")
        for count, mutant in enumerate(self.mutants, 1):
            alive = self._passes(session, mutant)
            if alive and mutant.name not in EQUIVALENT:
                self.survivors.append(mutant)
                sys.stdout.write(f"ALIVE {mutant.module}.py:{mutant.line}: {mutant.name}\n")
            if alive or count % 20 == 0:
                sys.stdout.write(f"{count} of {len(self.mutants)}, {len(self.survivors)} not noticed\n")
                sys.stdout.flush()
        return True

    def _passes(self, session: pytest.Session, mutant: Mutant | None) -> bool:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            code = 1
            try:
                if mutant is not None:
                    swap_in(mutant)
                code = 0 if self._run(session, mutant.module if mutant else "") else 1
            finally:
                os._exit(code)
        return _ended_well(child)

    @staticmethod
    def _run(session: pytest.Session, first: str) -> bool:
        """Run the tests until one fails: those of the changed module first."""
        for item in sorted(session.items, key=lambda item: f"test_lifecycle_{first}.py" not in item.nodeid):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if session.testsfailed:
                return False
        return True


def _ended_well(child: int) -> bool:
    deadline = time.monotonic() + LONGEST_S
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        if time.monotonic() > deadline:  # a mutant that never ends is noticed too
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return False
        time.sleep(0.01)


def arguments(tests: tuple[str, ...]) -> list[str]:
    """Return how pytest runs the lifecycle's tests, always in this order."""
    files = [str(ROOT / "tests" / "unit" / "daemon" / f"test_lifecycle_{name}.py") for name in tests]
    quiet = ["-q", "-s", "-m", "not slow", "-p", "no:randomly", "-p", "no:cacheprovider"]
    return [*quiet, "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), *files]


def main() -> int:
    """Run every mutant; return 1 if one is not noticed that is not known to be equivalent, 2 if the tests fail."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modules", nargs="*", default=list(MODULES), help="of daemon.lifecycle")
    parser.add_argument("--quick", action="store_true", help="without the tests of kills and of every order of events")
    options = parser.parse_args()
    plugin = EachMutant([mutant for name in options.modules for mutant in mutants_of(name)])
    ended = pytest.main(arguments(QUICK if options.quick else QUICK + THOROUGH), plugins=[plugin])
    if ended is pytest.ExitCode.USAGE_ERROR:
        return 2
    known = f"{len(EQUIVALENT)} known that cannot be noticed"
    sys.stdout.write(f"{len(plugin.mutants)} mutants, {len(plugin.survivors)} not noticed, {known}\n")
    return 1 if plugin.survivors else 0


if __name__ == "__main__":
    sys.exit(main())
