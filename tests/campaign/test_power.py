# SPDX-License-Identifier: GPL-2.0-only
import json
import sys

import attrs
import pytest

from campaign import cli, pins, power
from campaign.power_cases import gathered, record
from campaign.power_code import Woven
from campaign.power_judge import HANG, Outcome, judge
from campaign.power_mutants import Mutant, deletions
from campaign.power_result import Conditions, Judged, Report
from campaign.power_source import functions_of, modules
from campaign.power_survivors import Class, Explanation
from campaign.power_text import markdown_lines, terminal_lines
from model import rmap

CONDITIONS = Conditions(seed=1, cases=2, steps=2000, again=500)


def model_function(module, name):
    """A function of the model by name."""
    return next(each for each in functions_of(module) if each.name == name)


def deleted(module, name, line, *, nth=0):
    """The mutant of a function that has lost one of the lines that read so."""
    found = [m for m in deletions(model_function(module, name)) if m.before == line]
    return found[nth]


def replaced(module, name, old, new):
    """A mutant of a function with one text in the place of another."""
    whole = model_function(module, name)
    assert whole.text.count(old) == 1
    text = whole.text.replace(old, new)
    site = whole.text[: whole.text.index(old)].count("\n")
    lines = {each.node.lineno - 1: each for each in whole.sites}
    line = whole.line + lines[site].node.lineno - 1
    return Mutant(whole, "by hand", line, text, old, new)


def analysed(mutants, **changed):
    """The report on some mutants."""
    plan = power.Plan((), CONDITIONS, **changed)
    return power.analyse(plan, mutants, lambda done, of: None)


UNLINKED = deleted("model.rmap", "unlink_anon_vmas", "put_anon_vma(w, anon_vma)")
NO_CHAIN_LEFT = deleted("model.rmap", "unlink_anon_vmas", "vma.anon_vma_chain[:] = empty")
NEVER_REACHED = deleted("model.rmap", "__anon_vma_prepare", "put_anon_vma(w, allocated)")
FOR_EVER = replaced("model.memory", "zap_page_range", "range(start, end)", "iter(int, 1)")


@pytest.fixture(scope="module")
def report():
    """What becomes of four mutants that are known."""
    return analysed([UNLINKED, NO_CHAIN_LEFT, NEVER_REACHED, FOR_EVER])


def test_a_forgotten_put_is_killed_by_a_law(report):
    """An unlink that forgets to drop its reference breaks the law on references in few steps."""
    verdict = report.judged[0].verdict
    assert verdict.outcome is Outcome.KILLED
    assert verdict.kill.by == "refcount"
    assert 0 < verdict.steps < 500


def test_an_equivalent_mutant_survives(report):
    """What changes nothing that anybody reads survives all steps there are."""
    verdict = report.judged[1].verdict
    assert (verdict.outcome, verdict.kill) == (Outcome.SURVIVED, None)
    assert verdict.steps >= CONDITIONS.steps


def test_what_no_case_executes_is_not_reached(report):
    """A mutant where no case goes is told from one that survived."""
    verdict = report.judged[2].verdict
    assert (verdict.outcome, verdict.steps) == (Outcome.NOT_REACHED, 0)


def test_a_mutant_that_never_ends_is_ended(report):
    """An endless loop of the model is ended by its rounds and counts as killed."""
    verdict = report.judged[3].verdict
    assert verdict.outcome is Outcome.KILLED
    assert (verdict.kill.by, verdict.kill.clause) == (HANG, "StopIteration")


def test_the_number_of_processes_changes_nothing(report):
    """The same mutants have the same report, whoever judges them."""
    mutants = [each.mutant for each in report.judged]
    assert analysed(mutants, jobs=3).to_json() == report.to_json()


def test_the_model_is_as_before():
    """After an analysis the loaded functions have the code that they had."""
    before = rmap.unlink_anon_vmas.__code__
    analysed([UNLINKED])
    assert rmap.unlink_anon_vmas.__code__ is before


def test_who_dies_of_one_law_only():
    """With the first law left out, the mutant goes on until another law kills it."""
    forgotten = deleted("model.rmap", "unlink_anon_vmas", "unlock_anon_vma_root(w, root)")
    locked, unput = [each.verdict for each in analysed([forgotten, UNLINKED]).judged]
    assert (locked.kill.by, locked.other) == ("locks", "")
    assert locked.alone
    assert unput.other not in {"", unput.kill.by}
    assert not unput.alone


def test_what_the_model_itself_breaks_kills_nobody():
    """A case ends where the release has its own bug, and mutants are not blamed for it."""
    functions = [each for name in modules() for each in functions_of(name)]
    with Woven(functions) as woven:
        cases = gathered(1, list(record(woven, 1, range(17 * 8))))
        verdict = judge(woven, cases, _unchanged(), 10**6, 0)
    assert any(each.steps < 100 for each in cases.recorded)
    assert cases.untrue["v7.0"] == {"chain-order"}
    assert (verdict.outcome, verdict.kill) == (Outcome.SURVIVED, None)


def _unchanged():
    whole = model_function("model.rmap", "anon_vma_fork")
    return Mutant(whole, "none", whole.line + whole.sites[0].node.lineno - 1, whole.text, "", "")


def test_the_report_in_words(report):
    """The terminal shows laws, modules, and each survivor nobody has explained with its diff."""
    text = "\n".join(terminal_lines(_unexplained(report), 100))
    assert "4 mutants: 2 killed, 1 survived 2,000 steps, 1 not reached" in text
    assert "of 2 not killed: 2 unexplained" in text
    assert "score: 50.0 % of 4 mutants that are mistakes" in text
    assert "-    vma.anon_vma_chain[:] = empty" in text
    assert "+    pass" in text


def _unexplained(report):
    return Report(report.command, report.conditions, tuple(_without(report.judged)))


def _without(judged):
    return [Judged(each.mutant, each.verdict) for each in judged]


def test_who_is_explained_as_no_mistake_does_not_lower_the_score(report):
    """Equivalent and unreachable mutants leave the score; other explanations do not."""
    killed, survived, unreached, hang = _without(report.judged)
    no_mistake = Judged(survived.mutant, survived.verdict, Explanation(Class.EQUIVALENT, "So."))
    hole = Judged(unreached.mutant, unreached.verdict, Explanation(Class.HOLE, "Well."))
    explained = Report("", CONDITIONS, (killed, no_mistake, hole, hang))
    assert explained.tally.score == pytest.approx(200 / 3)
    text = "\n".join(markdown_lines(explained))
    assert "### Equivalent: 1" in text
    assert "| `model/rmap.py` `__anon_vma_prepare` | DeleteStatement |" in text


def test_who_is_killed_after_all_is_named(report):
    """An explanation of why a mutant survives is reported as wrong if it is killed."""
    first = report.judged[0]
    wrong = Judged(first.mutant, first.verdict, Explanation(Class.EQUIVALENT, "So."))
    text = "\n".join(terminal_lines(Report("", CONDITIONS, (wrong,)), 100))
    assert "is explained as equivalent, but refcount kills it" in text


def test_the_json_says_what_became_of_every_mutant(monkeypatch, tmp_path, capsys):
    """The file has the score, laws, modules and mutants, and the exit code obeys --at-least."""
    monkeypatch.setattr(power, "mutants_of", _few)
    file = tmp_path / "power.json"
    argv = ["power", "--module", "model/swap.py", "--cases", "1", "--steps", "500", "-j", "1"]
    argv += ["--no-pins"]  # Exploring what survives takes most of a minute.
    code = cli.main([*argv, "--alone", "0", "--json", str(file), "--at-least", "100"])
    found = json.loads(file.read_text())
    assert found["format"] == "anonvma-power/1"
    assert found["mutants"][0]["file"] == "model/swap.py"
    assert sum(law["first"] for law in found["laws"]) == found["killed"]
    assert found["modules"]["model/swap.py"]["mutants"] == len(found["mutants"])
    assert code == int(found["score"] < 100)
    assert "mutants that are mistakes" in capsys.readouterr().out


def _few(each):
    return list(deletions(each))[:1]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--module", "model/kernels.py"], "--module model/kernels.py: no module with kernel code"),
        (["--module", "nowhere"], "--module nowhere: no module with kernel code"),
        (["--steps", "0"], "--steps 0: give a whole number"),
        (["--at-least", "101"], "--at-least 101: give a whole number from 0 to 100"),
        (["-j", "x"], "-j x: give a whole number"),
    ],
)
def test_bad_usage(argv, said, capsys):
    """What makes no sense is one line on standard error and exit code 2."""
    assert cli.main(["power", *argv]) == 2
    assert said in capsys.readouterr().err


def test_without_cosmic_ray(monkeypatch, capsys):
    """Without the library the command says what to install and proves nothing."""
    monkeypatch.setitem(sys.modules, "cosmic_ray.mutating", None)
    assert cli.main(["power", "--module", "model/swap.py"]) == 3
    assert "pip install 'anonvma[power]'" in capsys.readouterr().err


def test_who_breaks_no_law_may_change_a_number_of_states(monkeypatch):
    """A page that stays with its ancestor's anon_vma keeps every law, and is another state."""
    families = [pin for pin in pins.pins() if pin.name == "v6.12 families"]
    monkeypatch.setattr(power, "pins", lambda: families)
    stays = deleted("model.memory", "do_wp_page", "page_move_anon_rmap(w, page, vma)")
    plan = power.Plan((), attrs.evolve(CONDITIONS, pins=True))
    report = power.analyse(plan, [stays], lambda done, of: None)
    assert report.judged[0].verdict.kill.by == "pinned-counts"
    assert (report.tally.score, report.score_of_laws) == (100.0, 0.0)
