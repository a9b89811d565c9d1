//! The DNS interceptor: listeners, upstreams, cache.
