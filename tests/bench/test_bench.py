# The bench's own parts: costs of commands that end and that are killed, rows from known figures, the page.
import json
import os
import tempfile
import unittest

import meter
import report
import rows


def costs(*walls, **more):
    return [meter.Cost(wall=wall, cpu=10, **more) for wall in walls]


def segments(**more):
    """Figures that meet every target."""
    note = {"killed": 6.0, "resumed": 6.0, "thrown": 2.0, "done": 1, "redone": 2, "segments": 3, "spool": 50}
    x264 = {"segments": costs(10.2, 10.0, 10.1, written=2100), "whole": costs(10, 10, 10), "kills": [note],
            "size": {"segments": 1005, "whole": 1000}, "disturbance": 0.01}
    found = {"joins": {"a": {"joins": 5, "first": 81.0, "any": 80.5}, "b": {"joins": 5, "first": None, "any": None}},
             "x264": x264, "two": {"one": costs(10, 10), "two": costs(8, 8)},
             "filters": {"segments": costs(10.5), "whole": costs(10, threads={"encode-0": 1.0, "colour": 9.0})},
             "commands": {"x264": [["terminalai", "restore", "/some/where/tape.mpg"]]}}
    return {"clip": "tape.mpg", "segments": {**found, **more}}


class Costs(unittest.TestCase):
    def test_bytes_written(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "zeros")
            cost = meter.measure(["dd", "if=/dev/zero", f"of={path}", "bs=1000", "count=3000", "status=none"])
            self.assertEqual(3000000, os.path.getsize(path))
        self.assertGreaterEqual(cost.written, 3000000)
        self.assertLess(cost.written, 3010000)

    def test_killed(self):
        cost = meter.measure(["sleep", "60"], kill_after=0.3)
        self.assertGreaterEqual(cost.wall, 0.3)
        self.assertLess(cost.wall, 30)
        self.assertGreater(cost.ended, 1e9)

    def test_ended_too_early_or_badly(self):
        for command, more in ((["true"], {"kill_after": 5}), (["false"], {}), (["false"], {"kill_after": 5})):
            with self.subTest(command=command, **more), self.assertRaises(meter.Failed):
                meter.measure(command, **more)


class Rows(unittest.TestCase):
    def met(self, results, groups=("segments",)):
        return [row.met for row in rows.table(results, groups)]

    def test_all_met(self):
        self.assertEqual([True] * 7, self.met(segments()))

    def test_each_can_be_missed(self):
        good = segments()["segments"]
        note = good["x264"]["kills"][0]
        for number, task, change in (
                (0, "joins", {"a": {"joins": 5, "first": 79.9, "any": 79.9}}),
                (1, "x264", {"segments": costs(10.31)}),
                (2, "filters", {"segments": costs(10.61)}),
                (2, "filters", {"whole": costs(10, threads={"encode": 5.0})}),
                (2, "filters", {"whole": costs(10)}),
                (3, "x264", {"size": {"segments": 1011, "whole": 1000}}),
                (4, "x264", {"kills": [{**note, "thrown": 1.6}]}),
                (4, "x264", {"kills": [{**note, "done": 0, "redone": 3}]}),
                (5, "x264", {"segments": costs(10, written=2200)}),
                (6, "two", {"two": costs(8.4, 8.4)})):
            with self.subTest(number=number, change=change):
                self.assertIs(False, self.met(segments(**{task: {**good[task], **change}}))[number])

    def test_queue(self):
        good = {"status": {"reads": 4e6, "wrong": 0, "cpu": 2, "blocked": 0.0, "updater_blocked": 0.001, "p999_us": 9,
                           "p50_us": 1, "seconds": 3}, "rival": {"reads": 3e3, "cpu": 3, "blocked": 20, "seconds": 3},
                "adds": {"adds": 30000, "seconds": 1}, "one": {"adds": 400, "seconds": 1}, "syncs": 1.0,
                "events": {"events": 900, "updates": 1000, "p99_ms": 1, "p50_ms": 0.1},
                "hooks": {"hooks": 50, "of": 50, "worst_ms": 9, "p50_ms": 2},
                "throughput": {"answering": 100, "hanging": 100},
                "large": {"jobs": 100000, "start_s": 0.5, "page_ms": 1, "rss": 90e6}}
        self.assertEqual([True] * 11, self.met({"queue": good}, ("queue",)))
        for number, task, change in (
                (0, "status", {"reads": 1e6}), (0, "status", {"wrong": 1}), (1, "status", {"p999_us": 51}),
                (2, "status", {"blocked": 0.5}), (2, "status", {"blocked": -1}), (3, "adds", {"adds": 19000}),
                (4, "one", {"adds": 299}), (5, "events", {"p99_ms": 6}), (5, "events", {"events": 10}),
                (6, "hooks", {"hooks": 49}), (7, "throughput", {"hanging": 98}), (8, "large", {"page_ms": 6}),
                (9, "large", {"start_s": 1.1}), (10, "large", {"rss": 151e6}), (10, "large", {"jobs": 99999})):
            with self.subTest(task=task, change=change):
                self.assertIs(False, self.met({"queue": {**good, task: {**good[task], **change}}}, ("queue",))[number])
        self.assertIs(False, self.met({"queue": {**good, "syncs": 0.4}}, ("queue",))[4])
        self.assertIs(False, self.met({"queue": {**good, "syncs": None}}, ("queue",))[4])

    def test_nothing_is_met_by_not_being_measured(self):
        found = rows.table({"clip": "tape.mpg"})
        self.assertEqual({False}, {row.met for row in found if row.target != "for information"})

    def test_second_prediction(self):
        eta = {"predicted": 10.0, "real": 11.0, "others": 0.0}
        first = {"predicted": 10.0, "real": 20.0, "others": 0.4}
        row, = rows.table({"eta": {"mixed": {**eta, "first try": first}}}, ("eta",))
        self.assertTrue(row.met)
        self.assertIn("the first -50.0 % while others took 40 %", row.figure)


class Pages(unittest.TestCase):
    def test_page(self):
        results = segments()
        document = {"when": "2026-01-01T00:00:00Z", "pairs": 3, "preset": "medium", "threads": 3, "results": results,
                    "machine": {"processor": "a", "memory": "b", "kernel": "c"}, "versions": {"ffmpeg": "5.1"},
                    "rows": rows.table(results, ("segments",))}
        json.dumps(document, default=report.plain, allow_nan=False)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "page.md")
            report.write_page(path, document, {"/some/where/": "../"})
            with open(path, encoding="utf-8") as f:
                page = f.read()
        self.assertNotIn("/some", page)
        self.assertIn("terminalai restore ../tape.mpg", page)
        self.assertEqual(7, page.count("| MET |"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
