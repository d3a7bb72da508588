//! Fairlead pyext.
