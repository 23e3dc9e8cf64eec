"One training in two processes of one machine, on the CPU."
import json
import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import fastai.distributed  # gives learners `distrib_ctx`
from fastai.vision.all import (
    SGD, Callback, F1Score, ImageDataLoaders, accuracy, nn, noop, rank_distrib, set_seed, torch)
from selfsup.all import *
from selfsup.errors import InputError

BS = 4  # photos a batch in each process

def labelled(world, bs):
    return ImageDataLoaders.from_folder(world, bs=bs, val_bs=bs, num_workers=0, device='cpu', img_cls=PILUpright)

def head_alone(world, bs):
    "A learner for which it does not matter how a batch is cut: its encoder stands still, its head normalises nothing"
    def plain(n_in, n_out): return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_in, n_out))
    set_seed(0)
    learn = transfer_learner(labelled(world, bs), freeze=True, head=plain, opt_func=SGD, path=world.parent)
    learn.logger = noop
    learn.model.forward = partial(nn.Sequential.forward, learn.model)  # in 32 bits, also where a CPU is made for 16
    return learn

def weights(learn): return torch.cat([v.detach().float().flatten() for v in learn.model.state_dict().values()])

# What each of two processes does

class Note(Callback):
    "The photos that are dealt, and the targets that count"
    def __init__(self): self.dealt, self.targets, self.first = {'train': [], 'valid': []}, [], None
    def before_batch(self):
        if self.iter == 0: self.dealt['train' if self.training else 'valid'].append(self.learn.dl.own._DataLoader__idxs)
        if self.first is None: self.first = self.x.mean().item()
    def after_batch(self):
        if not self.training: self.targets.append(self.y.tolist())

def turns(world, out):
    set_seed(0)
    dls = RotationDataLoaders.from_folder(world, bs=BS, val_bs=BS, num_workers=0, device='cpu')
    note, watch = Note(), WatchFeatures(read_photos(world, say=noop), OpenSquare(32), labels=2, say=noop)
    learn = rotation_learner(dls, cbs=[note, watch], path=world.parent, metrics=[accuracy, F1Score(average='macro')])
    learn.logger = noop
    with learn.distrib_ctx(cpu=True, sync_bn=False), learn.no_bar():
        learn.fit(2, 1e-3)
        told = list(learn.recorder.values[-1])
        learn.remove_cbs([note, watch])
        preds, targets, losses = learn.get_preds(with_loss=True)
        learn.show_results(max_n=2)
        validated = list(learn.validate())
    with torch.no_grad(): alone = torch.cat([learn.model.eval()(x).softmax(1) for x, _ in dls.valid])
    save_encoder(learn.model[0], out, size=32)
    return dict(dealt=note.dealt, counted=note.targets, first=note.first, told=told, validated=validated,
                preds=preds.tolist(), targets=targets.tolist(), losses=losses.tolist(), alone=alone.tolist(),
                weights=weights(learn).tolist(), watched=watch.table().iloc[-1].fillna(0).tolist())

def labels(world):
    learn = head_alone(world, BS)
    with learn.distrib_ctx(cpu=True, sync_bn=False), learn.no_bar(): learn.fit(2, 30)
    return dict(weights=weights(learn).tolist(), told=list(learn.recorder.values[-1]))

def refusals(world):
    "What a learner says to what cannot work"
    def said(learn, f, **kwargs):
        try:
            with learn.distrib_ctx(**{'cpu': True, 'sync_bn': False, **kwargs}), learn.no_bar(): f(learn)
        except InputError as e: return str(e)
    def fit(learn): learn.fit(1)
    set_seed(rank_distrib())
    files = sorted((world/'train').rglob('*.png'))
    split = ImageDataLoaders.from_path_func(world, files, lambda f: f.parent.name, bs=BS, device='cpu', num_workers=0,
                                            img_cls=PILUpright)
    return dict(sync=said(head_alone(world, BS), fit, sync_bn=True),
                finder=said(head_alone(world, BS), lambda learn: learn.lr_find()),
                batch=said(head_alone(world, 12), fit), split=said(transfer_learner(split), fit))

def work(world, out):
    found = dict(turns=turns(world, out/'encoder'), labels=labels(world), refusals=refusals(world))
    (out/f'{rank_distrib()}.json').write_text(json.dumps(found, default=float))

# What comes of it

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    "22 photos to train on, two batches of four in each process and a rest; 7 to validate on, an odd number"
    path = tmp_path_factory.mktemp('data')/'world'
    draw_world(path, train=11, valid=4, test=1, classes=['house', 'cup'], size=32)
    next((path/'valid').rglob('*.png')).unlink()
    return path

@pytest.fixture(scope='module')
def found(world, tmp_path_factory):
    "What the first process noted, and what the second did"
    out = tmp_path_factory.mktemp('out')
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    env = os.environ | dict(OMP_NUM_THREADS='1', XDG_CACHE_HOME=str(out/'cache'), WORLD_SIZE='2',
                            MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))  # as torchrun does
    start = partial(subprocess.Popen, [sys.executable, __file__, world, out], text=True, stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT)
    processes = [start(env=env | dict(RANK=str(rank), LOCAL_RANK=str(rank))) for rank in range(2)]
    for process in processes:
        said, _ = process.communicate(timeout=600)
        assert process.returncode == 0, said
    return [json.loads((out/f'{rank}.json').read_text()) for rank in range(2)], out

@pytest.fixture(scope='module')
def both(found): return found[0]

def photos(views): return [views[i]//4 for i in range(0, len(views), 4)]

def test_the_views_of_a_photo_stay_together(both):
    for process in both:
        for views in sum(process['turns']['dealt'].values(), []):
            assert [v % 4 for v in views] == [0, 1, 2, 3]*(len(views)//4)
            assert [v//4 for v in views] == [p for p in photos(views) for _ in range(4)]

def test_no_photo_is_dealt_twice_in_training(both):
    for epoch in zip(*(process['turns']['dealt']['train'] for process in both)):
        dealt = sum(map(photos, epoch), [])
        assert len(dealt) == len(set(dealt)) == 16 and set(dealt) <= set(range(22))
    orders = both[0]['turns']['dealt']['train']
    assert orders[0] != orders[1]

def test_one_double_at_most_and_not_counted(both):
    first, second = (photos(process['turns']['dealt']['valid'][0]) for process in both)
    assert (first, second) == ([0, 2, 4, 6], [1, 3, 5, 0])
    assert [sum(map(len, process['turns']['counted'][:1])) for process in both] == [16, 12]

def test_figures_are_those_of_all_photos(both):
    for process in both:
        t = process['turns']
        preds, targets = torch.tensor(t['preds']), torch.tensor(t['targets'])
        assert t['targets'] == [0, 1, 2, 3]*7
        assert torch.allclose(preds, torch.tensor(t['alone']), atol=2e-2)  # in bfloat16 where the processor has it
        assert t['validated'][0] == pytest.approx(sum(t['losses'])/28, abs=1e-4)
        assert t['validated'][1] == pytest.approx(accuracy(preds, targets).item(), abs=1e-6)
        assert t['validated'] == pytest.approx(t['told'][1:], abs=1e-6)

def test_both_processes_end_with_the_same(both):
    for part in ('turns', 'labels'):
        assert both[0][part]['weights'] == both[1][part]['weights'] and both[0][part]['told'] == both[1][part]['told']
    assert both[0]['turns']['watched'] == both[1]['turns']['watched']

def test_each_process_draws_its_own_crops(both):
    assert both[0]['turns']['first'] != both[1]['turns']['first']

def test_the_first_process_saves_the_encoder(found, both):
    state = load_encoder(found[1]/'encoder').state_dict()
    saved = torch.cat([v.float().flatten() for v in state.values()])
    assert torch.equal(saved, torch.tensor(both[0]['turns']['weights'])[:len(saved)])

def test_two_processes_equal_one_with_their_batches_together(world, both):
    alone = head_alone(world, 2*BS)
    before = weights(alone)
    with alone.no_bar(): alone.fit(2, 30)
    two, one = torch.tensor(both[0]['labels']['weights']), weights(alone)
    assert (one - before).abs().max() > .1 and torch.allclose(one, two, atol=1e-4)
    assert both[0]['labels']['told'] == pytest.approx(alone.recorder.values[-1], abs=1e-3)

def test_what_cannot_work_is_said(both):
    for process in both:
        said = process['refusals']
        assert 'distrib_ctx(cpu=True, sync_bn=False)' in said['sync']
        assert 'lr_find works in one process' in said['finder']
        assert '22 pictures, less than one batch of 12 in each of 2 processes' in said['batch']
        assert 'do not have the same pictures' in said['split']

if __name__ == '__main__': work(*map(Path, sys.argv[1:]))
