"""Suspected doubles between training and test, and how many planted copies are found.

    python benchmarks/doubles.py FOLDER [PICTURE]      FOLDER holds train/ and test/; PICTURE gets the pairs side by side

Of each copy of a test photo it is told how many lie within the limit of their original. Whether a suspected pair is
one photo must be judged by looking at PICTURE.
"""
import io
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from PIL import Image, ImageDraw
from selfsup.data.doubles import NEAR, bits_apart, looks, near_pairs
from selfsup.data.pictures import PILUpright
from selfsup.data.scan import picture_files

def as_jpeg(im, quality):
    im.save(file := io.BytesIO(), 'JPEG', quality=quality)
    return Image.open(file)

def smaller(im, side):
    "`im` with a shorter side of at most `side` pixels"
    share = min(1, side/min(im.size))
    return im.resize((max(1, round(im.width*share)), max(1, round(im.height*share))), Image.Resampling.LANCZOS)

COPIES = {'half the size': lambda im: smaller(im, min(im.size)//2),
          'a thumbnail of at most 64 pixels, JPEG 75': lambda im: as_jpeg(smaller(im, 64), 75),
          'JPEG of quality 30': lambda im: as_jpeg(im, 30),
          'brighter by a fifth': lambda im: im.point(lambda v: min(255, int(1.2*v)))}

def hash_file(file): return looks(PILUpright.create(file))

def hash_copies(file):
    im = PILUpright.create(file).convert('RGB')
    return [looks(im), *(looks(make(im)) for make in COPIES.values())]

def draw(pairs, test, train, file):
    "The suspected pairs, twelve a row, with the bits in which they differ"
    sheet = Image.new('RGB', (12*132, (len(pairs) + 11)//12*82), 'white')
    for k, (i, j, bits) in enumerate(pairs):
        x, y = k % 12*132, k//12*82
        for side, f in enumerate((test[i], train[j])): sheet.paste(PILUpright.create(f).resize((64, 64)), (x + 65*side, y))
        ImageDraw.Draw(sheet).text((x, y + 66), str(bits), fill='black')
    sheet.save(file)

def main(folder, picture=None):
    train, test = (picture_files(f'{folder}/{split}') for split in ('train', 'test'))
    start = time.time()
    with ProcessPoolExecutor() as pool:
        a, b = (list(pool.map(hash_file, files, chunksize=64)) for files in (test, train))
        copies = list(pool.map(hash_copies, test[:1000], chunksize=16))
    print(f'{len(train):,} training and {len(test):,} test pictures hashed in {time.time() - start:.0f} s')
    start = time.time()
    pairs = near_pairs(a, b, 32)
    print(f'compared in {time.time() - start:.1f} s')
    for most in (8, 16, NEAR, 28, 32):
        print(f'within {most} bits: {len(set(pairs[pairs[:, 2] <= most, 0]))} test pictures')
    for k, name in enumerate(COPIES, 1):
        apart = [bits_apart(c[0], c[k]) for c in copies if c[0] and c[k]]
        print(f'{name}: {np.mean(np.array(apart) <= NEAR):.1%} of {len(apart)} found; median {np.median(apart):.0f} bits')
    if picture and len(pairs): draw(sorted(pairs.tolist(), key=lambda p: p[2]), test, train, picture)

if __name__ == '__main__': main(*sys.argv[1:])
