"""The doctor, judged by the real go command: each cause of its catalogue is made in a machine of its own, the doctor has to
name it first, and its fix has to make the same go command succeed. See tests/rigs/doctor."""

import sys

import pytest

import rig

sys.path.insert(0, str(rig.ROOT / "tests/rigs/doctor"))

import run  # noqa: E402
from cell import CELLS, HEALTHY  # noqa: E402

# What has been reached. These numbers only rise.
CAUSES = 70
# Causes of which a machine was repaired by running what the doctor printed, as it stands.
REPAIRED = 70
ALL_CELLS = 132
EXPLAINED = 120
HEALTHY_WORLDS = 15

QUICK = sorted(name for name, cell in (CELLS | HEALTHY).items() if cell.quick)


@pytest.mark.parametrize("name", QUICK)
def test_a_cause_is_named_and_repaired(name):
    result = run.result_of(name)
    assert result.good, "\n".join(result.problems)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_the_whole_catalogue():
    results = list(run.results_of([*sorted(CELLS), *sorted(HEALTHY)]))
    print(run.table(results))
    problems = [f"{result.name}: {problem}" for result in results for problem in result.problems]
    assert not problems, "\n".join(problems)
    good, _ = run.score(results)
    sick = [result for result in results if result.cause]
    assert good >= CAUSES
    assert len(sick) >= ALL_CELLS
    assert all(result.shown for result in sick)
    assert len(run.repaired(results)) >= REPAIRED
    assert sum(bool(result.explained) for result in sick) >= EXPLAINED
    assert len(results) - len(sick) >= HEALTHY_WORLDS


@pytest.mark.full
@pytest.mark.timeout(300)
def test_the_guide_shows_what_is_said_today():
    assert run.GUIDE.read_text() == run.guide(list(run.results_of(run.TOLD)))
