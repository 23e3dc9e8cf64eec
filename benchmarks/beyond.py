"""Jigsaw beside rotation, and what turned pictures do to the features of both.

    python benchmarks/beyond.py [--out FILE.csv] [--work FOLDER] [--minutes N] [--smoke]

Three collections: drawn things with a natural way up; the same, each turned once at random by a quarter turn; and
photos of CIFAR-10 as PNG (fastai's data folder, cifar10_png6k), where they lie there, with one seed. Rotation and
jigsaw learn from the same photos in as many passes and views a photo, with the rate that the package sets, anew in
each seed. A random encoder stands beside them. On the upright drawn things so does a network from scratch, trained as
long as the fine-tuned ones and four times as long; those that train choose between two rates on a fifth of the labels
of the first seed, and the jigsaw encoder is also read on pictures that look as its own did: tiles with gaps, in the
right order. All methods of a seed have the same labels. A classifier is a row, with its answer to each test photo
(`x` for right, `.` for wrong). Then the features of each encoder are asked about turned views, stage by stage; see
`views`. Parts that stand in the CSV are not made again. `--smoke` makes every kind of part on a few drawn pictures.
"""
import argparse
import json
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from fastai.data.external import fastai_path
from fastai.vision.all import TensorImage, noop
from parts import run_parts
from PIL import Image
from selfsup.all import (Benchmark, OpenSquare, draw_world, file_features, label_subset, linear_probe, load_encoder,
                         pretext_dls, random_encoder, read_photos, save_encoder, train_pretext)
from selfsup.data.shapes import UPRIGHT
from selfsup.evaluation.benchmark import Recipe
from selfsup.pretext.jigsaw import cut_tiles, lay_tiles

@dataclass(frozen=True)
class Size:
    "What is run"
    drawn:tuple=(120, 20, 50) # Pictures a class: to train on, to watch, to test
    photos:int=2000 # Of CIFAR-10, to train on
    passes:int=6 # Of pretraining
    labels:int=20 # A class
    steps:int=100 # Batches of training with labels, of 32 photos
    long:int=4 # The long run is as many times as long
    lrs:tuple=(1e-3, 3e-3) # Of training with labels
    seeds:int=3
    asked:int=400 # Test photos that are turned

SMOKE = Size((10, 4, 4), 0, 1, 1, 2, 2, seeds=1, asked=20)
FROZEN = 'rotation, frozen', 'jigsaw, frozen', 'random, frozen'
TUNED = 'rotation, fine-tuned', 'jigsaw, fine-tuned', 'from scratch', 'from scratch, long'
TILES = 'jigsaw, frozen, on tiles'
VIEWS = 'rotation, turned views', 'jigsaw, turned views', 'random, turned views'

class Part(NamedTuple):
    "One pretraining, one classifier, or one encoder asked about turned views"
    photos:str # Name of the collection
    seed:int
    method:str

def parts(names, s):
    "All parts, collection by collection"
    more = {DRAWN: (*TUNED, *VIEWS, TILES), TURNED: (), CIFAR: VIEWS}
    for name in names:
        seeds = range(1 if name == CIFAR else s.seeds)
        yield from (Part(name, seed, m) for seed in seeds for m in ('rotation', 'jigsaw', *FROZEN, *more[name]))

def turn_files(files, quarters, folder):
    "Copies of pictures, each turned by its number of quarter turns"
    folder.mkdir(parents=True, exist_ok=True)
    out = [folder/f'{i:05}.png' for i in range(len(files))]
    for f, q, new in zip(files, quarters, out): Image.fromarray(np.rot90(np.array(Image.open(f)), q)).save(new)
    return out

DRAWN, TURNED, CIFAR = 'drawn', 'drawn, turned', 'CIFAR-10'

def collections(tmp, s):
    "Name to folder"
    train, valid, test = s.drawn
    for name in (DRAWN, TURNED):
        draw_world(tmp/name, train=train, valid=valid, test=test, classes=UPRIGHT[:8], size=32, clutter=.2)
    rng = np.random.default_rng(0)
    for f in sorted((tmp/TURNED).rglob('*.png')):
        Image.fromarray(np.rot90(np.array(Image.open(f)), rng.integers(4))).save(f)
    found = {DRAWN: tmp/DRAWN, TURNED: tmp/TURNED, CIFAR: fastai_path('data')/'cifar10_png6k'}
    return {name: folder for name, folder in found.items() if folder.is_dir() and (s.photos or name != CIFAR)}

class Tiles(OpenSquare):
    "Opens a picture as jigsaw shows it, in the right order: four tiles, between them the mean colour"
    def open(self, o):
        x, mean = super().open(o).int(), torch.tensor([124, 116, 104])[:, None, None]
        return TensorImage((lay_tiles(cut_tiles((x - mean)[None]), self.size)[0] + mean).byte())

def some(files, n): return [files[i] for i in np.random.default_rng(0).permutation(len(files))[:n]]

class Lab:
    "The photos of one collection, and its encoders"
    def __init__(self, s, folder, work):
        self.s, self.work, self.opener, self.rates = s, work, OpenSquare(32), {}
        self.photos = read_photos(folder, say=noop)
        if not folder.name.startswith(DRAWN):
            keep = {*some(self.photos.files('train'), s.photos), *self.photos.files('valid', 'test')}
            self.photos = replace(self.photos, table=self.photos.table[self.photos.table.path.isin(keep)])
    @cached_property
    def benchmark(self): return Benchmark(self.photos, self.opener, [self.s.steps], 32, self.s.lrs)
    def loaders(self, task='rotation'): return pretext_dls(self.photos, self.opener, task, say=noop)
    def labelled(self, seed): return label_subset(self.benchmark.labels, self.s.labels, seed)
    def encoder(self, method, seed):
        "What a method starts from"
        name = method.split(',')[0]
        if name == 'from scratch': return 'small'
        if name == 'random': return random_encoder(self.loaders(), seed=seed)
        return load_encoder(self.work/f'{name}-{seed}')

def learn(lab, part):
    "Pretrain, without labels"
    learn = train_pretext(lab.loaders(part.method), epochs=lab.s.passes, seed=part.seed)
    save_encoder(learn.model[0], lab.work/f'{part.method}-{part.seed}', size=32)
    yield dict(measure='in its own task', value=round(learn.recorder.values[-1][-1], 4))

def classify(lab, part):
    "Train with labels, or read frozen features"
    b, encoder, idxs = lab.benchmark, lab.encoder(part.method, part.seed), lab.labelled(part.seed)
    if part.method == TILES: b = Benchmark(lab.photos, Tiles(32), b.steps, 32, b.lrs)
    if part.method in (*FROZEN, TILES): run = b.probe(part.method, encoder, idxs, part.seed)
    else: run = b.finetune(part.method, encoder, idxs, part.seed, recipe(lab, part.method), bs=32)
    hits = run.preds == b.truth
    yield dict(measure='accuracy', value=round(float(hits.mean()), 4), hits=''.join(np.where(hits, 'x', '.')),
               chosen=json.dumps(run.tuned), train=round(run.train_accuracy, 4))

def recipe(lab, method):
    "The rate that the first seed's held-out labels chose, and the length"
    kind = method.removesuffix(', long')
    if kind not in lab.rates:
        lab.rates[kind] = lab.benchmark.choose_lr(lab.encoder(kind, 0), lab.labelled(0), lab.s.steps)[0]
    return Recipe(lab.rates[kind], lab.s.steps*(lab.s.long if 'long' in method else 1))

def likeness(a, b):
    "Mean cosine of the rows of two tables"
    return ((a*b).sum(1)/np.linalg.norm(a, axis=1)/np.linalg.norm(b, axis=1)).mean()

def views(lab, part):
    """What the features of an encoder say of turned views, at each stage; features are means over the whole map.

    `turn`: half of the photos fit a linear probe to the turn of their views, the others test it.
    `quarter turn`, `half turn`, `same class`: the cosine between the features of a photo and those of its turned view,
    or of another photo of its class, after the mean feature is taken off.
    `upright to upright`, `upright to turned`, `turned to turned`: a probe for the class that was fitted to labelled
    photos as they are or each turned at random, and is tested on photos as they are or each turned at random.
    """
    b, encoder, rng = lab.benchmark, lab.encoder(part.method, part.seed), np.random.default_rng(part.seed)
    at, idxs = some(range(len(b.truth)), lab.s.asked), lab.labelled(part.seed)
    truth, n = b.truth[at], len(at)
    def features(files, quarters):
        with tempfile.TemporaryDirectory() as tmp:
            return file_features(encoder, turn_files(files, quarters, Path(tmp)), OpenSquare(32, room=0)).x
    tests, own = [b.test_files[i] for i in at], [b.files[i] for i in idxs]
    turned = [features(tests, [q]*n) for q in range(4)]
    labelled = {'upright': features(own, [0]*len(own)), 'turned': features(own, rng.integers(4, size=len(own)))}
    which = rng.integers(4, size=n)
    for stage in turned[0]:
        x = np.stack([t[stage] for t in turned]) # turns × photos × channels
        found = likenesses(x - x.mean((0, 1)), truth) | {'turn': turn_probe(x)}
        tested = {'upright': x[0], 'turned': x[which, np.arange(n)]}
        probes = {how: linear_probe(f[stage], b.y[idxs], seed=part.seed) for how, f in labelled.items()}
        for fit, test in (('upright', 'upright'), ('upright', 'turned'), ('turned', 'turned')):
            found[f'{fit} to {test}'] = probes[fit].score(tested[test], truth)
        yield from (dict(measure=m, stage=stage, value=round(float(v), 4)) for m, v in found.items())

def likenesses(x, truth):
    "Mean cosines; `x` is turns × photos × channels, and its mean is 0"
    near = x[0]/np.linalg.norm(x[0], axis=1, keepdims=True)
    same = (truth[:, None] == truth) & ~np.eye(len(truth), dtype=bool)
    return {'quarter turn': (likeness(x[0], x[1]) + likeness(x[0], x[3]))/2, 'half turn': likeness(x[0], x[2]),
            'same class': (near @ near.T)[same].mean()}

def turn_probe(x):
    "Share of the views whose turn a probe gets right; of photos that it was not fitted to"
    half, turn = x.shape[1]//2, np.arange(4)[:, None].repeat(x.shape[1], 1)
    fit, test = ([o[:, s].reshape(-1, *o.shape[2:]) for o in (x, turn)] for s in (slice(half), slice(half, None)))
    return linear_probe(*fit, Cs=[.01]).score(*test)

COLUMNS = 'measure stage value chosen train hits'.split()

def do_part(lab, part):
    "The rows of a part"
    if part.method in VIEWS: return views(lab, part)
    return (learn if part.method in ('rotation', 'jigsaw') else classify)(lab, part)

def key(row): return tuple(str(row[name]) for name in Part._fields)

def run(out, work, minutes=None, smoke=False):
    "Run the parts that have no rows in `out`"
    s, labs = SMOKE if smoke else Size(), {}
    with tempfile.TemporaryDirectory() as tmp:
        found = collections(Path(tmp), s)
        def do(part):
            if part.photos not in labs: labs[part.photos] = Lab(s, found[part.photos], work/part.photos)
            return do_part(labs[part.photos], part)
        run_parts(parts(found, s), do, out, COLUMNS, key, minutes=minutes, score=lambda row: row['value'])

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path(__file__).with_suffix('.csv'))
    parser.add_argument('--work', type=Path, default=Path(__file__).parent/'beyond', help='for the encoders')
    parser.add_argument('--minutes', type=float, help='begin no part after this time')
    parser.add_argument('--smoke', action='store_true', help='every kind of part, on a few drawn pictures')
    args = parser.parse_args()
    run(args.out, args.work, args.minutes, args.smoke)

if __name__ == '__main__': main()
