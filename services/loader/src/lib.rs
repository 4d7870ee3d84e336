//! passereau-loader
