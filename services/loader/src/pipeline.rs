//! From the archive to COPY's bytes: one thread inflates, one parses, both ahead of whoever sends.
//!
//! Blocks of text go from the first thread to the second, *frames* of encoded rows from the second to the sender. Both
//! channels are bounded and their buffers go back to be used again, so that memory does not grow with the archive. A
//! sender that stops early drops its end; each thread then ends at its next hand-over.

use std::fs::File;
use std::sync::mpsc as threads;

use passereau_dwca::{Archive, ArchiveError, Block, Blocks, LineProblem, Table, lines};
use passereau_record::{Malformed, RecordWriter, TableKind};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::report::{MalformedRow, SAMPLES};

/// Blocks and frames on their way at once, per channel.
const AHEAD: usize = 4;

/// Bytes a frame aims at.
const FRAME_BYTES: usize = 256 << 10;

/// Encoded rows and what became of the lines they were made from.
#[derive(Debug, Default)]
pub struct Frame {
    /// Rows in COPY's binary format, without header and trailer.
    pub bytes: Vec<u8>,
    /// Lines that were read.
    pub read: u64,
    /// Rows that were encoded.
    pub rows: u64,
    /// Rows that are malformed.
    pub malformed: u64,
    /// The first of them.
    pub samples: Vec<MalformedRow>,
    /// Unreadable values by column.
    pub unreadable: Vec<(&'static str, u64)>,
}

/// The two threads at work on one table.
pub struct Pipeline {
    frames: mpsc::Receiver<Result<Frame, ArchiveError>>,
    spare: threads::Sender<Vec<u8>>,
    inflating: JoinHandle<Archive<File>>,
    parsing: JoinHandle<()>,
}

/// Text on its way to the parser.
type Text = Result<(Block, Vec<u8>), ArchiveError>;

impl Pipeline {
    /// Starts on the table's rows after `skip` of them.
    pub fn start(mut archive: Archive<File>, kind: TableKind, table: Table, max_line_bytes: usize, skip: u64) -> Self {
        let (text_out, text_in) = threads::sync_channel::<Text>(AHEAD);
        let (text_spare_out, text_spare_in) = threads::channel();
        let (frames_out, frames) = mpsc::channel(AHEAD);
        let (spare, spare_in) = threads::channel();
        let writer = RecordWriter::new(kind, &table, max_line_bytes);
        let inflating = tokio::task::spawn_blocking(move || {
            if let Err(error) = inflate(&mut archive, &table, skip, &text_out, &text_spare_in) {
                // A parser that stopped wants no error.
                text_out.send(Err(error)).unwrap_or_default();
            }
            archive
        });
        let parsing = tokio::task::spawn_blocking(move || {
            let mut parser =
                Parser { writer, kind, frame: Frame::default(), trusted: false, frames: frames_out, spare: spare_in };
            if parser.run(&text_in, &text_spare_out).is_none() {
                tracing::debug!("the sender stopped before the end of the table");
            }
        });
        Self { frames, spare, inflating, parsing }
    }

    /// The next frame; nothing after the last.
    pub async fn next(&mut self) -> Option<Result<Frame, ArchiveError>> {
        self.frames.recv().await
    }

    /// Gives a frame's buffer back.
    pub fn recycle(&self, mut bytes: Vec<u8>) {
        bytes.clear();
        // The parser may have ended: then nobody needs it.
        self.spare.send(bytes).unwrap_or_default();
    }

    /// Stops both threads and gives the archive back. Fails only when a thread panicked.
    pub async fn stop(self) -> Result<Archive<File>, tokio::task::JoinError> {
        drop(self.frames);
        self.parsing.await?;
        self.inflating.await
    }
}

fn inflate(
    archive: &mut Archive<File>,
    table: &Table,
    skip: u64,
    out: &threads::SyncSender<Text>,
    spare: &threads::Receiver<Vec<u8>>,
) -> Result<(), ArchiveError> {
    let mut blocks: Blocks<_> = archive.rows(table)?;
    blocks.skip_lines(skip)?;
    loop {
        let mut buffer = spare.try_recv().unwrap_or_default();
        let Some(block) = blocks.next_block(&mut buffer)? else { return Ok(()) };
        if out.send(Ok((block, buffer))).is_err() {
            return Ok(());
        }
    }
}

struct Parser {
    writer: RecordWriter,
    kind: TableKind,
    frame: Frame,
    trusted: bool,
    frames: mpsc::Sender<Result<Frame, ArchiveError>>,
    spare: threads::Receiver<Vec<u8>>,
}

impl Parser {
    /// Parses until the text ends; nothing when the sender stopped first.
    fn run(&mut self, text: &threads::Receiver<Text>, spare: &threads::Sender<Vec<u8>>) -> Option<()> {
        for next in text {
            let (block, buffer) = match next {
                Ok(next) => next,
                Err(error) => return self.frames.blocking_send(Err(error)).ok(),
            };
            match block {
                Block::Lines { first_line } => {
                    for (number, line) in (first_line..).zip(lines(&buffer)) {
                        self.line(number, line);
                        if self.frame.bytes.len() >= FRAME_BYTES {
                            self.flush()?;
                        }
                    }
                }
                Block::TooLong { line } => {
                    self.malformed(
                        line,
                        &Malformed::Line(LineProblem::TooLong { limit: self.writer.max_line_bytes() }),
                    );
                }
            }
            // The inflating thread may have ended: then nobody needs the buffer.
            spare.send(buffer).unwrap_or_default();
        }
        self.flush()
    }

    fn line(&mut self, number: u64, line: &[u8]) {
        match self.writer.write(line, &mut self.frame.bytes) {
            Ok(()) => {
                self.frame.read += 1;
                self.frame.rows += 1;
            }
            Err(problem) => self.malformed(number, &problem),
        }
    }

    fn malformed(&mut self, line: u64, problem: &Malformed) {
        self.frame.read += 1;
        self.frame.malformed += 1;
        if self.frame.samples.len() < SAMPLES {
            self.frame.samples.push(MalformedRow { line, reason: problem.to_string() });
        }
    }

    fn flush(&mut self) -> Option<()> {
        if !self.trusted && self.kind == TableKind::Occurrence {
            if let Some(problem) = self.writer.trust().problem() {
                let (entry, reason) = ("occurrence.txt".to_owned(), problem.to_owned());
                return self.frames.blocking_send(Err(ArchiveError::Layout { entry, line: 1, reason })).ok().and(None);
            }
            self.trusted = true;
        }
        // A frame of nothing would look like progress to whoever counts frames against a deadline.
        if self.frame.read == 0 {
            return Some(());
        }
        self.frame.unreadable = self.writer.take_unreadable();
        let bytes = self.spare.try_recv().unwrap_or_default();
        let frame = std::mem::replace(&mut self.frame, Frame { bytes, ..Frame::default() });
        self.frames.blocking_send(Ok(frame)).ok()
    }
}
