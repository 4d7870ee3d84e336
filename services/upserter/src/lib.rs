//! passereau-upserter
