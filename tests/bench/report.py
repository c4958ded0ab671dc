"""The figures as text, as a page for docs/, and as JSON."""
import dataclasses
import shlex
import textwrap

COLUMNS = 120
WORD = {True: "MET", False: "MISSED", None: "info"}


def plain(value):
    """For json.dump: a row or a cost as an object."""
    if dataclasses.is_dataclass(value):
        return dataclasses.asdict(value)
    raise TypeError(type(value).__name__)


def _hidden(text, hide):
    for path, name in hide.items():
        text = text.replace(path, name)
    return text


def _commands(document, hide):
    """(task, who, command lines) of everything that was compared."""
    for task in ("sd", "ffv1", "hd"):
        for who, commands in document["results"].get(task, {}).get("commands", {}).items():
            yield task, who, [_hidden(shlex.join(map(str, words)), hide) for words in commands]
    for who, commands in document["results"].get("segments", {}).get("commands", {}).items():
        yield "segments", who, [_hidden(shlex.join(map(str, words)), hide) for words in commands]


def _disturbances(results):
    """The largest share that others took during the rounds that count, of each competition."""
    for found in results.values():
        if isinstance(found, dict):
            yield from [found["disturbance"]] if "disturbance" in found else _disturbances(found)


def _head(document):
    machine, versions = document["machine"], document["versions"]
    noise = max(_disturbances(document["results"]), default=0)
    return [f"{document['when']}, clip {document['results']['clip']}, {document['pairs']} rounds, libx264 preset "
            f"{document['preset']} CRF 18, {document['threads']} encoder threads",
            f"machine: {machine['processor']}, {machine['memory']}, {machine['kernel']}",
            "versions: " + "; ".join(f"{name}: {text}" for name, text in versions.items()),
            f"others used up to {100 * noise:.0f} % of the processors during the rounds that count"]


def _table(lines):
    head = ["figure", "target", "ours", "rival", "result", ""]
    cells = [head] + [[r.name, r.target, r.ours, r.rival, r.figure, WORD[r.met]] for r in lines]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]


def text(document, hide):
    lines = _head(document) + ["", *_table(document["rows"]), "", "commands:"]
    for task, who, commands in _commands(document, hide):
        lines += [f"  {task} {who}: {command}" for command in commands]
    met = sum(row.met is True for row in document["rows"])
    missed = sum(row.met is False for row in document["rows"])
    return "\n".join(lines + ["", f"{met} MET, {missed} MISSED"])


HOW = """\
Figures of one machine on one day; `make bench` makes them anew on yours. Written by `scripts/bench.py`.

All contenders do the same task on the same clip, one after the other and again, so that a machine that slows down
slows all of them; times are medians with smallest and largest. The old flow and HandBrakeCLI run once.

Single pass: one ffmpeg process with the same filters, encoder, preset, CRF, threads and size. Old flow: six ffmpeg
processes with intermediate files (sound; deinterlace; denoise; colour; scale; encode and mux), as the forerunner of
this program worked. Its intermediates are libx264, preset fast, CRF 18; nothing but ffmpeg's time is counted.
HandBrakeCLI runs its own bwdif and hqdn3d, and has no brightness or contrast.

- *sd*: the whole clip at 640x480, square pixels. *hd*: its first seconds at 1440x1080. *FFV1*: lossless, 640x480.
- *Peak memory*: the largest resident set (`ru_maxrss`), shared libraries included.
- *The encoder's share*: what ffmpeg needs more when plain finished pictures go through the same encoder with the same
  settings than when they are thrown away. It is taken off on both sides, off each pass of the old flow its own.
- *Bytes read and written*: rchar + wchar of the whole process tree.
- *PSNR*: of all planes, against the finished pictures before any encoder.
- *Progress display*: processor time of the thread that samples, formats and prints, by its own clock.
- *End predicted after 10 %*: clips of still and moving parts; the first prediction at 10 % or later. A miss while
  others used the machine is tried once more, and the row says so.
- *Segments*: a job in segments against the same in one piece. Time, size, kill and bytes: the tape over
  and over for 95 s, one picture a frame, segments of 30 s, one at a time. *Joins*: six seconds of the tape in
  segments of one second, lossless output. *Killed*: SIGKILL at 60 % of the time, then the same command again; finished
  segments must stay untouched and the output must have the same bytes. What is thrown away is the time from the last
  finished segment to the kill. *Two at once*: one thread for the filters and one for the encoder.
"""


def _shell_lines(command):
    """A command as lines that a shell joins; a word stays whole."""
    lines = [""]
    for word in shlex.split(command):
        word = shlex.quote(word)
        if lines[-1] and len(lines[-1]) + len(word) > COLUMNS - 3:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines


def _cell(text):
    return text.replace("|", "\\|")


def write_page(path, document, hide):
    head = [part for line in _head(document)
            for part in textwrap.wrap(line, COLUMNS, initial_indent="- ", subsequent_indent="  ")]
    lines = ["# Benchmarks", "", HOW, *head, "",
             "| figure | target | ours | rival | result | |", "|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join(map(_cell, [r.name, r.target, r.ours, r.rival, r.figure, WORD[r.met]])) + " |"
              for r in document["rows"]]
    lines += ["", "## Commands", "", "`TMP` is a temporary folder. `make bench` prints HandBrakeCLI's, too.", ""]
    for task, who, commands in _commands(document, hide):
        if who == "handbrake":  # pages name flags of our program only
            continue
        lines += [f"{task}, {who}:", "", "```", *(part for line in commands for part in _shell_lines(line)), "```", ""]
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines).rstrip("\n") + "\n")
