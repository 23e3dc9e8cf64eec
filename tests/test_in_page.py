"What plays in a page, the turn game and films: HTML that needs nothing but itself, and says all without scripts"
import base64
import re
from html.parser import HTMLParser
from io import BytesIO
from urllib.parse import unquote

import matplotlib.pyplot as plt
import numpy as np
import pytest
from fastai.vision.all import set_seed
from PIL import Image

from selfsup.data.drawn import UPRIGHT, draw_picture, draw_world
from selfsup.data.squares import OpenSquare
from selfsup.evaluation.film import Film
from selfsup.pretext.game import TurnGame
from selfsup.pretext.learner import rotation_learner
from selfsup.pretext.rotation import RotationDataLoaders

N = 20
ELSEWHERE = re.compile(r'https?:|//\w|url\(|@import|\bfetch\b|XMLHttp|sendBeacon|WebSocket|localStorage|cookie|\bimport\b')

class Reader(HTMLParser):
    "Reads a piece of HTML as a viewer without scripts does: elements with their attributes, and the texts of elements"
    def __init__(self, source):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(source)
        self.close()
        assert self.open == [], f'not closed: {self.open}'
    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ('img', 'br', 'input'): self.open.append(tag)
    def handle_endtag(self, tag): assert self.open.pop() == tag
    def handle_data(self, data): self.texts.append((tuple(self.open), data))
    def of(self, tag): return [attrs for name, attrs in self.elements if name == tag]
    def text(self, within): return [data for tags, data in self.texts if within in tags and data.strip()]

def picture(address):
    head, data = address.split(',')
    assert head == 'data:image/png;base64'
    return Image.open(BytesIO(base64.b64decode(unquote(data)))).convert('RGB')

@pytest.fixture(scope='module')
def learn(tmp_path_factory):
    path = draw_world(tmp_path_factory.mktemp('game')/'world', train=2, valid=1, test=1, classes=UPRIGHT[:3], size=32)
    set_seed(0)
    return rotation_learner(RotationDataLoaders.from_folder(path, img_cls=OpenSquare(32), bs=2, num_workers=0))

@pytest.fixture(scope='module')
def drawn(): return [draw_picture(UPRIGHT[i % len(UPRIGHT)], i, size=32) for i in range(N)]

@pytest.fixture(scope='module')
def game(learn, drawn): return TurnGame(learn, drawn, seed=3)

@pytest.fixture(scope='module')
def film():
    figures = [plt.figure(figsize=(2, 1)) for _ in range(9)]
    for i, fig in enumerate(figures): fig.text(.5, .5, i)
    plt.close('all')
    return Film(figures, [f'epoch {i} <of "9">' for i in range(9)], 'A "number" & nothing else.')

@pytest.mark.parametrize('kind', ['game', 'film'])
def test_needs_nothing_from_elsewhere(kind, request):
    source = request.getfixturevalue(kind)._repr_html_()
    page = Reader(source)
    assert page.open == [] and all(o['src'].startswith('data:image/png;base64,') for o in page.of('img'))
    assert not page.of('link') and all('src' not in o for o in page.of('script'))
    assert not ELSEWHERE.search(re.sub('"data:[^"]*"', '', source))

@pytest.mark.parametrize('kind', ['game', 'film'])
def test_one_block_for_markdown(kind, request):
    assert '\n\n' not in request.getfixturevalue(kind)._repr_html_()  # a blank line would end a block of HTML

def test_answers_are_those_of_the_pictures(game, drawn):
    images = Reader(game._repr_html_()).of('img')
    assert len(images) == N == len(game.turns) and set(game.turns) == {0, 90, 180, 270}
    for img, upright in zip(images, drawn):
        turned = np.rot90(np.array(upright), int(img['data-turn'])//90)
        assert np.array_equal(np.array(picture(img['src'])), turned)

def test_guesses_are_those_of_the_network(game, learn):
    with learn.no_bar(): said = [learn.predict(o)[0] for o in game.views]
    assert [int(o['data-guess']) for o in Reader(game._repr_html_()).of('img')] == said

def test_game_without_scripts(game):
    page = Reader(game._repr_html_())
    assert page.text('b') == [str(i) for i in range(1, N + 1)]
    assert not any('hidden' in attrs for _, attrs in page.elements)
    assert not page.of('button')  # the script makes them: without it they would do nothing
    answers = ''.join(page.text('ol')).strip().split('turned by ')[1:]
    marks = ['✓' if a == b else '✗' for a, b in zip(game.turns, game.guesses)]
    assert [a.replace('\n', '') for a in answers] == [f'{a}°, the network says {b}° {m}'
                                                      for a, b, m in zip(game.turns, game.guesses, marks)]

def test_nothing_tells_the_turn_too_early(game):
    page = Reader(game._repr_html_())
    assert [o['alt'] for o in page.of('img')] == [f'Picture {i} of {N}, turned' for i in range(1, N + 1)]
    assert page.of('details') == [{}]  # folded

def test_film_without_scripts(film):
    page = Reader(film._repr_html_())
    assert [i for i, o in enumerate(page.of('figure')) if 'hidden' not in o] == [0, 3, 5, 8]
    assert page.text('figcaption') == film.captions
    assert [o['alt'] for o in page.of('img')] == [f'{film.alt} {c}' for c in film.captions]
    assert {picture(o['src']).size for o in page.of('img')} == {(200, 100)}
    assert not page.of('button')

@pytest.mark.parametrize('n, shown', [(1, [0]), (2, [0, 1]), (4, [0, 1, 2, 3]), (10, [0, 3, 6, 9])])
def test_strip_has_the_first_and_the_last(n, shown):
    figures = [plt.figure(figsize=(1, 1))]*n
    plt.close('all')
    assert Film(figures, ['']*n, '').strip() == shown
