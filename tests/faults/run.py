# All fault tests, at length: `make faults`. `make test` runs the same ones with fewer kills and failing calls.
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
environment = {**os.environ, "TERMINALAI_FAULTS": "all",
               "TERMINALAI_TEST_KILLS": os.environ.get("TERMINALAI_TEST_KILLS", "100")}
names = sorted(name for name in os.listdir(HERE) if name.startswith("test_"))
codes = [subprocess.run([sys.executable, os.path.join(HERE, name)], env=environment, check=False).returncode
         for name in names]
sys.exit(max(codes))
