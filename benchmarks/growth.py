"""Time and memory until a folder of N files can be pretrained on: read, split, and put into loaders.

    python benchmarks/growth.py [N,N,...] [FILE.csv]       writes benchmarks/growth.csv

The files are hard links to 10,000 made pictures of 32 pixels, a thousand a folder. Each number of files is read twice,
by a process of its own each time: anew, and with what the scan remembers. Memory is the peak of the process.
"""
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine
from scan import make

DISTINCT = 10_000

def link(source, folder, n):
    "`n` hard links to the pictures of `source`, in turns"
    pictures = sorted(source.rglob('*.png'))
    for i in range(n):
        here = folder/'unlabelled'/f'{i//1000:04}'
        here.mkdir(parents=True, exist_ok=True)
        os.link(pictures[i % len(pictures)], here/f'{i}.png')

def once(folder):
    "What one process takes, as JSON"
    from fastai.vision.all import noop
    from selfsup.all import OpenSquare, pretext_dls, read_photos
    before, start, cpu = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1e3, time.time(), time.process_time()
    photos = read_photos(folder, labelled=False, say=noop)
    read = time.time() - start
    pretext_dls(photos, OpenSquare(32, room=0), say=noop)
    found = dict(read_seconds=round(read, 1), loader_seconds=round(time.time() - start - read, 1),
                 cpu_seconds=round(time.process_time() - cpu, 1), memory_before=round(before),
                 memory=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1e3))
    print(json.dumps(found))

def main():
    sizes = [int(n) for n in (sys.argv[1] if len(sys.argv) > 1 else '10000,100000,1000000').split(',')]
    out, rows = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).with_suffix('.csv'), []
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        (tmp/'source').mkdir()
        make(tmp/'source', min(DISTINCT, max(sizes)))
        for n in sizes:
            link(tmp/'source', tmp/str(n), n)
            for when in ('first', 'again'):
                env = os.environ | dict(XDG_CACHE_HOME=str(tmp/f'cache{n}'))
                said = subprocess.run([sys.executable, __file__, '--once', tmp/str(n)], env=env, check=True, text=True,
                                      stdout=subprocess.PIPE).stdout
                rows.append(dict(files=n, when=when, **json.loads(said.splitlines()[-1]), **machine()))
                told = 'files', 'when', 'read_seconds', 'loader_seconds', 'memory'
                print({k: rows[-1][k] for k in told}, flush=True)
    with open(out, 'w', newline='') as f:
        writer = csv.DictWriter(f, rows[0])
        writer.writeheader()
        writer.writerows(rows)

if __name__ == '__main__': once(sys.argv[2]) if sys.argv[1:2] == ['--once'] else main()
