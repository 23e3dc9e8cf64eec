"A check of the audit is one record: whoever adds one gets table, plot, sentences, report and result with it."
import json

import numpy as np
import pytest
from PIL import Image
from fastai.vision.all import F, noop
from selfsup.checks import audit as module
from selfsup.checks.audit import CHECKS, HONEST, LEAK, PHOTOS, PLAIN, WARNING, Check, audit, turns_guessed
from selfsup.data.drawn import draw_picture
from selfsup.data.shapes import UPRIGHT

@pytest.fixture(scope='module')
def tinted(tmp_path_factory):
    "Pictures turned at random, with a blue left half"
    folder, rng = tmp_path_factory.mktemp('tinted'), np.random.default_rng(0)
    for i in range(120):
        im = np.array(draw_picture(UPRIGHT[i % len(UPRIGHT)], i, size=32).rotate(90*int(rng.integers(4))))
        im[:, :16, 2] = im[:, :16, 2]//4 + 190
        Image.fromarray(im).save(folder/f'{i}.png')
    return folder

def see_sides(x): return F.adaptive_avg_pool2d(x, 2).flatten(1)

def record(means, shown=PHOTOS):
    return Check('sides', shown, see_sides, turns_guessed, means, 'The halves tell the turn', 'Look for a tint.')

def test_a_new_check_is_one_record(tinted, tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'CHECKS', [*CHECKS, record(WARNING)])
    res = audit(tinted, tmp_path/'out', size=32, n=100, say=noop)
    row, = [r for r in res.warnings if r['sees'] == 'sides']
    assert row['low'] > row['limit'] == 25 and row['reading'] == WARNING
    assert any(s.startswith('Warning. The halves tell the turn') and s.endswith('Look for a tint.') for s in res.sentences())
    assert 'sides' in set(res.table()['probe sees']) and 'Look for a tint.' in (tmp_path/'out'/'report.html').read_text()
    saved = json.loads((tmp_path/'out'/'result.json').read_text())
    assert 'sides' in [r['sees'] for r in saved['probes']] and saved['warnings'] == len(res.warnings)
    assert any('sides' in t.get_text() for ax in res.plot().axes for t in ax.get_yticklabels())

@pytest.mark.parametrize('means, shown, code', [(WARNING, PHOTOS, 0), (HONEST, PHOTOS, 0), (LEAK, PHOTOS, 1), (LEAK, 'noise', 0)])
def test_what_is_found_means_what_the_record_says(tinted, monkeypatch, means, shown, code):
    monkeypatch.setattr(module, 'CHECKS', [record(means, shown)])
    res = audit(tinted, size=32, n=100, say=noop)
    found = [o.reading for o in res.looked]
    assert found == ([means] if shown == PHOTOS else ['nothing found']) and res.exit_code == code

def test_records_are_whole():
    names = [(c.shown, c.name) for c in CHECKS]
    assert len(set(names)) == len(names)
    for c in CHECKS:
        assert c.means in (LEAK, WARNING, HONEST) and c.says and c.hint.endswith('.') and c.read.__doc__
        assert c.shown in (PHOTOS, PLAIN, *module.EMPTY)
