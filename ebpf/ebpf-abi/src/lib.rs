//! Rows and keys shared by kernel and user space.
