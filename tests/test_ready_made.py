"Ready-made weights wherever an encoder is taken: their size, their scale, every tensor."
import pickle
import sys

import numpy as np
import pytest
import timm
import torch.nn.functional as F
from fastai.vision.all import noop, torch
from PIL import Image
from selfsup.checks.suitability import suitability
from selfsup.data.drawn import draw_world
from selfsup.data.photos import read_photos
from selfsup.data.squares import OpenSquare
from selfsup.errors import InputError
from selfsup.evaluation.benchmark import Benchmark
from selfsup.evaluation.evaluate import evaluate
from selfsup.models.encoder import create_encoder
from selfsup.models.ready_made import ready_made_encoder
from selfsup.models.saved import as_encoder, load_encoder
from selfsup.pretext.pretrain import pretrain
from selfsup.transfer.finetune import finetune

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    return draw_world(tmp_path_factory.mktemp('data')/'world', train=12, valid=3, test=4, classes=['house', 'car'], size=32)

@pytest.fixture(scope='module')
def theirs(tmp_path_factory):
    "A model of timm's, and how to ask for its weights at 48 pixels"
    torch.manual_seed(0)
    model = timm.create_model('resnet10t').eval()
    torch.save(model.state_dict(), file := tmp_path_factory.mktemp('weights')/'theirs.pth')
    return model, f'timm/resnet10t@48:{file}'

def by_hand(model, files):
    "Pooled features of timm's own model, at 48 pixels and ImageNet's scale"
    cfg, opener = model.pretrained_cfg, OpenSquare(48)
    mean, std = (torch.tensor(cfg[k])[:, None, None] for k in ('mean', 'std'))
    x = torch.stack([(opener(f).float()/255 - mean)/std for f in files])
    with torch.no_grad(): return F.adaptive_avg_pool2d(model.forward_features(x.as_subclass(torch.Tensor)), 2).flatten(1)

def test_without_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(InputError) as e: create_encoder('timm/resnet10t')
    assert str(e.value) == "'timm/resnet10t' needs timm, which is not installed: pip install 'selfsup[timm]'."
    with pytest.raises(InputError, match=r"Unknown arch 'resnet10t'; .* For timm's names: pip install"): create_encoder('resnet10t')

class Count:
    def __init__(self): self.done = 0
    def step(self, n=1, what=None): self.done += n

def test_features_are_those_of_its_own_size_and_scale(world, theirs):
    model, text = theirs
    b = Benchmark(read_photos(world, say=noop), OpenSquare(32), progress=Count())
    encoder = load_encoder(text)
    x = b.features(encoder).x
    want = by_hand(model, b.files + b.test_files)
    assert torch.allclose(torch.tensor(x[5]), want, atol=1e-4)
    assert b.progress.done == len(want)*(48/32)**2  # at what they cost
    small = as_encoder('small')
    b.features(small)
    assert b.progress.done == len(want)*(48/32)**2 + len(want)
    assert (b.opener_of(encoder).size, b.opener_of(small).size, b.opener_of('small').size) == (48, 32, 32)

def test_a_learner_sees_its_size_too(world, theirs):
    b = Benchmark(read_photos(world, say=noop), OpenSquare(32), steps=[2], bs=4, lrs=[1e-3])
    run = b.finetune('theirs', load_encoder(theirs[1]), b.y.nonzero()[0], seed=0)
    assert len(run.preds) == len(b.test_files)
    assert sorted(b.openers) == [32, 48]

def test_commands_take_it(world, theirs, tmp_path):
    model, text = theirs
    file = pretrain(world, tmp_path/'on', start_from=text, epochs=1, lr=1e-9, bs=8, say=noop)
    on = load_encoder(file)
    assert on.meta['size'] == 48 and on.meta['normalization']['std'] == list(model.pretrained_cfg['std'])
    assert torch.allclose(on.model.conv1[0].weight, model.conv1[0].weight, atol=1e-6)
    assert finetune(world, text, tmp_path/'fine', steps=2, bs=4, say=noop)['settings']['size'] == 48
    evaluate(world, text, tmp_path/'stages', say=noop)
    assert (tmp_path/'stages'/'result.json').exists()

def test_a_bare_name_is_fresh_where_that_makes_sense(theirs):
    fresh = as_encoder('timm/resnet10t')
    assert 'size' not in fresh.meta
    given = as_encoder(theirs[1])
    assert torch.equal(given.model.conv1[0].weight, theirs[0].conv1[0].weight)
    with pytest.raises(InputError, match='pretrained asks'): as_encoder(theirs[1], pretrained=True)

def test_finetune_says_what_it_starts_from(world, tmp_path, monkeypatch):
    "timm/ARCH are weights, as everywhere; a bare name is an architecture, and that is told"
    asked, lines = [], []
    def make(name, pretrained=False, **kwargs):
        asked.append(pretrained)
        return create_model(name, **kwargs)
    create_model = timm.create_model
    monkeypatch.setattr('timm.create_model', make)
    quick = dict(steps=1, bs=4, size=32)
    finetune(world, 'timm/resnet10t', tmp_path/'weights', say=lines.append, **quick)
    assert True in asked and not any('from scratch' in str(line) for line in lines)
    finetune(world, 'small', tmp_path/'fresh', say=lines.append, **quick)
    assert "'small' is an architecture, so this is a training from scratch" in lines

def test_the_classifier_may_be_missing(theirs, tmp_path):
    state = {k: v for k, v in theirs[0].state_dict().items() if not k.startswith('fc.')}
    torch.save(state, tmp_path/'headless.pth')
    assert ready_made_encoder(f"timm/resnet10t:{tmp_path/'headless.pth'}").n_stages == 5

def skies(folder, n=81):
    "Noisy pictures that are light above and dark below"
    rng, light = np.random.default_rng(0), np.linspace(220, 40, 32)[:, None, None]
    folder.mkdir()
    for i in range(n):
        Image.fromarray(np.uint8(light + rng.integers(0, 36, (32, 32, 3)))).save(folder/f'{i}.png')
    return folder

def test_suitability_asks_it(theirs, tmp_path):
    photos = skies(tmp_path/'photos')
    res = suitability(photos, tmp_path/'out', encoder=theirs[1], n=50, n_ask=20, say=noop)
    assert (res.opener.size, res.probs.shape, res.asked) == (48, (20, 4, 4), True)
    assert abs(res.probs.sum(2) - 1).max() < 1e-5
    assert res.sentences()[1].startswith('A logistic regression on the features of the encoder guesses')
    assert 'Two logistic regressions' in (tmp_path/'out'/'report.html').read_text()
    again = suitability(photos, encoder=theirs[1], n=50, n_ask=20, say=noop)
    assert (again.probs == res.probs).all()
    assert res.hits[0].mean() > .9

@pytest.mark.parametrize('junk', [b'', b'PK', b'\x80\x04junk', pickle.dumps({'a': noop}), b'\xff'*64, b'\xff'*7 + b'\x7f{"a":1}'])
@pytest.mark.parametrize('name', ['junk.pth', 'junk.safetensors'])
@pytest.mark.filterwarnings('error')
def test_junk_is_refused_in_one_line(junk, name, tmp_path):
    (tmp_path/name).write_bytes(junk)
    with pytest.raises(InputError, match='cannot be read as weights') as e: ready_made_encoder(f'timm/resnet10t:{tmp_path/name}')
    assert '\n' not in str(e.value)
