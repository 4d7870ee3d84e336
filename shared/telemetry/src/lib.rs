//! passereau-telemetry
