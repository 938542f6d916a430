"""The house's walls: which room may import which, and which room owns which library."""

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "harray"

HEAVY = (
    "torch",
    "onnxruntime",
    "openvino",
    "ray",
    "mlflow",
    "ultralytics",
    "optuna",
    "cv2",
    "av",
    "matplotlib",
    "sklearn",
    "scipy",
)
# From left to right; a room imports itself and rooms of earlier tiers, nothing beside it.
TIERS = [
    {"errors", "names", "reporting"},
    {"files"},
    {"workspace"},
    {"config", "schema", "skeleton", "metrics", "downloads"},
    {"config_keys"},
    {"synth", "videos", "networks"},
    {"poses", "scenes"},
    {"extraction"},
    {"store"},
    {"interchange"},
    {"features"},
    {"model"},
    {"training"},
    {"inference"},
    {"live"},
    {"evaluation"},
    {"validation"},
    {"experiment"},
    {"recipes", "search_spaces"},
    {"tracking"},
    {"distributed"},
    {"tuning"},
    {"serving"},
    {"rendered"},
    {"api"},
    {"bench"},
    {"cli"},
]
OWNERS = {  # library -> the rooms that may import it
    "ray": {"distributed", "tuning", "serving"},
    "optuna": {"tuning", "bench"},
    "mlflow": {"tracking"},
    "ultralytics": {"poses", "rendered", "bench"},
    "obstore": {"files"},
    "onnx": {"networks"},
    "onnxruntime": {"networks"},
    "openvino": {"networks"},
    "av": {"videos", "synth", "inference", "live"},  # videos decodes; the others only write
    "fastapi": {"serving"},
    "starlette": {"serving"},
    "uvicorn": {"serving"},
    "prometheus_client": {"serving"},
    "typer": {"cli"},
    "rich": {"cli"},
}


def room_of(path: Path, root: Path) -> str:
    return path.relative_to(root / "harray").parts[0].removesuffix(".py")


def tier_of(room: str) -> int:
    return next(i for i, tier in enumerate(TIERS) if room in tier)


def imports_of(path: Path) -> list[tuple[int, str]]:
    """(line, dotted module) of every import in a file, those inside functions included."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}:{node.lineno} imports relatively; write harray.<room>"
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "harray" else []
            found += [(node.lineno, name) for name in names or [node.module]]
    return found


def imports_at_run_time(path: Path) -> list[str]:
    """Dotted modules that a file imports, but for those that only type checkers see."""
    tree = ast.parse(path.read_text())
    typed = {
        id(inner)
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    return [
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in typed
    ]


def num_parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Of a function or method, without `self`."""
    every = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
    return sum(argument.arg not in ("self", "cls") for argument in every)


def violations(sources: list[Path], root: Path = ROOT) -> list[str]:
    """A sentence for every import that breaks a wall, naming offender and rule."""
    broken = []
    for path in sources:
        room = room_of(path, root)
        for line, module in imports_of(path):
            top, _, rest = module.partition(".")
            where = f"{path.relative_to(root)}:{line}"
            if top in OWNERS and room not in OWNERS[top]:
                broken.append(
                    f"{where} imports {top}, which belongs to {', '.join(sorted(OWNERS[top]))} only"
                )
            if top != "harray" or not rest or rest == "__version__":
                continue
            other = rest.partition(".")[0]
            if other != room and tier_of(other) >= tier_of(room):
                broken.append(f"{where} imports harray.{other}, but {room} stands left of or beside {other}")
    return broken


def sources() -> list[Path]:
    return [
        path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py" or path.parent != PACKAGE
    ]


def test_every_room_has_its_place():
    rooms = {room_of(path, ROOT) for path in sources()} - {"__main__"}
    assert rooms <= set().union(*TIERS), f"no tier for {rooms - set().union(*TIERS)}"


def test_rooms_import_only_what_stands_to_their_left_and_libraries_stay_with_their_owner():
    assert violations(sources()) == []


def test_the_command_line_calls_api_and_nothing_else():
    """Beside it, it knows configs, names, places and errors; bench/ measures and has no other face. Types may be
    named."""
    known = re.compile(
        r"harray\.(api|bench|cli|config|config_keys|errors|experiment|files|names|recipes|reporting|search_spaces|workspace|"
        r"__version__|\w+\.config)(\.|$)"
    )
    callers = [*(PACKAGE / "cli").glob("*.py"), *(ROOT / "jobs").glob("*.py")]
    found = {
        f"{path.name}: {module}"
        for path in callers
        for module in imports_at_run_time(path)
        if module.startswith("harray.") and not known.match(module)
    }
    assert found == set()


def test_no_function_outside_the_command_line_has_more_than_eight_parameters():
    found = {
        f"{path.relative_to(PACKAGE)}: {node.name}"
        for path in sources()
        if room_of(path, ROOT) != "cli"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and num_parameters(node) > 8
    }
    assert found == set()


def test_an_import_inside_a_function_is_found(tmp_path):
    offender = tmp_path / "harray" / "model" / "pcm.py"
    offender.parent.mkdir(parents=True)
    offender.write_text("def f():\n    import ray\n    from harray.tracking import runs\n")
    assert violations([offender], tmp_path) == [
        "harray/model/pcm.py:2 imports ray, which belongs to distributed, serving, tuning only",
        "harray/model/pcm.py:3 imports harray.tracking, but model stands left of or beside tracking",
    ]


def test_modules_import_in_no_circle():
    """Imports inside functions count too, but for api/, whose objects have the verbs for methods."""
    rooms = [path for path in sources() if room_of(path, ROOT) != "api"]
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in rooms}
    graph = {
        name: {module for module in imports_at_run_time(path) if module in modules and module != name}
        for name, path in modules.items()
    }
    done: set[str] = set()

    def circle_from(name: str, above: tuple[str, ...]) -> tuple[str, ...]:
        if name in above:
            return (*above[above.index(name) :], name)
        if name not in done:
            for other in sorted(graph[name]):
                if circle := circle_from(other, (*above, name)):
                    return circle
            done.add(name)
        return ()

    assert not [circle for name in sorted(graph) if (circle := circle_from(name, ()))]


def test_no_room_is_a_drawer():
    drawers = {"utils", "common", "helpers", "core", "misc"}
    assert not [path for path in sources() if path.stem in drawers]


def test_importing_the_command_line_loads_no_heavy_library():
    code = "import sys, harray.cli; print(*sorted(set(sys.modules) & set(sys.argv[1].split(','))))"
    found = subprocess.run(
        [sys.executable, "-c", code, ",".join(HEAVY)], capture_output=True, text=True, check=True
    ).stdout
    assert found.split() == []
