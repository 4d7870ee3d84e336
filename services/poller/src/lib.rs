//! passereau-poller
