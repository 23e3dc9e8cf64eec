"""How to read frozen features: pooling, and what chooses C and the stage. Rotation encoders and random ones.

    python benchmarks/probes.py [PHOTOS] [PASSES] [FILE.csv]       writes benchmarks/probes.csv

Of each collection in fastai's data folder, PHOTOS training photos (default 3,000) pretrain the small encoder in
PASSES passes (default 10), with the augmentation of the paper. Its stages and those of a random encoder are pooled in
1×1, 2×2 and 3×3 parts, and read with 2, 5, 20 and 100 labels a class, three draws each; C and the stage are chosen by
one fold of the labels, a fifth of them, or by cross-validation. A row is one probe, at the stage that was chosen. The
test decides nothing.
"""
import csv
import sys
import tempfile
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from fastai.data.external import fastai_path
from fastai.vision.all import noop
from machine import machine
from paper import CroppedRotation
from selfsup.all import (OpenSquare, draw_world, file_features, label_subset, layer_probe, pretext_dls, random_encoder,
                         read_photos, train_rotation)
from selfsup.transfer import probes

PHOTOS = {'CIFAR-10': ('cifar10', 32), 'flowers': ('flowers_160', 48), 'cells': ('bccd_cells', 48)}
TEST, BUDGETS, SEEDS, SIDES = 1000, (2, 5, 20, 100), range(3), (1, 2, 3)

def collections(n, tmp):
    "(name, its photos, opener) of what is at hand, else of drawn pictures"
    data = fastai_path('data')
    found = {name: (data/folder, size) for name, (folder, size) in PHOTOS.items() if (data/folder).is_dir()}
    if not found: found = {'drawn': (draw_world(tmp/'world', train=30, valid=5, test=10, size=32), 32)}
    for name, (folder, size) in found.items(): yield name, read_photos(folder), OpenSquare(size)

def some(files, n):
    "n of them, the same each time, in their order"
    return sorted(np.random.default_rng(0).permutation(len(files))[:n])

def encoders(photos, opener, train, passes):
    "The small encoder, before and after rotation"
    files = photos.files('train')
    keep = {*(files[i] for i in train), *photos.files('valid')[:200]}
    few = photos.table[photos.table.path.isin(keep)]
    dls = pretext_dls(replace(photos, table=few), opener, CroppedRotation(), say=noop)
    yield 'random', random_encoder(dls, 'small', 0)
    yield 'rotation', train_rotation(dls, epochs=passes, seed=0).model[0]

def read(x, test, y, truth, few, seed):
    "Scores of the chosen stage, by what chose it"
    for chosen, enough in {'a fifth': 1, 'cross-validation': 1000}.items():
        probes._ENOUGH = enough
        lp = layer_probe({s: f[few] for s, f in x.items()}, y[few], test, truth, seed=seed)
        yield dict(chosen_by=chosen, stage=lp.best, C=lp.table.C[lp.best], accuracy=round(lp.table.test[lp.best], 4),
                   balanced=round(lp.table.balanced[lp.best], 4))

def rows(name, photos, opener, n, passes):
    "Each probe of one collection"
    files, labels = (np.array(o) for o in (photos.files('train'), photos.labels('train')))
    train = some(files, n)
    tests = some(photos.files('test'), TEST)
    test_files, truth = ([o[i] for i in tests] for o in (photos.files('test'), photos.labels('test')))
    for (encoder, body), side in product(encoders(photos, opener, train, passes), SIDES):
        x, test = (file_features(body, list(fs), opener, side=side).x for fs in (files[train], test_files))
        for budget, seed in product(BUDGETS, SEEDS):
            if min(np.unique(labels[train], return_counts=True)[1]) < budget: continue
            few = label_subset(labels[train], budget, seed)
            for found in read(x, test, labels[train], np.array(truth), few, seed):
                yield dict(photos=name, size=opener.size, pretrained_on=len(train), passes=passes, encoder=encoder,
                           side=side, labels=budget, seed=seed, test=len(truth), **found)

def main():
    n, passes = (int(a) for a in (*sys.argv[1:3], *('3000', '10')[len(sys.argv[1:3]):]))
    out = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(__file__).with_suffix('.csv')
    found = []
    with tempfile.TemporaryDirectory() as tmp:
        for one in collections(n, Path(tmp)):
            found += rows(*one, n, passes)
            print(f'{one[0]}: {len(found)} rows so far', flush=True)
    with open(out, 'w', newline='') as f:
        writer = csv.DictWriter(f, [*found[0], *machine()])
        writer.writeheader()
        writer.writerows(row | machine() for row in found)

if __name__ == '__main__': main()
