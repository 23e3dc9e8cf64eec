"Runs that are killed at any moment and go on with --resume end as if nothing had happened; and disks that fill up."
import itertools
import json
import os
import re
import signal
import subprocess
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from fastai.vision.all import noop
from joblib.externals.loky import get_reusable_executor
from selfsup import output
from selfsup.checks.audit import audit
from selfsup.checks.suitability import suitability
from selfsup.data.drawn import draw_world
from selfsup.errors import InputError
from selfsup.evaluation.compare import compare
from selfsup.evaluation.evaluate import evaluate
from selfsup.models.encoder import create_encoder
from selfsup.models.saved import save_encoder
from selfsup.output import WriteError
from selfsup.pretext.pretrain import pretrain
from selfsup.transfer.finetune import finetune
from selfsup.transfer.training import CountViews

EPOCHS, BATCHES = 7, 5 # of training and validation, in an epoch
SMALL = {pretrain: dict(size=16, epochs=EPOCHS, bs=8),
         compare: dict(size=16, epochs=2, bs=8, labels='4', seeds=2, steps=[4], lrs=[1e-3, 3e-3], jobs=1)}
two_at_a_time = partial(compare, jobs=2)
SMALL[two_at_a_time] = {k: v for k, v in SMALL[compare].items() if k != 'jobs'}

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    os.environ['XDG_CACHE_HOME'] = str(tmp_path_factory.mktemp('cache'))
    return draw_world(tmp_path_factory.mktemp('data')/'world', train=16, valid=4, test=5, classes=['house', 'car'], size=16)

# Killed

def counted(command, world, out, resume, events, n, told):
    "Run a command that kills itself at the `n`th of its events; a write is then half done"
    ticks = itertools.count(1)
    after_batch, write = CountViews.after_batch, output._write
    def is_last(event): return event in events and next(ticks) == n
    def die(): os.kill(os.getpid(), signal.SIGKILL)
    def dying_batch(self):
        if is_last('batch'): die()
        after_batch(self)
    def dying_write(file, data):
        if not is_last('write'): return write(file, data)
        file.write_bytes(data[:len(data)//2])
        die()
    CountViews.after_batch, output._write = dying_batch, dying_write
    command(world, out, **SMALL[command], resume=resume, say=noop)
    told.value = next(ticks) - 1
    if command is two_at_a_time: get_reusable_executor().shutdown()  # what a script does at its end, a fork does not

def in_a_process(*args):
    "How a process that runs `counted` ended, and how many events it saw"
    context = get_context('fork')
    told = context.Value('i')
    process = context.Process(target=counted, args=(*args, told))
    process.start()
    process.join()
    return process.exitcode, told.value

def without_times(o):
    if isinstance(o, dict): return {k: without_times(v) for k, v in o.items() if 'seconds' not in k}
    if isinstance(o, list): return [without_times(v) for v in o]
    return re.sub(r'took \d+ \w+', 'took a while', o) if isinstance(o, str) else o

def results(out):
    "What a run wrote: JSON but for times, the report by name alone, all else by its bytes"
    read = {'.json': lambda f: without_times(json.loads(f.read_text())), '.html': lambda f: None}
    return {str(f.relative_to(out)): read.get(f.suffix, Path.read_bytes)(f) for f in out.rglob('*') if f.is_file()}

def kill_and_resume(command, world, out, events, n):
    assert in_a_process(command, world, out, False, events, n) == (-signal.SIGKILL, 0)
    state = out/'unfinished'/'encoder.pt'
    epochs = torch.load(state)['epochs'] if state.exists() else 0
    code, _ = in_a_process(command, world, out, epochs > 0 or command is not pretrain, '', 0)
    assert code == 0
    return epochs

@pytest.fixture(scope='module')
def whole(world, tmp_path_factory):
    out = tmp_path_factory.mktemp('whole')/'pre'
    assert in_a_process(pretrain, world, out, False, 'batch', 0) == (0, EPOCHS*BATCHES)
    return results(out)

@pytest.mark.parametrize('n', [1 + 34*i//14 for i in range(15)])
def test_a_pretraining_killed_in_a_batch(world, whole, n, tmp_path):
    assert kill_and_resume(pretrain, world, tmp_path/'pre', 'batch', n) == (n - 1)//BATCHES
    assert results(tmp_path/'pre') == whole

@pytest.mark.parametrize('epoch', [1, 2, 4, 6, 7])
def test_a_pretraining_killed_while_its_state_is_written(world, whole, epoch, tmp_path):
    # before the first state the settings and the photos are written, and before each state the seconds
    assert kill_and_resume(pretrain, world, tmp_path/'pre', 'write', 2 + 2*epoch) == epoch - 1
    assert results(tmp_path/'pre') == whole

@pytest.fixture(scope='module')
def compared(world, tmp_path_factory):
    out = tmp_path_factory.mktemp('whole')/'compared'
    code, n = in_a_process(compare, world, out, False, ('batch', 'write'), 0)
    assert code == 0
    return results(out), n

@pytest.mark.parametrize('part', range(10))
def test_a_comparison_killed(world, compared, part, tmp_path):
    whole, n = compared
    kill_and_resume(compare, world, tmp_path/'compared', ('batch', 'write'), 1 + part*(n - 1)//9)
    assert results(tmp_path/'compared') == whole

@pytest.mark.parametrize('n', [9, 20])
def test_a_comparison_killed_with_trainings_in_other_processes(world, n, tmp_path):
    assert in_a_process(two_at_a_time, world, tmp_path/'whole', False, '', 0)[0] == 0
    kill_and_resume(two_at_a_time, world, tmp_path/'killed', 'write', n)
    assert results(tmp_path/'killed') == results(tmp_path/'whole')

# Full disks

@contextmanager
def small_disk(folder, megabytes):
    folder.mkdir()
    mounted = subprocess.run(f"mount -t tmpfs -o size={megabytes}m tmpfs '{folder}'", shell=True, capture_output=True)
    if mounted.returncode: pytest.skip('a small file system cannot be mounted here, so no full disk was tried')
    try: yield folder
    finally: subprocess.run(['umount', folder], check=True)

class FillsUp:
    "Takes the lines of a run, and fills a disk at the first that has some words"
    def __init__(self, disk, words): self.file, self.words, self.lines = disk/'filler', words, []
    def __call__(self, line):
        self.lines.append(str(line))
        if self.words not in str(line) or self.file.exists(): return
        with open(self.file, 'wb', buffering=0) as f:
            try:
                while f.write(bytes(4096)): pass
            except OSError: pass
    def said(self, words): return any(words in line for line in self.lines)

def files(folder): return sorted(f.name for f in folder.rglob('*') if f.is_file())

@pytest.mark.parametrize('command, kwargs', [(pretrain, SMALL[pretrain]), (compare, SMALL[compare]), (finetune, dict(encoder='small', size=16))])
def test_a_disk_without_room_is_found_before_training(world, tmp_path, command, kwargs):
    with small_disk(tmp_path/'disk', 1) as disk:
        with pytest.raises(InputError, match='make room'): command(world, out=disk/'out', **kwargs, say=noop)
        assert files(disk) == []

def test_a_disk_that_fills_up_while_pretraining(world, whole, tmp_path):
    with small_disk(tmp_path/'disk', 32) as disk:
        say = FillsUp(disk, 'epoch 2 ')
        with pytest.raises(WriteError, match=r"encoder.safetensors' cannot be written \(No space left.* 1 of 7 epochs are kept"):
            pretrain(world, disk/'pre', **SMALL[pretrain], say=say)
        assert say.said('could not be kept') and say.said('rotation accuracy') and say.said(' after ')
        assert files(disk/'pre') == ['encoder.pt', 'lock', 'photos.json', 'run.json', 'seconds']
        say.file.unlink()
        pretrain(world, disk/'pre', **SMALL[pretrain], resume=True, say=noop)
        assert results(disk/'pre') == whole

def test_a_disk_that_fills_up_while_comparing(world, tmp_path):
    with small_disk(tmp_path/'disk', 64) as disk:
        say = FillsUp(disk, 'epoch 1 ')
        with pytest.raises(WriteError, match='No space left'): compare(world, disk/'out', **SMALL[compare], say=say)
        assert say.said('could not be kept') and say.said('from scratch') and say.said('test accuracy')

@pytest.mark.parametrize('command, at, kwargs, file, told', [
    (finetune, 'test photos right', dict(steps=2), 'model.pkl', 'test photos right'),
    (evaluate, 'was read', {}, 'encoder.safetensors', 'Cross-validation chose stage'),
    (audit, 'was read', dict(size=16), 'result.json', 'No warning'),
    (suitability, 'was read', dict(epochs=1), 'result.json', 'A short run guesses')],
    ids=lambda o: getattr(o, '__name__', ''))
# What was found is told before it is written
def test_a_disk_that_fills_up(tmp_path, command, at, kwargs, file, told):
    world = draw_world(tmp_path/'world', train=40, valid=4, test=5, classes=['house', 'car'], size=32)
    if command in (finetune, evaluate): kwargs = kwargs | dict(encoder=save_encoder(create_encoder(), tmp_path/'fresh', size=32))
    with small_disk(tmp_path/'disk', 16) as disk:
        say = FillsUp(disk, at)
        with pytest.raises(WriteError, match=rf"{file}' cannot be written \(No space left"):
            command(world, out=disk/'out', **kwargs, say=say)
        assert say.said(at) and say.said(told) and files(disk) == ['filler']
