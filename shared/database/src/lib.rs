//! passereau-database
