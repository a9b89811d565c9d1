//! Which addresses stand for a name, and for how long.
