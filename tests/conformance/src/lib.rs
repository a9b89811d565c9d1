//! One verdict suite, many engines.
