# The scene of the tests: pictures and sound drawn here, with the marks that tests/lib/measure.py reads, so that a
# test knows each moment, colour and sample of its input without asking the program under test.
#
# A moment is a whole picture of 720 x 480 or 720 x 576 (4:2:2, limited range) at one instant. A frame is a pair of
# moments: its top field is drawn from the first, its bottom field from the second; equal moments are progressive.
import functools
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
import measure as m  # noqa: E402

WHITE, BLACK = 218, 24
RATE = 48000
# Patches of colour: name, Y, Cb, Cr in BT.601 limited range. Each stands at x = 60 + 90 i, lines 400..450.
PATCHES = (("red", 81, 90, 240), ("green", 145, 54, 34), ("blue", 41, 240, 110), ("yellow", 210, 16, 146),
           ("grey", 126, 128, 128), ("white", 235, 128, 128), ("black", 16, 128, 128))


def patch_box(i):
    return 60 + 90 * i, 400, 120 + 90 * i, 450


@functools.lru_cache(None)
def texture(lines, seed=1):
    """Noise of several sizes, wrapped: lines x 2048, mean 110."""
    rng = np.random.default_rng(seed)
    total = np.zeros((lines, 2048), np.float32)
    for size, weight in ((8, 20), (24, 26), (64, 30)):
        small = rng.uniform(-1, 1, (-(-lines // size) + 1, 2048 // size + 1)).astype(np.float32)
        small = np.repeat(np.repeat(small, size, 0), size, 1)[:lines, :2048]
        total += weight * small
    kernel = np.ones(5, np.float32) / 5
    for axis in (1, 0):  # softened, as a camera does
        total = sum(weight * np.roll(total, shift, axis) for shift, weight in zip(range(-2, 3), kernel))
    return total.astype(np.float32) + 110


@functools.lru_cache(None)
def still(lines, wide):
    """What never moves: the circle; a mask where it covers."""
    geo = m.Geometry(m.WIDTH, lines, lines)
    y, x = np.mgrid[0:lines, 0:m.WIDTH].astype(np.float32)
    radius = m.CIRCLE_RADIUS * lines / m.MARK_LINES
    ring = m.CIRCLE_RING * lines / m.MARK_LINES
    dx = (x + 0.5 - geo.x(m.CIRCLE_X)) * float(m.TRUE_SAR[lines, wide])
    dy = y + 0.5 - geo.y(m.CIRCLE_Y)
    r = np.hypot(dx, dy)
    white = np.clip(radius - r + 0.5, 0, 1)
    luma = BLACK + (WHITE - BLACK) * white
    cover = (r < radius + ring) & (r > radius - 2 * ring)
    return luma.astype(np.float32), cover


def draw(n, lines=480, wide=False, flash=False, speed=6):
    """Moment n: Y, U, V planes (uint8)."""
    geo = m.Geometry(m.WIDTH, lines, lines)
    luma = np.roll(texture(lines), -speed * n, axis=1)[:, :m.WIDTH].copy()
    ring, cover = still(lines, wide)
    luma[cover] = ring[cover]
    u = np.full((lines, m.WIDTH // 2), 128, np.float32)
    v = u.copy()
    wave = np.sin((np.arange(m.WIDTH // 2) + speed * n / 2) / 20)
    u += 24 * wave
    v += 24 * np.roll(wave, 15)

    def fill(box, y, cb=128, cr=128):
        ys, xs = geo.box(*box, shrink=0)
        luma[ys, xs] = y
        u[ys, xs.start // 2:xs.stop // 2], v[ys, xs.start // 2:xs.stop // 2] = cb, cr

    fill(m.FLASH, WHITE if flash else BLACK)
    for i, (_, y, cb, cr) in enumerate(PATCHES):
        fill(patch_box(i), y, cb, cr)
    gray = n ^ n >> 1
    bits = [1] + [gray >> (m.CODE_BITS - 1 - i) & 1 for i in range(m.CODE_BITS)] + [0]
    for i, bit in enumerate(bits):
        x = m.CODE_X + i * m.CODE_BLOCK
        fill((x, m.CODE_UPPER[0], x + m.CODE_BLOCK, m.CODE_UPPER[1]), WHITE if bit else BLACK)
        fill((x, m.CODE_LOWER[0], x + m.CODE_BLOCK, m.CODE_LOWER[1]), BLACK if bit else WHITE)
    return tuple(np.clip(np.rint(p), 1, 254).astype(np.uint8) for p in (luma, u, v))


@functools.lru_cache(600)
def moment(n, lines, wide, flash):
    return draw(n, lines, wide, flash)


def weave(top, bottom, lines=480, wide=False, flash=(False, False)):
    """A frame as bytes (yuv422p): even lines of moment `top`, odd lines of moment `bottom`; `flash` for each."""
    first = moment(top, lines, wide, flash[0])
    if top == bottom:
        return b"".join(p.tobytes() for p in first)
    second = moment(bottom, lines, wide, flash[1])
    out = []
    for a, b in zip(first, second):
        plane = a.copy()
        plane[1::2] = b[1::2]
        out.append(plane.tobytes())
    return b"".join(out)


def pairs(count, order):
    """The moments of `count` frames: interlaced in this order, or one moment a frame."""
    if order == "tff":
        return [(2 * i, 2 * i + 1) for i in range(count)]
    if order == "bff":
        return [(2 * i + 1, 2 * i) for i in range(count)]
    return [(i, i) for i in range(count)]


def telecined(count):
    """3:2 pull-down of film: `count` frames of video (top, bottom), numbered by film frame; top field first."""
    fields = []
    for film in range(count):
        fields += [film] * (3 if film % 2 else 2)
    return [(fields[2 * i], fields[2 * i + 1]) for i in range(count)]


def lit(n, period):
    """Does the n-th frame (or film frame) carry the flash?"""
    return n % period == period // 2


def beeps(seconds, times, channels=2, level=0.25, hum=0.002, tones=(), rate=RATE):
    """Sound with a beep of 1 kHz and 100 ms at each time (seconds): samples x channels, float32. `tones`: a steady
    tone (Hz) for each channel, at a hundredth of full scale times four, by which a channel is known."""
    n = int(round(seconds * rate))
    t = np.arange(n) / rate
    mono = np.zeros(n)
    for start in times:
        inside = (t >= start - 1e-9) & (t < start + 0.1)
        mono[inside] += level * np.sin(2 * np.pi * m.BEEP_HZ * (t[inside] - start))
    mono += hum * np.sin(2 * np.pi * 60 * t)
    out = np.repeat(mono[:, None], channels, 1)
    for channel, hz in enumerate(tones):
        if hz:
            out[:, channel] += 0.04 * np.sin(2 * np.pi * hz * t)
    return out.astype(np.float32)
