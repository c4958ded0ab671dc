"""The figures that the program must reach, each with its rule: what is compared, the target, met or missed.

A row takes the results of a run (bench.py) and answers with one line. A figure whose measurement is not there counts as
missed, with the reason: nothing is met by not being measured."""
import dataclasses
import os
import statistics

GROUPS = ("sd", "ffv1", "hd", "progress", "eta", "segments", "queue")  # what can be asked for on its own


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


def _eta_off(eta):
    return eta["predicted"] / eta["real"] - 1


def eta_is_met(eta):
    return abs(_eta_off(eta)) <= 0.2


def _eta(results, name):
    eta = results["eta"][name]
    figure = f"{100 * _eta_off(eta):+.1f} %"
    if "first try" in eta:
        first = eta["first try"]
        figure += (f" (second try; the first {100 * _eta_off(first):+.1f} % while others took "
                   f"{100 * first['others']:.0f} % of the processors)")
    return Row(f"end predicted after 10 %, {name}", "within 20 %", f"{eta['predicted']:.1f} s",
               f"{eta['real']:.1f} s real", figure, eta_is_met(eta))


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


# ---- Segments ------------------------------------------------------------------------------------------------------

def _joins(results):
    """Infinite where every plane is equal."""
    found = results["segments"]["joins"]
    firsts = {name: one["first"] for name, one in found.items() if one["first"] is not None}
    worst = min(firsts, key=firsts.get, default=None)
    number = sum(one["joins"] for one in found.values())
    return Row("first picture behind a join, worst plane, against one piece", ">= 80 dB",
               f"{number} joins: {', '.join(found)}", "-",
               f"{firsts[worst]:.1f} dB ({worst})" if worst else "all planes equal", not worst or firsts[worst] >= 80)


def _segment_time(results, task, name, least):
    found = results["segments"][task]
    more = median(found["segments"], "wall") / median(found["whole"], "wall") - 1
    return Row(f"time of segments, one at a time, {name}", f"< {100 * least:.0f} % more",
               span(found["segments"], "wall") + " s", span(found["whole"], "wall") + " s in one piece",
               f"{100 * more:+.2f} %", more < least)


def _filter_bound(results):
    """The chain counts as bound by filters only while the encoder is the smaller part."""
    whole = results["segments"]["filters"]["whole"]
    encoder = statistics.median(sum(seconds for name, seconds in cost.threads.items() if name.startswith("encode")) /
                                cost.cpu for cost in whole)
    row = _segment_time(results, "filters", f"vhs_standard to FFV1 (encoder {100 * encoder:.0f} % of CPU)", 0.06)
    return row if 0 < encoder < 0.4 else dataclasses.replace(row, figure="the filters don't dominate", met=False)


def _segment_size(results):
    size = results["segments"]["x264"]["size"]
    more = size["segments"] / size["whole"] - 1
    return Row("size of the output in segments of 30 s, x264", "< 1 % more", f"{size['segments'] / MB:.3f} MB",
               f"{size['whole'] / MB:.3f} MB in one piece", f"{100 * more:+.2f} %", more < 0.01)


def _killed(results):
    found = results["segments"]["x264"]
    ours = [note["killed"] + note["resumed"] - note["thrown"] for note in found["kills"]]
    thrown = statistics.median(note["thrown"] for note in found["kills"])
    last, alone = found["kills"][-1], median(found["segments"], "wall")
    more = statistics.median(ours) / alone - 1
    useful = all(0 <= note["thrown"] <= note["killed"] and 0 < note["redone"] < note["segments"]
                 for note in found["kills"])
    return Row("killed at 60 % and resumed, less what was thrown away "
               f"({last['done']} of {last['segments']} segments were done)", "<= 2 % more",
               f"{statistics.median(ours):.1f} s (+ {thrown:.1f} s thrown away)", f"{alone:.1f} s not killed",
               f"{100 * more:+.2f} %" if useful else "no segment was done before the kill", useful and more <= 0.02)


def _written(results):
    found = results["segments"]["x264"]
    written, size, spool = median(found["segments"], "written"), found["size"]["segments"], found["kills"][-1]["spool"]
    share = (written - spool) / size
    return Row("bytes written in segments, without the sound's spool", "<= 2.05 of the output",
               f"{written / MB:.2f} MB - {spool / MB:.2f} MB", f"{size / MB:.2f} MB output", f"{share:.3f}",
               spool > 0 and share <= 2.05)


def _two_at_once(results):
    found = results["segments"]["two"]
    times = median(found["one"], "wall") / median(found["two"], "wall")
    cores = median(found["one"], "cpu") / median(found["one"], "wall")
    row = Row(f"two segments at once, nlmeans (one alone uses {cores:.1f} processors)", ">= 1.2x", span(found["two"],
              "wall") + " s", span(found["one"], "wall") + " s one at a time", f"{times:.3f}x", times >= 1.2)
    return row if (os.cpu_count() or 1) > 1 else for_information(row)


def _of_segments(results):
    return [
        lambda: _joins(results),
        lambda: _segment_time(results, "x264", "x264 medium", 0.03),
        lambda: _filter_bound(results),
        lambda: _segment_size(results),
        lambda: _killed(results),
        lambda: _written(results),
        lambda: _two_at_once(results),
    ]


# ---- The queue -----------------------------------------------------------------------------------------------------

LOCK = "one lock in Python"


def _status_rate(results):
    ours, rival = results["queue"]["status"], results["queue"]["rival"]
    rate, their = ours["reads"] / ours["cpu"], rival["reads"] / rival["cpu"]
    return Row("status reads a second and core, 8 threads, 10,000 jobs, 1,000 updates/s", ">= 1,000,000",
               f"{rate / 1e6:.2f} million", f"{their:.0f} ({LOCK})", f"{rate / their:.0f}x"
               if not ours["wrong"] else f"{ours['wrong']} were inconsistent",
               rate >= 1e6 and not ours["wrong"])


def _status_tail(results):
    ours = results["queue"]["status"]
    return Row("status read, p99.9", "< 50 us", f"{ours['p999_us']:.2f} us (median {ours['p50_us']:.2f})", "-",
               f"{ours['p999_us']:.2f} us", ours["p999_us"] < 50)


def _lock_wait(results):
    """A reader takes no lock: what is counted is all of the time that it slept, for whatever reason, and what updates
    took beyond their CPU time."""
    ours, rival = results["queue"]["status"], results["queue"]["rival"]
    blocked = (max(ours["blocked"], 0) + ours["updater_blocked"]) / ours["seconds"]
    theirs = rival["blocked"] / rival["seconds"]
    return Row("seconds blocked a second, readers and updates", "<= 0.01 of the lock's", f"{blocked:.5f} s",
               f"{theirs:.3f} s ({LOCK})", f"{blocked / theirs:.5f}", ours["blocked"] >= 0 and blocked <= 0.01 * theirs)


def _adds(results):
    found = results["queue"]["adds"]
    rate = found["adds"] / found["seconds"]
    return Row("durable adds, a thousand in a request", ">= 20,000/s", f"{rate:.0f}/s", "-", f"{rate:.0f}/s",
               rate >= 20000)


def _adds_alone(results):
    found, syncs = results["queue"]["one"], results["queue"]["syncs"]
    rate = found["adds"] / found["seconds"]
    return Row("durable adds, one by one", ">= 300/s, a sync each", f"{rate:.0f}/s", "-",
               f"{syncs:.2f} syncs each" if syncs is not None else "strace can't be used",
               rate >= 300 and syncs is not None and syncs >= 1)


def _events(results):
    found = results["queue"]["events"]
    enough = found["events"] >= 0.5 * found["updates"]
    return Row("event, from the update to a subscriber behind the socket, p99", "< 5 ms", f"{found['p99_ms']:.2f} ms "
               f"(median {found['p50_ms']:.2f})", "-", f"{found['events']} events", enough and found["p99_ms"] < 5)


def _hooks(results):
    found = results["queue"]["hooks"]
    return Row("end of a job to the first byte at a webhook, worst", "< 50 ms", f"{found['worst_ms']:.1f} ms "
               f"(median {found['p50_ms']:.1f})", "-", f"{found['hooks']} of {found['of']}",
               found["hooks"] == found["of"] and found["worst_ms"] < 50)


def _hanging(results):
    found = results["queue"]["throughput"]
    less = 1 - found["hanging"] / found["answering"]
    return Row("ends of jobs a second beside a webhook that hangs", "< 1 % fewer", f"{found['hanging']:.0f}/s",
               f"{found['answering']:.0f}/s beside one that answers", f"{100 * less:+.2f} %", less < 0.01)


def _large(results, name, target, key, unit, most, digits=2):
    value = results["queue"]["large"][key] / unit[0]
    return Row(f"{results['queue']['large']['jobs']} jobs: {name}", target, f"{value:.{digits}f} {unit[1]}", "-",
               f"{value:.{digits}f} {unit[1]}", results["queue"]["large"]["jobs"] >= 100000 and value < most)


def _of_queue(results):
    return [
        lambda: _status_rate(results),
        lambda: _status_tail(results),
        lambda: _lock_wait(results),
        lambda: _adds(results),
        lambda: _adds_alone(results),
        lambda: _events(results),
        lambda: _hooks(results),
        lambda: _hanging(results),
        lambda: _large(results, "a page of 100, worst", "< 5 ms", "page_ms", (1, "ms"), 5),
        lambda: _large(results, "start", "< 1 s", "start_s", (1, "s"), 1),
        lambda: _large(results, "memory", "< 150 MB", "rss", (1e6, "MB"), 150, 1),
    ]


# ---- All -----------------------------------------------------------------------------------------------------------

def _of_sd(results):
    return [
        lambda: _speed(results, "sd", "old", 3.4, None, "time, sd, against the old flow"),
        lambda: _speed(results, "sd", "ffmpeg", 0.98, 1.05, "time, sd, against ffmpeg's single pass"),
        lambda: _quality(results, "sd"),
        lambda: _handbrake(results, "sd"),
        lambda: _memory(results, "sd"),
        lambda: _own_memory(results, "sd"),
        lambda: _disk(results, "sd"),
    ]


def _of_ffv1(results):
    return [
        lambda: _speed(results, "ffv1", "ffmpeg", 1.0, 1.3, "time, FFV1, against ffmpeg's single pass"),
        lambda: _same_pictures(results),
    ]


def _of_hd(results):
    return [
        lambda: _speed(results, "hd", "ffmpeg", 0.98, 1.05, "time, hd, against ffmpeg's single pass"),
        lambda: _speed(results, "hd", "old", None, None, "time, hd, against the old flow"),
        lambda: _quality(results, "hd"),
        lambda: _handbrake(results, "hd"),
        lambda: _memory(results, "hd"),
        lambda: for_information(_own_memory(results, "hd")),
        lambda: for_information(_disk(results, "hd")),
    ]


def _of_progress(results):
    return [lambda: _progress(results)]


def _of_eta(results):
    return [lambda name=name: _eta(results, name) for name in results.get("eta") or {"mixed": None}]


def table(results, groups=GROUPS):
    """All rows of these groups; one that can't be computed is a miss that says why."""
    of = {"sd": _of_sd, "ffv1": _of_ffv1, "hd": _of_hd, "progress": _of_progress, "eta": _of_eta,
          "segments": _of_segments, "queue": _of_queue}
    rows = []
    for make in [make for name in groups for make in of[name](results)]:
        try:
            rows.append(make())
        except (KeyError, IndexError, ZeroDivisionError, statistics.StatisticsError) as e:
            rows.append(Row("not measured", "", "-", "-", f"{type(e).__name__}: {e}", False))
    return rows
