"A classifier that is used: what is written, read back, refused, and said of photos."
import csv
import json
import os
import pickle
import subprocess
import sys
import zlib
from io import BytesIO

import numpy as np
import pytest
import torch
from fastai.vision.all import Path, load_learner, noop
from PIL import Image
from selfsup import cli
from selfsup.console import Progress
from selfsup.data.drawn import draw_picture, draw_world
from selfsup.errors import InputError
from selfsup.models import saved as saved_module
from selfsup.models.encoder import Encoder, create_encoder
from selfsup.models.saved import save_encoder
from selfsup.transfer.classifier import Classifier, load_classifier, save_classifier
from selfsup.transfer.finetune import finetune, predict_files
from selfsup.transfer.predictions import Predictions, find_photos, predict

NAMES = ['path', 'prediction', 'say "a, b"'] # Of classes

@pytest.fixture(scope='module', autouse=True)
def cache(tmp_path_factory): os.environ['XDG_CACHE_HOME'] = str(tmp_path_factory.mktemp('cache'))

@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    "Photos of three classes, whose names are hard on a table"
    world = draw_world(tmp_path_factory.mktemp('data')/'world', train=12, valid=2, test=4, classes=['house', 'car', 'cup'], size=32)
    for split in ('train', 'valid', 'test'):
        for old, new in zip(('house', 'car', 'cup'), NAMES): (world/split/old).rename(world/split/new)
    return world

@pytest.fixture(scope='module')
def tuned(photos, tmp_path_factory):
    "What finetune wrote; the encoder was pretrained with a scale of its own"
    root = tmp_path_factory.mktemp('runs')
    scales = dict(mean=[.41234567, .5, .6], std=[.0123456789, .2, .3])
    file = save_encoder(create_encoder(), root/'pre', size=32, normalization=scales, pretext={'name': 'rotation'}, seed=3)
    lines = []
    finetune(photos, file, root/'tuned', steps=15, bs=8, cut=3, say=lines.append)
    (root/'tuned'/'said').write_text('\n'.join(map(str, lines)))
    return root/'tuned'

@pytest.fixture
def copy(tuned, tmp_path):
    "A copy of the two files, to be spoiled"
    (tmp_path/'copy').mkdir()
    for name in ('model.safetensors', 'model.json'): (tmp_path/'copy'/name).write_bytes((tuned/name).read_bytes())
    return tmp_path/'copy'

def learner(folder):
    with pytest.warns(UserWarning): return load_learner(folder/'model.pkl')

def told(*args, **kwargs):
    "(predictions, lines)"
    lines = []
    return predict(*args, **kwargs, say=lambda line: lines.extend(str(line).splitlines())), lines

# What is written

def test_the_file_says_what_is_needed_and_nothing_of_the_photos(tuned, photos):
    said = json.loads((tuned/'model.json').read_text())
    assert said.pop('versions').keys() == {'python', 'selfsup', 'torch', 'torchvision', 'fastai'}
    scales = said.pop('normalization')
    assert np.allclose(scales['mean'] + scales['std'], [.41234567, .5, .6, .0123456789, .2, .3], rtol=1e-7, atol=0)
    assert said == dict(arch='small', family='own', stages=3, pretext={'name': 'rotation'}, size=32, bits=None, head='linear',
                        classes=sorted(NAMES))
    data = (tuned/'model.safetensors').read_bytes()
    assert str(photos).encode() not in data and b'.png' not in data
    assert 'model.pkl is a pickle, which runs code when it is loaded; model.safetensors does not' in (tuned/'said').read_text()

@pytest.mark.parametrize('encoder, size, words', [(Encoder(torch.nn.Conv2d(3, 8, 3)), 32, 'arch is None'), ('small', np.int64(32), 'size is')])
def test_what_could_not_be_written_is_refused_before_training(photos, tmp_path, monkeypatch, encoder, size, words):
    monkeypatch.setattr('selfsup.transfer.finetune.open_photos', lambda *args: pytest.fail('a photo was opened'))
    with pytest.raises(InputError, match=words): finetune(photos, encoder, tmp_path/'out', size=size, say=noop)
    assert not (tmp_path/'out').exists()

@pytest.mark.parametrize('at', range(3))
def test_a_disk_that_fills_up_leaves_none_of_the_three(photos, tmp_path, monkeypatch, at):
    from selfsup import output
    own, names = output._write, ['model.pkl', 'model.safetensors', 'model.json']
    def write(path, data):
        if f'.{names[at]}.' in path.name: raise OSError(28, 'No space left on device')
        own(path, data)
    monkeypatch.setattr(output, '_write', write)
    with pytest.raises(output.WriteError, match=f"{names[at]}' cannot be written"): finetune(photos, 'small', tmp_path/'out', steps=1, bs=2, size=16, say=noop)
    assert not (tmp_path/'out').exists()

# The same as the learner

def test_the_learner_and_the_classifier_agree(tuned, photos):
    files = sorted((photos/'test').rglob('*.png'))
    learn, classifier = learner(tuned), load_classifier(tuned)
    assert classifier.classes == list(learn.dls.vocab) == sorted(NAMES)
    expected = predict_files(learn, files)
    assert np.abs(classifier.predict(files) - expected).max() < 1e-5 and np.ptp(expected) > .1
    res, _ = told(tuned, photos/'test')
    assert res.files == files and np.abs(res.probs - expected).max() < 1e-5

def test_photos_that_are_turned_wide_gray_or_see_through(tuned, tmp_path):
    im = draw_picture('house', 3, size=90)
    exif = Image.Exif()
    exif[0x112] = 6
    im.save(tmp_path/'a_turned.jpg', exif=exif, quality=95)
    im.transpose(Image.Transpose.ROTATE_270).save(tmp_path/'b_upright.jpg', quality=95)
    im.resize((400, 90)).save(tmp_path/'c_wide.png')
    im.convert('L').save(tmp_path/'d_gray.png')
    im.putalpha(100)
    im.save(tmp_path/'e_clear.png')
    res, _ = told(tuned, tmp_path)
    assert np.abs(res.probs - predict_files(learner(tuned), res.files)).max() < 1e-5
    assert np.abs(res.probs[0] - res.probs[1]).max() < .05 and not res.bad

@pytest.fixture(scope='module')
def scope(tmp_path_factory):
    "A classifier of 12-bit gray photos, and the photos"
    root = tmp_path_factory.mktemp('scope')
    for i in range(12): deep(root/'photos'/('train', 'test')[i % 3 == 0]/'ab'[i % 2]/f'{i}.png', i, 4095)
    finetune(root/'photos', 'small', root/'tuned', steps=5, bs=4, size=16, say=noop)
    return root

def deep(file, seed, white):
    file.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, white + 1, (8, 8)).astype(np.uint16)
    Image.fromarray(coarse.repeat(8, 0).repeat(8, 1)).save(file)
    return file

def test_deep_photos_are_opened_with_the_bits_of_the_training(scope, tmp_path):
    assert json.loads((scope/'tuned'/'model.json').read_text())['bits'] == 12
    files = [deep(tmp_path/'dark.png', 1, 500), deep(tmp_path/'right.png', 2, 4095), deep(tmp_path/'bright.png', 3, 65535)]
    res, lines = told(scope/'tuned', files)
    assert np.abs(res.probs - predict_files(learner(scope/'tuned'), files)).max() < 1e-5
    note, = res.notes
    assert 'opened as 12 bits; brighter ones in 1 picture' in note and f'- {note}' in lines
    assert load_classifier(scope/'tuned').opener.open(files[0]).max() < 40

def test_deep_photos_for_a_classifier_that_saw_none(tuned, tmp_path):
    _, lines = told(tuned, deep(tmp_path/'a.png', 1, 4095))
    assert 'opened as 16 bits; 1 picture with no more than a sixteenth of that brightness will be nearly black' in lines[0]

# Reading back

def test_loading_again(tuned, tmp_path, monkeypatch):
    x = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    first = load_classifier(tuned)
    save_classifier(first, tmp_path/'again')
    monkeypatch.chdir(tmp_path)
    for name in ('again', './again', 'again/model.safetensors', tmp_path/'again'):
        assert np.array_equal(load_classifier(name).of_squares(x), first.of_squares(x)), name
    assert json.loads((tmp_path/'again'/'model.json').read_text()) == json.loads((tuned/'model.json').read_text())

@pytest.mark.parametrize('arch', ['nin3', 'resnet18', 'timm/resnet10t'])
def test_other_encoders(arch, tmp_path):
    from selfsup.models.heads import EncoderWithHead, linear_head
    from selfsup.models.encoder import n_features
    encoder = create_encoder(arch).cut(2)
    classifier = Classifier(EncoderWithHead(encoder, linear_head(n_features(encoder), 2)), ['a', 'b'], 64)
    save_classifier(classifier, tmp_path)
    x = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    assert np.allclose(load_classifier(tmp_path).of_squares(x), classifier.of_squares(x), atol=1e-5)

nan, inf = float('nan'), float('inf')
WRONG = {
    'classes': [None, 'abc', [], ['a'], ['a', 'a', 'b'], ['a', 'b', ''], ['a', 'b', 3], {'a': 1}, ['a', 'b'], list('abcd')],
    'size': [None, '32', 7, 4097, 32.5, True], 'bits': ['12', 7, 11, True], 'head': [None, 'conv', ['linear']],
    'arch': [None, 'resnet_18', 'resnet18', '../small', ['small']], 'family': ['tim', None], 'stages': [0, 9, 2, None, '3'],
    'normalization': [[], dict(mean=[.5]*3), dict(mean=[nan]*3, std=[1.]*3), dict(mean=[.5]*3, std=[0.]*3)]}

@pytest.mark.parametrize('key, value', [(k, v) for k, vs in WRONG.items() for v in vs])
def test_a_wrong_entry_is_named(copy, key, value):
    file = copy/'model.json'
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    with pytest.raises(InputError) as e: load_classifier(copy)
    assert str(copy) in str(e.value) and 'model.json' in str(e.value) and '\n' not in str(e.value)

@pytest.mark.parametrize('key', [*WRONG])
def test_a_missing_entry_is_named(copy, key):
    file = copy/'model.json'
    said = json.loads(file.read_text())
    del said[key]
    file.write_text(json.dumps(said))
    with pytest.raises(InputError, match=rf"model.json' does not say .* classifier \({key} missing\); .* selfsup finetune"): load_classifier(copy)

@pytest.mark.parametrize('spoil', [lambda b: b'', lambda b: b[:100], lambda b: b[:-10], lambda b: b'x'*64, lambda b: b'[]'],
                         ids=['empty', 'header', 'end', 'noise', 'list'])
@pytest.mark.parametrize('name', ['model.safetensors', 'model.json'])
def test_broken_files(copy, spoil, name):
    file = copy/name
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(InputError, match=f"{copy}.* (cannot be read|does not say)") as e: load_classifier(copy)
    assert '\n' not in str(e.value)

@pytest.mark.parametrize('change, words', [
    (lambda state: state | {'1.3.weight': state['1.3.weight'][:2].clone()}, 'do not fit'),
    (lambda state: {k: v for k, v in state.items() if k != '1.3.bias'}, 'do not fit'),
    (lambda state: state | {'extra': torch.zeros(3)}, 'do not fit'),
    (lambda state: state | {'1.3.bias': torch.tensor([0, nan, 0])}, "are not finite, such as '1.3.bias'"),
    (lambda state: state | {'1.2.running_var': torch.full_like(state['1.2.running_var'], inf)}, 'are not finite')])
def test_wrong_weights(copy, change, words):
    file = copy/'model.safetensors'
    file.write_bytes(saved_module.save(change(saved_module.load_file(file))))
    with pytest.raises(InputError, match=f"The weights in '{file}' {words}"): load_classifier(copy)

class Evil:
    def __reduce__(self): return print, ('the pickle ran',)

def test_no_code_of_a_file_is_run(copy, capsys):
    plain, zipped = pickle.dumps(Evil()), BytesIO()
    torch.save(Evil(), zipped)
    for data in (plain, zipped.getvalue()):
        for name in ('model.safetensors', 'model.pkl', 'model.json'):
            kept = (copy/name).read_bytes() if (copy/name).exists() else b''
            (copy/name).write_bytes(data)
            with pytest.raises(InputError): load_classifier(copy/('model.pkl' if name == 'model.pkl' else ''))
            (copy/name).write_bytes(kept)
    assert capsys.readouterr().out == ''
    with pytest.raises(InputError, match="give '.*model.safetensors'"): load_classifier(copy/'model.pkl')

def test_an_encoder_is_no_classifier(tuned):
    pre = tuned.parent/'pre'
    with pytest.raises(InputError, match="There is no file '.*model.safetensors'; selfsup finetune writes"): load_classifier(pre)
    with pytest.raises(InputError, match=r'encoder.json. does not say .*\(bits, classes, head missing\)'): load_classifier(pre/'encoder.safetensors')

# The command

def test_the_table(tuned, photos, tmp_path):
    res, lines = told(tuned, [photos/'test'], tmp_path/'new.csv')
    with open(tmp_path/'new.csv', newline='', encoding='utf-8') as f: header, *rows = csv.reader(f)
    assert header == ['(path)', '(prediction)', *sorted(NAMES)]
    assert [Path(r[0]) for r in rows] == res.files == sorted((photos/'test').rglob('*.png'))
    assert np.array_equal(np.array([r[2:] for r in rows], np.float32), res.probs)
    assert [r[1] for r in rows] == res.names == [sorted(NAMES)[i] for i in res.probs.argmax(1)]
    assert lines[0].split() == ['photo', 'prediction', 'probability'] and lines[-1] == f"written to {tmp_path/'new.csv'}"
    assert all(str(f) in l and f'{p.max():.1%}' in l for f, p, l in zip(res.files, res.probs, lines[1:13]))

def test_many_photos(tuned, tmp_path):
    im = draw_picture('house', 3, size=32)
    for i in range(150): im.save(tmp_path/f'{i:03}.png')
    res, lines = told(tuned, tmp_path)
    assert len(lines) == 15 and lines[11] == '... and 140 more photos' and lines[14].split()[-1] == '150' and res.names[0] in lines[14]
    assert np.ptp(res.probs, axis=0).max() < 1e-5

def test_what_cannot_be_opened_is_named_and_counted(tuned, photos, tmp_path):
    for name in ('b.png', 'd.png'): draw_picture('cup', 3, size=32).save(tmp_path/name)
    (tmp_path/'a.jpg').write_bytes(b'')
    (tmp_path/'c.png').write_bytes((tmp_path/'b.png').read_bytes()[:200])
    (tmp_path/'e.txt').write_text('x')
    (tmp_path/'f.jpg').symlink_to(tmp_path/'gone.jpg')
    res, lines = told(tuned, [tmp_path, tmp_path/'e.txt'], tmp_path/'new.csv')
    assert [n is None for n in res.names] == [True, False, True, False, True, True]
    start = lines.index('- 4 of 6 photos cannot be opened:')
    assert all(f"'{tmp_path/name}' cannot be opened: {why}" in line for line, (name, why) in zip(
        lines[start + 1:], [('a.jpg', 'empty'), ('c.png', 'cut off'), ('f.jpg', 'not there'), ('e.txt', 'no picture')]))
    with open(tmp_path/'new.csv', newline='') as f: rows = {Path(r[0]).name: r[1:] for r in list(csv.reader(f))[1:]}
    assert list(rows) == ['a.jpg', 'b.png', 'c.png', 'd.png', 'f.jpg', 'e.txt'] and rows['c.png'] == ['']*4 and all(rows['d.png'])

def test_nothing_that_can_be_opened(tuned, tmp_path):
    for name in ('a.jpg', 'b.png'): (tmp_path/name).write_bytes(b'')
    lines = []
    with pytest.raises(InputError, match='No photo can be opened'): predict(tuned, tmp_path, tmp_path/'new.csv', lines.append)
    assert lines[0] == '- 2 of 2 photos cannot be opened:' and all(f"'{tmp_path/n}' cannot" in line for n, line in zip(('a.jpg', 'b.png'), lines[1:]))
    assert len(lines) == 3 and not (tmp_path/'new.csv').exists()

def test_a_photo_given_twice_is_predicted_once(tuned, tmp_path):
    for name in ('a.png', 'b.png'): draw_picture('cup', 3, size=32).save(tmp_path/name)
    (tmp_path/'c.png').symlink_to(tmp_path/'a.png')
    res, lines = told(tuned, [tmp_path/'b.png', tmp_path, tmp_path/'..'/tmp_path.name/'a.png', tmp_path/'c.png'])
    assert [f.name for f in res.files] == ['b.png', 'a.png']
    assert lines[0].startswith(f"- 4 photos given once more, and predicted once: '{tmp_path/'b.png'}', ...")

def test_everything_is_checked_before_a_photo_is_opened(tuned, photos, tmp_path, monkeypatch):
    monkeypatch.setattr('selfsup.data.squares.OpenSquare.picture', lambda *args: pytest.fail('a photo was opened'))
    (tmp_path/'old.csv').write_text('mine')
    (tmp_path/'none').mkdir()
    for args, words in (((tuned, photos, tmp_path/'old.csv'), 'is there already'), ((tuned, photos, tmp_path), 'is there already'),
                        ((tuned, photos, tmp_path/'no'/'new.csv'), 'No such file'), ((tuned, [photos, tmp_path/'nowhere']), 'nowhere'),
                        ((tuned, tmp_path/'none'), 'There is no photo in'), ((tuned, []), 'There is no photo in'),
                        ((tmp_path/'nowhere', photos), 'a saved classifier is needed'), ((photos, photos), 'There is no file')):
        with pytest.raises(InputError, match=words): told(*args)
    assert (tmp_path/'old.csv').read_text() == 'mine' and sorted(f.name for f in tmp_path.iterdir()) == ['none', 'old.csv']

def test_a_table_that_appears_meanwhile_stays(tuned, photos, tmp_path, monkeypatch):
    own = Predictions.__repr__
    def appear(self):
        (tmp_path/'new.csv').write_text('theirs')
        return own(self)
    monkeypatch.setattr(Predictions, '__repr__', appear)
    with pytest.raises(InputError, match='is there already'): told(tuned, photos/'test', tmp_path/'new.csv')
    assert (tmp_path/'new.csv').read_text() == 'theirs'

@pytest.mark.skipif(os.name == 'nt', reason='names of files are text there')
def test_names_that_are_no_text(photos, tmp_path):
    odd = os.fsdecode(b'caf\xe9')
    for c in (odd, 'b'):
        for split in ('train', 'test'):
            for i in range(3):
                (f := tmp_path/'photos'/split/c/f'{odd}{i}.png').parent.mkdir(parents=True, exist_ok=True)
                draw_picture('cup', zlib.crc32(f'{split}{c}{i}'.encode('utf-8', 'replace')), size=16).save(f)
    finetune(tmp_path/'photos', 'small', tmp_path/'tuned', steps=1, bs=2, size=16, say=noop)
    res, _ = told(tmp_path/'tuned', tmp_path/'photos'/'test', tmp_path/'new.csv')
    assert res.classes == ['b', odd] and len(res.files) == 6
    assert (tmp_path/'new.csv').read_bytes().startswith(b'path,prediction,b,caf\\udce9')

def test_progress_is_told(tuned, photos, monkeypatch):
    monkeypatch.setattr(Progress, 'every', 0)
    monkeypatch.setattr(Progress, 'left', lambda self: 0)
    assert any(line.startswith('predicting: 100%') for line in told(tuned, photos/'test')[1])

@pytest.fixture
def elsewhere(tuned, photos, tmp_path):
    "A folder with the two files of the classifier and a photo, far from those it was trained on"
    (tmp_path/'else').mkdir()
    for name in ('model.safetensors', 'model.json'): (tmp_path/name).write_bytes((tuned/name).read_bytes())
    (tmp_path/'else'/'upload.png').write_bytes(next((photos/'test').rglob('*.png')).read_bytes())
    return tmp_path

def test_a_fresh_process_without_the_training_photos(tuned, elsewhere):
    line = 'predict . else --out new.csv --device cpu'
    done = subprocess.run([sys.executable, '-c', 'from selfsup.cli import main; main()', *line.split()], cwd=elsewhere, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, '') and done.stdout.splitlines()[1].startswith('else/upload.png  ')
    with open(elsewhere/'new.csv', newline='') as f: row = list(csv.reader(f))[1]
    expected = load_classifier(tuned).predict(elsewhere/'else'/'upload.png')[0]
    assert row[0] == 'else/upload.png' and np.allclose(np.array(row[2:], float), expected, atol=1e-5)

def test_exit_codes(elsewhere, monkeypatch, capsys):
    monkeypatch.chdir(elsewhere)
    for line, code, err in (('. else --out new.csv', 0, ''), ('. else --out new.csv', 2, "selfsup: 'new.csv' is there already"),
                            ('. nowhere', 2, "selfsup: There is no file or folder 'nowhere'"), ('else else', 2, "selfsup: There is no file 'else/model.safetensors'")):
        with pytest.raises(SystemExit) as e: cli.main(['predict', *line.split()])
        out, said = capsys.readouterr()
        assert e.value.code == code and said.startswith(err) and said.count('\n') == (code > 0) and (out == '') == (code > 0)

def test_find_photos_follows_the_order(tmp_path):
    for name in ('z/1.png', 'a/2.png', 'a/.hidden.png'):
        (tmp_path/name).parent.mkdir(exist_ok=True)
        draw_picture('cup', 3, size=16).save(tmp_path/name)
    files, notes = find_photos([tmp_path/'z', tmp_path/'a'])
    assert files == [tmp_path/'z/1.png', tmp_path/'a/2.png'] and notes == [f"In '{tmp_path/'a'}', not looked at: 1 hidden. The first: '.hidden.png'."]
