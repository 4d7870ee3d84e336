//! The compressed file beside a text: RFC 1952 without name and time, so that the same bytes make the same file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use flate2::{Compression, GzBuilder};

use crate::FormatError;
use crate::writer::{BUFFER_BYTES, create_buffered};

/// Compresses a file into another, which is overwritten, for as long as it may go on.
///
/// # Errors
/// [`FormatError::Io`] for either file, and when it may not go on.
pub fn gzip(from: &Path, to: &Path, may_go_on: impl Fn() -> bool) -> Result<(), FormatError> {
    let reading = |source| FormatError::Io { doing: "compressing", path: from.to_owned(), source };
    let writing = |source| FormatError::Io { doing: "writing", path: to.to_owned(), source };
    let mut source = BufReader::with_capacity(BUFFER_BYTES, File::open(from).map_err(reading)?);
    // GzBuilder's own defaults: time 0, no name, system 255 (unknown).
    let mut encoder = GzBuilder::new().write(create_buffered(to)?, Compression::default());
    loop {
        if !may_go_on() {
            return Err(reading(io::Error::other("it was stopped")));
        }
        let block = source.fill_buf().map_err(reading)?;
        if block.is_empty() {
            break;
        }
        let read = block.len();
        encoder.write_all(block).map_err(writing)?;
        source.consume(read);
    }
    let mut file: BufWriter<File> = encoder.finish().map_err(writing)?;
    file.flush().map_err(writing)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_same_text_makes_the_same_bytes_under_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let text = "id;nom\r\n1;Pinson\r\n".repeat(10_000);
        let mut made = Vec::new();
        for name in ["a.csv", "b.csv"] {
            let from = folder.path().join(name);
            let to = folder.path().join(format!("{name}.gz"));
            std::fs::write(&from, &text).unwrap();
            gzip(&from, &to, || true).unwrap();
            made.push(std::fs::read(&to).unwrap());
        }
        assert_eq!(made[0], made[1]);
        // Flags, time and system of RFC 1952, section 2.3.
        assert_eq!((made[0][3], &made[0][4..8], made[0][9]), (0, &[0; 4][..], 255));
        let mut read = String::new();
        flate2::read::GzDecoder::new(&made[0][..]).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
        let missing = gzip(&folder.path().join("none"), &folder.path().join("none.gz"), || true).unwrap_err();
        assert!(missing.to_string().starts_with("compressing "), "{missing}");
        let stopped = gzip(&folder.path().join("a.csv"), &folder.path().join("c.gz"), || false).unwrap_err();
        let why = std::error::Error::source(&stopped).map(ToString::to_string);
        assert_eq!(why.as_deref(), Some("it was stopped"), "{stopped}");
    }
}
