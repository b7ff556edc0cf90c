"""Every error that can reach a user. Each message names the thing and the mend.

AntiphonError                    base; `exit_code` is what the command line ends with
├── UsageError             (2)   a request that cannot be carried out as given
│   ├── ConfigurationError (2)   a setting, a key, a model
│   ├── WorkspaceError     (2)   the folder is missing, a file, read-only, on a network disk …
│   └── NotFoundError      (2)   no such run, hunk, decision, finding
├── NotTrustedError        (2)   the workspace is not trusted for what was asked
├── JournalError           (70)  the journal cannot be read or written
│   ├── DataFolderError    (2)   the folder for data cannot hold a journal: a network disk, not writable …
│   ├── RunOwnedError      (1)   another live process owns the run
│   ├── FencedError        (70)  this process lost the run to another one
│   └── SchemaTooNewError  (2)   written by a newer version
├── PathRefusedError       (1)   the path guard refused a path
├── EditRefusedError       (1)   an edit does not apply
├── ConflictError          (1)   the file is not what the proposal or the undo was made for
├── PlanError              (1)   no valid plan came back
├── BudgetExhaustedError   (1)   a limit of the run is used up
└── ProcessError           (70)  a process could not be started or outgrew its limits
"""


class AntiphonError(Exception):
    """Base of all errors shown to a user."""

    exit_code = 70


class UsageError(AntiphonError):
    exit_code = 2


class ConfigurationError(UsageError):
    pass


class WorkspaceError(UsageError):
    pass


class NotFoundError(UsageError):
    pass


class NotTrustedError(AntiphonError):
    exit_code = 2


class JournalError(AntiphonError):
    pass


class DataFolderError(JournalError):
    """Raised where another folder has to be named, or this one made usable, before anything can be kept."""

    exit_code = 2


class RunOwnedError(JournalError):
    """Raised when a run is opened for writing while a live process holds it. `pid` is that process."""

    exit_code = 1

    def __init__(self, message: str, *, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


class FencedError(JournalError):
    """Raised at an append whose epoch is no longer the journal's: someone adopted the run."""


class SchemaTooNewError(JournalError):
    exit_code = 2


class PathRefusedError(AntiphonError):
    exit_code = 1


class EditRefusedError(AntiphonError):
    exit_code = 1


class ConflictError(AntiphonError):
    exit_code = 1


class PlanError(AntiphonError):
    exit_code = 1


class BudgetExhaustedError(AntiphonError):
    exit_code = 1


class ProcessError(AntiphonError):
    pass
