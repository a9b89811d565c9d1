//! From policy files in their dialects to the model.
