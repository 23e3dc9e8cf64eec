"""How long each page of the course takes as a test, with the cells that are not slow.

    python benchmarks/pages.py [NAME...]

Pages run one after the other, in a process of their own, with one thread. Each has a row in pages.csv: seconds by the clock,
and of the CPU, imports included. tools/course.py stamps the latter on the pages: other work on the machine makes the clock
run, and hardly the CPU. A page that is measured again replaces its row.
"""
import csv
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from machine import machine

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT/'benchmarks'/'pages.csv'
COLUMNS = ['page', 'seconds', 'cpu_s', 'machine', 'date']
COURSE = sorted(p.stem for p in (ROOT/'nbs'/'tutorials').glob('*.ipynb') if not p.stem.endswith('_glossary'))

def cpu_seconds():
    "Of all processes that ended so far"
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

def measured(name, about):
    "Run a page; its row"
    page, env = ROOT/'nbs'/'tutorials'/f'{name}.ipynb', {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    start, before = time.time(), cpu_seconds()
    subprocess.run([Path(sys.executable).parent/'nbdev-test', page, '--n-workers', '1'], cwd=ROOT, env=env, check=True)
    return dict(page=name, seconds=round(time.time() - start, 1), cpu_s=round(cpu_seconds() - before, 1),
                machine=f'{about["cpu"]}, {about["cores"]} cores', date=about['date'])

def rows():
    "Those that stand in the table"
    if not OUT.exists(): return {}
    with OUT.open(encoding='utf-8', newline='') as f: return {row['page']: row for row in csv.DictReader(f)}

def write(found):
    "The table, in the order of the pages, without those that are gone"
    with OUT.open('w', encoding='utf-8', newline='') as f:
        writer = csv.DictWriter(f, COLUMNS, lineterminator='\n')
        writer.writeheader()
        writer.writerows(found[name] for name in COURSE if name in found)

def main(names=COURSE):
    "Measure these pages, and write the table after each"
    about = machine()
    for name in names:
        row = measured(name, about)
        print(row, flush=True)
        write({**rows(), name: row})

if __name__ == '__main__': main(sys.argv[1:] or COURSE)
