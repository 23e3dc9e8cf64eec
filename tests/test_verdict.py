"The verdict over a grid of facts: it never contradicts itself, nor the figures that it is made of."
import itertools
import re

import pytest
from selfsup.evaluation.verdict import HELPS, HURTS, LONGER, NONE, OPEN, Facts, rule, verdict
from selfsup.statistics import Difference

INTERVALS = {'ahead': (6.2, 1.1, 11.3), 'just ahead': (1.2, .1, 2.3), 'same': (.4, -2.1, 2.9),
             'open': (1.5, -9.4, 12.4), 'open below': (-4.4, -13.3, 4.5), 'behind': (-6.6, -11.7, -1.5)}
ADVICE = {'use': 'use the encoder', 'longer': 'train from scratch for longer',
          'short': 'train from scratch for a short time', 'never': 'train from scratch, or start from ready-made weights',
          'simple': 'What to do: train from scratch; that', 'seeds': 'run at least three seeds'}
LOOK, PHOTOS, CUT = 'Look at some photos', 'photos without labels may give more', '--cut'
SMALL, STILL = 'is small', 'Still possible'

def difference(name, seeds): return Difference(*INTERVALS[name], (INTERVALS[name][0],)*seeds)

def grid():
    "Facts of every kind, with the names of their two intervals"
    for short, long, seeds, (accuracy, chance), (photos, epochs), pretext in itertools.product(
            INTERVALS, INTERVALS, (1, 3), ((.8, .25), (.26, .25), (.06, 1/24), (.1, None)),
            ((800, 10), (800, 100), (50_000, 10)), ('rotation', 'jigsaw')):
        yield short, long, Facts(difference(short, seeds), difference(long, seeds), 140, accuracy, chance, photos, epochs, 45,
                                 stage=(3, 2, 4), pretext=pretext)

GRID = list(grid())

def advice(text): return [name for name, words in ADVICE.items() if words in text]

def test_there_is_one_thing_to_do():
    for _, _, f in GRID: assert len(advice(str(verdict(f)))) == 1, verdict(f)

def test_what_to_do_follows_from_the_two_intervals():
    "An independent telling of the page's list"
    above, below = {'ahead', 'just ahead'}, {'behind'}
    for short, long, f in GRID:
        if len(f.scratch.seeds) == 1: want = 'seeds'
        elif short in above: want = 'use' if long in above else 'longer'
        elif short in below: want = 'never' if long in below else 'short'
        else: want = 'longer' if long in below else 'simple'
        assert advice(str(verdict(f))) == [want], verdict(f)

def test_no_two_pieces_of_advice_contradict_each_other():
    for _, _, f in GRID:
        text = str(verdict(f))
        (what,) = advice(text)
        assert PHOTOS not in text or (what in ('use', 'simple') and f.learned and f.photos == 800), text
        assert ('More passes' in text) == (PHOTOS in text and f.epochs == 10), text
        assert not (PHOTOS in text and (SMALL in text or LOOK in text)), text
        assert not (STILL in text and SMALL in text), text
        assert LOOK not in text or what in ('simple', 'seeds'), text
        assert CUT not in text or what == 'use', text
        assert STILL not in text or what == 'simple', text

def test_the_first_sentences_agree_with_the_answer_and_the_intervals():
    heads = {HELPS: 'pretraining helps on', HURTS: 'pretraining hurts on', LONGER: 'Train longer',
             NONE: 'No difference was seen', OPEN: 'No verdict'}
    words = {1: 'ahead of', 0: 'not shown to differ from', -1: 'behind'}
    for _, _, f in GRID:
        v = verdict(f)
        assert v.kind == rule(f.scratch, f.long)
        assert [k for k, head in heads.items() if head in v.sentences[0]] == [v.kind], v
        sides = [(d.low > 0) - (d.high < 0) for d in (f.scratch, f.long)]
        said = re.findall('ahead of|not shown to differ from|behind', v.sentences[1])
        assert said == ([] if v.kind == OPEN else [words[s] for s in sides]), v
        if v.kind == NONE: assert ('both trainings' in v.sentences[0]) == (sides != [0, 0]), v

def test_a_range_is_one_interval():
    for _, _, f in GRID:
        known = {f'{d.low:+.1f} to {d.high:+.1f}' for d in (f.scratch, f.long)}
        text = str(verdict(f))
        found = re.findall(r'[+-]\d+\.\d to [+-]\d+\.\d', text)
        assert len(found) >= 2 and set(found) <= known, text

def test_the_range_that_is_still_possible_reaches_furthest_and_is_named():
    f = Facts(difference('same', 3), difference('open', 3), 140, .8, .25, 800, 20, 45)
    assert '-9.4 to +12.4 points against \'from scratch, long\';' in str(verdict(f))
    f = Facts(difference('open below', 3), difference('same', 3), 140, .8, .25, 800, 20, 45)
    assert '-13.3 to +4.5 points against \'from scratch\';' in str(verdict(f))

def test_the_task_has_its_name_and_its_chance():
    for _, _, f in GRID:
        text = str(verdict(f)).lower()
        assert f.pretext in text and {'rotation': 'jigsaw', 'jigsaw': 'rotation'}[f.pretext] not in text
        assert f'{f.pretext} accuracy {100*f.accuracy:.1f} %' in text
        assert (', chance ' in text) == (f.chance is not None)
        assert ('hardly better' in text) == (f.chance is not None and f.accuracy < f.chance + .05)

def test_one_seed_says_so_and_speaks_of_no_more():
    for _, _, f in GRID:
        text = str(verdict(f))
        assert ('one seed' in text) == (len(f.scratch.seeds) == 1)
        assert '(one run)' not in text and 'means over 1' not in text

@pytest.mark.parametrize('one', [(1, 3), (3, 1), (1, 1)])
def test_both_differences_need_more_than_one_seed(one):
    assert rule(*(difference('ahead', seeds) for seeds in one)) == OPEN

def test_other_facts_are_told_where_they_belong():
    def say(short, **more):
        d = difference(short, 3)
        return verdict(Facts(d, d, 1400, .8, .25, 8000, 30, 600, saving='Saves.',
                             elsewhere={7000: difference('same', 3)}, **more)).sentences
    assert 'Saves.' in say('ahead') and 'Saves.' not in say('same')
    assert "With 7,000 labels: +0.4 points, 95 % interval -2.1 to +2.9, against 'from scratch'." in say('ahead')
    assert any('10 minutes' in s for s in say('behind')) and '1,400 labels' in say('behind')[0]
    assert not any(CUT in s for s in say('ahead', stage=(4, 3, 4)))
    assert any('--cut 2' in s for s in say('ahead', stage=(2, 3, 4)))
