//! The migrations lie outside of this crate: cargo does not see by itself that a file of theirs is new or gone. A file that is changed it sees, since each is
//! included by name.

fn main() {
    for folder in ["state", "functions", "adoption"] {
        println!("cargo:rerun-if-changed=../../migrations/{folder}");
    }
}
