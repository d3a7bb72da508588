//! The tree that checkpoints of the audit log sign, as a value: growing it makes another one.
use fairlead_seal::{Frontier, Hash, Tree as SealedTree};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::error::DoesNotFit;

/// See `fairlead_seal::Tree`.
#[pyclass(frozen, module = "fairlead._native")]
pub struct Tree(pub SealedTree);

#[pymethods]
impl Tree {
    #[new]
    #[pyo3(signature = (size = 0, frontier = Vec::new(), head = fairlead_seal::GENESIS, record_bytes = 0))]
    fn new(size: u64, frontier: Vec<PyBackedBytes>, head: Hash, record_bytes: u64) -> PyResult<Self> {
        let hashes: Result<Vec<Hash>, _> = frontier.iter().map(|hash| Hash::try_from(hash.as_ref())).collect();
        let frontier = hashes.ok().and_then(|hashes| Frontier::of(size, hashes));
        let frontier =
            frontier.ok_or_else(|| DoesNotFit::new_err("the hashes are none of a Merkle tree of that size"))?;
        Ok(Self(SealedTree::at(frontier, head, record_bytes)))
    }

    #[getter]
    fn size(&self) -> u64 {
        self.0.size()
    }

    #[getter]
    fn frontier<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let hashes = self.0.frontier().hashes().iter();
        hashes.map(|hash| PyBytes::new(py, hash)).collect()
    }

    #[getter]
    fn root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.frontier().root())
    }

    #[getter]
    fn head<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.head())
    }

    #[getter]
    fn record_bytes(&self) -> u64 {
        self.0.record_bytes()
    }

    #[getter]
    fn leaves<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.leaves().as_flattened())
    }

    #[getter]
    fn tiles<'py>(&self, py: Python<'py>) -> Vec<(u64, Bound<'py, PyBytes>)> {
        let tiles = self.0.tiles().iter();
        tiles.map(|(number, root)| (*number, PyBytes::new(py, root))).collect()
    }

    fn settled(&self) -> Self {
        Self(self.0.settled())
    }

    fn grown(&self, py: Python<'_>, records: Vec<(PyBackedBytes, PyBackedBytes)>) -> PyResult<Self> {
        let grown = py.detach(|| {
            let mut tree = self.0.clone();
            for (key, value) in &records {
                let sequence = <[u8; 8]>::try_from(key.as_ref())
                    .map_err(|_| format!("a key of the audit log has {} bytes instead of 8", key.len()))?;
                tree.append(u64::from_be_bytes(sequence), value)
                    .map_err(|error| error.0)?;
            }
            Ok(tree)
        });
        // The references are given back here, attached.
        drop(records);
        grown.map(Self).map_err(|problem: String| DoesNotFit::new_err(problem))
    }
}
