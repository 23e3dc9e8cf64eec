"Pictures opened as a viewer shows them, against arrays and against what Pillow says of a set of odd files."
import io
import warnings
from pathlib import Path
import numpy as np
import pandas as pd
import PIL
import pytest
from PIL import Image
from selfsup.errors import InputError
from selfsup.data.pictures import ORIENTATION, PILUpright

ODD = Path('~/.fastai/data/odd_images').expanduser()
needs_odd = pytest.mark.skipif(not (ODD/'index.csv').is_file(), reason=f'the odd pictures are not in {ODD}')
needs_new_pillow = pytest.mark.skipif(int(PIL.__version__.split('.')[0]) < 13,
                                      reason='an older Pillow opens fewer of the odd pictures than their index says')
NOISE = np.random.default_rng(0).integers(0, 256, (14, 21, 3), dtype=np.uint8)
# What the eight notes mean, by the EXIF standard: where row 0 and column 0 of the file lie in the picture
STORED = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
          5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, 1), 7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: lambda a: np.rot90(a, -1)}

def saved(im, format, **kwargs):
    im.save(out := io.BytesIO(), format, **kwargs)
    return out.getvalue()

def opened(data): return np.array(PILUpright.create(data))

@pytest.mark.parametrize('orientation', range(10))
@pytest.mark.parametrize('format', ['PNG', 'TIFF', 'WEBP'])
def test_lossless_pictures_are_turned_pixel_for_pixel(format, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = STORED.get(orientation, STORED[1])(NOISE)
    kwargs = dict(lossless=True) if format == 'WEBP' else {}
    data = saved(Image.fromarray(np.ascontiguousarray(stored)), format, exif=exif, **kwargs)
    im = PILUpright.create(data)
    assert np.array_equal(im, NOISE)
    assert im.info['orientation'] == (orientation if 1 < orientation < 9 else 1)
    assert np.array_equal(PILUpright.create(im), NOISE), 'turned a second time'

def test_gray_palette_and_16_bits():
    gray = NOISE[..., 0]
    rgb = np.repeat(gray[..., None], 3, 2)
    assert np.array_equal(opened(saved(Image.fromarray(gray), 'PNG')), rgb)
    deep = Image.fromarray(gray.astype(np.uint16)*256 + 255)
    for format in ('PNG', 'TIFF'): assert np.array_equal(opened(saved(deep, format)), rgb)
    few = Image.fromarray(NOISE).quantize(16)
    assert np.array_equal(opened(saved(few, 'GIF')), few.convert('RGB'))
    assert set(opened(saved(Image.fromarray(gray > 99), 'PNG')).ravel()) == {0, 255}

@pytest.mark.parametrize('make', [
    lambda rgba: saved(rgba, 'PNG'), lambda rgba: saved(rgba.convert('LA'), 'PNG'), lambda rgba: saved(rgba, 'WEBP', lossless=True, exact=True),
    lambda rgba: saved(Image.fromarray(np.uint8([[0, 1]])), 'PNG', transparency=0),
    lambda rgba: saved(Image.fromarray(np.uint8([[[9, 9, 9], [8, 8, 8]]])), 'PNG', transparency=(9, 9, 9)),
    lambda rgba: saved(Image.fromarray(np.uint8([[0, 1]])).convert('P'), 'GIF', transparency=0)],
    ids=['RGBA', 'LA', 'WEBP', 'L with a key', 'RGB with a key', 'P with a key'])
def test_see_through_pixels_show_the_ground(make):
    res = opened(make(Image.fromarray(np.uint8([[[0, 0, 0, 0], [0, 0, 0, 255]]]))))
    assert res[0, 0].tolist() == [255]*3 and res[0, 1].max() < 10

def test_half_transparent_is_half_ground():
    assert opened(saved(Image.fromarray(np.uint8([[[255, 0, 0, 128]]])), 'PNG'))[0, 0].tolist() == [255, 127, 127]

def test_first_frame_and_cmyk():
    frames = [Image.new('RGB', (5, 4), c) for c in ('red', 'green', 'blue')]
    for format in ('GIF', 'PNG', 'TIFF', 'WEBP'):
        kwargs = dict(lossless=True) if format == 'WEBP' else {}
        assert (opened(saved(frames[0], format, save_all=True, append_images=frames[1:], **kwargs)) == [255, 0, 0]).all()
    assert (opened(saved(frames[2].convert('CMYK'), 'TIFF')) == [0, 0, 255]).all()

@pytest.mark.parametrize('warn', ['ignore', 'default', 'error', 'always'])
def test_bombs_are_refused_whatever_the_warnings_filter(warn, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 200)
    with warnings.catch_warnings():
        warnings.simplefilter(warn)
        with pytest.raises(InputError, match='pixels'): PILUpright.create(saved(Image.new('RGB', (21, 20)), 'PNG'))
        for size in ((20, 10), (20, 20)):  # Pillow warns of the second
            assert PILUpright.create(saved(Image.new('RGB', size), 'PNG')).size == size

@pytest.mark.parametrize('format', ['PNG', 'JPEG', 'GIF', 'BMP', 'TIFF', 'WEBP', 'PPM', 'TGA'])
def test_half_a_file_is_refused(format, tmp_path):
    data = saved(Image.fromarray(NOISE.repeat(8, 0).repeat(8, 1)), format)
    opened(data)
    (half := tmp_path/"it's\nhalf ä").write_bytes(data[:len(data)//2])
    with pytest.raises(InputError, match="it's\nhalf ä"): PILUpright.create(half)

def odd(): return pd.read_csv(ODD/'index.csv').fillna('')

@needs_odd
@needs_new_pillow
@pytest.mark.filterwarnings('ignore')
def test_odd_files_open_where_pillow_opens_them():
    # the two files that fail while Pillow looks for EXIF, and load at the second try, half empty
    broken = {'exif:OSError', 'exif:SyntaxError'}
    for f in odd().itertuples():
        should = f.status == 'ok' and f.exif_orientation not in broken and 'Bomb' not in f.warnings
        try: im, why = PILUpright.create(ODD/f.path), ''
        except InputError as e: im, why = None, str(e)
        assert (im is not None) == should, f'{f.path}: {why or "opened"}'
        if should:
            assert im.mode == 'RGB' and im.info['mode'] == f.mode, f.path
            assert im.info['orientation'] == max(1, int(f.exif_orientation or 1)), f.path

@needs_odd
def test_photos_of_all_orientations_look_alike():
    photos = [np.array(PILUpright.create(ODD/f'exif_orientation/Landscape_{o}.jpg')).astype(int) for o in range(9)]
    assert len({p.shape for p in photos}) == 1 and photos[0].shape[1] > photos[0].shape[0]
    assert max(np.abs(p - photos[1]).mean() for p in photos) < 5
