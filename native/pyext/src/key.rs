//! Keys of checkpoints.
use fairlead_seal::SigningKey as SealingKey;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// See `fairlead_seal::SigningKey`.
#[pyclass(frozen, module = "fairlead._native")]
pub struct SigningKey(SealingKey);

#[pymethods]
impl SigningKey {
    #[new]
    fn new(pem: &str) -> PyResult<Self> {
        SealingKey::from_pem(pem)
            .map(Self)
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    #[getter]
    fn public<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.public())
    }

    fn sign<'py>(&self, py: Python<'py>, text: &[u8]) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.sign(text))
    }
}

/// See `fairlead_seal::is_signed`.
#[pyfunction]
pub fn is_signed(public: &[u8], text: &[u8], signature: &[u8]) -> bool {
    fairlead_seal::is_signed(public, text, signature)
}
