//! The exceptions of the extension, and how faults become them.
use std::io;

use fairlead_front::core::Violation;
use fairlead_front::runtime::StartError;
use pyo3::create_exception;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

create_exception!(
    fairlead._native,
    ConfigError,
    PyValueError,
    "The configuration is not valid; `violations` lists every (path, message)."
);
create_exception!(
    fairlead._native,
    ClosedError,
    PyRuntimeError,
    "The front was started before, or is shut down."
);
create_exception!(
    fairlead._native,
    EngineFault,
    PyRuntimeError,
    "What must not happen: wrong bytes, a broken store, a fork."
);

create_exception!(
    fairlead._native,
    DoesNotFit,
    PyValueError,
    "A record does not follow the ones before it, or the hashes are none of a tree."
);

/// All violations, one a line, and as an attribute.
pub fn config_error(py: Python<'_>, violations: &[Violation]) -> PyErr {
    let lines: Vec<String> = violations
        .iter()
        .map(|one| format!("{}: {}", one.path, one.message))
        .collect();
    let pairs: Vec<(&str, &str)> = violations.iter().map(|one| (&*one.path, &*one.message)).collect();
    let error = ConfigError::new_err(lines.join("\n"));
    match error.value(py).setattr("violations", pairs) {
        Ok(()) => error,
        Err(fault) => fault,
    }
}

/// An address that cannot be bound is an `OSError` with its number, so that the daemon can tell it from the rest.
pub fn start_error(error: StartError) -> PyErr {
    match error {
        StartError::Options(message) => PyValueError::new_err(message),
        StartError::Closed => ClosedError::new_err("the front was started before, or is shut down"),
        StartError::Io { what, error } => io_error(&what, &error),
    }
}

fn io_error(what: &str, error: &io::Error) -> PyErr {
    let message = format!("cannot {what}: {error}");
    match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, message)),
        None => PyOSError::new_err(message),
    }
}
