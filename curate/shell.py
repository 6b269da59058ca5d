"""What every verb does around its work: the run record, results, messages, exit codes."""

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from curate.steps.record import Context
    from curate.workspace import DatasetPaths

Home = Annotated[
    Path | None,
    typer.Option("--home", help="Workspace folder (default: $CURATE_HOME, else ~/.curate)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Name = Annotated[str, typer.Argument(help="Name of the dataset in the workspace.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Same seed, same result.")]
_asked_to_end = threading.Event()
INTERRUPTED = "Interrupted. Run the command again to go on; finished work is kept."


class Job:
    """A running command: its workspace, its record, and how it talks."""

    def __init__(self, verb: str, home: Path | None, as_json: bool, arguments: dict[str, Any]) -> None:
        from curate.runs import RunRecord
        from curate.workspace import Workspace

        self.as_json = as_json
        self.answered = False
        self._out = sys.stdout
        self._held = ExitStack()
        self.workspace = Workspace.at(home)
        self.record = RunRecord(self.workspace.runs, verb, arguments)

    def say(self, text: str) -> None:
        """Talk to the person: stderr."""
        print(text, file=sys.stderr, flush=True)

    def result(self, content: dict[str, Any], lines: Callable[[dict[str, Any]], str] | None = None) -> None:
        """Print the command's result: JSON if asked for, else the lines made from it."""
        self.answered = True
        if self.as_json:
            text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, default=str)
            print(text, file=self._out, flush=True)
        elif lines:
            print(lines(content), file=self._out, flush=True)

    def alone(self, paths: "DatasetPaths") -> "Context":
        """What steps need to work on a dataset, which no other command alters until this one ends."""
        from curate.steps.alone import alone
        from curate.steps.record import Context, digest

        context = Context(self.workspace, paths, self.say)
        self._held.enter_context(alone(context))
        if paths.samples.exists():
            self.record.add_input("samples before", digest(paths.samples))
        return context

    def leave(self) -> None:
        """Let other commands work on the dataset."""
        self._held.close()


@contextmanager
def command(verb: str, home: Path | None, as_json: bool, arguments: dict[str, Any]) -> Iterator[Job]:
    """Run a verb: bad data ends with 1, wrong usage with 2, Ctrl-C with 130; nobody sees a traceback."""
    from curate.errors import CurateError

    job: Job | None = None
    _asked_to_end.clear()
    previous = {number: signal.signal(number, _interrupted) for number in _signals_of_end()}
    try:
        job = Job(verb, home, as_json, {key: value for key, value in arguments.items() if value is not None})
        with redirect_stdout(sys.stderr), _database_errors():  # libraries talk; stdout is for the result
            yield job
    except typer.Exit as leaving:
        _finish(job, "failed" if leaving.exit_code else "done", None)
        raise
    except CurateError as error:
        _end(job, as_json, "failed", str(error), 1)
    except ValueError as error:
        if not _is_ours(error):
            _end(job, as_json, "failed", _unexpected(job, error), 1)
        _end(job, as_json, "failed", f"Wrong usage: {error}", 2)
    except OSError as error:
        _end(job, as_json, "failed", _of_system(error), 1)
    except KeyboardInterrupt:
        _end(job, as_json, "interrupted", INTERRUPTED, 130)
    except Exception as error:
        if _was_interrupted(error):  # in the middle of something that then could not be ended in order
            _end(job, as_json, "interrupted", INTERRUPTED, 130)
        _end(job, as_json, "failed", _unexpected(job, error), 1)
    else:
        _finish(job, "done", None)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if job is not None:
            job.leave()


def _unexpected(job: Job | None, error: Exception) -> str:
    """Keep the traceback of an error nobody foresaw beside the run record, and say where it is."""
    import traceback

    from curate.files import write_text

    told = "".join(traceback.format_exception(error))
    if job is None:
        return f"Unexpected error, which should be reported:\n{told}"
    path = job.record.path.with_name("error.txt")
    try:
        write_text(path, told)
    except Exception:  # the traceback itself must not be lost
        return f"Unexpected error, which should be reported:\n{told}"
    return (
        f"Unexpected {type(error).__name__}: {error}\nThis is a fault of curate: please report {path}. "
        "What was stored before is kept."
    )


def _was_interrupted(error: BaseException) -> bool:
    """Whether an error only followed from Ctrl-C or SIGTERM."""
    cause = error.__cause__ or error.__context__
    return cause is not None and (isinstance(cause, KeyboardInterrupt) or _was_interrupted(cause))


def asked_to_end() -> bool:
    """Whether Ctrl-C or SIGTERM came since the command began.

    To be asked before a command waits for long: a library that was at work may have swallowed the interrupt.
    """
    return _asked_to_end.is_set()


def _signals_of_end() -> list[signal.Signals]:
    """SIGTERM, and SIGINT unless it is ignored, as for jobs in the background."""
    of_terminal = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return [signal.SIGTERM, *([signal.SIGINT] if of_terminal else [])]


def _interrupted(number: int, frame: object) -> None:
    _asked_to_end.set()
    raise KeyboardInterrupt


def _of_system(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return (
        f"The system refused: {error.strerror or error}{where}. Check that the place exists, "
        "has free space and may be used; what was stored before is kept."
    )


def _is_ours(error: ValueError) -> bool:
    """Whether the error was raised by this package's own argument checks."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__", "") if trace else ""
    return str(module).split(".")[0] in {"curate", "detectors"}


@contextmanager
def _database_errors() -> Iterator[None]:
    """Turn what the database driver raises into a message with a remedy, without loading the driver."""
    try:
        yield
    except Exception as error:
        if "pymongo" not in sys.modules:
            raise
        from pymongo.errors import PyMongoError

        from curate.store.failures import explain

        if isinstance(error, PyMongoError):
            raise explain(error) from error
        raise


def _finish(job: Job | None, status: str, error: str | None) -> None:
    if job is not None:
        try:
            job.record.finish(status, error)
        except Exception as failure:  # a full disk must not hide the error that matters
            print(f"The run record could not be written: {failure}", file=sys.stderr)


def _end(job: Job | None, as_json: bool, status: str, message: str, code: int) -> None:
    _finish(job, status, message)
    print(message, file=sys.stderr, flush=True)
    if as_json and not (job and job.answered):
        print(json.dumps({"error": message, "exit_code": code}, ensure_ascii=False), flush=True)
    raise typer.Exit(code)
