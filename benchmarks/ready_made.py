"""Weights that others trained, rotation, both, and neither: what serves photos of one's own?

    python benchmarks/ready_made.py timm/ARCH:FILE [--out FILE.csv] [--work FOLDER] [--minutes N] [--smoke]

Of each collection of fastai's data folder (flowers_160, cifar10, bccd_cells), and of drawn things, at most 3,000
training photos are taken, and at most 2,000 for the test. The ready-made encoder is read frozen and fine-tuned, at 64
pixels where photos are small and at 96 else, and frozen at 160 as well; then the same after it has learned rotation on
these photos; the same architecture with random weights; the small encoder after rotation on some 90,000 pictures; and
the small one from scratch. Labels are drawn three times; encoders that learn rotation do so once. All train for the
same number of batches, the long run for eight times as many; each method chooses between two learning rates on a fifth
of the labels of the first draw. Parts go to a CSV, and are skipped where they stand.
`--smoke` makes every kind of part on a few drawn pictures.
"""
import argparse
import json
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from fastai.data.external import fastai_path
from fastai.vision.all import noop
from parts import run_parts
from selfsup.all import (Benchmark, OpenSquare, draw_world, label_subset, load_encoder, pretext_dls, random_encoder,
                         read_photos, save_encoder, train_rotation)
from selfsup.evaluation.benchmark import Recipe
from selfsup.models.ready_made import asked_for

@dataclass(frozen=True)
class Size:
    "What is run"
    photos:int=3000 # To train on, at most
    test:int=2000 # At most
    labels:tuple=(5, 20) # A class
    seeds:int=3 # Draws of labels
    steps:int=100 # Batches of training with labels, of 32 photos
    long:int=8 # The long run is as many times as long
    pictures:int=90_000 # Of rotation with the small encoder: photos times passes, which are at most 100
    few_pictures:int=9_000 # Of rotation that starts from the ready-made one
    lrs:tuple=(1e-3, 3e-3) # Of training with labels
    rotate_lr:float=1e-3 # Of rotation that starts from the ready-made one
    large:int=160 # Side of the photos that the ready-made one also reads frozen

SMOKE = Size(30, 12, (5,), 1, 2, 2, 30, 30, large=48)

class Collection(NamedTuple):
    "Photos, and at which size they are seen"
    folder:Path
    size:int # By the small encoder, in pixels
    ready:int # By the ready-made one

def collections(tmp, smoke):
    "Name to `Collection`"
    data = fastai_path('data')
    found = {'CIFAR-10': Collection(data/'cifar10', 32, 64), 'flowers': Collection(data/'flowers_160', 48, 96),
             'drawn': Collection(tmp/'world', 48, 64), 'cells': Collection(data/'bccd_cells', 48, 96)}
    few = dict(train=10, valid=2, test=4, classes=['house', 'car', 'cup'], size=32)
    draw_world(tmp/'world', **(few if smoke else dict(train=80, valid=10, test=40, size=64)))
    if smoke: return dict(drawn=Collection(tmp/'world', 32, 32))
    return {name: c for name, c in found.items() if c.folder.is_dir()}

FROZEN = 'ready-made, frozen', 'ready-made + rotation, frozen', 'random weights, frozen', 'rotation, frozen', \
         'ready-made on large pictures, frozen'
TUNED = 'ready-made, fine-tuned', 'ready-made + rotation, fine-tuned', 'random weights, trained', \
        'rotation, fine-tuned', 'from scratch', 'from scratch, long'

class Part(NamedTuple):
    "One classifier, or one pretraining"
    photos:str # Name of the collection
    method:str
    seed:int
    labels:int|str='' # A class

def parts(names, s):
    "All parts, in the order in which they are run; the slow ones come last in each collection"
    for name in names:
        for kind in ('rotation', 'ready-made + rotation'): yield Part(name, kind, 0)
        for methods in (FROZEN, TUNED):
            for method in methods:
                for labels in (s.labels if methods is FROZEN else s.labels[-1:]):
                    for seed in range(s.seeds): yield Part(name, method, seed, labels)

def take(files, n): return {files[i] for i in np.random.default_rng(0).permutation(len(files))[:n]}

class Lab:
    "The photos of one collection, and its encoders"
    def __init__(self, s, collection, weights, work):
        self.s, self.weights, self.work = s, weights, work
        photos = read_photos(collection.folder, say=noop)
        keep = take(photos.files('train'), s.photos) | take(photos.files('test'), s.test) | take(photos.files('valid'), 300)
        self.photos = replace(photos, table=photos.table[photos.table.path.isin(keep)])
        self.opener, self.ready_size = OpenSquare(collection.size), collection.ready
        self.rates = {}
    @cached_property
    def benchmark(self): return Benchmark(self.photos, self.opener, [self.s.steps], 32, self.s.lrs)
    def ready(self, size=None):
        "The ready-made encoder, for pictures of the collection's size or another"
        arch, _, file = asked_for(self.weights)
        return load_encoder(f'{arch}@{size or self.ready_size}:{file}')
    def loaders(self, size, bs=32): return pretext_dls(self.photos, OpenSquare(size), bs=bs, say=noop)
    @cached_property
    def random(self):
        encoder = random_encoder(self.loaders(self.ready_size), asked_for(self.weights).arch)
        encoder.meta['size'] = self.ready_size
        return encoder
    def learned(self, method):
        "An encoder that learned rotation here"
        return load_encoder(self.work/method)

    @cached_property
    def encoders(self):
        "What a method starts from, by the first part of its name"
        return {'ready-made': self.ready(), 'ready-made on large pictures': self.ready(self.s.large),
                'random weights': self.random, 'from scratch': 'small',
                **{method: self.learned(method) for method in ('rotation', 'ready-made + rotation')}}

def rotate(lab, part):
    "Rotation on the training photos, without labels"
    s, small = lab.s, part.method == 'rotation'
    dls = lab.loaders(lab.opener.size if small else lab.ready_size)
    passes = min(100, (s.pictures if small else s.few_pictures)//len(dls.train_ds))
    learn = train_rotation(dls, 'small' if small else lab.ready(), passes, 4e-3 if small else s.rotate_lr, say=noop)
    size = {} if small else dict(size=lab.ready_size)
    save_encoder(learn.model[0], lab.work/part.method, **size)
    yield dict(rotation_accuracy=round(learn.recorder.values[-1][-1], 4), passes=learn.n_epoch)

def classify(lab, part):
    "Train with labels, or read frozen features"
    b = lab.benchmark
    idxs, encoder = label_subset(b.labels, part.labels, part.seed), lab.encoders[part.method.split(',')[0]]
    if part.method in FROZEN: run = b.probe(part.method, encoder, idxs, part.seed)
    else: run = b.finetune(part.method, encoder, idxs, part.seed, recipe(lab, part, encoder), bs=32)
    hits = run.preds == b.truth
    by_class = {c: round(float(hits[b.truth == i].mean()), 3) for i, c in enumerate(lab.photos.classes)}
    yield dict(accuracy=round(float(hits.mean()), 4), balanced=round(float(np.mean([*by_class.values()])), 4),
               by_class=json.dumps(by_class), chosen=json.dumps(run.tuned), test=len(hits))

def recipe(lab, part, encoder):
    "The rate that the first draw's held-out labels chose, and the length"
    b, kind = lab.benchmark, part.method.removesuffix(', long')
    if kind not in lab.rates:
        lab.rates[kind] = b.choose_lr(encoder, label_subset(b.labels, part.labels, 0), lab.s.steps)[0]
    return Recipe(lab.rates[kind], lab.s.steps*(lab.s.long if 'long' in part.method else 1))

COLUMNS = 'accuracy balanced by_class chosen test rotation_accuracy passes'.split()

def key(row): return tuple(str(row[name]) for name in Part._fields)

def run(weights, out, work, minutes=None, smoke=False):
    "Run the parts that have no rows in `out`"
    s = SMOKE if smoke else Size()
    with tempfile.TemporaryDirectory() as tmp:
        found, labs = collections(Path(tmp), smoke), {}
        def do(part):
            if part.photos not in labs:
                labs.clear()
                labs[part.photos] = Lab(s, found[part.photos], weights, work/part.photos)
            return (classify if part.labels else rotate)(labs[part.photos], part)
        known = dict(weights=Path(weights).name)
        run_parts(parts(found, s), do, out, COLUMNS, key, known, minutes)

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('weights', help='timm/ARCH, or timm/ARCH:FILE')
    parser.add_argument('--out', type=Path, default=Path(__file__).with_suffix('.csv'))
    parser.add_argument('--work', type=Path, default=Path(__file__).parent/'ready_made', help='for the encoders')
    parser.add_argument('--minutes', type=float, help='begin no part after this time')
    parser.add_argument('--smoke', action='store_true', help='every kind of part, on a few drawn pictures')
    args = parser.parse_args()
    run(args.weights, args.out, args.work, args.minutes, args.smoke)

if __name__ == '__main__': main()
