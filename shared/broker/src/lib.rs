//! passereau-broker
