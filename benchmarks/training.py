"""Pace of rotation training on drawn pictures in several ways, in turns.

    python benchmarks/training.py [--size 32] [--bs 32] [--arch small] [--rounds 5] [--compile] [--out FILE.csv]

The ways are 32-bit floats, the same with channels last, then with PyTorch's fused optimizer as well, with --compile
compiled instead (a processor needs a C++ compiler for that), and bfloat16 where there are instructions for it. Rows are
appended, one for each way and round: views a second of one epoch, training and validation, after one to warm up, the
ratio to the first way in that round, and the seconds of the epoch that warmed up.
"""
import argparse
import tempfile
import time
from functools import partial
from pathlib import Path
from unittest import mock

import torch
from fastai.callback.channelslast import ChannelsLast
from fastai.vision.all import OptimWrapper, default_device, set_seed
from machine import machine
from parts import append
from selfsup.all import OpenSquare, draw_world, read_photos, rotation_dls, rotation_learner
from selfsup.models import heads

PLAIN, LAST, HALF = 'fp32', 'fp32, channels last', 'bfloat16, channels last'
FUSED, COMPILED = f'{LAST}, fused optimizer', f'{LAST}, compiled'

def pace(dls, arch, way):
    "Views a second of one epoch, and the seconds of the one before"
    set_seed(0)
    learn = rotation_learner(dls, arch)
    learn.remove_cb(ChannelsLast)
    if way != PLAIN: learn.add_cb(ChannelsLast())
    if way == FUSED: learn.opt_func = partial(OptimWrapper, opt=torch.optim.AdamW, fused=True)
    if way == COMPILED: learn.model.compile()
    with mock.patch.object(heads, 'has_bf16', lambda device: way == HALF), learn.no_bar(), learn.no_logging():
        first, seconds = timed(learn), timed(learn)
    return dls.c*(len(dls.train_ds) + len(dls.valid_ds))/seconds, first

def timed(learn):
    "Seconds of one epoch"
    start = time.time()
    learn.fit(1, 1e-3)
    return time.time() - start

def device_name(device):
    "What does the sums"
    return torch.cuda.get_device_name(device) if device.type == 'cuda' else device.type

def rows(args, folder):
    "A row for each way of each round"
    photos = read_photos(draw_world(folder, train=100, valid=15, test=1, size=args.size, clutter=.2))
    dls = rotation_dls(photos, OpenSquare(args.size), bs=args.bs)
    device = torch.device(default_device())
    ways = [PLAIN, LAST, FUSED] + [COMPILED]*args.compile + [HALF]*heads.has_bf16(device)
    known = dict(device=device_name(device), arch=args.arch, size=args.size, bs=args.bs)
    for i in range(args.rounds):
        found = {way: pace(dls, args.arch, way) for way in ways}
        for way, (views, first) in found.items():
            made = dict(views_a_second=round(views), ratio=round(views/found[PLAIN][0], 3), first=round(first, 1))
            yield dict(way=way, round=i) | made | known | machine()

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in dict(size=32, bs=32, rounds=5).items():
        parser.add_argument(f'--{name}', type=int, default=default)
    parser.add_argument('--arch', default='small')
    parser.add_argument('--compile', action='store_true', help='also with torch.compile')
    parser.add_argument('--out', type=Path, default=Path(__file__).with_suffix('.csv'))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder: found = list(rows(args, f'{folder}/world'))
    append(args.out, list(found[0]), found)
    for row in found: print(f"{row['way']}: {row['views_a_second']} views a second, {row['ratio']} times as many")

if __name__ == '__main__': main()
