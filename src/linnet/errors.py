"""Every error Linnet raises on purpose.

    LinnetError                 exit 1   HTTP 500
    ├── UsageError              exit 2   HTTP 400   the call itself is off
    │   ├── ConfigError         exit 2   HTTP 400   a setting is unknown or out of range
    │   ├── UnusableLogError    exit 2   HTTP 400   the prediction log is damaged or not Linnet's
    │   └── MissingExtraError   exit 2   HTTP 501   an optional part is not installed
    ├── DataError               exit 3   HTTP 422   a file or a row can't be used
    │   ├── TextError           exit 3   HTTP 422   one text can't be used
    │   └── LabelError          exit 3   HTTP 422   a label nobody asked for
    ├── ModelError              exit 4   HTTP 503   an encoder or checkpoint can't be used
    │   └── UnreachableError    exit 4   HTTP 503   the model hub can't be reached for an encoder
    ├── BundleError             exit 5   HTTP 503   a bundle is broken, changed or of another format
    │   ├── ProofError          exit 5   HTTP 503   a bundle's proof is missing or failed
    │   └── SignatureError      exit 5   HTTP 503   a bundle's signature is missing or wrong
    ├── TrainingError           exit 6   HTTP 500   training can't go on
    │   └── StoppedError        exit 130 HTTP 500   training was stopped, and can be resumed
    ├── StorageError            exit 7   HTTP 507   the disk refused a write
    ├── OutOfMemoryError        exit 9   HTTP 500   the system gave no more memory
    ├── ServiceError            exit 8   HTTP 502   a service that was asked did not answer
    └── RefusedError            exit 10  HTTP 409   a gate did not let a model pass

A message says what was expected, what came, and what to do next. An error that is not in this tree
is a defect of Linnet's own; the command line and the service report it as such.
"""

from collections.abc import Mapping, Sequence
from typing import Any


class LinnetError(Exception):
    """Base of every error that Linnet raises on purpose.

    Attributes:
        exit_code: What the command line exits with.
        http_status: What the service answers with.
        code: A stable name for programs, in snake case; it is the service's `error.code`.
    """

    exit_code = 1
    http_status = 500
    code = "internal_error"


class UsageError(LinnetError):
    """The call itself is off: a flag, an argument, a folder that already exists."""

    exit_code = 2
    http_status = 400
    code = "bad_request"


class ConfigError(UsageError):
    """A setting is unknown, of the wrong type or out of range."""

    code = "bad_config"


class UnusableLogError(UsageError):
    """The prediction log is damaged, of a newer format or another program's."""

    code = "unusable_log"


class MissingExtraError(UsageError):
    """An optional part of Linnet is not installed."""

    http_status = 501
    code = "missing_extra"

    def __init__(self, package: str, extra: str):
        super().__init__(
            f"This needs the package {package!r}, which is not installed. "
            f"Install it with: pip install 'linnet-text[{extra}]'"
        )


class DataError(LinnetError):
    """A data file, or a row of it, can't be used."""

    exit_code = 3
    http_status = 422
    code = "bad_data"


class TextError(DataError):
    """One text can't be used.

    Args:
        reason: A stable name of the defect, for counting: `nul_byte`, `lone_surrogate`,
            `nested_entities`, `empty_text`, `not_text`, `wrong_encoding`, `tokenizer_failed`.
        message: The sentence for people. "Text 3: " is put before it if there is an index.
        index: Which of several texts it is, from 0. None if there is only one.
    """

    code = "bad_text"

    def __init__(self, reason: str, message: str, index: int | None = None):
        super().__init__(message if index is None else f"Text {index}: {message}")
        self.reason = reason
        self.index = index
        self._message = message

    def at(self, index: int) -> "TextError":
        """The same error of a text at another place."""
        return TextError(self.reason, self._message, index)


class LabelError(DataError):
    """A label is not one of those configured or trained."""

    code = "bad_label"


class ModelError(LinnetError):
    """An encoder or a checkpoint can't be found, reached or used."""

    exit_code = 4
    http_status = 503
    code = "bad_model"


class UnreachableError(ModelError):
    """The model hub can't be reached for an encoder, and its cache doesn't hold it.

    Args:
        message: The sentence for people.
        cause: What the connection failed with, one line.
    """

    code = "hub_unreachable"

    def __init__(self, message: str, cause: str):
        super().__init__(message)
        self.cause = cause


class BundleError(LinnetError):
    """A bundle is incomplete, changed, or of a format this version can't read."""

    exit_code = 5
    http_status = 503
    code = "bad_bundle"


class ProofError(BundleError):
    """A bundle's proof is missing, or one of its checks failed."""

    code = "failed_proof"


class SignatureError(BundleError):
    """A bundle's signature is missing, or no trusted key made it."""

    code = "bad_signature"


class TrainingError(LinnetError):
    """Training can't go on."""

    exit_code = 6
    code = "training_failed"


class StoppedError(TrainingError):
    """Training was asked to stop, by Ctrl-C or SIGTERM, and can be resumed."""

    exit_code = 130  # 128 + SIGINT, as shells have it
    code = "training_stopped"


class StorageError(LinnetError):
    """The disk refused a write: full, read-only, or gone."""

    exit_code = 7
    http_status = 507
    code = "storage_failed"


class OutOfMemoryError(LinnetError):
    """The system gave no more memory. While training it is a `TrainingError`."""

    exit_code = 9
    code = "out_of_memory"


class ServiceError(LinnetError):
    """A service that was asked refused, failed or can't be reached.

    Args:
        code: What the service calls it, or one of the client's own: `unreachable`,
            `connection_lost`, `deadline_exceeded`, `bad_answer`, `not_sent`, `http_STATUS`.
        message: The sentence for people.
        status: The HTTP status; None where no answer came.
        request_id: Finds the request in the service's log; the same for every try.
        details: More for programs, as the service sent it.
        results: Of a list of texts: an answer or an error for each, in order.
    """

    exit_code = 8
    http_status = 502
    code = "service_failed"

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        request_id: str = "",
        details: Mapping[str, Any] | None = None,
        results: Sequence[Any] = (),
    ):
        facts = [
            code,
            *([f"HTTP {status}"] if status else []),
            *([f"request {request_id}"] if request_id else []),
        ]
        super().__init__(f"{message} ({', '.join(facts)})")
        self.code = code
        self.message = message
        self.status = status
        self.request_id = request_id
        self.details = dict(details or {})
        self.results = list(results)


class RefusedError(LinnetError):
    """A gate did not let a model pass; nothing was changed."""

    exit_code = 10
    http_status = 409
    code = "refused"
