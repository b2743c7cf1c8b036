"""The small mistakes that a module's source allows: a clause lost, a limit moved, a step left out."""

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, TypeVar

_OTHER: Final[dict[type[ast.cmpop], tuple[str, ...]]] = {
    # The limit itself on its other side, and the whole turned round.
    ast.Lt: ("<=", ">="),
    ast.LtE: ("<", ">"),
    ast.Gt: (">=", "<="),
    ast.GtE: (">", "<"),
    ast.Eq: ("!=",),
    ast.NotEq: ("==",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
}
# Whose arguments are clauses: each has to matter.
_CLAUSES: Final = frozenset({"where", "_load", "and_", "or_"})
# Whose named arguments are what is written: each has to matter.
_WRITING: Final = frozenset({"advance", "advance_all", "values", "change", "change_all", "settle"})
# Which return what they are given, a little changed.
_LEFT_OUT: Final = frozenset({"void_approvals"})
_TURNED: Final = MappingProxyType({"min": "max", "max": "min", "any": "all", "all": "any"})
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake: what stands in a function of a module, and what is put in its place."""

    module: str
    function: str
    old: str
    new: str
    line: int
    start: int
    end: int
    # Which of several that read alike in the function.
    number: int = 1

    @property
    def name(self) -> str:
        """Return what it is known by, though lines move."""
        again = f" ({self.number})" if self.number > 1 else ""
        return f"{self.module} {self.function}: {self.old} -> {self.new}{again}"

    def sown_in(self, source: str) -> str:
        """Return the module's source with the mistake in it."""
        encoded = source.encode()
        return (encoded[: self.start] + self.new.encode() + encoded[self.end :]).decode()


def mutants(module: str, source: str) -> list[Mutant]:
    """Return all mistakes of these kinds, in the order of the source."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    seen: Counter[tuple[str, str, str]] = Counter()
    found: list[Mutant] = []
    for function, node, new in _walk(ast.parse(source), ""):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        one = Mutant(
            module=module,
            function=function or "module",
            old=" ".join(ast.unparse(node).split()),
            new=new,
            line=node.lineno,
            start=starts[node.lineno - 1] + node.col_offset,
            end=starts[node.end_lineno - 1] + node.end_col_offset,
        )
        seen[one.function, one.old, one.new] += 1
        found.append(replace(one, number=seen[one.function, one.old, one.new]))
    return found


def _walk(node: ast.AST, function: str) -> Iterator[tuple[str, ast.expr | ast.stmt, str]]:
    """Yield each function's name, what stands there, and what is put in its place."""
    for child in ast.iter_child_nodes(node):
        name = function
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{function}.{child.name}" if function else child.name
        if isinstance(child, ast.expr | ast.stmt):
            for new in _in_place_of(child):
                yield name, child, new
        if isinstance(child, ast.If) and not isinstance(child.test, ast.Compare | ast.BoolOp | ast.UnaryOp):
            yield name, child.test, f"not {_inner(child.test)}"
        if not _is_silent(child):
            yield from _walk(child, name)


def _is_silent(node: ast.AST) -> bool:
    """Tell whether it is a line of the log, which no test has to read."""
    return isinstance(node, ast.Expr) and ast.unparse(node).startswith("log.")


def _in_place_of(node: ast.expr | ast.stmt) -> Iterator[str]:
    match node:
        case ast.Call():
            yield from _calls(node)
        case ast.AnnAssign(value=ast.expr()):
            yield from _limits(node)
        case ast.Return(ast.Constant(bool(value))):
            yield f"return {not value}"
        case ast.Expr(ast.Call() | ast.Await()) if not _is_silent(node):
            yield "pass"
        case ast.expr():
            yield from _conditions(node)
        case _:
            pass


def _conditions(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Compare(left, [op], [right]) if type(op) in _OTHER:
            for other in _OTHER[type(op)]:
                # In brackets, as it may stand beside operators that bind more tightly.
                yield f"({_inner(left)} {other} {_inner(right)})"
        case ast.BoolOp(op, values):
            word = " and " if isinstance(op, ast.And) else " or "
            for some in _less_one(values):
                yield f"({word.join(map(_inner, some))})"
        case ast.UnaryOp(ast.Not() | ast.Invert(), operand):
            yield f"({_inner(operand)})"
        case ast.IfExp(_, body, orelse):
            yield f"({_inner(body)})"
            yield f"({_inner(orelse)})"
        case ast.Set(values) if len(values) > 1:
            for some in _less_one(values):
                yield f"{{{', '.join(map(_inner, some))}}}"
        case _:
            pass


def _limits(node: ast.AnnAssign) -> Iterator[str]:
    """Move what is a number, or a span of time, by one."""
    named = f"{ast.unparse(node.target)}: {ast.unparse(node.annotation)}"
    match node.value:
        case ast.Constant(int() | float() as value) if not isinstance(value, bool):
            yield f"{named} = {value} + 1"
        case ast.Call(ast.Name("timedelta"), [], [ast.keyword(str(unit), ast.Constant(int(value)))]):
            yield f"{named} = timedelta({unit}={value} + 1)"
        case _:
            pass


def _inner(node: ast.expr) -> str:
    text = " ".join(ast.unparse(node).split())
    atom = ast.Name | ast.Attribute | ast.Call | ast.Constant | ast.Subscript | ast.Starred
    return text if isinstance(node, atom) else f"({text})"


def _calls(node: ast.Call) -> Iterator[str]:
    called = ast.unparse(node.func)
    name = called.rpartition(".")[2]
    given = [ast.unparse(one) for one in node.args]
    named = [f"**{ast.unparse(one.value)}" if one.arg is None else ast.unparse(one) for one in node.keywords]
    if name in _CLAUSES:
        for some in _less_one(given):
            yield f"{called}({', '.join([*some, *named])})"
    if name in _WRITING:
        for some in _less_one(named):
            yield f"{called}({', '.join([*given, *some])})"
    if called in _TURNED:
        yield f"{_TURNED[called]}({', '.join([*given, *named])})"
    if name in _LEFT_OUT:
        yield given[0]


def _less_one(items: Sequence[T]) -> Iterator[list[T]]:
    for lost in range(len(items)):
        yield [one for number, one in enumerate(items) if number != lost]
