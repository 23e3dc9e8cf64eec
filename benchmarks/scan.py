"""Scanning pictures: files a second and peak memory, for a folder or for made pictures.

    python benchmarks/scan.py FOLDER        the pictures below FOLDER
    python benchmarks/scan.py NUMBER        NUMBER made pictures of 32×32 pixels in a temporary folder
    python benchmarks/scan.py ... --workers N
"""
import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from selfsup.data.scan import count_fates, picture_files, scan_images

def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1e3

def make(folder, n):
    "Write `n` pictures, a thousand a folder"
    rng = np.random.default_rng(0)
    for i in range(n):
        (here := Path(folder)/f'{i//1000:04}').mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(here/f'{i}.png', compress_level=1)

def measure(folder, workers):
    before, start = peak(), time.time()
    n = len(picture_files(folder))
    print(f'{n:,} files, listed in {time.time() - start:.2f} s')
    with tempfile.TemporaryDirectory() as cache:
        for when in ('first', 'again'):
            start = time.time()
            scan = scan_images(folder, workers, progress=False, cache=Path(cache)/'scan.sqlite')
            seconds = time.time() - start
            print(f'{when}: {seconds:.2f} s, {n/seconds:,.0f} files a second, peak memory {peak():.0f} MB ({before:.0f} before)')
    print(count_fates(scan).to_string())

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('what')
    p.add_argument('--workers', type=int)
    args = p.parse_args()
    if not args.what.isdigit(): sys.exit(measure(args.what, args.workers))
    with tempfile.TemporaryDirectory() as folder:
        make(folder, int(args.what))
        measure(folder, args.workers)
