"Folders as strangers have them: what every command takes for what, and says so before it trains."
import os
import shutil
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selfsup.checks import suitability as suitability_module
from selfsup.evaluation import compare as compare_module
from selfsup.pretext import pretrain as pretrain_module
from selfsup.checks.audit import audit
from selfsup.checks.suitability import suitability
from selfsup.data.drawn import draw_picture
from selfsup.data.photos import read_photos
from selfsup.errors import InputError
from selfsup.evaluation.compare import compare
from selfsup.evaluation.evaluate import evaluate
from selfsup.pretext.pretrain import pretrain
from selfsup.transfer.finetune import finetune

@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory): monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))

def put(file, seed=None, size=40, **kwargs):
    "A picture of coarse noise, another one for each file unless there is a seed"
    file.parent.mkdir(parents=True, exist_ok=True)
    seed = zlib.crc32(os.fsencode(file)) if seed is None else seed
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(file, **kwargs)
    return file

def tree(folder, *places, n=4):
    "`n` pictures in each place"
    for place in places:
        for i in range(n): put(folder/place/f'{i}.png')
    return folder

def splits(photos): return dict(Counter(photos.table.split))

A = 'cat', 'dog'
def both(*splits): return [f'{s}/{c}' for s in splits for c in A]

READ = {
    'Training, Testing': (both('Training', 'Testing'), dict(train=6, valid=2, test=8)),
    'Train, Test': (both('Train', 'Test'), dict(train=6, valid=2, test=8)),
    'TRAIN, TEST': (both('TRAIN', 'TEST'), dict(train=6, valid=2, test=8)),
    'train_set, test_set': (both('train_set', 'test_set'), dict(train=6, valid=2, test=8)),
    'Training-Set, test set, Unlabeled': ([*both('Training-Set', 'test set'), 'Unlabeled'], dict(train=6, valid=2, test=8, unlabelled=4)),
    'train, val, test': (both('train', 'val', 'test'), dict(train=8, valid=8, test=8)),
    'train, validation_set, test': (both('train', 'validation_set', 'test'), dict(train=8, valid=8, test=8)),
    'train, val': (both('train', 'val'), dict(train=6, valid=2, test=8)),
    'classes, unsup': ([*A, 'unsup'], dict(train=4, test=2, valid=2, unlabelled=4)),
    'classes, un_labelled': ([*A, 'un_labelled'], dict(train=4, test=2, valid=2, unlabelled=4)),
    'masks beside': ([*both('train', 'test'), 'masks'], dict(train=6, valid=2, test=8))}

@pytest.mark.parametrize('name', READ)
def test_a_folder_is_read_alike_with_labels_and_without(name, tmp_path):
    places, expected = READ[name]
    photos = read_photos(tree(tmp_path/'photos', *places))
    assert splits(photos) == expected and photos.classes == ['cat', 'dog']
    again = read_photos(tmp_path/'photos', labelled=False)
    assert (again.table.sort_values('path').values == photos.table.sort_values('path').values).all()
    told = '\n'.join(photos.reading())
    assert all(f'{s} ' in told and str(n) in told for s, n in expected.items())

REFUSED = {
    'test and test2': (both('train', 'test', 'test2'), "'test2'"),
    'Kaggle with prefixes': (both('seg_train/seg_train', 'seg_test/seg_test'), "'seg_test', 'seg_train'"),
    'doubly packed': (both('train/train', 'test/test'), 'lies inside a split'),
    'packed in a folder': (both('data/train', 'data/test'), 'data'),
    'classes outside': ([f'{c}/{s}' for c in A for s in ('train', 'test')], 'lies inside a class'),
    'holdout': (both('train', 'holdout'), "'holdout'"),
    'dev': (both('train', 'test', 'dev'), "'dev'"),
    'val and valid': (both('train', 'val', 'valid', 'test'), 'both stand for valid'),
    'by animal': (['cats_train', 'cats_test', 'dogs_train', 'dogs_test'], "'cats_test'"),
    'a class called train': (['train', 'car', 'boat'], 'columns path, class, split'),
    'a class called test': (['test', 'car', 'boat'], 'columns path, class, split'),
    'only train': (both('train'), 'no test'),
    'one class': (['cat'], 'at least two'),
    'car and Car': (['car', 'Car', 'boat'], 'give them one name'),
    'a class only in valid': ([*both('train', 'test', 'valid'), 'valid/emu'], "class 'emu'"),
    'a class only in test': ([*both('train', 'test'), 'test/emu'], "class 'emu'")}

@pytest.mark.parametrize('name', REFUSED)
def test_what_leaves_a_doubt_is_refused(name, tmp_path):
    places, said = REFUSED[name]
    with pytest.raises(InputError, match=said): read_photos(tree(tmp_path/'photos', *places))

def test_too_few_photos_for_a_test_are_refused_before_training(tmp_path):
    with pytest.raises(InputError, match='at least three a class'): read_photos(tree(tmp_path/'photos', *A, n=2))

def test_an_empty_test_is_refused(tmp_path):
    (tree(tmp_path/'photos', *both('train'))/'test').mkdir()
    with pytest.raises(InputError, match='holds no pictures'): read_photos(tmp_path/'photos')

def test_classes_that_differ_in_the_way_accents_are_written(tmp_path):
    tree(tmp_path/'photos', 'train/Tür', 'train/Tor', 'test/Tu\u0308r', 'test/Tor')
    with pytest.raises(InputError, match='accents'): read_photos(tmp_path/'photos')

class Trained(Exception): "What the training was given"

def stop(dls, *args, **kwargs): raise Trained(dls)

def seen(dls): return {Path(f) for part in (dls.train, dls.valid) for f in part.dataset.items}

HEAPS = {'train, Test': [*both('train', 'Test')], 'train, val': both('train', 'val'), 'train, val, test': both('train', 'val', 'test'),
         'heap, Testing': ['2019/rome', '2020', 'Testing/x', 'Testing/y'], 'classes': A, 'TEST_SET beside': [*both('Train', 'TEST_SET'), 'unsup']}

@pytest.mark.parametrize('name', HEAPS)
@pytest.mark.parametrize('command', [pretrain, suitability])
def test_no_pretraining_sees_a_test_photo(name, command, tmp_path, monkeypatch):
    tree(tmp_path/'photos', *HEAPS[name], n=40)
    test = set(read_photos(tmp_path/'photos', labelled=False).files('test'))
    lines = []
    for module in (pretrain_module, suitability_module): monkeypatch.setattr(module, 'train_pretext', stop)
    with pytest.raises(Trained) as found: command(tmp_path/'photos', tmp_path/'out', say=lines.append)
    files = seen(found.value.args[0])
    assert test and files and not files & test
    assert any('was read as' in line for line in lines), 'told before it trains'

@pytest.mark.parametrize('places', [both('train', 'Test'), both('train', 'val'), both('train', 'val', 'test'), A])
def test_all_commands_agree_on_the_test(places, tmp_path, monkeypatch):
    tree(tmp_path/'photos', *places, n=40)
    expected, said = read_photos(tmp_path/'photos'), {}
    def told(command, **kwargs):
        lines = said.setdefault(command.__name__, [])
        with pytest.raises(Trained): command(tmp_path/'photos', say=lines.append, **kwargs)
    def no_audit(dls, *args, **kwargs): raise Trained(dls)
    monkeypatch.setattr('selfsup.transfer.finetune.train_labelled', stop)
    monkeypatch.setattr('selfsup.pretext.pretrain.train_pretext', stop)
    monkeypatch.setattr(compare_module, 'train_pretext', stop)
    monkeypatch.setattr(suitability_module, 'train_pretext', stop)
    monkeypatch.setattr('selfsup.checks.audit.audit_shortcuts', no_audit)
    told(pretrain, out=tmp_path/'out')
    told(finetune, encoder='small', out=tmp_path/'out2')
    told(compare)
    told(audit)
    told(suitability)
    for name, lines in said.items():
        assert [l for l in lines if l in expected.reading()] == expected.reading(), name
        assert [l for l in lines if l.startswith('- ')] == [f'- {n}' for n in expected.notes], name

def test_thumbnails_of_a_network_drive_are_left_out(tmp_path):
    tree(tmp_path/'photos', *both('train', 'test'))
    for f in list((tmp_path/'photos').rglob('*.png')):
        (d := f.parent/'@eaDir'/f.name).mkdir(parents=True)
        Image.open(f).resize((16, 16)).save(d/'SYNOPHOTO_THUMB_M.jpg')
    for junk in ('$RECYCLE.BIN', 'lost+found', '__MACOSX', '#recycle'): put(tmp_path/'photos'/junk/'1.png')
    photos = read_photos(tmp_path/'photos')
    assert splits(photos) == dict(train=6, valid=2, test=8) and not photos.alarms
    assert '16 in @eaDir' in photos.notes[-1] and 'lost+found' in photos.notes[-1]

def test_another_size_of_a_test_photo_is_a_suspicion(tmp_path):
    tree(tmp_path/'photos', *both('train', 'valid', 'test'))
    photo = draw_picture('house', 1, size=400)
    photo.save(tmp_path/'photos'/'test'/'cat'/'big.jpg', quality=95)
    photo.resize((90, 90)).save(tmp_path/'photos'/'train'/'cat'/'small.jpg', quality=70)
    photos = read_photos(tmp_path/'photos')
    assert photos.alarms[0].startswith('SUSPICION: 1 of 9 test photos') and 'small.jpg' in photos.alarms[0]
    photos.save_fates(tmp_path)
    assert 'small.jpg' in (tmp_path/'leaks.csv').read_text()

def test_leaks_are_told_with_the_result(tmp_path):
    tree(tmp_path/'photos', *both('train', 'valid', 'test'))
    shutil.copy(tmp_path/'photos/test/cat/0.png', tmp_path/'photos/train/cat/again.png')
    lines = []
    finetune(tmp_path/'photos', 'small', tmp_path/'out', steps=1, bs=2, size=16, say=lines.append)
    score = next(i for i, l in enumerate(lines) if 'test photos right' in str(l))
    assert any(l.startswith('- LEAK: 1 of 8') for l in lines[:score]) and lines[score + 1].startswith('- LEAK: 1 of 8')

def test_doubles_do_not_fall_on_both_sides_of_a_drawn_split(tmp_path):
    for c in A:
        for i in range(30):
            put(tmp_path/'photos'/c/f'{i}.png', seed=zlib.crc32(f'{c}{i}'.encode()))
            put(tmp_path/'photos'/c/f'{i}_again.jpg', seed=zlib.crc32(f'{c}{i}'.encode()), size=60, quality=90)
    assert not read_photos(tmp_path/'photos').alarms

def test_broken_files_are_named_by_every_command(tmp_path, monkeypatch):
    tree(tmp_path/'photos', *both('train', 'test'), n=40)
    whole = (tmp_path/'photos/train/cat/0.png').read_bytes()
    for i in range(10): (tmp_path/'photos'/'train'/'dog'/f'torn{i}.png').write_bytes(whole[:len(whole)//2])
    (tmp_path/'photos'/'train'/'dog'/'page.jpg').write_bytes(b'<html>404</html>')
    for module in (pretrain_module, compare_module, suitability_module): monkeypatch.setattr(module, 'train_pretext', stop)
    monkeypatch.setattr('selfsup.transfer.finetune.train_labelled', stop)
    monkeypatch.setattr('selfsup.checks.audit.audit_shortcuts', stop)
    for command, kwargs in ((audit, {}), (suitability, {}), (compare, {}), (pretrain, dict(out=tmp_path/'a')),
                            (finetune, dict(encoder='small', out=tmp_path/'b'))):
        lines = []
        with pytest.raises(Trained): command(tmp_path/'photos', say=lines.append, **kwargs)
        note = next(l for l in lines if 'cannot be opened' in l)
        assert '11 of 171 files' in note and "10 cut off: 'train/dog/torn0.png'" in note and 'a web page' in note, command

def test_what_was_not_looked_at_is_counted(tmp_path):
    tree(tmp_path/'photos', *both('train', 'test'))
    put(tmp_path/'photos'/'train'/'cat'/'a.jfif', format='JPEG')
    for name in ('IMG_1.DNG', 'IMG_2.dng', 'scan', 'notes.txt'): (tmp_path/'photos'/'train'/'cat'/name).write_bytes(b'x')
    photos = read_photos(tmp_path/'photos')
    assert any(f.suffix == '.jfif' for f in photos.files('train', 'valid'))
    assert all(part in photos.notes[-1] for part in ('2 .dng', '1 no ending', '1 .txt', 'IMG_1.DNG'))

def test_heic_opens_with_the_extra(tmp_path):
    pytest.importorskip('pillow_heif')
    tree(tmp_path/'photos', *both('train', 'test'))
    put(tmp_path/'photos'/'train'/'cat'/'phone.HEIC', format='HEIF')
    assert any(f.suffix == '.HEIC' for f in read_photos(tmp_path/'photos').files('train', 'valid'))

@pytest.mark.parametrize('bits', [10, 12, 14, 16])
def test_deep_pictures_are_opened_with_the_bits_in_use_and_so_is_what_comes_later(bits, tmp_path):
    ramp = np.linspace(0, 2**bits - 1, 64*64).reshape(64, 64).astype(np.uint16)
    for i, place in enumerate(both('train', 'test')*4):
        (d := tmp_path/'photos'/place).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rot90(ramp, i) if i else ramp).save(d/f'{i}.png')
    photos = read_photos(tmp_path/'photos')
    assert photos.bits == bits and f'opened as {bits} bits' in ' '.join(photos.notes)
    if bits != 12: return
    file = pretrain(tmp_path/'photos', tmp_path/'pre', size=32, epochs=1, say=lambda line: None)
    result = finetune(tmp_path/'photos', file, tmp_path/'fine', steps=1, bs=4, say=lambda line: None)
    from fastai.vision.all import load_learner
    learn = load_learner(tmp_path/'fine'/'model.pkl')
    x, = learn.dls.test_dl([tmp_path/'photos'/'train'/'cat'/'0.png']).dataset[0]
    assert x.max() > 250 and result['test_photos'] == 8

def test_a_photo_of_108_million_pixels_opens(tmp_path):
    from selfsup.data.pictures import PILUpright
    Image.new('RGB', (12000, 9000), 'red').save(tmp_path/'phone.png', compress_level=1)
    assert PILUpright.create(tmp_path/'phone.png').size == (12000, 9000)

CSV = {'semicolons': ('path;class;split', ';'), 'tabs': ('path\tclass\tsplit', '\t'),
       'blanks after commas': ('path, class, split', ', '), 'other order': ('split,note,class,path', None)}

@pytest.mark.parametrize('name', CSV)
def test_tables_as_programs_write_them(name, tmp_path):
    header, comma = CSV[name]
    tree(tmp_path/'photos', *A, n=6)
    rows = [(f'{c}/{i}.png', c, 'train' if i < 4 else 'test') for c in A for i in range(6)]
    lines = [comma.join(r) if comma else f'{r[2]},"a, b",{r[1]},{r[0]}' for r in rows]
    (tmp_path/'t.csv').write_text('\n'.join([header, *lines]))
    photos = read_photos(tmp_path/'photos', tmp_path/'t.csv')
    assert photos.classes == ['cat', 'dog'] and len(photos.files('test')) == 4

def test_tables_with_faults(tmp_path):
    tree(tmp_path/'photos', *A, n=6)
    rows = [(f'{c}/{i}.png', c, 'train' if i < 4 else 'test') for c in A for i in range(6)]
    def read(change):
        lines = ['path,class,split', *(','.join(change(*r)) for r in rows)]
        (tmp_path/'t.csv').write_text('\n'.join(lines))
        return read_photos(tmp_path/'photos', tmp_path/'t.csv')
    assert read(lambda p, c, s: (p, f' {c} ', s)).classes == ['cat', 'dog']
    assert any('Spaces' in n for n in read(lambda p, c, s: (p, f' {c} ', s)).notes)
    assert any('Windows' in n for n in read(lambda p, c, s: (p.replace('/', '\\'), c, s)).notes)
    with pytest.raises(InputError, match='give them one name'): read(lambda p, c, s: (p, 'Cat' if p == 'cat/0.png' else c, s))
    with pytest.raises(InputError, match='second time'): read(lambda p, c, s: ('./cat/0.png' if p == 'cat/1.png' else p, c, s))
    with pytest.raises(InputError, match='line 2: there is no file'): read(lambda p, c, s: (f'x/{p}', c, s))

def test_a_class_whose_name_is_no_text(tmp_path):
    name = os.fsdecode(b'caf\xe9')
    tree(tmp_path/'photos', f'train/{name}', 'train/鳥', f'test/{name}', 'test/鳥')
    lines = []
    res = finetune(tmp_path/'photos', 'small', tmp_path/'out', steps=1, bs=2, size=16, say=lines.append)
    assert res['test_photos'] == 8 and (tmp_path/'out'/'result.json').stat().st_size > 100
