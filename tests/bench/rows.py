"""The figures that the program must reach, each with its rule: what is compared, the target, met or missed.

A row takes the results of a run (bench.py) and answers with one line. A figure whose measurement is not there counts as
missed, with the reason: nothing is met by not being measured."""
import dataclasses
import statistics


@dataclasses.dataclass
class Row:
    name: str
    target: str
    ours: str
    rival: str
    figure: str
    met: object  # True, False, or None: for information


def median(costs, what):
    return statistics.median(getattr(c, what) for c in costs)


def span(costs, what, unit=1.0, digits=1):
    """Median with the smallest and the largest: "14.2 (13.9-15.0)"."""
    values = [getattr(c, what) / unit for c in costs]
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


MB = 1e6


def ratio(results, task, who, what):
    """The rival's median over ours: above 1 where ours needs less."""
    return median(results[task][who], what) / median(results[task]["ours"], what)


def _speed(results, task, who, least, aim, name):
    found = ratio(results, task, who, "wall")
    text = f">= {least}x" + (f" (aim {aim}x)" if aim else "")
    return Row(name, text if least else "for information", span(results[task]["ours"], "wall") + " s",
               span(results[task][who], "wall") + " s", f"{found:.3f}x", found >= least if least else None)


def _memory(results, task):
    ours, rival = median(results[task]["ours"], "rss"), median(results[task]["ffmpeg"], "rss")
    return Row(f"peak memory, {task}, against ffmpeg's single pass", "<= 1.00 of it", f"{ours / MB:.1f} MB",
               f"{rival / MB:.1f} MB", f"{ours / rival:.3f}", ours <= rival)


def _own_memory(results, task):
    """Without the encoder's share, which is the same for all; the old flow's is that of its most hungry pass."""
    share = results["shares"][task]
    ours = median(results[task]["ours"], "rss") - share["last"]
    passes = results[task]["old passes"]
    parts = [0, share["tape"], share["tape"], share["tape"], share["scaled"], share["last"]]
    old = max(cost.rss - part for cost, part in zip(passes, parts))
    return Row(f"peak memory without the encoder's share, {task}, against the old flow", "<= 0.60 of it",
               f"{ours / MB:.1f} MB", f"{old / MB:.1f} MB", f"{ours / old:.3f}", ours <= 0.6 * old)


def _disk(results, task):
    ours, old = median(results[task]["ours"], "io"), median(results[task]["old"], "io")
    return Row(f"bytes read and written, {task}, against the old flow", "<= 0.35 of it", f"{ours / MB:.1f} MB",
               f"{old / MB:.1f} MB", f"{ours / old:.3f}", ours <= 0.35 * old)


def _quality(results, task):
    ours, rival = results["psnr"][task]["ours"], results["psnr"][task]["ffmpeg"]
    return Row(f"PSNR, {task}, against ffmpeg's single pass", "within 0.05 dB", f"{ours:.3f} dB", f"{rival:.3f} dB",
               f"{ours - rival:+.3f} dB", abs(ours - rival) <= 0.05)


def _same_pictures(results):
    differ = results["ffv1 pictures that differ"]
    return Row("FFV1 output shows ffmpeg's pictures", "all equal", "-", "-",
               "another number of pictures" if differ is None else f"{differ} differ", differ == 0)


def _progress(results):
    part = results["progress"]
    return Row("progress display", "<= 0.5 % CPU", f"{part['seconds'] * 1000:.1f} ms", f"{part['cpu']:.1f} s in all",
               f"{100 * part['seconds'] / part['cpu']:.3f} %", part["seconds"] <= 0.005 * part["cpu"])


def _eta(results, name):
    eta = results["eta"][name]
    off = eta["predicted"] / eta["real"] - 1
    return Row(f"end predicted after 10 %, {name}", "within 20 %", f"{eta['predicted']:.1f} s",
               f"{eta['real']:.1f} s real", f"{100 * off:+.1f} %", abs(off) <= 0.2)


def _handbrake(results, task):
    if "handbrake" not in results[task]:
        return Row(f"HandBrakeCLI, {task}", "for information", "-", "not installed", "-", None)
    found = ratio(results, task, "handbrake", "wall")
    cost = results[task]["handbrake"]
    return Row(f"HandBrakeCLI (its bwdif and hqdn3d, no colour), {task}", "for information",
               span(results[task]["ours"], "wall") + " s",
               f"{span(cost, 'wall')} s, {median(cost, 'rss') / MB:.0f} MB", f"{found:.3f}x", None)


def for_information(row):
    """At HD the finished file itself outweighs all intermediates of the tape's size: no target was set for it."""
    return dataclasses.replace(row, target="for information", met=None)


def table(results):
    """All rows; one that can't be computed is a miss that says why."""
    plan = [
        lambda: _speed(results, "sd", "old", 3.4, None, "time, sd, against the old flow"),
        lambda: _speed(results, "sd", "ffmpeg", 0.98, 1.05, "time, sd, against ffmpeg's single pass"),
        lambda: _quality(results, "sd"),
        lambda: _speed(results, "ffv1", "ffmpeg", 1.0, 1.3, "time, FFV1, against ffmpeg's single pass"),
        lambda: _same_pictures(results),
        lambda: _handbrake(results, "sd"),
        lambda: _memory(results, "sd"),
        lambda: _own_memory(results, "sd"),
        lambda: _disk(results, "sd"),
    ]
    if "hd" in results:
        plan += [
            lambda: _speed(results, "hd", "ffmpeg", 0.98, 1.05, "time, hd, against ffmpeg's single pass"),
            lambda: _speed(results, "hd", "old", None, None, "time, hd, against the old flow"),
            lambda: _quality(results, "hd"),
            lambda: _handbrake(results, "hd"),
            lambda: _memory(results, "hd"),
            lambda: for_information(_own_memory(results, "hd")),
            lambda: for_information(_disk(results, "hd")),
        ]
    plan += [lambda: _progress(results)]
    plan += [lambda name=name: _eta(results, name) for name in results.get("eta", {"mixed": None})]
    rows = []
    for make in plan:
        try:
            rows.append(make())
        except (KeyError, ZeroDivisionError, statistics.StatisticsError) as e:
            rows.append(Row("not measured", "", "-", "-", f"{type(e).__name__}: {e}", False))
    return rows
