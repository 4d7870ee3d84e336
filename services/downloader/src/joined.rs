//! The parts read as the one file that they are, without making a copy of it.
//!
//! The check wants to read from any place (a zip is read from its end), publishing wants every byte in order. Both run on a blocking
//! thread, which nobody can stop from outside: so each read asks first whether the delivery has to end ([`FetchError::TimeUp`]).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use passereau_http::Bytes;
use passereau_store::{Store, StoreError};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::error::FetchError;
use crate::fetch::{Until, part_key};
use crate::parts::{Cutting, Part};

/// Bytes read at once when everything is read in order.
const BLOCK_BYTES: usize = 1 << 20;

/// A file in parts, open for reading. Reading is for blocking threads: a part is opened with the runtime's help.
#[derive(Debug)]
pub struct Joined {
    store: Store,
    harvest_id: Uuid,
    cutting: Cutting,
    until: Until,
    doing: &'static str,
    runtime: Handle,
    at: u64,
    open: Option<(u64, File)>,
    failure: Option<FetchError>,
}

impl Joined {
    /// The parts of a harvest whose file is whole. `doing` names in an error what they are read for. Called within a runtime.
    #[must_use]
    pub fn new(store: &Store, harvest_id: Uuid, cutting: Cutting, until: &Until, doing: &'static str) -> Self {
        Self {
            store: store.clone(),
            harvest_id,
            cutting,
            until: until.clone(),
            doing,
            runtime: Handle::current(),
            at: 0,
            open: None,
            failure: None,
        }
    }

    /// Why reading failed, if it did. A reader in between may have made another error of it, such as one of a damaged zip.
    pub(crate) fn take_failure(&mut self) -> Option<FetchError> {
        self.failure.take()
    }

    /// The next bytes; none at the end.
    pub(crate) fn block(&mut self) -> Result<Bytes, FetchError> {
        let mut block = vec![0; BLOCK_BYTES];
        let read = self.fill(&mut block)?;
        block.truncate(read);
        Ok(block.into())
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, FetchError> {
        if self.until.over() {
            return Err(FetchError::TimeUp { doing: self.doing });
        }
        let Some(part) = self.cutting.part(self.at / self.cutting.part_bytes.max(1)) else { return Ok(0) };
        let left = (part.last + 1).saturating_sub(self.at);
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let key = part_key(self.harvest_id, part.number)?;
        let at = self.at - part.first;
        let read = match self.file(part)?.read_at(&mut buffer[..wanted], at) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the part is shorter than it was")),
            other => other,
        };
        let read = read.map_err(|source| StoreError::Unreadable { key, source })?;
        self.at += read as u64;
        Ok(read)
    }

    fn file(&mut self, part: Part) -> Result<&File, FetchError> {
        let open = match self.open.take() {
            Some(open) if open.0 == part.number => open,
            _ => {
                let key = part_key(self.harvest_id, part.number)?;
                (part.number, self.runtime.block_on(self.store.open_seekable(&key))?)
            }
        };
        Ok(&self.open.insert(open).1)
    }
}

impl Read for Joined {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill(buffer).map_err(|failure| {
            let text = failure.to_string();
            self.failure = Some(failure);
            io::Error::other(text)
        })
    }
}

impl Seek for Joined {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.cutting.size_bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a place before the file"))?;
        Ok(self.at)
    }
}
