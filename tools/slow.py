"Which pages have cells that `make test` leaves out, what data they need, and whether a run left out none of their cells."
import re, warnings
from pathlib import Path
from urllib.parse import urlsplit

SLOW = re.compile(r'^#\|\s*slow\b', re.MULTILINE)
FOR_READERS = re.compile(r'^#\|\s*notest\b', re.MULTILINE)
FOLDER = re.compile(r'''fastai_path\(["']data["']\)\s*/\s*["']([^"']+)''')
DOWNLOAD = re.compile(r'untar_data\(URLs\.(\w+)')
SOURCES = {
    'cifar10': 'run: python -c "from fastai.vision.all import *; untar_data(URLs.CIFAR)"',
    'cifar10_png6k': '2,000 or more photos of CIFAR-10 as PNG in train/CLASS and test/CLASS, beside the same photos as JPEG in cifar10; '
                     'nbs/tutorials/13_jpeg.ipynb says more',
    'flowers_160': 'https://www.kaggle.com/datasets/alxmamaev/flowers-recognition at 160 pixels on the short side, '
                   'with labels.csv (columns path, class, split); nbs/tutorials/16_flowers.ipynb says more',
    'bccd_cells': 'the boxes of https://github.com/Shenggan/BCCD_Dataset cut out into train/CLASS and test/CLASS; '
                  'nbs/tutorials/18_cells.ipynb says more'}

def code_cells(notebook): return [c for c in notebook['cells'] if c['cell_type'] == 'code' and ''.join(c['source']).strip()]
def code(notebook): return '\n'.join(''.join(c['source']) for c in code_cells(notebook))
def is_slow(notebook): return bool(SLOW.search(code(notebook)))
def has_tiny_size(notebook): return 'SELFSUP_TINY' in code(notebook)

def fastai_data():
    "fastai's data folder, and its table of downloads"
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        from fastai.data.external import URLs, fastai_path
    return fastai_path('data'), URLs

def data_folders(notebook):
    "The names of the folders in fastai's data folder that a `notebook` reads"
    URLs = fastai_data()[1]
    archives = [urlsplit(getattr(URLs, name)).path for name in DOWNLOAD.findall(code(notebook))]
    return sorted({*FOLDER.findall(code(notebook)), *(Path(archive).name.partition('.')[0] for archive in archives)})

def lacking(notebook, data):
    "A line for each folder that a `notebook` needs and that the folder `data` does not hold, with where to get it"
    return [f"there is no '{name}' in {data}; to get it: {SOURCES[name]}" for name in data_folders(notebook) if not (data/name).is_dir()]

def forget_runs(notebook):
    "A `notebook` of which no cell counts as run"
    for cell in code_cells(notebook): cell['execution_count'] = None
    return notebook

def left_out(notebook):
    "The cells of a `notebook` that were not run, but for those that are left for the reader to fill in"
    asked = [cell for cell in code_cells(notebook) if not FOR_READERS.search(''.join(cell['source']))]
    return [cell['id'] for cell in asked if cell['execution_count'] is None]
