"""Which network for CIFAR-10 on two cores, and how far does a long pretraining of it lead?

    python benchmarks/networks.py smoke|cpu [--folder FOLDER] [--out FILE.csv] [--work FOLDER] [--minutes N]

Networks are pretrained by rotation on all photos for about as many seconds of one core each, and then trained with 20
labels a class, like the same network without pretraining. The photos that were set aside for validation, 5,000 of them,
judge that: the network that is best on them after rotation pretrains again, four times as long, and only that one is
tested on the 10,000 test photos: fine-tuned, read by a linear probe at each stage, and by RotNet's convolutional
classifier, which is trained on the stage that the probe was read best from, by cross-validation over the labels.
The stretch does the same with *fine*, whose stages keep twice the places a side: it had nearly caught up with the small
network after a third of the passes. Thirty of them take an hour and a half of one core with bfloat16 instructions.

One seed, and parts as in rotnet_cifar10.py. `smoke` runs every kind of part, on drawn pictures.
"""
import csv
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import rotnet_cifar10 as cifar
from cifar10 import command_line, folder_of
from fastai.vision.all import set_seed
from parts import run_parts
from selfsup.all import (Benchmark, Encoder, OpenSquare, conv_block, conv_head, labelled_dls, lay_out, read_photos,
                         transfer_learner)
from selfsup.evaluation.benchmark import Recipe
from selfsup.models import encoder as encoders
from torch import nn

def pair(n_in, n_out): return nn.Sequential(conv_block(n_in, n_out, stride=2), conv_block(n_out, n_out))

def variant(arch, n=32, stride=2):
    "The package's small encoder with `n` channels in its first stage, and another first stride"
    return Encoder(conv_block(3, n, 5, stride), pair(n, 2*n), pair(2*n, 4*n), conv_block(4*n, 4*n), arch=arch)

# Names that pretrain and load_encoder know as well
encoders._own |= {'wide': partial(variant, 'wide', n=64), 'fine': partial(variant, 'fine', stride=1)}

@dataclass(frozen=True)
class Size:
    "What is run"
    passes:dict # Network to passes over all photos
    labels:tuple=(20, 100) # A class; the first choose the network
    longer:int=4 # Times the passes, for the network that is chosen
    stretch:tuple=('fine', 30) # Network and passes of the longest pretraining
    steps:int=400 # Batches with few labels
    bs:int=128 # Photos a batch of pretraining
    few_bs:int=64 # The same with few labels
    watch:int=1000 # Photos, of those set aside for validation, that watch the pretraining

SIZES = {
    'smoke': Size({'small': 1, 'wide': 1}, labels=(5,), longer=2, stretch=('fine', 2), steps=3, bs=8, few_bs=8,
                  watch=12),
    'cpu': Size({'small': 10, 'wide': 3, 'fine': 3, 'resnet18': 1}),
}

TUNED, CONV = 'rotation, fine-tuned', 'rotation, frozen, convolutional head'

class Part(NamedTuple):
    "One training, or the probes of one encoder"
    judged:str # By photos of which split
    arch:str
    method:str
    passes:int|str=''
    labels:int|str='' # A class

def chosen(out):
    "The network that is best after rotation, by the photos set aside"
    rows = [r for r in csv.DictReader(open(out, newline='')) if r['judged'] == 'valid' and r['method'] == TUNED]
    return max(rows, key=lambda r: float(r['accuracy']))['arch']

def parts(size, out):
    "All parts: first those by which a network is chosen"
    first = size.labels[0]
    for arch, passes in size.passes.items():
        yield Part('valid', arch, 'pretraining', passes)
        yield Part('valid', arch, TUNED, passes, first)
        yield Part('valid', arch, 'from scratch', '', first)
    arch = chosen(out)
    for arch, passes in [(arch, size.longer*size.passes[arch]), size.stretch]:
        yield Part('test', arch, 'pretraining', passes)
        for n in size.labels:
            for method in (TUNED, 'rotation, frozen', CONV): yield Part('test', arch, method, passes, n)
            yield Part('test', arch, 'from scratch', '', n)

class ConvBenchmark(Benchmark):
    "Trains RotNet's convolutional classifier on an encoder that stays as it is"
    def train(self, encoder, idxs, recipe, seed=0, bs=None):
        set_seed(seed)
        rows = lay_out(idxs, recipe.steps*self.bs, seed)
        files, labels = ([of[i] for i in rows] for of in (self.files, self.labels))
        dls = labelled_dls(files, labels, self.photos.classes, self.opener_of(encoder), self.bs)
        learn = transfer_learner(dls, encoder, freeze=True, head=conv_head, metrics=[], wd=.01)
        with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, recipe.lr)
        return learn

def judged_by(photos, split):
    "The same photos for training, and those of a split as test photos"
    if split == 'test': return photos
    table = photos.table[photos.table.split != 'test'].replace(dict(split={split: 'test'}))
    return replace(photos, table=table)

def lab_of(size, part, photos, work, kind=Benchmark):
    "What runs a part"
    s = replace(cifar.SIZES['cpu'], arch=part.arch, steps=size.steps, bs=size.bs, few_bs=size.few_bs, watch=size.watch)
    return cifar.Lab(s, kind(photos, OpenSquare(32), [s.steps], s.few_bs, s.lrs), work)

def do(size, photos, work, part):
    "The rows of a part"
    split = 'test' if part.method == 'pretraining' else part.judged  # its list of photos names the test photos, too
    lab = lab_of(size, part, judged_by(photos, split), work, ConvBenchmark if part.method == CONV else Benchmark)
    of = cifar.Part(part.method, 0, part.labels, 'all' if part.passes else '', part.passes)
    if part.method == CONV: yield convolve(lab, of)
    else: yield from cifar.DO[part.method](lab, of)

def convolve(lab, of):
    "Train the convolutional classifier on the stage that a probe is read best from"
    b, idxs, encoder = lab.benchmark, lab.idxs(of), lab.encoder(of)
    stage = b.stages(b.features(encoder), idxs, 0).best
    encoder = encoder.cut(stage)
    lr = b.choose_lr(encoder, idxs, lab.size.steps)[0]
    run = b.finetune(of.method, encoder, idxs, recipe=Recipe(lr, lab.size.steps))
    return dict(stage=stage, lr=lr, train_accuracy=run.train_accuracy, **cifar.score(run.preds == b.truth))

COLUMNS = 'stage chosen lr C steps accuracy low high train_accuracy rotation_accuracy'.split()

def key(row): return tuple(str(row[name]) for name in Part._fields)

def run(name, folder, out, work, minutes=None):
    "Run the parts that have no rows in `out`"
    work.mkdir(parents=True, exist_ok=True)
    size, photos = SIZES[name], read_photos(folder)
    run_parts(parts(size, out), lambda part: do(size, photos, work, part), out, COLUMNS, key, dict(size=name), minutes)

def main():
    args = command_line(__doc__, __file__, SIZES).parse_args()
    with folder_of(args, train=60, valid=6, test=6) as folder: run(args.size, folder, args.out, args.work, args.minutes)

if __name__ == '__main__': main()
