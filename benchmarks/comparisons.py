"""Where the rows of comparisons.csv come from: the differences that pages of the course print.

    python benchmarks/comparisons.py

Each page made its comparison once, in minutes or hours, or draws it from a script's table, and its outputs are stored
with it. A row has the points, low and high of one such output. For each row this looks for the three numbers in the
outputs of all pages of the course, and says which are nowhere.
"""
import csv
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

def outputs(notebook):
    "The text of all outputs of a notebook"
    shown = [o for cell in notebook['cells'] for o in cell.get('outputs', [])]
    kinds = 'text/plain', 'text/markdown', 'text/html'
    return '\n'.join(''.join(o.get('data', {}).get(kind, '')) for o in shown for kind in kinds)

def pages():
    "The outputs of each page"
    for path in sorted((ROOT/'nbs'/'tutorials').glob('*.ipynb')):
        yield outputs(json.loads(path.read_text(encoding='utf-8')))

def stands(row, text):
    "Whether points, low and high of a row stand together in a text, in a sentence or in a table"
    points, low, high = (float(row[o]) for o in ('points', 'low', 'high'))
    said = rf'{points:+.1f} points,? \(?95 % interval {low:+.1f} to {high:+.1f}'.replace('+', r'\+')
    between = r'(?:\s+|</td>\s*<td>)'
    table = between.join(rf'{value:.1f}' for value in (points, low, high))
    return bool(re.search(rf'{said}|(?<![\d.-]){table}(?![\d.])', text))

def main():
    "Say which rows have no source"
    texts = list(pages())
    with (ROOT/'benchmarks'/'comparisons.csv').open(encoding='utf-8', newline='') as f: rows = list(csv.DictReader(f))
    lost = [row for row in rows if not any(stands(row, text) for text in texts)]
    for row in lost: print('nowhere:', row)
    print(f'{len(rows) - len(lost)} of {len(rows)} rows stand in outputs of pages')

if __name__ == '__main__': main()
