"""Pages of the course again: with other seeds, and with two threads instead of one.

    python benchmarks/seeds.py [NAME...] [--out FILE.csv]

Each page that is tested by default runs with the seeds 0, 1 and 2, and with seed 0 and two threads, all its asserts
included. A page without a seed among its settings runs with one and with two threads only; where pictures are drawn,
others are drawn instead. Rows say that the page ran to its end, and what it found where its prose gives a range: pages
draw their tables of other seeds from them. A page that fails ends the script; a run whose rows stand in the CSV is
skipped.
"""
import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine
from parts import append

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/'tools'))
from course import course_pages, notebook_text, with_change # noqa: E402

OUT = Path(__file__).with_suffix('.csv')
COLUMNS = ['page', 'seed', 'threads', 'what', 'value', 'seconds']
ONE, THREE = 'seed = {}', 'seeds = [{0}, {0} + 10, {0} + 20]'
DRAW = ('from functools import partial\nimport selfsup.all, selfsup.data.drawn\n'
        'selfsup.all.draw_world = partial(selfsup.data.drawn.draw_world, seed=42 + {})')  # in a first cell of its own
SEEDS = {'02_you_or_network': ONE, '03_from_scratch': THREE, '04_fastai': THREE, '05_by_hand': THREE,
         '06_few_labels': DRAW, '07_what_it_learned': ONE, '08_see_it_learn': ONE, '10_no_leak': ONE,
         '14_broken': ONE, '18_cells': ONE, '19_digits': ONE, '23_beyond': DRAW}
SAID = "'{:.1f} ({:.1f} to {:.1f})'" # An interval
FOUND = {
    '02_you_or_network': {
        'pictures of the game right': 'game.table().right.sum()',
        'views right, %': '100*right.mean()',
        'half turns among the mistakes, %': "100*counts['half turns']/counts.sum()",
        'the two worst kinds': "' and '.join(sorted(right.groupby(kinds).mean().nsmallest(2).index))",
    },
    '03_from_scratch': {
        'turn guessed right': 'curve[-1][1]',
        'half turns among the mistakes, %': '100*half/len(wrong)',
        **{f'{m}, mean, %': f"100*np.mean(tests['{m}'])" for m in ('random, frozen', 'from scratch', 'pretrained')},
        'least gain, points': '100*gains.min()',
        'lowest pretrained minus highest scratch, points':
            "100*(min(tests['pretrained']) - max(tests['from scratch']))",
        **{f'{m}, three times the steps, points more': f"100*(rows['{m}, longer']['valid'] - rows['{m}']['valid'])"
           for m in ('random, frozen', 'from scratch')},
        'all labels, %': '100*all_labels',
    },
    '04_fastai': {
        'half turns among the errors, %': '100*half/wrong',
        **{f'{m}, %': f"100*scores['{m}'].mean()" for m in ('pretrained', 'from scratch')},
        'least lead, points': "100*(scores['pretrained'] - scores['from scratch']).min()",
        'mean lead, in standard deviations': "(scores.mean().iloc[0] - scores.mean().iloc[1])/scores.std().max()",
        'least known of the own pictures': 'min(known.values())',
    },
    '05_by_hand': {
        **{f'{k}, %': f"100*rows['{k}'].mean()"
           for k in ('from scratch', 'random, frozen', 'rotation, frozen', 'fine-tuned')},
        'fine-tuned minus from scratch, points': f'{SAID}.format(*points(found["seeds and test pictures"]))',
        'fine-tuned minus frozen, points': f'{SAID}.format(*points(paired_interval(a, still, truth)))',
        'least lead, points': '100*(a.mean(1) - b.mean(1)).min()',
        'from scratch, long, points more': '100*(long_hits.mean() - b[0].mean())',
        'fine-tuned minus long, points': '100*(a[0].mean() - long_hits.mean())',
    },
    '06_few_labels': {
        **{f'{n}, %': f"100*res.accuracies('{n}').mean()"
           for n in ('from scratch', 'random, frozen', 'rotation, frozen', 'rotation, fine-tuned',
                     'from scratch, long')},
        **{f'fine-tuned minus {n}, points': f"{SAID}.format(*res.difference('rotation, fine-tuned', '{n}')[:3])"
           for n in ('from scratch', 'from scratch, long', 'rotation, frozen')},
        'verdict': "str(res.verdict()).split(',')[0]",
        'saving': "res.curve.saving(res.labels, 'rotation, fine-tuned')",
    },
    '07_what_it_learned': {
        'rotation accuracy': "watch.table()['rotation accuracy'].iloc[-1]",
        'kNN score': 'watch.table().score.iloc[-1]',
        'kNN score, one epoch earlier': 'watch.table().score.iloc[-2]',
        'best stage': 'best',
        'stages that the draws chose': "', '.join(map(str, stages.chosen))",
        'stage 3, least and most of the draws, %': "f'{stages[3].min():.1f}, {stages[3].max():.1f}'",
        'random encoder, best stage, %': '100*res.probes[RANDOM_ENCODER].table.test.max()',
        **{f'stage 3 minus {s}, points': f"{SAID}.format(*100*np.array(rows.get('stage 3 minus {s}', [np.nan]*3)))"
           for s in (1, 2, 4)},
        'conv_head minus probe, points': f'{SAID}.format(*100*d.iloc[0])',
        'confused most often': "' and '.join(sorted(both.stack().idxmax()))",
    },
    '08_see_it_learn': {
        'turn guessed right': 'scores[-1]',
        'neighbours of its kind': "shares['neighbours of its kind'].iloc[-1]",
        **{f'{name} covered': f"tests['{name}']" for name in ('random places', 'the middle', 'Grad-CAM', 'occlusion')},
        'Grad-CAM of stage 2 covered': 'covered(grad_cam_at(trained, x, 2))',
    },
    '10_no_leak': {
        'training crops': "all_rows['turn, then crop: training crops']['accuracy']",
        'noise, 45 apart': "all_rows['45 apart: noise']['accuracy']",
        'padded': "all_rows['padded with zeros: constant']['accuracy']",
        'rows with a leak': "sum(o['leak'] == 'yes' for o in all_rows.values())",
        **{f'leak at a blur of {r}': f"interval(held_out(save_pictures(smooth({r}), n_noise), (0, 30)))['leak']"
           for r in (1, 1.5, 2)},
    },
    '18_cells': {f'{name}, %': f"shares['{name}']"
                 for name in ('0 pixels', '0.25 pixels', '1 pixels', 'the last one, grey')},
    '19_digits': {'look-alikes': 'right[is_alike].mean()', 'other digits': 'right[~is_alike].mean()',
                  'all digits': 'right.mean()'},
    '23_beyond': {f'{m}, %': f"curve.accuracies('{m}')[labels*len(kinds)].mean()"
                  for m in ('from scratch', 'random, frozen', 'rotation, frozen', 'rotation, fine-tuned',
                            'jigsaw, frozen', 'jigsaw, fine-tuned')},
}

def cell(id, source):
    "A cell that nobody sees"
    return dict(cell_type='code', execution_count=None, id=id, metadata={}, outputs=[], source=[f'#| hide\n{source}'])

def again(notebook, page, seed, found):
    "The notebook of a page with another seed; at its end it writes what it found to a file"
    line = SEEDS.get(page, '').format(seed)
    wanted = ', '.join(f'{what!r}: {expression}' for what, expression in FOUND.get(page, {}).items())
    last = cell('found', 'import json\nfrom pathlib import Path\n'
                         f'found = {{{wanted}}}\nPath({str(found)!r}).write_text(json.dumps(found, default=str))')
    if line and SEEDS[page] != DRAW: notebook = with_change(notebook, line)
    first = [cell('drawn-anew', line)] if SEEDS.get(page) == DRAW else []
    cells = [c for c in notebook['cells'] if OUT.name not in ''.join(c['source'])]  # the tables that come from here
    return {**notebook, 'cells': [*first, *cells, last]}

def rows(tree, page, seed, threads):
    "Run a page; a row for each thing that it found"
    file, found = tree/'nbs'/'tutorials'/f'{page}.ipynb', tree/'found.json'
    found.unlink(missing_ok=True)
    notebook = json.loads((ROOT/'nbs'/'tutorials'/f'{page}.ipynb').read_text(encoding='utf-8'))
    file.write_text(notebook_text(again(notebook, page, seed, found)), encoding='utf-8')
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': str(threads), 'OMP_WAIT_POLICY': 'PASSIVE'}
    start = time.time()
    said = subprocess.run([Path(sys.executable).parent/'nbdev-test', file, '--n-workers', '1'], cwd=tree, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if said.returncode: sys.exit(f'{said.stdout[-3000:]}\n{page} failed with seed {seed} and threads {threads}')
    seconds = round(time.time() - start, 1)
    for what, value in {'ran to its end': True, **json.loads(found.read_text())}.items():
        value = round(value, 3 if abs(value) < 2 else 1) if isinstance(value, float) else value
        yield dict(page=page, seed=seed, threads=threads, what=what, value=value, seconds=seconds)

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    pages = [name for name, _ in course_pages(ROOT/'nbs')]
    parser.add_argument('names', nargs='*', metavar='NAME', default=pages)
    parser.add_argument('--out', type=Path, default=OUT)
    args = parser.parse_args()
    about = machine()
    about.pop('threads')
    columns = [*COLUMNS, *about]
    append(args.out, columns, [])
    with tempfile.TemporaryDirectory() as tmp, open(args.out, newline='') as f:
        tree, done = Path(tmp)/'tree', {(r['page'], r['seed'], r['threads']) for r in csv.DictReader(f)}
        for part in ('nbs', 'benchmarks'): shutil.copytree(ROOT/part, tree/part)
        for part in ('settings.ini', 'pyproject.toml'): shutil.copy(ROOT/part, tree)
        for page in args.names:
            for seed, threads in [(0, 1)] + [(1, 1), (2, 1)]*(page in SEEDS) + [(0, 2)]:
                if (page, str(seed), str(threads)) in done: continue
                made = [row | about for row in rows(tree, page, seed, threads)]
                append(args.out, columns, made)
                print(f"{page}, seed {seed}, threads {threads}: {made[0]['seconds']} s", flush=True)

if __name__ == '__main__': main()
