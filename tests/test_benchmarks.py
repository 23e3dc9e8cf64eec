"The scripts that measure go on where they stopped."
import csv
import sys
from pathlib import Path
import timm
from safetensors.torch import save_file
from selfsup.all import draw_world, load_encoder

ROOT = Path(__file__).parent.parent

def test_cifar10_in_parts(tmp_path, monkeypatch, capsys):
    "Each kind of part ends in rows; given again, the command runs those that are missing, and no other"
    monkeypatch.syspath_prepend(str(ROOT/'benchmarks'))
    import rotnet_cifar10 as r
    world = draw_world(tmp_path/'world', train=12, valid=2, test=3, size=32, classes=['house', 'car', 'cup'])
    small = r.Size(labels=(5,), seeds=1, photos=(24,), many=((24, 2),), passes=1, steps=2, lengths=(3,), long_labels=(5,), bs=8,
                   few_bs=8, lrs=(1e-3,))
    monkeypatch.setitem(r.SIZES, 'smoke', small)
    out, work = tmp_path/'out.csv', tmp_path/'work'
    r.run('smoke', world, out, work, minutes=0)
    assert not out.exists() or not len(list(csv.DictReader(open(out))))
    r.run('smoke', world, out, work)
    first = out.read_text()
    rows = list(csv.DictReader(open(out)))
    assert {row['method'] for row in rows} == set(r.DO)
    assert [row['steps'] for row in rows if row['method'] == 'from scratch, long'] == ['3']
    assert sum(row['chosen'] == 'True' for row in rows if row['method'] == 'rotation, frozen') == 3
    assert len({row['test'] for row in rows}) == 1 and all(row['cpu_seconds'] for row in rows)
    capsys.readouterr()
    r.run('smoke', world, out, work)
    assert out.read_text() == first
    out.write_text(''.join(line for line in first.splitlines(True) if not line.startswith('from scratch,0')))
    r.run('smoke', world, out, work)
    assert capsys.readouterr().out.count('from scratch') == 1
    def strip(text):
        "The rows without their times"
        rows = csv.DictReader(text.splitlines())
        return sorted(tuple(v for k, v in row.items() if 'seconds' not in k) for row in rows)
    assert strip(out.read_text()) == strip(first)  # the same seed, the same figures

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
