//! One file for each verb.

pub mod dead;
pub mod harvest;
pub mod install;
pub mod migrate;
pub mod topology;
pub mod up;
