# The queue for so many seconds, in a folder of its own: soak.py QUEUE_BENCH SECONDS. Fails where memory grew by 1 MB.
import subprocess
import sys
import tempfile

with tempfile.TemporaryDirectory(prefix="terminalai-soak-") as folder:
    done = subprocess.run([sys.argv[1], "soak", folder + "/queue", sys.argv[2]], check=False)
sys.exit(done.returncode)
