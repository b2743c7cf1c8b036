"""The mistakes that `make mutants` makes are mistakes, and it makes them where tests are named for them."""

import ast
from pathlib import Path

from tests.mutants.operators import mutants
from tests.mutants.table import EQUIVALENT, TESTS

ROOT = Path(__file__).parents[1]
SOURCE = """
LIMIT: Final = 3
SPAN: Final = timedelta(seconds=10)

class Gate:
    def admit(self, one, other):
        log.info("read by no test", one=one < other)
        if one < LIMIT and not other:
            return True
        self.note(one)
        self.advance(one, reason="", due=None)
        return self.load(one.voided) if one in {1, 2} else void_approvals(one)

    def find(self, one, other):
        return select(rows).where(rows.id == one, rows.of == other)
"""
MISTAKES = """
LIMIT: Final = 3 -> LIMIT: Final = 3 + 1
SPAN: Final = timedelta(seconds=10) -> SPAN: Final = timedelta(seconds=10 + 1)
one < LIMIT and (not other) -> ((not other))
one < LIMIT and (not other) -> ((one < LIMIT))
one < LIMIT -> (one <= LIMIT)
one < LIMIT -> (one >= LIMIT)
not other -> (other)
return True -> return False
self.note(one) -> pass
self.advance(one, reason='', due=None) -> pass
self.advance(one, reason='', due=None) -> self.advance(one, due=None)
self.advance(one, reason='', due=None) -> self.advance(one, reason='')
self.load(one.voided) if one in {1, 2} else void_approvals(one) -> (self.load(one.voided))
self.load(one.voided) if one in {1, 2} else void_approvals(one) -> (void_approvals(one))
one in {1, 2} -> (one not in ({1, 2}))
{1, 2} -> {2}
{1, 2} -> {1}
void_approvals(one) -> one
select(rows).where(rows.id == one, rows.of == other) -> select(rows).where(rows.of == other)
select(rows).where(rows.id == one, rows.of == other) -> select(rows).where(rows.id == one)
rows.id == one -> (rows.id != one)
rows.of == other -> (rows.of != other)
"""


def test_each_clause_limit_and_step_is_mistaken_once_and_the_log_never() -> None:
    found = mutants("gate.py", SOURCE)
    assert [f"{one.old} -> {one.new}" for one in found] == MISTAKES.strip().splitlines()
    assert {one.function for one in found} == {"module", "Gate.admit", "Gate.find"}


def test_each_module_has_its_tests_and_each_mistake_in_it_is_python_with_a_name_of_its_own() -> None:
    names: list[str] = []
    for module, tests in TESTS.items():
        assert [one for one in tests if not (ROOT / one).exists()] == []
        source = (ROOT / module).read_text(encoding="utf-8")
        for one in mutants(module, source):
            names.append(one.name)
            # All of a kind are made alike, and to parse each takes long.
            if len(names) % 4 == 0:
                changed = one.sown_in(source)
                assert changed != source
                ast.parse(changed)
    assert len(set(names)) == len(names)
    assert EQUIVALENT.keys() - set(names) == set(), "they are named for code that is no more"
