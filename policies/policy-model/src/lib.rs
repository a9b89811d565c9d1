//! The one internal representation of egress policy.
