"""Memory of photos that are held as squares, and of those that are opened anew in each pass.

    python benchmarks/memory.py [FILE.csv]       writes benchmarks/memory.csv

Four times as many files of CIFAR-10 and flowers as in loading.py, or drawn ones. Each way has a process of its own,
which makes one pass of rotation views with the usual augmentation. `squares` is what the bytes of the squares come to,
and `more` by how much the peak of the process is above what it was before it read the photos, all in megabytes.
"""
import csv
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from loading import photos
from machine import machine

def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1e3

def once(folder, side, room):
    "One pass over the photos of a folder, as JSON"
    from fastai.vision.all import get_image_files, noop
    from selfsup.all import OpenSquare, read_photos, rotation_dls
    before = peak()
    opener = OpenSquare(int(side), room=int(room)) if room else OpenSquare(int(side))
    dls = rotation_dls(read_photos(folder, labelled=False, say=noop), opener, bs=32, say=noop)
    for _ in dls.train: pass
    n = len(get_image_files(folder))
    print(json.dumps(dict(pictures=n, side=int(side), kept=len(opener.kept),
                          squares=round(len(opener.kept)*3*int(side)**2/1e6), more=round(peak() - before))))

def linked(files, folder):
    "A folder of links to the files"
    folder.mkdir(parents=True)
    for i, f in enumerate(files): (folder/f'{i}{Path(f).suffix}').symlink_to(Path(f).resolve())
    return folder

def main():
    out, rows = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix('.csv'), []
    with tempfile.TemporaryDirectory() as tmp:
        for name, (files, side) in photos(Path(tmp), times=4).items():
            folder = linked(files, Path(tmp)/'linked'/name)
            for way, room in {'held in memory': '', 'opened in each pass': '0'}.items():
                command = [sys.executable, __file__, '--once', folder, str(side), room]
                said = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout
                rows.append(dict(photos=name, way=way, **json.loads(said.splitlines()[-1]), **machine()))
                print({k: rows[-1][k] for k in ('photos', 'way', 'pictures', 'side', 'squares', 'more')}, flush=True)
    with open(out, 'w', newline='') as f:
        writer = csv.DictWriter(f, rows[0])
        writer.writeheader()
        writer.writerows(rows)

if __name__ == '__main__': once(*sys.argv[2:]) if sys.argv[1:2] == ['--once'] else main()
