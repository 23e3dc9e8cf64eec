"""RotNet's own experiments on CIFAR-10, in parts that are kept (https://arxiv.org/abs/1803.07728).

    python benchmarks/rotnet_paper.py smoke|paper [--recipe fast|paper] [--folder FOLDER] [--out FILE.csv]
                                      [--work FOLDER] [--device cuda|cpu] [--minutes N]

What is trained, in each of five seeds:
- table 1: rotation with NIN of 3, 4 and 5 blocks, on all training photos, and a classifier on the map of each block;
- table 2: rotation with 4 blocks by 0/180, by 90/270 and by eight angles, and a classifier on block 2;
- table 3: the convolutional classifier on block 2 of RotNet, frozen and fine-tuned, and of random weights, frozen; and
  the supervised network;
- figure 5b: RotNet's convolutional classifier, frozen, and the supervised network with 20, 100, 400, 1000 and 5000
  labels a class, the same for both.

Each part is one training and ends in one row of the CSV; a part whose row stands there is skipped, so the command can
be stopped and given again. A pretraining that was stopped goes on from its last pass; its times are then those since.
With --minutes, no part is begun after that time. The folder is fastai's CIFAR-10 (`untar_data(URLs.CIFAR)`), whose
50,000 training photos are all trained on. Nothing is chosen by the 10,000 test photos: accuracy and rotation accuracy
are those of the last pass. `smoke` runs every kind of part in about a minute, on drawn pictures.

Two recipes. `paper` is that of the authors' code (https://github.com/gidariss/FeatureLearningRotNet): SGD with Nesterov
momentum, 128 photos a batch, which are four times as many views in pretraining, a rate that drops by 5, and with few
labels as many batches as with all. `fast` is ours: AdamW, one cycle, a tenth of the passes.

Heads are the paper's: in tables 1 and 2 two hidden layers of 200 (`fc_head`), elsewhere one more block (`conv_head`).
The supervised network is NIN with 3 blocks, which are as many as block 2 and that head.

Ours, in `paper` too: the rate of fine-tuning, of which the code has none (a tenth of the head's); the end of the
non-linear classifier after 50 passes, where the code goes on to 100 at the lowest rate; crops continued by reflection,
not by black; the pixels' scale, ImageNet's; batch normalisation before the linear head of the pretext task and of the
supervised network; labels drawn in each seed, not the first of each class; batch normalisation of the random network
that has settled on the photos; hidden corners with eight angles; torch's initial weights; mixed precision (bfloat16)
on a GPU.

`gflop_a_view` counts a view of training forwards and backwards, a multiplication and an addition as two, and
`tflop_a_second` is that times the views of training a second. Photos are counted in `photos_a_second`. Divided by
`tflop_of_products`, which is what the processor makes of large products of matrices, `tflop_a_second` is the share of
its speed that training reaches.
"""
import shutil
import sys
import time
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np
import torch
from cifar10 import command_line, folder_of
from fastai.vision.all import (Callback, CancelValidException, CategoryBlock, DataBlock, IndexSplitter, OptimWrapper,
                               ParamScheduler, SchedNo, TensorCategory, combine_scheds, default_device, noop, set_seed)
from paper import CroppedRotation
from parts import run_parts
from selfsup.all import (CropFlip, KeepTraining, OpenSquare, PhotoSet, SquareBlock, SquaresDL, conv_head,
                         create_encoder, eval_mode, label_subset, lay_out, linear_head, load_encoder, predict_files,
                         pretext_dls, pretext_learner, random_encoder, read_photos, run_folder, save_encoder,
                         share_interval, transfer_learner)
from selfsup.models.heads import has_bf16
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

SIDE = 32 # Of the photos, in pixels

@dataclass(frozen=True)
class Size:
    "What is run"
    labels:tuple # Labels a class; the last are all
    seeds:int # Of labels, weights and batches
    passes:int|None=None # Of every training, in place of the recipe's
    bs:int=128 # Photos a batch

SIZES = {
    'smoke': Size(labels=(2, 9), seeds=1, passes=1, bs=8),
    'paper': Size(labels=(20, 100, 400, 1000, 5000), seeds=5),
}

class Plan(NamedTuple):
    "How long, and with which rate"
    passes:int # Over the photos; with few labels, over as many as there are in all
    lr:float
    shares:tuple=() # Of the passes, after each of which the rate drops by 5; none is one cycle with its peak at `lr`

@dataclass(frozen=True)
class Recipe:
    "An optimiser, and a `Plan` for each kind of training"
    opt:Callable
    plans:dict

SGD = partial(OptimWrapper, opt=torch.optim.SGD, momentum=.9, weight_decay=5e-4, nesterov=True)
ADAMW = partial(OptimWrapper, opt=torch.optim.AdamW, weight_decay=.01, fused=True)
LONG, SHORT = (.3, .3, .2, .2), (.35, .35, .15, .15)
RECIPES = {
    'paper': Recipe(SGD, {
        'rotation': Plan(200, .1, LONG),
        'supervised': Plan(200, .1, LONG),
        'conv': Plan(100, .1, SHORT),
        'fine-tuned': Plan(100, .01, SHORT),
        'non-linear': Plan(50, .1, (.4, .4, .1, .1)),
    }),
    'fast': Recipe(ADAMW, {
        'rotation': Plan(20, 4e-3),
        'supervised': Plan(20, 3e-3),
        'conv': Plan(10, 3e-3),
        'fine-tuned': Plan(10, 1e-3),
        'non-linear': Plan(5, 3e-3),
    }),
}

def fc_head(n_in, n_out, places, width=200):
    "RotNet's non-linear classifier of maps with so many places: two hidden layers, then a linear one"
    hidden = [[nn.Linear(n, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
              for n in (n_in*places, width)]
    return nn.Sequential(nn.Flatten(), *hidden[0], *hidden[1], nn.Linear(width, n_out))

class Method(NamedTuple):
    "A kind of classifier"
    plan:str # Its key in `Recipe.plans`
    head:Callable
    freeze:bool # Does the encoder stay as it is?

METHODS = {
    'RotNet, non-linear': Method('non-linear', fc_head, True),
    'RotNet, conv': Method('conv', conv_head, True),
    'RotNet, conv, fine-tuned': Method('fine-tuned', conv_head, False),
    'random, conv': Method('conv', conv_head, True),
    'supervised': Method('supervised', linear_head, False),
}

class Part(NamedTuple):
    "One training"
    size:str # Key of `SIZES`
    recipe:str # Key of `RECIPES`
    method:str # Key of `METHODS`, or 'pretraining'
    seed:int
    arch:str
    angles:str='' # Of the pretraining
    block:int|str='' # Whose map is classified
    labels:int|str='' # A class

QUARTERS = '0 90 180 270'
OTHER_ANGLES = '0 180', '90 270', '0 45 90 135 180 225 270 315'

def blocks(part, arch, labels):
    "A pretraining, and a classifier on each block"
    yield part('pretraining', arch=arch, angles=QUARTERS)
    for block in range(1, create_encoder(arch).n_stages + 1):
        yield part('RotNet, non-linear', arch=arch, angles=QUARTERS, block=block, labels=labels)

def supervision(part, labels):
    "What RotNet is held against, with all labels and with few"
    rotnet = partial(part, arch='nin4', angles=QUARTERS, block=2)
    yield rotnet('RotNet, conv, fine-tuned', labels=labels[-1])
    yield part('random, conv', arch='nin4', block=2, labels=labels[-1])
    for n in reversed(labels):
        yield rotnet('RotNet, conv', labels=n)
        yield part('supervised', arch='nin3', labels=n)

def other_angles(part, labels):
    "Pretrainings by other angles, each with a classifier on block 2"
    for angles in OTHER_ANGLES:
        yield part('pretraining', arch='nin4', angles=angles)
        yield part('RotNet, non-linear', arch='nin4', angles=angles, block=2, labels=labels)

def parts(size, recipe):
    "All parts in the order in which they are run: one seed after the other, and what others need comes first"
    labels = SIZES[size].labels
    for seed in range(SIZES[size].seeds):
        part = partial(Part, size, recipe, seed=seed)
        yield from blocks(part, 'nin4', labels[-1])
        yield from supervision(part, labels)
        yield from other_angles(part, labels[-1])
        for arch in ('nin3', 'nin5'): yield from blocks(part, arch, labels[-1])

class LabelledDL(SquaresDL):
    "Photos in memory with labels that are made once: made one by one in each pass, they would take longer than a GPU"
    codes = None # Positions of the items' classes, where there are labels
    def at_once(self, idxs, rows):
        if self.codes is None: return super().at_once(idxs, rows)
        return self.opener.take(rows[idxs], self.device), self.codes[idxs]

@dataclass
class Lab:
    "The photos, how they are trained on, and where encoders go"
    size:Size
    recipe:Recipe
    photos:PhotoSet
    opener:OpenSquare
    work:Path

    def plan(self, kind):
        "How one kind of training is done"
        plan = self.recipe.plans[kind]
        return plan._replace(passes=self.size.passes or plan.passes)
    def folder(self, part):
        "Where the encoder of a pretraining lies"
        names = part.size, part.recipe, part.arch, part.angles.replace(' ', '_'), part.seed
        return self.work/'-'.join(map(str, names))
    def loaders(self, angles=QUARTERS):
        "All training photos to be turned; the test photos, whose classes nobody looks at, are turned as well"
        photos = replace(self.photos, table=self.photos.table.replace(dict(split=dict(test='valid'))))
        return pretext_dls(photos, self.opener, CroppedRotation(map(int, angles.split())), self.size.bs, noop)
    def labelled(self, idxs, seed):
        "The photos at `idxs`, over and over until a pass is as long as with all"
        files, labels = self.photos.files('train'), self.photos.labels('train')
        rows = lay_out(idxs, len(files), seed)
        block = DataBlock((SquareBlock(self.opener), CategoryBlock(vocab=self.photos.classes)), dl_type=LabelledDL,
                          get_y=dict(zip(files, labels)).get, splitter=IndexSplitter([]), batch_tfms=[CropFlip()])
        dls = block.dataloaders([files[i] for i in rows], bs=self.size.bs, num_workers=0)
        dls.train.codes = TensorCategory([self.photos.classes.index(labels[i]) for i in rows])
        return dls
    def encoder(self, part):
        "What a classifier is put on"
        if part.method == 'supervised': return create_encoder(part.arch)
        if part.method == 'random, conv': encoder = random_encoder(self.loaders(), part.arch, part.seed)
        else: encoder = load_encoder(self.folder(part))
        return encoder.cut(part.block)
    def settings(self):
        "What both kinds of learners get"
        return dict(opt_func=self.recipe.opt, wd_bn_bias=True, train_bn=False)

class ValidateLast(Callback):
    "Leave out the validation of all passes but the last"
    def before_validate(self):
        if self.epoch < self.n_epoch - 1: raise CancelValidException

class Pace(Callback):
    "Count the views of training, and their time"
    views, seconds = 0, 0.
    def before_train(self): self.start = time.perf_counter()
    def after_batch(self): self.views += len(self.x)*self.training
    def after_train(self): self.seconds += time.perf_counter() - self.start

def gflop(model):
    "Operations of a view in training, in thousands of millions"
    with eval_mode(model) as device, FlopCounterMode(display=False) as counter:
        model(torch.zeros(2, 3, SIDE, SIDE, device=device)).sum().backward()
    return counter.get_total_flops()/2/1e9

def fit(learn, plan, seed, *cbs):
    "Train; what is known of it afterwards"
    learn.dls.train.rng.seed(seed)
    pace = Pace()
    with learn.no_bar(), learn.no_logging():
        if plan.shares: learn.fit(plan.passes, plan.lr, cbs=[pace, *cbs, drops(plan)])
        else: learn.fit_one_cycle(plan.passes, plan.lr, cbs=[pace, *cbs])
    return dict(passes=plan.passes, lr=plan.lr, **cost(learn, pace))

def drops(plan):
    "The schedule of a rate that drops by 5"
    rates = [plan.lr/5**i for i in range(len(plan.shares))]
    return ParamScheduler(dict(lr=combine_scheds(plan.shares, [SchedNo(lr, lr) for lr in rates])))

def cost(learn, pace):
    "What a view costs, and how many pass in a second; none if all passes were made before"
    each, rate = gflop(learn.model), pace.views/pace.seconds if pace.seconds else 0
    return dict(photos_a_second=round(rate/getattr(learn.dls.train, 'k', 1), 1), gflop_a_view=round(each, 4),
                tflop_a_second=round(rate*each/1e3, 4), tflop_of_products=products())

@cache
def products(times=10):
    "Operations a second in products of large matrices, in millions of millions, at the precision of the training"
    device = torch.device(default_device())
    n = 4096 if device.type == 'cuda' else 512
    a = torch.ones(n, n, device=device, dtype=torch.bfloat16 if has_bf16(device) else torch.float32)
    def seconds():
        start = time.perf_counter()
        for _ in range(times): b = a@a
        b.sum().item() # waits for the device
        return time.perf_counter() - start
    seconds() # to warm up
    return round(2*n**3*times/seconds()/1e12, 4)

def rotate(lab, part):
    "Pretrain on all training photos, without labels; what was stopped goes on"
    out = lab.folder(part)
    if (out/'encoder.safetensors').exists(): shutil.rmtree(out) # its row is gone
    with run_folder(out, part._asdict(), resume=True) as run:
        set_seed(part.seed)
        learn = pretext_learner(lab.loaders(part.angles), part.arch, **lab.settings())
        known = fit(learn, lab.plan('rotation'), part.seed, KeepTraining(run, 'encoder', part.seed), ValidateLast())
        reached = learn.recorder.values[-1][-1]
        save_encoder(learn.model[0], out, size=SIDE, seed=part.seed, rotation_accuracy=reached)
    yield dict(rotation_accuracy=reached, **known)

def classify(lab, part):
    "Train a classifier, and test it"
    method, photos = METHODS[part.method], lab.photos
    set_seed(part.seed)
    encoder, idxs = lab.encoder(part), label_subset(photos.labels('train'), part.labels, part.seed)
    head = partial(fc_head, places=places(encoder)) if method.head is fc_head else method.head
    learn = transfer_learner(lab.labelled(idxs, part.seed), encoder, freeze=method.freeze, head=head, metrics=[],
                             **lab.settings())
    known = fit(learn, lab.plan(method.plan), part.seed)
    hits, own = right(learn, photos, 'test'), right(learn, photos, 'train', idxs)
    yield dict(zip(('accuracy', 'low', 'high'), share_interval(hits))) | dict(train_accuracy=own.mean(), **known)

def places(encoder):
    "Of the map that an encoder gives"
    with torch.no_grad(), eval_mode(encoder) as device:
        return encoder(torch.zeros(1, 3, SIDE, SIDE, device=device))[0, 0].numel()

def right(learn, photos, split, idxs=slice(None)):
    "Is each photo of a split, or of some of it, named right?"
    files, labels = np.array(photos.files(split))[idxs], np.array(photos.labels(split))[idxs]
    return np.array(learn.dls.vocab)[predict_files(learn, files).argmax(1)] == labels

COLUMNS = ('accuracy low high train_accuracy rotation_accuracy passes lr photos_a_second gflop_a_view '
           'tflop_a_second tflop_of_products').split()

def key(row): return tuple(str(row[name]) for name in Part._fields)

def device_name():
    "Of the GPU, if one of CUDA is used"
    device = default_device().type
    return torch.cuda.get_device_name() if device == 'cuda' else device

def open_photos(folder):
    "All photos in memory; those that were set aside for validation are trained on"
    photos, opener = read_photos(folder, say=noop), OpenSquare(SIDE)
    photos.table = photos.table.replace(dict(split=dict(valid='train')))
    return photos.open_all(opener, say=noop), opener

def run(size, recipe, folder, out, work, minutes=None):
    "Run the parts that have no row in `out`"
    work.mkdir(parents=True, exist_ok=True)
    lab = Lab(SIZES[size], RECIPES[recipe], *open_photos(folder), work)
    known = dict(test=len(lab.photos.files('test')), device=device_name())
    def do(part): return (rotate if part.method == 'pretraining' else classify)(lab, part)
    run_parts(parts(size, recipe), do, out, COLUMNS, key, known, minutes)

def arguments():
    "Those of the command line"
    parser = command_line(__doc__, __file__, SIZES)
    parser.add_argument('--recipe', choices=RECIPES, default='fast')
    parser.add_argument('--device', choices=('cuda', 'cpu'), help='default a GPU, if there is one')
    return parser.parse_args()

def choose_device(name):
    "Let fastai use a GPU, or not"
    if name == 'cuda' and not torch.cuda.is_available(): sys.exit('torch finds no GPU; leave --device out')
    if name: default_device(name == 'cuda')
    torch.backends.cudnn.benchmark = True

def main():
    args = arguments()
    choose_device(args.device)
    with folder_of(args, train=8, valid=1, test=4) as folder:
        run(args.size, args.recipe, folder, args.out, args.work, args.minutes)

if __name__ == '__main__': main()
