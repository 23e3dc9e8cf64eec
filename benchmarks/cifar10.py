"What the scripts on CIFAR-10 share: their command line, and where the photos lie."
import argparse
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from fastai.data.external import fastai_path
from selfsup.all import draw_world

def command_line(doc, script, sizes):
    "A parser of the arguments that all of them have; the rows go beside the script, into a CSV of its name"
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('size', choices=sizes)
    parser.add_argument('--folder', type=Path, help="photos; default fastai's CIFAR-10, for smoke drawn ones")
    parser.add_argument('--out', type=Path, default=Path(script).with_suffix('.csv'))
    parser.add_argument('--work', type=Path, default=Path(script).with_suffix(''), help='for the encoders')
    parser.add_argument('--minutes', type=float, help='begin no part after this time')
    return parser

@contextmanager
def folder_of(args, **drawn):
    "The folder that was asked for; `drawn` are the numbers of pictures to draw for smoke"
    with tempfile.TemporaryDirectory() as tmp:
        folder = args.folder
        if not folder and args.size == 'smoke':
            folder = draw_world(Path(tmp)/'world', **drawn, classes=['house', 'car', 'cup'], size=32)
        folder = folder or fastai_path('data')/'cifar10'
        if not folder.is_dir():
            sys.exit(f"'{folder}' is not there; untar_data(URLs.CIFAR) fetches it, or give --folder")
        yield folder
