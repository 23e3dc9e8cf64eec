"What runs leave behind, what they say on the way, and what ends them before time is wasted."
import json
import os
import pickle
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import pytest
import timm
from fastai.vision.all import load_learner, noop, torch
from selfsup.evaluation import compare as compare_module
from selfsup.checks.audit import audit
from selfsup.checks.suitability import suitability
from selfsup.console import Progress
from selfsup.data.drawn import draw_world
from selfsup.data.photos import read_photos
from selfsup.data.squares import OpenSquare
from selfsup.errors import InputError
from selfsup.evaluation.benchmark import Benchmark, Recipe
from selfsup.evaluation.compare import compare
from selfsup.evaluation.curve import Piece
from selfsup.evaluation.evaluate import evaluate
from selfsup.models.saved import load_encoder
from selfsup.pretext.learner import rotation_learner
from selfsup.pretext.pretrain import pretrain
from selfsup.pretext.rotation import RotationDataLoaders
from selfsup.run_folder import run_folder
from selfsup.transfer.finetune import finetune

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    os.environ['XDG_CACHE_HOME'] = str(tmp_path_factory.mktemp('cache'))
    return draw_world(tmp_path_factory.mktemp('data')/'world', train=20, valid=4, test=5, classes=['house', 'car', 'cup'], size=32)

@pytest.fixture(scope='module')
def encoder(world, tmp_path_factory):
    return pretrain(world, tmp_path_factory.mktemp('runs')/'pre', size=32, epochs=1, say=noop)

def unpacked(file):
    with zipfile.ZipFile(file) as z: return b''.join(map(z.read, z.namelist()))

def private(data, world):
    "What of the photos is in `data`: names, folders, pixels"
    found = [name for name in (str(world), str(world.parent), '0000.png', 'train/') if name.encode() in data]
    opener = OpenSquare(32)
    pixels = [f for f in world.rglob('*.png') if opener(f).numpy().tobytes()[:200] in data]
    return found + pixels

def test_a_model_holds_no_photo_and_works_elsewhere(world, encoder, tmp_path):
    finetune(world, encoder, tmp_path/'fine', steps=5, say=noop)
    model = tmp_path/'fine'/'model.pkl'
    assert private(unpacked(model), world) == []
    first, second = sorted((world/'test').rglob('*.png'))[::6][:2]
    (tmp_path/'else').mkdir()
    code = f'''
import shutil, warnings
warnings.simplefilter('ignore')
from pathlib import Path
from fastai.vision.all import load_learner, PILImage
learn = load_learner({str(model)!r})
learn.remove_cb(learn.progress) if hasattr(learn, 'progress') else None
probs = []
for photo in ({str(first)!r}, {str(second)!r}):
    shutil.copy(photo, 'upload.png')
    for item in ('upload.png', Path('upload.png'), Path('upload.png').read_bytes(), PILImage.create('upload.png')):
        with learn.no_bar(): probs.append([round(float(p), 4) for p in learn.predict(item)[2]])
print(probs)
'''
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path/'else', text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    probs = json.loads(done.stdout.splitlines()[-1])
    assert all(p == probs[0] for p in probs[:4]) and all(p == probs[4] for p in probs[4:]) and probs[0] != probs[4]

def test_nothing_that_is_pickled_carries_photos(world, tmp_path):
    photos, opener = read_photos(world), OpenSquare(32)
    benchmark = Benchmark(photos, opener)
    assert len(opener.kept) == len(photos.table)
    again = pickle.loads(pickle.dumps(benchmark))
    assert not again.opener.kept and len(pickle.dumps(opener)) < 1000
    assert [p for p in private(pickle.dumps(benchmark), world) if isinstance(p, Path)] == []
    dls = RotationDataLoaders.from_folder(world, bs=4, num_workers=0)
    learn = rotation_learner(dls)
    with learn.no_bar(), learn.no_logging(): learn.fit(1)
    learn.export(tmp_path/'rotation.pkl')
    found = private(unpacked(tmp_path/'rotation.pkl'), world)
    assert set(found) <= {str(world), str(world.parent)}, 'only the path of the learner, which is fastai\'s'

def test_a_training_that_diverges_ends_with_its_epoch(world, tmp_path):
    with pytest.raises(InputError, match=r'epoch 1.*learning rate'): pretrain(world, tmp_path/'pre', size=32, epochs=1, lr=1e6, say=noop)
    assert not (tmp_path/'pre').exists()
    with pytest.raises(InputError, match='learning rate'): finetune(world, 'small', tmp_path/'fine', steps=5, lr=1e9, say=noop)
    assert not (tmp_path/'fine').exists()

def test_a_folder_named_like_an_architecture_is_no_encoder(world, encoder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path/'small').mkdir()
    for f in encoder.parent.iterdir(): (tmp_path/'small'/f.name).write_bytes(f.read_bytes())
    a = finetune(world, 'small', tmp_path/'a', steps=2, say=noop)
    (tmp_path/'small').rename(tmp_path/'other')
    b = finetune(world, 'small', tmp_path/'b', steps=2, say=noop)
    weights = [load_learner(tmp_path/run/'model.pkl').model.state_dict() for run in 'ab']
    assert all(v.equal(weights[1][k]) for k, v in weights[0].items()) and a['test_accuracy'] == b['test_accuracy']
    with pytest.raises(InputError, match=r'\./other'): finetune(world, 'other', tmp_path/'c', say=noop)
    assert load_encoder('other').meta['pretext']['name'] == 'rotation'  # where no architecture is asked for, it is a folder

WRONG = [
    (pretrain, dict(lr=0)), (pretrain, dict(seed=-1)), (pretrain, dict(size=4)), (pretrain, dict(pretext='rotatoin')), (pretrain, dict(arch='smal')),
    (finetune, dict(encoder='small', lr=-1)), (finetune, dict(encoder='small', cut=9)), (finetune, dict(encoder='small', labels='0')),
    (finetune, dict(encoder='small', bs=1)), (finetune, dict(encoder='./nowhere')), (finetune, dict(encoder='small', seed=-1)),
    (compare, dict(lrs=[])), (compare, dict(lrs=[float('nan')])), (compare, dict(pretrain_lr=-1)), (compare, dict(labels='x')), (compare, dict(arch='smal')),
    (pretrain, dict(size=100_000)), (finetune, dict(encoder='small', size=100_000)), (compare, dict(size=100_000)), (audit, dict(size=100_000))]

@pytest.mark.parametrize('command, wrong', WRONG, ids=lambda o: o.__name__ if callable(o) else next(iter(o)))
def test_arguments_are_checked_before_any_photo_is_opened(command, wrong, world, tmp_path, monkeypatch):
    monkeypatch.setattr('selfsup.data.photos.scan_images', lambda *args, **kwargs: pytest.fail('a photo was opened'))
    with pytest.raises(InputError): command(world, out=tmp_path/'out', say=noop, **wrong)
    assert not (tmp_path/'out').exists()

def test_the_folder_for_results_is_checked_before_any_photo_is_opened(world, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr('selfsup.data.photos.scan_images', lambda *args, **kwargs: pytest.fail('a photo was opened'))
    (tmp_path/'old').mkdir(), (tmp_path/'old'/'result.json').touch()
    for command, kwargs in ((pretrain, {}), (finetune, dict(encoder='small')), (compare, {}), (evaluate, dict(encoder=encoder)), (audit, {}), (suitability, {})):
        with pytest.raises(InputError, match='already holds files'): command(world, out=tmp_path/'old', say=noop, **kwargs)

def test_the_network_is_tried_before_anything_is_trained(world, monkeypatch):
    make = timm.create_model
    def offline(name, pretrained=False, **kwargs):
        if pretrained: raise OSError('no network')
        return make(name, **kwargs)
    monkeypatch.setattr(timm, 'create_model', offline)
    monkeypatch.setattr(compare_module, 'train_pretext', lambda *args, **kwargs: pytest.fail('trained'))
    lines = []
    with pytest.raises(InputError, match="The weights of timm/resnet10t cannot be had here"):
        compare(world, size=32, labels='5', encoder='theirs=timm/resnet10t', say=lines.append)
    assert not lines

def test_everything_long_says_how_much_time_is_left(world, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(Progress, 'every', 0)
    monkeypatch.setattr(Progress, 'left', lambda self: 0)
    def said(command, **kwargs):
        lines = []
        command(world, say=lines.append, **kwargs)
        return {line.split(':')[0] for line in map(str, lines) if ' left' in line and '%' in line}
    assert {'opening every picture once', 'pretraining, epoch 1 of 2', 'pretraining, epoch 2 of 2'} <= said(
        pretrain, out=tmp_path/'pre', size=32, epochs=2)
    assert {'opening the photos', 'fine-tuning'} <= said(finetune, encoder=encoder, out=tmp_path/'fine', steps=3)
    assert {'features of every stage', 'linear probes'} <= said(evaluate, encoder=encoder)
    assert {'looking at photos', 'looking at noise'} <= said(audit, size=32)
    assert {'pretraining', 'training with few labels', 'from scratch, long'} <= said(
        compare, size=32, labels='5', seeds=1, epochs=1, steps=[2], lrs=[1e-3])

def test_a_report_that_fails_loses_no_result(world, tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr('selfsup.evaluation.comparison.figure_png', lambda *args: 1/0)
    with pytest.raises(ZeroDivisionError):
        compare(world, tmp_path/'out', size=32, labels='5', seeds=1, epochs=1, steps=[2], lrs=[1e-3], say=lines.append)
    assert json.loads((tmp_path/'out'/'result.json').read_text())['verdicts'] and any('from scratch' in str(line) for line in lines)
    assert not (tmp_path/'out'/'report.html').exists()

@pytest.mark.slow
def test_trainings_at_the_same_time_are_the_same(world):
    "Two processes give what one gives that has a single thread"
    threads = torch.get_num_threads()
    terms = dict(size=16, labels='5', seeds=2, epochs=1, steps=[2, 4], bs=8, lrs=[1e-3, 3e-3], each_seed=False, say=noop)
    torch.set_num_threads(1)
    try: one, two = (compare(world, jobs=n, **terms) for n in (1, 2))
    finally: torch.set_num_threads(threads)
    assert len(one.runs) == 2*4 + 3
    for a, b in zip(one.runs, two.runs):
        assert (a.method, a.seed, a.tuned, list(a.preds)) == (b.method, b.seed, b.tuned, list(b.preds))
    with pytest.raises(InputError, match='jobs is 0'): compare(world, jobs=0, **terms)

def test_views_of_other_processes_are_counted(world):
    photos = read_photos(world, say=noop)
    b = Benchmark(photos, OpenSquare(16), steps=[2], bs=4, lrs=[1e-3], progress=Progress(1000, 'training', noop))
    idxs = b.y.nonzero()[0][:10]
    make = partial(compare_module._train_long, name='x', arch='small', idxs=idxs, recipe=Recipe(1e-3, 2), bs=4)
    pieces = [Piece(f'piece {seed}', partial(make, seed=seed), apart=True) for seed in range(2)]
    with run_folder(None, {}, say=noop) as run: runs = list(compare_module.Pieces(run, b, 2)(pieces))
    assert [r.seed for r, in runs] == [0, 1]
    assert b.progress.done == 2*(3*2*4 + len(idxs) + len(b.test_files))
