"""`compare` on 400 drawn photos, one training after the other and as many at a time as there are cores, in turns.

    python benchmarks/at_once.py [ROUNDS]

The rows go to at_once.csv, with the seconds of wall clock and of all processes' CPU time.
"""
import csv
import os
import sys
import tempfile
import time
from pathlib import Path

from fastai.vision.all import noop
from machine import machine
from selfsup.all import UPRIGHT, compare, draw_world

TERMS = dict(labels='10', seeds=3, size=32, epochs=10, steps=[100, 200], bs=32, each_seed=False, say=noop)

def spent():
    t = os.times()
    return time.time(), sum(t[:4])

def main(rounds=2):
    with tempfile.TemporaryDirectory() as tmp, open(Path(__file__).with_suffix('.csv'), 'w', newline='') as f:
        world = draw_world(Path(tmp)/'world', train=50, valid=10, test=40, classes=UPRIGHT[:8], size=32, clutter=.2)
        writer = None
        for i in range(int(rounds)):
            for jobs in (1, os.cpu_count()):
                (wall, cpu), res = spent(), compare(world, jobs=jobs, **TERMS)
                found = dict(jobs=jobs, round=i, wall=round(spent()[0] - wall, 1), cpu_here=round(spent()[1] - cpu, 1),
                             lead=round(res.difference('rotation, fine-tuned', 'from scratch').points, 1)) | machine()
                writer = writer or csv.DictWriter(f, list(found))
                if not f.tell(): writer.writeheader()
                writer.writerow(found)
                f.flush()
                print({k: found[k] for k in list(found)[:5]}, flush=True)

if __name__ == '__main__': main(*sys.argv[1:])
