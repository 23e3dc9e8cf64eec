"""Pace of rotation training on drawn pictures, with channels last and without, in turns.

    python benchmarks/training.py [SIDE]
"""
import sys
import tempfile
import time

from fastai.callback.channelslast import ChannelsLast
from fastai.vision.all import set_seed
from selfsup.all import OpenSquare, draw_world, read_photos, rotation_dls, rotation_learner

def pace(dls, without):
    "Views a second of one epoch, after one to warm up"
    set_seed(0)
    learn = rotation_learner(dls)
    if without: learn.remove_cb(ChannelsLast)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 1e-3)
        start = time.time()
        learn.fit(1, 1e-3)
    return dls.c*(len(dls.train_ds) + len(dls.valid_ds))/(time.time() - start)

def main(side=32):
    with tempfile.TemporaryDirectory() as folder:
        photos = read_photos(draw_world(f'{folder}/world', train=100, valid=15, test=1, size=int(side), clutter=.2))
        dls = rotation_dls(photos, OpenSquare(int(side)))
        rounds = [(pace(dls, True), pace(dls, False)) for _ in range(3)]
    for before, after in rounds: print(f'{before:.0f} views a second, with channels last {after:.0f}: {after/before:.2f} times as many')

if __name__ == '__main__': main(*sys.argv[1:])
