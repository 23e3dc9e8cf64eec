"The scripts that measure go on where they stopped."
import csv
import sys
from collections import namedtuple
from pathlib import Path
import numpy as np
import pytest
import timm
from fastai.torch_core import defaults
from safetensors.torch import load_file, save_file
from selfsup.all import draw_world, load_encoder

ROOT = Path(__file__).parent.parent

def strip(text):
    "The rows of a CSV without their times"
    times = {'seconds', 'cpu_seconds', 'photos_a_second', 'tflop_a_second', 'tflop_of_products'}
    return sorted(tuple(v for k, v in row.items() if k not in times) for row in csv.DictReader(text.splitlines()))

@pytest.mark.slow
def test_cifar10_in_parts(tmp_path, monkeypatch, capsys):
    "Each kind of part ends in rows; given again, the command runs those that are missing, and no other"
    monkeypatch.syspath_prepend(str(ROOT/'benchmarks'))
    import rotnet_cifar10 as r
    world = draw_world(tmp_path/'world', train=12, valid=2, test=3, size=32, classes=['house', 'car', 'cup'])
    small = r.Size(labels=(5,), seeds=1, photos=(24,), many=((24, 2),), passes=1, steps=2, lengths=(3,), long_labels=(5,),
                   as_long=((24, 4),), whole=(10, 4), bs=8, few_bs=8, lrs=(1e-3,))
    monkeypatch.setitem(r.SIZES, 'smoke', small)
    out, work = tmp_path/'out.csv', tmp_path/'work'
    r.run('smoke', world, out, work, minutes=0)
    assert not out.exists() or not len(list(csv.DictReader(open(out))))
    r.run('smoke', world, out, work)
    first = out.read_text()
    rows = list(csv.DictReader(open(out)))
    assert {row['method'] for row in rows} == set(r.DO)
    assert [row['steps'] for row in rows if row['method'] == 'from scratch, long'] == ['3', '4', '4']
    assert sum(row['chosen'] == 'True' for row in rows if row['method'] == 'rotation, frozen') == 3
    assert len({row['test'] for row in rows}) == 1 and all(row['cpu_seconds'] for row in rows)
    capsys.readouterr()
    r.run('smoke', world, out, work)
    assert out.read_text() == first
    out.write_text(''.join(line for line in first.splitlines(True) if not line.startswith('from scratch,0')))
    r.run('smoke', world, out, work)
    assert capsys.readouterr().out.count('from scratch') == 2
    assert strip(out.read_text()) == strip(first)  # the same seed, the same figures

@pytest.mark.slow
def test_networks_in_parts(tmp_path, monkeypatch):
    "Test photos judge the network that those set aside chose, and the stretch; given again, nothing is made"
    monkeypatch.syspath_prepend(str(ROOT/'benchmarks'))
    import networks as n
    world = draw_world(tmp_path/'world', train=12, valid=2, test=3, size=32, classes=['house', 'car', 'cup'])
    size = n.Size({'small': 1, 'wide': 1}, labels=(5,), longer=2, stretch=('fine', 3), steps=2, bs=8, few_bs=8, watch=3)
    monkeypatch.setitem(n.SIZES, 'smoke', size)
    out, work = tmp_path/'out.csv', tmp_path/'work'
    n.run('smoke', world, out, work)
    rows, first = list(csv.DictReader(open(out))), out.read_text()
    valid = {r['arch']: float(r['accuracy']) for r in rows if r['judged'] == 'valid' and r['method'] == n.TUNED}
    tested = {arch: {r['method'] for r in rows if r['judged'] == 'test' and r['arch'] == arch}
              for arch in ('small', 'wide', 'fine')}
    chosen = [arch for arch in valid if tested[arch]]
    assert set(valid) == {'small', 'wide'} and [valid[arch] for arch in chosen] == [max(valid.values())]
    kinds = {'pretraining', 'from scratch', 'rotation, frozen', n.TUNED, n.CONV}
    assert tested[chosen[0]] == tested['fine'] == kinds
    assert [r['passes'] for r in rows if r['method'] == 'pretraining'] == ['1', '1', '2', '3']
    n.run('smoke', world, out, work)
    assert out.read_text() == first

@pytest.mark.slow
def test_ready_made_in_parts(tmp_path, monkeypatch):
    "Each kind of part has a row for every draw, at the size of the weights; given again, nothing is made"
    monkeypatch.syspath_prepend(str(ROOT/'benchmarks'))
    import ready_made as r
    save_file(timm.create_model('resnet10t').state_dict(), tmp_path/'theirs.safetensors')
    weights, out = f"timm/resnet10t:{tmp_path/'theirs.safetensors'}", tmp_path/'out.csv'
    r.run(weights, out, tmp_path/'work', smoke=True)
    rows, first = list(csv.DictReader(open(out))), out.read_text()
    assert [row['method'] for row in rows] == ['rotation', 'ready-made + rotation', *r.FROZEN, *r.TUNED]
    assert all(row['rotation_accuracy'] or row['accuracy'] for row in rows)
    assert load_encoder(tmp_path/'work'/'drawn'/'ready-made + rotation').meta['arch'] == 'resnet10t'
    r.run(weights, out, tmp_path/'work', smoke=True)
    assert out.read_text() == first

@pytest.mark.slow
def test_beyond_in_parts(tmp_path, monkeypatch):
    "Each kind of part has its rows; given again, nothing is made"
    monkeypatch.syspath_prepend(str(ROOT/'benchmarks'))
    import beyond as b
    out = tmp_path/'out.csv'
    b.run(out, tmp_path/'work', smoke=True)
    rows, first = list(csv.DictReader(open(out))), out.read_text()
    ours = [row for row in rows if row['photos'] == b.DRAWN]
    assert {row['method'] for row in ours} == {'rotation', 'jigsaw', b.TILES, *b.FROZEN, *b.TUNED, *b.VIEWS}
    assert all(len(row['hits']) == 32 for row in rows if row['measure'] == 'accuracy')
    assert len([row for row in ours if row['method'] in b.VIEWS]) == 3*4*7  # encoders, stages, measures
    b.run(out, tmp_path/'work', smoke=True)
    assert out.read_text() == first

def test_beyond_measures_turns(monkeypatch):
    "Views that are equal are alike and tell no turn; views that differ by the turn alone tell it"
    monkeypatch.syspath_prepend(str(ROOT/'benchmarks'))
    import beyond as b
    rng, truth = np.random.default_rng(0), np.arange(40) % 4
    same = np.broadcast_to(rng.normal(size=(40, 6)), (4, 40, 6))
    assert b.turn_probe(same) == .25
    found = b.likenesses(same - same.mean((0, 1)), truth)
    assert abs(found['quarter turn'] - 1) < 1e-6 and abs(found['half turn'] - 1) < 1e-6
    assert abs(found['same class']) < .2
    told = same.copy()
    told[..., 0] = np.arange(4)[:, None] == 2
    told[..., 1] = np.arange(4)[:, None] % 2
    told[..., 2] = np.arange(4)[:, None] == 1
    assert b.turn_probe(told) > .95

@pytest.fixture
def paper(tmp_path, monkeypatch):
    "The module of the paper's experiments, and its `run` at a size of its own"
    monkeypatch.syspath_prepend(str(ROOT/'benchmarks'))
    import rotnet_paper as r
    world = draw_world(tmp_path/'world', train=2, valid=1, test=2, size=32, classes=['house', 'car'])
    def run(recipe='fast', out=tmp_path/'out.csv', work=tmp_path/'work', passes=1):
        monkeypatch.setitem(r.SIZES, 'smoke', r.Size(labels=(2, 3), seeds=1, passes=passes, bs=3))
        r.run('smoke', recipe, world, out, work)
        return out.read_text()
    return r, run

@pytest.mark.slow
def test_paper_in_parts(paper, tmp_path):
    "Each kind of part ends in a row; given again, the command adds nothing, and makes anew what is gone"
    r, run = paper
    first = run()
    rows = list(csv.DictReader(first.splitlines()))
    assert {row['method'] for row in rows} == {*r.METHODS, 'pretraining'}
    assert len(rows) == len(set(r.parts('smoke', 'fast'))) == len({r.key(row) for row in rows})
    for row in rows: assert row['rotation_accuracy' if row['method'] == 'pretraining' else 'accuracy']
    assert run() == first
    gone = [line for line in first.splitlines(True) if ',nin3,0 90 180 270,,' in line or '"random, conv"' in line]
    (tmp_path/'out.csv').write_text(''.join(line for line in first.splitlines(True) if line not in gone))
    again = run()
    assert len(gone) == 2 and strip(again) == strip(first) and not any(line in again for line in gone)

def test_rows_of_other_columns_are_not_mixed(tmp_path, monkeypatch):
    "No row is written behind others that have other columns, and no part is made for it"
    monkeypatch.syspath_prepend(str(ROOT/'benchmarks'))
    from parts import append, run_parts
    Part = namedtuple('Part', ['name'])
    out, made = tmp_path/'out.csv', []
    def do(part):
        made.append(part.name)
        yield dict(accuracy=.5)
    run_parts([Part('a')], do, out, ['accuracy'], lambda row: row['name'])
    append(out, next(csv.reader(open(out))), [])
    before = out.read_text()
    with pytest.raises(SystemExit, match='other columns'):
        run_parts([Part('a'), Part('b')], do, out, ['accuracy', 'steps'], lambda row: row['name'])
    assert made == ['a'] and out.read_text() == before

def test_paper_from_the_command_line(paper, tmp_path, monkeypatch):
    "One part of the smoke size, on the device that is asked for, with the pace of that device"
    r, _ = paper
    part = next(r.parts('smoke', 'fast'))._replace(arch='small')
    monkeypatch.setattr(r, 'parts', lambda *args: [part])
    monkeypatch.setattr(defaults, 'use_cuda', None, raising=False)
    out = tmp_path/'line.csv'
    command = f'rotnet_paper.py smoke --recipe fast --device cpu --out {out} --work {tmp_path/"line"}'
    monkeypatch.setattr(sys, 'argv', command.split())
    r.main()
    row, = csv.DictReader(out.read_text().splitlines())
    assert (row['method'], row['device']) == ('pretraining', 'cpu')
    assert float(row['tflop_a_second']) > 0 and float(row['tflop_of_products']) > 0
    monkeypatch.setattr(sys, 'argv', ['rotnet_paper.py', 'paper', '--folder', str(tmp_path/'nowhere')])
    with pytest.raises(SystemExit, match='nowhere'): r.main()

@pytest.mark.parametrize('recipe', ['paper', 'fast'])
def test_stopped_pretraining_goes_on(paper, tmp_path, monkeypatch, recipe):
    "Weights and figures of a pretraining that was stopped are those of one that was not"
    r, run = paper
    part = next(r.parts('smoke', recipe))._replace(arch='small')
    monkeypatch.setattr(r, 'parts', lambda *args: [part])
    whole = run(recipe, tmp_path/'whole.csv', tmp_path/'whole', passes=2)
    class Stop(r.ValidateLast):
        def before_epoch(self):
            if self.epoch == 1: raise KeyboardInterrupt
    with monkeypatch.context() as m:
        m.setattr(r, 'ValidateLast', Stop)
        with pytest.raises(KeyboardInterrupt): run(recipe, passes=2)
    assert list((tmp_path/'work').rglob('unfinished/encoder.pt'))
    assert strip(run(recipe, passes=2)) == strip(whole)
    weights, wanted = (load_file(next((tmp_path/name).rglob('*.safetensors'))) for name in ('work', 'whole'))
    assert all((weights[name] == wanted[name]).all() for name in wanted)
