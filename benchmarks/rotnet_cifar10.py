"""From how many unlabelled photos, and how many passes, does rotation pay? CIFAR-10, in parts that are kept.

    python benchmarks/rotnet_cifar10.py smoke|cpu [--folder FOLDER] [--out FILE.csv] [--work FOLDER] [--minutes N]

Each part is one training or one table of probes, and ends in rows of the CSV; a part whose rows stand there is skipped,
so the command can be stopped and given again, and a pretraining goes on from its last pass. With --minutes, no part is
begun after that time. The folder is CIFAR-10 as fastai lays it out (`untar_data(URLs.CIFAR)`), 50,000 training photos
and 10,000 for the test; the rows that stand in the CSV were made with JPEG copies of its PNG files. A thousand of the
training photos are set aside to watch the pretraining. Rates are chosen on a fifth of the labels, never on the test.
`smoke` runs every kind of part in a minute, on drawn pictures.
"""
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from cifar10 import command_line, folder_of
from fastai.vision.all import noop
from paper import CroppedRotation
from parts import run_parts
from selfsup.all import (Benchmark, OpenSquare, label_subset, load_encoder, pretext_dls, pretrain, random_encoder,
                         read_photos)
from selfsup.evaluation.benchmark import Recipe
from selfsup.statistics import share_interval

@dataclass(frozen=True)
class Size:
    "What is run"
    labels:tuple # Labels a class
    seeds:int # Of labels, weights and pretraining
    photos:tuple # Unlabelled photos of the curve, at equal passes, beside all of them
    many:tuple # (unlabelled photos, passes) of about as many pictures as one point of that curve, with one seed
    passes:int # Of pretraining
    steps:int # Batches of fine-tuning, and of training from scratch
    lengths:tuple # Batches of the longer trainings from scratch
    long_labels:tuple # Labels a class for which those are made
    as_long:tuple # (unlabelled photos, batches) from scratch, as long as that point of the curve and with its labels
    whole:tuple # (labels a class, batches) with all labels, from scratch and after rotation, with one seed
    arch:str='small'
    bs:int=128 # Photos a batch of pretraining; each gives four views
    lr:float=4e-3 # Of pretraining
    few_bs:int=64 # Photos a batch with few labels
    lrs:tuple=(1e-3, 3e-3) # To choose from
    watch:int=1000 # Photos, of those set aside for validation, that watch the pretraining

SIZES = {
    'smoke': Size(labels=(5,), seeds=1, photos=(120,), many=((80, 2),), passes=1, steps=3, lengths=(6,),
                  long_labels=(5,), as_long=((120, 7),), whole=(50, 6), bs=8, few_bs=8, watch=12),
    'cpu': Size(labels=(20, 100, 400), seeds=3, photos=(1000, 3000, 10000),
                many=((1000, 100), (3000, 33), ('all', 2)),
                passes=10, steps=400,
                lengths=(1600, 6400, 28500), long_labels=(20, 100), as_long=((3000, 2275),), whole=(4499, 7000)),
}

class Part(NamedTuple):
    "One training, or the probes of one encoder"
    method:str
    seed:int
    labels:int|str='' # A class
    photos:int|str='' # Unlabelled, of the pretraining; from scratch, those that the labels are drawn from
    passes:int|str=''
    steps:int|str='' # Batches of training, where they are given

def pretrained(s, seed, photos, passes, labels):
    "A pretraining, and what is made of its encoder"
    yield Part('pretraining', seed, photos=photos, passes=passes)
    for n in labels:
        yield Part('rotation, fine-tuned', seed, n, photos, passes)
        yield Part('rotation, frozen', seed, n, photos, passes)

def parts(s):
    "All parts of a `Size`, in the order in which they are run: the table of few labels in every seed comes first"
    for seed in range(s.seeds):
        yield from pretrained(s, seed, 'all', s.passes, s.labels)
        for labels in s.labels:
            for method in ('from scratch', 'random, frozen'): yield Part(method, seed, labels)
    for seed in range(s.seeds):
        for photos, passes in [*((n, s.passes) for n in s.photos), *(s.many if seed == 0 else ())]:
            yield from pretrained(s, seed, photos, passes, s.labels[:1])
        for photos in s.photos: yield Part('from scratch', seed, s.labels[0], photos)  # the same labels, for each
    for steps in s.lengths:
        for seed in range(s.seeds):
            for labels in s.long_labels: yield Part('from scratch, long', seed, labels, steps=steps)
    for photos, steps in s.as_long:
        for seed in range(s.seeds): yield Part('from scratch, long', seed, s.labels[0], photos, steps=steps)
    labels, steps = s.whole
    yield Part('from scratch, long', 0, labels, steps=steps)
    yield Part('rotation, fine-tuned, long', 0, labels, 'all', s.passes, steps)

@dataclass
class Lab:
    "The photos, and where encoders go"
    size:Size
    benchmark:Benchmark
    work:Path

    def chosen(self, photos):
        "Positions of the unlabelled photos; a smaller number is contained in a larger"
        n = len(self.benchmark.files)
        return np.sort(np.random.default_rng(0).permutation(n)[:n if photos in ('', 'all') else photos])
    def idxs(self, part):
        "Positions of the labelled photos, which are among those of the pretraining"
        names = np.array(self.benchmark.labels)
        names[np.setdiff1d(np.arange(len(names)), self.chosen(part.photos))] = ''
        return label_subset(names, part.labels, part.seed)
    def file(self, part):
        "Where the encoder of a pretraining lies"
        return self.work/f'{self.size.arch}-{part.photos}-{part.passes}-{part.seed}'/'encoder.safetensors'
    def encoder(self, part):
        "What a part starts from"
        if part.method.startswith('rotation'): return load_encoder(self.file(part))
        if part.method.startswith('from scratch'): return self.size.arch
        b = self.benchmark
        return random_encoder(pretext_dls(b.photos, b.opener, bs=self.size.bs, say=noop), self.size.arch, part.seed)

def list_photos(lab, part):
    "A table of the photos of one pretraining: those that it may see, and those that watch it"
    b, s = lab.benchmark, lab.size
    watch, rest = np.split(np.array(b.photos.files('valid')), [s.watch])
    seen = [b.files[i] for i in lab.chosen(part.photos)] + (list(rest) if part.photos == 'all' else [])
    splits = dict(train=seen, valid=watch, test=b.photos.files('test'))
    rows = [(os.path.relpath(f, b.photos.folder), '', split) for split, files in splits.items() for f in files]
    file = lab.work/f'{part.photos}.csv'
    pd.DataFrame(rows, columns=['path', 'class', 'split']).to_csv(file, index=False)
    return file

def rotate(lab, part):
    "Rotation on some of the photos, without labels; one that was stopped goes on"
    s, b, out = lab.size, lab.benchmark, lab.file(part).parent
    if not (out/'result.json').exists():
        pretrain(b.photos.folder, out, s.arch, b.opener.size, part.passes, list_photos(lab, part), CroppedRotation(),
                 bs=s.bs, lr=s.lr, seed=part.seed, resume=out.exists())
    result = json.loads((out/'result.json').read_text())
    yield dict(rotation_accuracy=result['history'][-1]['rotation_accuracy'], lr=s.lr)

def finetune(lab, part):
    "Train everything on the labelled photos; the rate is chosen on a fifth of them, at the usual length"
    b, idxs, encoder = lab.benchmark, lab.idxs(part), lab.encoder(part)
    lr = b.choose_lr(encoder, idxs, lab.size.steps, part.seed)[0]
    run = b.finetune(part.method, encoder, idxs, part.seed, Recipe(lr, part.steps or lab.size.steps))
    yield dict(lr=lr, steps=run.tuned['steps'], train_accuracy=run.train_accuracy, **score(run.preds == b.truth))

def probe(lab, part):
    "A logistic regression on each stage, which stays as it is"
    b = lab.benchmark
    found = b.stages(b.features(lab.encoder(part)), lab.idxs(part), part.seed)
    for stage, r in found.table.iterrows():
        yield dict(stage=stage, chosen=stage == found.best, C=r.C, accuracy=r.test, low=r.low, high=r.high)

def score(hits): return dict(zip(('accuracy', 'low', 'high'), share_interval(hits)))

DO = {'pretraining': rotate, 'rotation, fine-tuned': finetune, 'rotation, fine-tuned, long': finetune,
      'from scratch': finetune, 'from scratch, long': finetune, 'rotation, frozen': probe, 'random, frozen': probe}

COLUMNS = 'stage chosen lr C accuracy low high train_accuracy rotation_accuracy'.split()

def key(row): return tuple(str(row[name]) for name in Part._fields if name != 'steps' or 'long' in row['method'])

def run(size, folder, out, work, minutes=None):
    "Run the parts that have no rows in `out`"
    s = SIZES[size]
    work.mkdir(parents=True, exist_ok=True)
    lab = Lab(s, Benchmark(read_photos(folder), OpenSquare(32), [s.steps], s.few_bs, s.lrs), work)
    known = dict(size=size, arch=s.arch, test=len(lab.benchmark.truth))
    run_parts(parts(s), lambda part: DO[part.method](lab, part), out, COLUMNS, key, known, minutes)

def main():
    args = command_line(__doc__, __file__, SIZES).parse_args()
    with folder_of(args, train=60, valid=6, test=6) as folder: run(args.size, folder, args.out, args.work, args.minutes)

if __name__ == '__main__': main()
