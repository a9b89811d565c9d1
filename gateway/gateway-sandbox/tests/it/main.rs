//! Each wall, and a command that tries to get around it. Needs root; without it the tests pass unseen, unless `CI` is
//! set: then they fail.

mod held;
mod status;
