//! The verbs that answer, through the program, and golden files of what policies become.
#![expect(clippy::print_stdout, reason = "a test says what is wrong and fails")]

mod diff;
mod facts;
mod golden;
mod shell;
mod verbs;
