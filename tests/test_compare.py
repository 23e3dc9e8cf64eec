"Comparisons: what the test photos may not touch, one that is stopped and goes on, and a disk that fills up."
import shutil
from pathlib import Path

import pytest
import timm
import torch
from fastai.vision.all import noop, working_directory
from selfsup import output
from selfsup.data.drawn import draw_world
from selfsup.errors import InputError
from selfsup.evaluation.compare import compare, demo

CLASSES = ['house', 'car', 'cup']
QUIET = dict(labels='8', seeds=1, size=32, epochs=1, steps=[5], lrs=[3e-3], say=noop)
FEW = dict(seeds=1, train=6, test=2, labels='4', epochs=2, steps=[2])

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    return draw_world(tmp_path_factory.mktemp('data')/'world', train=12, valid=4, test=6, classes=CLASSES, size=32)

@pytest.fixture(scope='module')
def compared(world): return compare(world, **QUIET)

@pytest.fixture
def other(world, tmp_path):
    "The same photos to train with, and others to test with"
    copy = Path(shutil.copytree(world, tmp_path/'other'))
    shutil.rmtree(copy/'test')
    return draw_test(copy)

def draw_test(folder):
    drawn = draw_world(folder.parent/'drawn', train=1, valid=1, test=6, classes=CLASSES, size=32, seed=1)
    shutil.copytree(drawn/'test', folder/'test')
    return folder

def test_test_photos_have_no_part_in_training(compared, other):
    there = compare(other, **QUIET)
    assert there.photos.digests() != compared.photos.digests()
    assert there.pretraining['rotation']['history'] == compared.pretraining['rotation']['history']
    assert [r.train_accuracy for r in there.runs] == [r.train_accuracy for r in compared.runs]

def test_ready_made_weights_have_their_rows_and_a_torn_file_is_told(other, tmp_path):
    (other/'train'/'car'/'torn.png').write_bytes(b'oops')
    torch.save(timm.create_model('resnet10t').state_dict(), tmp_path/'theirs.pth')
    found = compare(other, tmp_path/'out', **QUIET, encoder=f"theirs=timm/resnet10t@48:{tmp_path/'theirs.pth'}")
    report = (tmp_path/'out'/'report.html').read_text()
    assert 'torn.png' in report and '1 of' in found.photos.notes[-1]
    for name in ('theirs, frozen', 'theirs, fine-tuned'):
        assert found.table().index.tolist().count(name) == 1 and name in report
        assert {*found.curve.accuracies(name)} == {*found.curve.accuracies(name.replace('theirs', 'rotation'))}

def stop(line):
    if 'all labels' in str(line): raise KeyboardInterrupt

def test_a_demo_that_was_stopped_goes_on_to_the_same_numbers(tmp_path):
    with working_directory(tmp_path):
        with pytest.raises(KeyboardInterrupt, match="kept in 'selfsup-demo/results'"): demo(**FEW, say=stop)
        with pytest.raises(InputError, match='drawn with other settings'): demo(**FEW | dict(train=13), resume=True, say=noop)
        with pytest.raises(InputError, match='epochs was 2 and is now 3'): demo(**FEW | dict(epochs=3), resume=True, say=noop)
        parts = demo(**FEW, resume=True, say=noop)  # without out it finds the folder
        with pytest.raises(InputError, match='is finished'): demo(**FEW, resume=True, say=noop)
        whole = demo('whole', **FEW, say=noop)
        assert whole.table()['test accuracy %'].equals(parts.table()['test accuracy %'])
        stopped, through = (Path(f, 'results/encoder/encoder.safetensors').read_bytes() for f in ('selfsup-demo', 'whole'))
        assert stopped == through

def test_a_disk_that_fills_up_costs_no_result(tmp_path, monkeypatch):
    lines = []
    def no_room(file, data): raise OSError(28, 'No space left on device')
    def full(line):
        lines.append(str(line))
        if 'epoch 1 ' in str(line): monkeypatch.setattr(output, '_write', no_room)
    with pytest.raises(output.WriteError, match='No space left'): demo(tmp_path/'full', **FEW, say=full)
    assert any('from scratch' in line for line in lines)
    assert [f for f in (tmp_path/'full'/'results').rglob('*') if f.is_file()] == []
