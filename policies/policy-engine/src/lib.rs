//! Compile, decide, explain.
