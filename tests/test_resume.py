"The folder of a run: its name, its end, and who is at work in it."
import json
import os
import shutil

import pytest
import torch
from fastai.vision.all import noop
from selfsup.checks.audit import audit
from selfsup.checks.suitability import suitability
from selfsup.data.drawn import draw_world
from selfsup.errors import InputError
from selfsup.evaluation.compare import compare
from selfsup.evaluation.evaluate import evaluate
from selfsup.models.encoder import create_encoder
from selfsup.models.saved import save_encoder
from selfsup.pretext.plan import training_views
from selfsup.pretext.pretrain import pretrain
from selfsup.transfer.finetune import finetune

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    os.environ['XDG_CACHE_HOME'] = str(tmp_path_factory.mktemp('cache'))
    return draw_world(tmp_path_factory.mktemp('data')/'world', train=20, valid=4, test=5, classes=['house', 'car', 'cup'], size=32)

def test_a_name_too_long_is_refused(world, tmp_path):
    encoder = save_encoder(create_encoder(), tmp_path/'fresh', size=32)
    for command, kwargs in ((pretrain, {}), (finetune, dict(encoder='small')), (compare, {}), (evaluate, dict(encoder=encoder)), (audit, {}), (suitability, {})):
        with pytest.raises(InputError, match='too long'): command(world, out=tmp_path/('x'*300), say=noop, **kwargs)

def test_a_folder_that_vanishes_costs_no_result(world, tmp_path):
    lines = []
    def vanish(line):
        lines.append(str(line))
        if 'epoch 1 ' in str(line): shutil.rmtree(tmp_path/'pre')
    file = pretrain(world, tmp_path/'pre', size=32, epochs=2, say=vanish)
    assert len([line for line in lines if 'could not be kept' in line]) == 2 and ' after ' in lines[-2]
    assert {f.name for f in file.parent.iterdir()} == {'encoder.safetensors', 'encoder.json', 'result.json', 'files.csv'}

def test_a_second_run_in_a_folder_says_so(world, tmp_path):
    encoder = save_encoder(create_encoder(), tmp_path/'fresh', size=32)
    for command, kwargs in ((pretrain, dict(epochs=1)), (finetune, dict(encoder='small', steps=2)), (evaluate, dict(encoder=encoder)),
                            (audit, {}), (suitability, dict(epochs=1))):
        seen = []
        def another(line):
            if 'was read' not in str(line): return
            with pytest.raises(InputError, match='Another process is at work'): command(world, out=tmp_path/command.__name__, size=32, say=noop, **kwargs)
            seen.append(line)
        command(world, out=tmp_path/command.__name__, size=32, say=another, **kwargs)
        assert len(seen) == 1

def test_a_photo_in_another_class_is_noticed(world, tmp_path):
    photos = sorted((world/'train').rglob('*.png')) + sorted((world/'valid').rglob('*.png'))
    rows = [[str(f.relative_to(world)), f.parent.name, f.parent.parent.name] for f in photos]
    def begin(rows, resume, say):
        table = [['path', 'class', 'split'], *rows]
        (tmp_path/'labels.csv').write_text('\n'.join(map(','.join, table)))
        return pretrain(world, tmp_path/'pre', labels_csv=tmp_path/'labels.csv', size=32, epochs=2, resume=resume, say=say)
    def stop(line):
        if 'epoch 2 ' in str(line): raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): begin(rows, False, stop)
    other = [rows[0][:1] + ['cup'] + rows[0][2:], *rows[1:]]
    with pytest.raises(InputError, match='another split or class'): begin(other, True, noop)
    assert begin(rows, True, noop).exists()

def test_a_run_of_some_minutes_goes_on_with_the_passes_that_it_began_with(world, tmp_path, monkeypatch):
    def pretrain_at(pace, out, say, **kwargs):
        "`pace` passes take a minute"
        monkeypatch.setattr('selfsup.pretext.pretrain.seconds_a_view', lambda dls, *args, **kwargs: 60/pace/training_views(dls))
        return pretrain(world, tmp_path/out, size=32, say=say, **kwargs)
    def stop(line):
        if 'epoch 2 ' in str(line): raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): pretrain_at(3.5, 'pre', stop, minutes=1)
    file = pretrain_at(9.5, 'pre', noop, minutes=1, resume=True)
    whole = pretrain_at(1, 'whole', noop, epochs=3, bs=16)
    assert file.read_bytes() == whole.read_bytes()
    assert json.loads((tmp_path/'pre'/'result.json').read_text())['settings']['epochs'] == 3
    with pytest.raises(InputError, match='it takes about 10 min'): pretrain_at(.1, 'long', noop, minutes=1)
    assert not (tmp_path/'long').exists()

def stopped(command, world, out, line, **kwargs):
    "Run a command until it says something with `line` in it"
    def stop(said):
        if line in str(said): raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): command(world, out, say=stop, **kwargs)
    (out/'unfinished'/'seconds').write_text('1000')

def test_the_time_that_is_told_is_that_of_all_parts(world, tmp_path):
    out, lines, terms = tmp_path/'pre', [], dict(size=32, epochs=2)
    stopped(pretrain, world, out, 'epoch 2 ', **terms)
    pretrain(world, out, resume=True, say=lines.append, **terms)
    assert 1000 < json.loads((out/'result.json').read_text())['seconds'] < 1100 and 'after 17 min' in lines[-2]

def test_a_comparison_that_went_on_tells_the_time_of_its_pretraining(world, tmp_path):
    out, terms = tmp_path/'results', dict(labels='4', seeds=1, size=16, epochs=2, steps=[2], lrs=[1e-3], bs=8)
    stopped(compare, world, out, 'from scratch', **terms)
    trained = sum(torch.load(out/'unfinished'/'rotation 0.pt')['seconds'])
    found = compare(world, out, resume=True, say=noop, **terms)
    assert 1000 < found.seconds < 1100
    assert found.pretraining['rotation']['seconds'] == pytest.approx(trained)

@pytest.mark.slow
def test_a_comparison_fits_its_passes_to_minutes(world, monkeypatch):
    lines = []
    terms = dict(labels='4', seeds=1, size=16, steps=[2], lrs=[1e-3], bs=8)
    monkeypatch.setattr('selfsup.evaluation.compare.seconds_a_view', lambda *args: 1e-3)
    with pytest.raises(InputError, match='with one pass over the photos'): compare(world, minutes=.001, **terms, say=noop)
    found = [compare(world, minutes=m, **terms, say=lines.append).settings['epochs'] for m in (.15, .2)]
    assert 1 <= found[0] < found[1]
    assert any('about 9 s in all' in str(line) or 'about 8 s in all' in str(line) for line in lines)
