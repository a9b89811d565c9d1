//! The structure, checked.
