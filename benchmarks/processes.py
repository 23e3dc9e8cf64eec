"""One training in one process and in two, on the CPU: the same accuracy?

    python benchmarks/processes.py [--out FILE.csv]       writes benchmarks/processes.csv

Both tasks are trained on drawn things of 32 pixels: to guess the turn, and to name the thing with labels from scratch.
A seed sets weights and order of the photos, which are then the same in one process and in two. One process
also makes its steps out of two batches of 16, and so normalises as two processes do. It takes some ten minutes of two
cores.
"""
import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import machine

SETTINGS = [  # task, processes, photos a batch in each, photos a step, rate
    ('rotation', 1, 32, 32, .005), ('rotation', 2, 16, 32, .005), ('rotation', 2, 32, 64, .005),
    ('rotation', 2, 32, 64, .01), ('labels', 1, 32, 32, .005), ('labels', 2, 16, 32, .005), ('labels', 1, 16, 32, .005)]
EPOCHS = dict(rotation=6, labels=24)  # a photo is four views for rotation
SEEDS = dict(rotation=3, labels=8)  # labels vary more
PHOTOS, CLASSES = dict(train=60, valid=20), ('house', 'car', 'cup', 'boat', 'chair', 'lamp')

def train(task, world, bs, step, lr, seed, epochs):
    "Validation loss and accuracy, of all processes together"
    import fastai.distributed  # gives learners `distrib_ctx`
    from fastai.vision.all import GradientAccumulation, ImageDataLoaders, noop, num_distrib, set_seed
    from selfsup.all import CropFlip, OpenSquare, PILUpright, RotationDataLoaders, rotation_learner, transfer_learner
    set_seed(seed)
    kwargs = dict(bs=bs, val_bs=64, num_workers=0, batch_tfms=CropFlip(), device='cpu')
    if task == 'rotation':
        learn = rotation_learner(RotationDataLoaders.from_folder(world, img_cls=OpenSquare(32), **kwargs))
    else: learn = transfer_learner(ImageDataLoaders.from_folder(world, img_cls=PILUpright, **kwargs))
    learn.logger = noop
    if step > bs*max(1, num_distrib()): learn.add_cb(GradientAccumulation(step))
    with learn.distrib_ctx(cpu=True, sync_bn=False), learn.no_bar(): learn.fit_one_cycle(epochs, lr)
    return dict(zip(('valid_loss', 'accuracy'), map(float, learn.recorder.values[-1][1:])))

def work(task, world, bs, step, lr, seeds, epochs):
    "A line of JSON for each seed, from the first process"
    for seed in range(int(seeds)):
        found = train(task, world, int(bs), int(step), float(lr), seed, int(epochs))
        if not int(os.environ.get('RANK', 0)): print(json.dumps(dict(seed=seed, **found)), flush=True)

def started(n, *args):
    "What `n` processes print, line by line"
    launch = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', str(n)] if n > 1 else []
    said = subprocess.run([sys.executable, *launch, __file__, '--work', *map(str, args)], check=True, text=True,
                          stdout=subprocess.PIPE, env=os.environ | dict(OMP_NUM_THREADS='1')).stdout
    return [json.loads(line) for line in said.splitlines() if line.startswith('{')]

def run(out, seeds=SEEDS, settings=SETTINGS, epochs=EPOCHS, photos=PHOTOS):
    "Train every setting, and write a row for each seed"
    import torch
    from selfsup.data.drawn import draw_world
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as tmp:
        world = draw_world(Path(tmp)/'world', test=1, classes=CLASSES, size=32, clutter=.2, **photos)
        for task, n, bs, step, lr in settings:
            for found in started(n, task, world, bs, step, lr, seeds[task], epochs[task]):
                row = dict(task=task, processes=n, bs=bs, step=step, lr=lr, epochs=epochs[task], **found)
                print(row, flush=True)
                rows.append(row | machine())
    with open(out, 'w', newline='') as f:
        writer = csv.DictWriter(f, rows[0])
        writer.writeheader()
        writer.writerows(rows)

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', default=Path(__file__).with_suffix('.csv'))
    run(parser.parse_args().out)

if __name__ == '__main__': work(*sys.argv[2:]) if sys.argv[1:2] == ['--work'] else main()
