//! Slices of the audit log as responses of `WatchEvents`: the work on records, without the interpreter.
use fairlead_events::{Encoded, Filter, Place, Problem, Values, Wish, encode};
use fairlead_wire::v1::EventFilter;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::{Failed, decode};

/// Key and value.
type Entry = (PyBackedBytes, PyBackedBytes);
/// Sequence of a record, and the values that it commits to.
type Kept = (u64, Vec<PyBackedBytes>);
/// As `Encoded`; the problem is empty when the entry is missing.
type Slice<'py> = (
    Vec<Bound<'py, PyBytes>>,
    u64,
    Bound<'py, PyBytes>,
    Vec<u64>,
    Option<String>,
);

/// Encodes entries of the audit log as responses.
#[pyfunction]
#[pyo3(signature = (entries, sequence, record_hash, filter, max_events, max_bytes, values))]
// One slice is one call: a class for its arguments would cost a Python object more.
#[allow(clippy::too_many_arguments)]
pub fn encode_events<'py>(
    py: Python<'py>,
    entries: Vec<Entry>,
    sequence: u64,
    record_hash: PyBackedBytes,
    filter: PyBackedBytes,
    max_events: usize,
    max_bytes: usize,
    values: Vec<Kept>,
) -> PyResult<Slice<'py>> {
    let outcome = py.detach(|| {
        let filter: EventFilter = decode("filter", &filter)?;
        let wish = Wish {
            filter: Filter::new(filter),
            max_events,
            max_bytes,
        };
        let kept: Values<'_> = values
            .iter()
            .map(|(sequence, values)| (*sequence, values.iter().map(AsRef::as_ref).collect()))
            .collect();
        let place = Place {
            sequence,
            record_hash: &record_hash,
        };
        let entries = entries.iter().map(|(key, value)| (key.as_ref(), value.as_ref()));
        Ok(encode(entries, place, &wish, &kept))
    });
    // The references are given back here, attached.
    drop((entries, values));
    let Encoded {
        responses,
        sequence,
        record_hash,
        committed,
        problem,
    } = outcome.map_err(Failed::into_error)?;
    let problem = problem.map(|problem| match problem {
        Problem::Missing => String::new(),
        Problem::Entry(text) => text,
    });
    let responses = responses.iter().map(|one| PyBytes::new(py, one)).collect();
    Ok((responses, sequence, PyBytes::new(py, &record_hash), committed, problem))
}
