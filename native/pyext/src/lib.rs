//! The Python extension `fairlead._native`: bytes in, bytes out, on one frozen handle, and pure functions beside it.
//!
//! Nothing here decides anything; every method decodes, detaches from the interpreter, calls `fairlead-front`, encodes.
//!
//! Rules that keep the interpreter safe:
//! * No Python object outlives a call, and no thread of the front ever attaches: Rust → Python is pull (`next_batch`).
//! * Everything that can wait (a lock, a commit, a join) runs detached.
//! * A handle belongs to the process that made it: after a fork its threads are gone, so every method refuses.
mod error;
mod events;
mod key;
mod tree;

use std::process;
use std::time::Duration;

use fairlead_front::core::{Core as FrontCore, NewError};
use fairlead_front::options::Options;
use fairlead_front::runtime::Runtime;
use fairlead_front::telemetry;
use fairlead_wire::internal::{Command, EngineConfig, Known, Secrets, SnapshotQuery};
use fairlead_wire::v1::AuditRecord;
use prost::Message;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;

use crate::error::{ClosedError, ConfigError, DoesNotFit, EngineFault, config_error, start_error};
use crate::key::SigningKey;
use crate::tree::Tree;

/// The extension's own allocator: calls allocate on one thread and free on another, which the C library's pays for with
/// locks and consolidation. Python and RocksDB keep theirs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Family, key, and the value or its deletion.
type Write<'py> = (u32, Bound<'py, PyBytes>, Option<Bound<'py, PyBytes>>);
/// Number of the last unit, whether an fsync is asked for, and the writes.
type Batch<'py> = (u64, bool, Vec<Write<'py>>);

/// The engine, its commit queue and the front, as the daemon holds them.
#[pyclass(frozen, module = "fairlead._native")]
struct Core {
    core: FrontCore,
    runtime: Runtime,
    process: u32,
}

#[pymethods]
impl Core {
    #[new]
    fn new(py: Python<'_>, config: PyBackedBytes, secrets: PyBackedBytes) -> PyResult<Self> {
        let core = py.detach(|| {
            telemetry::install();
            let config: EngineConfig = decode("config", &config)?;
            let secrets: Secrets = decode("secrets", &secrets)?;
            FrontCore::new(config, secrets).map_err(Failed::Core)
        });
        let core = match core {
            Ok(core) => core,
            Err(Failed::Core(NewError::Config(violations))) => return Err(config_error(py, &violations)),
            Err(Failed::Core(NewError::Fault(fault)) | Failed::Bytes(fault)) => {
                return Err(EngineFault::new_err(fault));
            }
        };
        Ok(Self {
            runtime: Runtime::new(core.clone()),
            core,
            process: process::id(),
        })
    }

    fn recover(
        &self,
        py: Python<'_>,
        records: Vec<(u32, PyBackedBytes, PyBackedBytes)>,
        last: bool,
        now_unix_nanos: i64,
    ) -> PyResult<()> {
        self.own()?;
        let outcome = py.detach(|| {
            let records = records
                .iter()
                .map(|(family, key, value)| (*family, key.as_ref(), value.as_ref()));
            self.core
                .recover(records, last, fairlead_front::core::UnixNanos(now_unix_nanos))
        });
        // The references are given back here, attached.
        drop(records);
        outcome.map_err(|error| EngineFault::new_err(error.0))
    }

    #[pyo3(signature = (command, now_unix_nanos = None, known = None, wait = true))]
    fn apply<'py>(
        &self,
        py: Python<'py>,
        command: PyBackedBytes,
        now_unix_nanos: Option<i64>,
        known: Option<PyBackedBytes>,
        wait: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.own()?;
        let answer = py.detach(|| {
            let command: Command = decode("command", &command)?;
            let known: Option<Known> = known.as_deref().map(|bytes| decode("known", bytes)).transpose()?;
            let now = now_unix_nanos.map(fairlead_front::core::UnixNanos);
            Ok(self.core.apply(command, now, known.as_ref(), wait).encode_to_vec())
        });
        bytes(py, answer)
    }

    fn next_batch<'py>(&self, py: Python<'py>, max_units: usize, timeout_millis: u64) -> PyResult<Option<Batch<'py>>> {
        self.own()?;
        let batch = py.detach(|| self.core.next_batch(max_units, Duration::from_millis(timeout_millis)));
        let Some(batch) = batch else { return Ok(None) };
        let writes = batch
            .writes
            .iter()
            .map(|write| {
                let value = write.value.as_deref().map(|value| PyBytes::new(py, value));
                (write.family, PyBytes::new(py, &write.key), value)
            })
            .collect();
        Ok(Some((batch.last, batch.power, writes)))
    }

    fn acknowledge(
        &self,
        py: Python<'_>,
        written: u64,
        durable: u64,
        write_micros: u64,
        flush_micros: u64,
    ) -> PyResult<()> {
        self.own()?;
        py.detach(|| {
            let (write, flush) = (Duration::from_micros(write_micros), Duration::from_micros(flush_micros));
            self.core.acknowledge(written, durable, write, flush);
        });
        Ok(())
    }

    fn fail_store(&self, py: Python<'_>, reason: PyBackedStr) -> PyResult<()> {
        self.own()?;
        py.detach(|| self.core.fail_store(&reason));
        Ok(())
    }

    fn grow(&self, py: Python<'_>, tree: &Tree, last: u64) -> PyResult<Tree> {
        self.own()?;
        Ok(py.detach(|| Tree(self.core.grow(&tree.0, last))))
    }

    #[staticmethod]
    fn compile(py: Python<'_>, config: PyBackedBytes) -> PyResult<Vec<(String, String)>> {
        let violations = py.detach(|| decode("config", &config).map(|config| FrontCore::compile(&config)));
        let violations = violations.map_err(Failed::into_error)?;
        Ok(violations
            .into_iter()
            .map(|violation| (violation.path, violation.message))
            .collect())
    }

    fn start(&self, py: Python<'_>, options: Bound<'_, PyAny>) -> PyResult<(u16, u16)> {
        self.own()?;
        let text = match options.extract::<PyBackedStr>() {
            Ok(text) => text.to_string(),
            Err(_) => String::from_utf8(options.extract::<PyBackedBytes>()?.to_vec())?,
        };
        let ports = py.detach(|| {
            let options = Options::parse(&text).map_err(fairlead_front::runtime::StartError::Options)?;
            self.runtime.start(&options)
        });
        ports.map(|ports| (ports.agent, ports.health)).map_err(start_error)
    }

    fn set_serving(&self, serving: bool) -> PyResult<()> {
        self.own()?;
        self.runtime.set_serving(serving);
        Ok(())
    }

    #[pyo3(signature = (query = None))]
    fn snapshot<'py>(&self, py: Python<'py>, query: Option<PyBackedBytes>) -> PyResult<Bound<'py, PyBytes>> {
        self.own()?;
        let snapshot = py.detach(|| {
            let query: SnapshotQuery = decode("query", query.as_deref().unwrap_or_default())?;
            Ok(self.core.query(&query).encode_to_vec())
        });
        bytes(py, snapshot)
    }

    fn shutdown(&self, py: Python<'_>, grace_millis: u64) -> PyResult<bool> {
        self.own()?;
        Ok(py.detach(|| self.runtime.shutdown(Duration::from_millis(grace_millis))))
    }

    #[staticmethod]
    fn recompute<'py>(py: Python<'py>, config: PyBackedBytes, record: PyBackedBytes) -> PyResult<Bound<'py, PyBytes>> {
        let decision = py.detach(|| {
            let config: EngineConfig = decode("config", &config)?;
            let record: AuditRecord = decode("record", &record)?;
            let decision = FrontCore::recompute(&config, &record).map_err(Failed::Bytes)?;
            Ok(decision.encode_to_vec())
        });
        bytes(py, decision)
    }
}

impl Core {
    /// Refuses in a forked child: the front's threads exist in the parent only.
    fn own(&self) -> PyResult<()> {
        if process::id() == self.process {
            return Ok(());
        }
        Err(EngineFault::new_err(
            "this handle belongs to another process: it cannot be used after a fork",
        ))
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // Joining waits for threads that never need the interpreter, so this cannot lock up, but it must not hold others
        // back either. In a forked child there is nothing to join.
        if process::id() == self.process {
            Python::attach(|py| py.detach(|| self.runtime.shutdown(Duration::ZERO)));
        }
    }
}

/// What can go wrong while detached.
enum Failed {
    Bytes(String),
    Core(NewError),
}

impl Failed {
    fn into_error(self) -> PyErr {
        match self {
            Self::Bytes(message) | Self::Core(NewError::Fault(message)) => EngineFault::new_err(message),
            Self::Core(NewError::Config(_)) => ConfigError::new_err("the configuration is not valid"),
        }
    }
}

fn decode<M: Message + Default>(what: &str, bytes: &[u8]) -> Result<M, Failed> {
    M::decode(bytes).map_err(|error| Failed::Bytes(format!("{what} cannot be decoded: {error}")))
}

fn bytes<'py>(py: Python<'py>, outcome: Result<Vec<u8>, Failed>) -> PyResult<Bound<'py, PyBytes>> {
    outcome
        .map(|bytes| PyBytes::new(py, &bytes))
        .map_err(Failed::into_error)
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add_class::<Core>()?;
    module.add_class::<Tree>()?;
    module.add_class::<SigningKey>()?;
    module.add_function(wrap_pyfunction!(key::is_signed, module)?)?;
    module.add_function(wrap_pyfunction!(events::encode_events, module)?)?;
    module.add("ConfigError", py.get_type::<ConfigError>())?;
    module.add("ClosedError", py.get_type::<ClosedError>())?;
    module.add("DoesNotFit", py.get_type::<DoesNotFit>())?;
    module.add("EngineFault", py.get_type::<EngineFault>())?;
    Ok(())
}
