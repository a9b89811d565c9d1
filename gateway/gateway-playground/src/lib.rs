//! A small internet in network namespaces.
