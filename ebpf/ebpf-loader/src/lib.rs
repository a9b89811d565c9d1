//! Loads, fills and watches the kernel programs.
