# Every public header compiles alone, as C17 and as C++17, with GCC and Clang, without a warning; and every header of
# src/ compiles alone as C. So nobody has to know which header must come first.
import concurrent.futures
import glob
import os
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STRICT = ["-fsyntax-only", "-Wall", "-Wextra", "-Wundef", "-Wstrict-prototypes", "-Werror"]
AS_C = ["-x", "c", "-std=c17", "-pedantic-errors"]
AS_CPP = ["-x", "c++", "-std=c++17", "-pedantic-errors"]
# What scripts/setup neural fetches, where it did.
ENGINES = sorted(glob.glob(os.path.join(ROOT, "deps", "*", "include")))
AS_OURS = ["-x", "c", "-std=gnu17", "-D_GNU_SOURCE", *(word for folder in ENGINES for word in ("-isystem", folder))]


def headers(*pattern):
    return sorted(os.path.relpath(path, ROOT) for path in glob.glob(os.path.join(ROOT, *pattern), recursive=True))


def complaints(header, compiler, language, folders):
    """What the compiler says of a file that includes the header, twice, and nothing else; "" when it is content."""
    name = header.split(os.sep, 1)[1]
    flags = [flag for flag in STRICT if flag != "-Wstrict-prototypes" or language is not AS_CPP]
    done = subprocess.run([compiler, *flags, *language, *("-I" + os.path.join(ROOT, f) for f in folders), "-"],
                          input=f'#include "{name}"\n#include "{name}"\n', capture_output=True, text=True, check=False)
    said = done.stderr.strip()
    return f"{compiler} {language[2]} {header}:\n{said}" if done.returncode or said else ""


class Headers(unittest.TestCase):
    def check(self, jobs):
        self.assertTrue(jobs)
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as workers:
            said = [text for text in workers.map(lambda job: complaints(*job), jobs) if text]
        self.assertEqual([], said, "\n\n".join(said))

    def test_public_headers_as_c(self):
        self.check([(h, cc, AS_C, ["include"]) for h in headers("include", "**", "*.h") for cc in ("gcc", "clang")])

    def test_public_headers_as_cpp(self):
        self.check([(h, cc, AS_CPP, ["include"]) for h in headers("include", "**", "*.h") for cc in ("g++", "clang++")])

    def test_own_headers(self):
        absent = [name for name in ("openvino", "onnxruntime")
                  if os.path.join(ROOT, "deps", name, "include") not in ENGINES]
        left_out = [os.path.join("src", "neural", f"session_{name}.h") for name in absent]
        self.check([(h, "gcc", AS_OURS, ["include", "src"]) for h in headers("src", "**", "*.h") if h not in left_out])

    def test_a_bad_header_is_noticed(self):
        """The check itself: a header that needs another one first must not pass."""
        folder = os.path.join(sys.argv[1] if len(sys.argv) > 1 else ".", "bad-header")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "bad.h"), "w", encoding="utf-8") as file:
            file.write("uint32_t f(size_t n);\n")
        for compiler, language in (("gcc", AS_C), ("clang", AS_C), ("g++", AS_CPP), ("clang++", AS_CPP)):
            self.assertNotEqual("", complaints("x" + os.sep + "bad.h", compiler, language, [os.path.abspath(folder)]))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
