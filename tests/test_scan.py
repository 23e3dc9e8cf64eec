"Folders as they are found in the wild, and a set of odd files: every file gets a row and a fate."
import os
from pathlib import Path
import numpy as np
import pandas as pd
import PIL
import pytest
from PIL import Image
from selfsup.errors import InputError
from selfsup.data.pictures import PILUpright
from selfsup.data.photos import read_photos
from selfsup.data.scan import count_fates, picture_files, scan_images
from selfsup.evaluation.evaluate import evaluate
from selfsup.pretext.pretrain import pretrain
from selfsup.transfer.finetune import finetune

ODD = Path('~/.fastai/data/odd_images').expanduser()
needs_odd = pytest.mark.skipif(not (ODD/'index.csv').is_file(), reason=f'the odd pictures are not in {ODD}')
needs_new_pillow = pytest.mark.skipif(int(PIL.__version__.split('.')[0]) < 13,
                                      reason='an older Pillow opens fewer of the odd pictures than their index says')
NAMES = ['a b.png', "it's.png", 'say "hi".png', 'two\nlines.png', 'Grüße 写真.png', 'UPPER.PNG', '%s {0} $HOME.png', os.fsdecode(b'\xff.png')]

@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    folder = tmp_path_factory.mktemp('cache')
    monkeypatch.setenv('XDG_CACHE_HOME', str(folder))
    return folder/'selfsup'/'scan.sqlite'

def put(file, seed=0, size=40):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)).save(file, 'PNG')
    return file

@pytest.mark.parametrize('n', range(3))
def test_folders_of_few_pictures(tmp_path, n):
    files = [put(tmp_path/f'{i}.png', i) for i in range(n)]
    scan = scan_images(tmp_path)
    assert list(scan.path) == files and list(scan.fate) == ['as it is']*n
    assert count_fates(scan).files.sum() == n and list(scan.columns)[:3] == ['path', 'fate', 'refused']
    (tmp_path/'torn.jpg').write_bytes(b'')
    assert (scan_images(tmp_path).fate == 'refused').sum() == 1
    with pytest.raises(InputError): read_photos(tmp_path)

def test_odd_names_and_circles(tmp_path):
    files = [put(tmp_path/'a'/n, i) for i, n in enumerate(NAMES)]
    for link in ('a/up', 'a/up2', 'b'): (tmp_path/link).symlink_to(tmp_path/'a' if link == 'b' else tmp_path)
    (tmp_path/'c.png').symlink_to(files[0])
    (tmp_path/'dangling.png').symlink_to(tmp_path/'nowhere.png')
    for _ in range(2):  # the second time from the cache
        scan = scan_images(tmp_path)
        assert sorted(map(os.path.realpath, scan.path)) == sorted([*map(str, files), str(tmp_path/'nowhere.png')])
        assert (scan.refused[scan.path.map(lambda f: f.name == 'dangling.png')] == 'not there').all()
        assert list(scan.fate).count('as it is') == len(NAMES)

def test_forbidden_and_vanished_files(tmp_path, monkeypatch):
    good, locked, gone = (put(tmp_path/f'{n}.png', i) for i, n in enumerate(['good', 'locked', 'gone']))
    create = PILUpright.create.__func__
    def moody(cls, fn, **kwargs):
        if fn == gone and gone.exists(): gone.unlink()
        return create(cls, fn, **kwargs)
    def forbidden(fp, *args, real=Image.open):
        if fp == locked: raise PermissionError(13, 'Permission denied', str(fp))
        return real(fp, *args)
    with monkeypatch.context() as m:
        m.setattr(PILUpright, 'create', classmethod(moody))
        m.setattr(Image, 'open', forbidden)
        scan = scan_images(tmp_path).set_index('path')
    assert scan.fate[good] == 'as it is' and 'Permission denied' in scan.refused[locked] and scan.refused[gone] == 'not there'
    assert scan_images([locked]).fate[0] == 'as it is', 'a right that was given back must count'

def test_the_cache_knows_path_size_and_time(tmp_path, cache, monkeypatch):
    file = put(tmp_path/'a.png')
    opened, create = [], PILUpright.create.__func__
    monkeypatch.setattr(PILUpright, 'create', classmethod(lambda cls, fn, **kw: (opened.append(fn), create(cls, fn, **kw))[1]))
    first = scan_images(tmp_path)
    pd.testing.assert_frame_equal(first, scan_images(tmp_path))
    assert len(opened) == 1 and cache.is_file()
    scan_images(tmp_path, cache=False)
    assert len(opened) == 2
    os.utime(file, ns=(1, 1))
    scan_images(tmp_path)
    assert len(opened) == 3
    put(file, 1, 50)
    assert scan_images(tmp_path).width[0] == 50
    cache.write_bytes(b'not a database')
    assert len(scan_images(tmp_path)) == 1 and len(opened) == 5
    assert len(scan_images(tmp_path, cache=tmp_path/'a.png'/'no folder')) == 1

def test_threads_change_nothing(tmp_path):
    for i in range(20): put(tmp_path/f'{i}.png', i//2)
    one = scan_images(tmp_path, n_workers=1, cache=False)
    pd.testing.assert_frame_equal(one, scan_images(tmp_path, n_workers=3, cache=False))
    assert one.same_as.notna().sum() == 10

def test_leaks_are_named_first(tmp_path):
    for i, f in enumerate(['train/a/0', 'train/b/1', 'test/a/2', 'test/b/3', 'valid/a/4']): put(tmp_path/f'{f}.png', i)
    assert not len(read_photos(tmp_path).leaks())
    leak, twice, extra = put(tmp_path/'test'/'b'/'9.png', 0), put(tmp_path/'valid'/'b'/'8.png', 1), put(tmp_path/'unlabelled'/'7.png', 2)
    photos = read_photos(tmp_path)
    assert [(f.path, f.split) for f in photos.leaks().itertuples()] == [(tmp_path/'test'/'a'/'2.png', 'test'), (leak, 'test'), (twice, 'valid')]
    assert photos.notes[0].startswith('LEAK: 2 of 3 test photos') and str(extra.relative_to(tmp_path)) in photos.notes[0]

@needs_odd
@needs_new_pillow
def test_every_odd_file_has_its_fate():
    index = pd.read_csv(ODD/'index.csv', dtype=str, keep_default_na=False)
    scan = scan_images(ODD)
    assert sorted(str(f.relative_to(ODD)) for f in scan.path) == sorted(index.path) and len(scan) == 398
    refused = {str(f.relative_to(ODD)) for f in scan.path[scan.fate == 'refused']}
    assert set(index.path[index.status != 'ok']) < refused and len(refused) == (index.status != 'ok').sum() + 2
    assert scan.refused[scan.fate == 'refused'].str.len().min() > 10
    turned = index.exif_orientation.isin(list('2345678')) & ~index.path.isin(refused)
    assert {str(f.relative_to(ODD)) for f in scan.path[scan.turned]} == set(index.path[turned])

@needs_odd
@needs_new_pillow
@pytest.mark.filterwarnings('ignore')
def test_odd_files_through_training_and_evaluation(tmp_path):
    t = pd.read_csv(ODD/'index.csv')[['path']]
    t['class'] = ['png' if f.endswith('png') else 'other' for f in t.path]
    t['split'] = [('train', 'train', 'valid', 'test')[i % 4] for i in range(len(t))]
    t.to_csv(csv := tmp_path/'labels.csv', index=False)
    said = []
    pretrain(ODD, tmp_path/'pre', size=32, epochs=1, labels_csv=csv, say=said.append)
    finetune(ODD, tmp_path/'pre', tmp_path/'fine', steps=2, labels_csv=csv, say=said.append)
    evaluate(ODD, tmp_path/'pre', tmp_path/'eval', labels_csv=csv, say=said.append)
    assert any('38 of 398 files cannot be opened' in line for line in said)
    for out in ('pre', 'fine', 'eval'):
        fates = pd.read_csv(tmp_path/out/'files.csv')
        assert len(fates) == 398 and fates.fate.notna().all() and fates.refused.notna().sum() == 38
    report = (tmp_path/'eval'/'report.html').read_text()
    assert all(f.name in report for f in scan_images(ODD).query('refused != ""').path)
