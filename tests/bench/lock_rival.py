#!/usr/bin/env python3
# The rival of the queue's status: one lock around a dictionary of jobs, as the earlier program had it. Eight threads
# ask for the status of 10,000 jobs while 1,000 updates a second come in. Prints reads, CPU seconds, and seconds
# blocked on the lock.
import json
import random
import sys
import threading
import time

JOBS, THREADS, UPDATES = 10000, 8, 1000
STATES = ("pending", "encoding", "completed", "failed")


class Job:
    def __init__(self, number):
        self.status, self.progress, self.eta, self.number = "encoding", 0.0, 60.0, number


class VideoQueue:
    """Single lock for all operations; the time that callers waited for it is counted."""

    def __init__(self):
        self._lock = threading.Lock()
        self.jobs = {i: Job(i) for i in range(1, JOBS + 1)}

    def _acquire(self, waits):
        begun = time.perf_counter()
        self._lock.acquire()
        waits[0] += time.perf_counter() - begun

    def get_queue_status(self, number, waits):
        self._acquire(waits)
        try:
            counts = {state: 0 for state in STATES}
            for job in self.jobs.values():
                counts[job.status] += 1
            job = self.jobs[number]
            return counts, job.status, job.progress, job.eta
        finally:
            self._lock.release()

    def update_job_status(self, number, progress, waits):
        self._acquire(waits)
        try:
            self.jobs[number].progress = progress
        finally:
            self._lock.release()


def main():
    seconds = float(sys.argv[1])
    queue, stop = VideoQueue(), threading.Event()
    waits, reads = [[0.0] for _ in range(THREADS + 1)], [0] * THREADS

    def read(i):
        pick = random.Random(i)
        while not stop.is_set():
            queue.get_queue_status(pick.randint(1, JOBS), waits[i])
            reads[i] += 1

    threads = [threading.Thread(target=read, args=(i,)) for i in range(THREADS)]
    cpu, begun, updates = time.process_time(), time.perf_counter(), 0
    for thread in threads:
        thread.start()
    while time.perf_counter() - begun < seconds:
        queue.update_job_status(1 + updates * 7919 % JOBS, updates % 1000 / 1000, waits[THREADS])
        updates += 1
        time.sleep(max(0, begun + updates / UPDATES - time.perf_counter()))
    stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps({"reads": sum(reads), "cpu": time.process_time() - cpu, "blocked": sum(w[0] for w in waits),
                      "updates": updates, "seconds": seconds}))


if __name__ == "__main__":
    main()
