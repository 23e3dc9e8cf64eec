"""How long `compare` takes on 400 drawn photos, here and in another copy of the repository, in turns.

    git worktree add ../before REVISION
    python benchmarks/pace.py ../before [ROUNDS]       writes benchmarks/pace.csv

All get the same photos and settings, and each run has a process of its own. What is new where a setting is a default
(what a frozen encoder is read by, how many trainings run at a time) counts as a part of the pace. This copy runs a
second time with one training after the other. CPU seconds are those of all processes of a run.
"""
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine
from selfsup.all import UPRIGHT, draw_world

HERE = Path(__file__).resolve().parent.parent
TERMS = dict(labels='10', seeds=3, size=32, epochs=10, steps=[100, 200], bs=32, each_seed=False, imagenet=False)

def once(folder, **terms):
    "What one comparison took, as JSON"
    from inspect import signature
    from fastai.vision.all import noop
    from selfsup.all import compare
    known = {k: v for k, v in TERMS.items() if k in signature(compare).parameters}
    start = time.time()
    res = compare(folder, say=noop, **known, **terms)
    lead = res.difference('rotation, fine-tuned', 'from scratch')
    print(json.dumps(dict(seconds=round(time.time() - start, 1), lead=round(float(lead.points), 1))))

def revision(tree):
    "The commit of a copy, short"
    return subprocess.run(['git', '-C', tree, 'rev-parse', '--short', 'HEAD'], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()

def of_children():
    "CPU seconds of processes that have ended"
    return sum(os.times()[2:4])

def run(tree, folder, terms):
    "One comparison by the package in `tree`"
    env, before = os.environ | dict(PYTHONPATH=str(tree)), of_children()
    said = subprocess.run([sys.executable, __file__, '--once', folder, json.dumps(terms)], env=env, check=True,
                          text=True, stdout=subprocess.PIPE).stdout
    return json.loads(said.splitlines()[-1]) | dict(cpu_seconds=round(of_children() - before, 1))

def main(other, rounds=2):
    with tempfile.TemporaryDirectory() as tmp, open(Path(__file__).with_suffix('.csv'), 'w', newline='') as f:
        world = draw_world(Path(tmp)/'world', train=50, valid=10, test=40, classes=UPRIGHT[:8], size=32, clutter=.2)
        writer = None
        for i in range(int(rounds)):
            for which, tree, terms in (('before', Path(other).resolve(), {}), ('now', HERE, {}),
                                       ('now, one at a time', HERE, dict(jobs=1))):
                found = dict(which=which, revision=revision(tree), round=i, **run(tree, world, terms), **machine())
                writer = writer or csv.DictWriter(f, list(found))
                if not f.tell(): writer.writeheader()
                writer.writerow(found)
                f.flush()
                print({k: found[k] for k in list(found)[:6]}, flush=True)

if __name__ == '__main__':
    once(sys.argv[2], **json.loads(sys.argv[3])) if sys.argv[1:2] == ['--once'] else main(*sys.argv[1:])
