//! Policy test files: the verdict suite's format.
