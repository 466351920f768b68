"""A Python that lacks packages: what it says when commands or lines are run in it."""

# argv: packages to refuse, a JSON list of commands, lines of Python to run after them
RUN = """
import contextlib, importlib.abc, io, json, sys

refused = sys.argv[1].split()


class Lacking(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if any(name == each or name.startswith(each + ".") for each in refused):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Lacking())
commands, lines = json.loads(sys.argv[2]), sys.argv[3:]
answers = []
from pocketvlad.cli import main

for command in commands:
    sys.argv = ["pocketvlad", *command]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    answers.append([code, out.getvalue(), err.getvalue()])
for each in lines:
    exec(each, {})
loaded = [name for name in refused if name in sys.modules]
assert not loaded, loaded
print(json.dumps(answers))
"""
