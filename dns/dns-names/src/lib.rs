//! DNS names, name patterns and message views.
