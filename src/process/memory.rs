//! Files that exist in memory only.
//!
//! Guarantees: nothing of them is on disk, and they are gone with the last process that holds them.
//! Does not: keep them from being written to swap.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use nix::sys::memfd::{MFdFlags, memfd_create};

/// An anonymous file. It isn't inherited by children unless it is made one of their standard streams.
#[derive(Debug)]
pub struct Memory(File);

impl Memory {
    /// `name` only shows in `/proc/PID/fd`.
    pub fn new(name: &str) -> io::Result<Self> {
        let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC)?;
        Ok(Self(File::from(fd)))
    }

    /// One that holds these bytes, for a child to read from the first on.
    pub fn of(name: &str, bytes: &[u8]) -> io::Result<Self> {
        let memory = Self::new(name)?;
        memory.0.write_all_at(bytes, 0)?;
        Ok(memory)
    }

    /// A further handle, for a child's standard stream. It shares the position in the file, which
    /// reading here doesn't move.
    pub fn share(&self) -> io::Result<File> {
        self.0.try_clone()
    }

    /// In bytes.
    pub fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// What was written from `offset` on, at most `most` bytes of it.
    pub fn read_from(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.len()?.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; left.min(most)];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.0.read_at(&mut bytes[filled..], offset + filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// All of it.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        self.read_from(0, usize::MAX)
    }
}

/// Follows a growing [`Memory`] line by line.
#[derive(Debug, Default)]
pub struct Lines {
    offset: u64,
    rest: Vec<u8>,
}

/// A line that never ends is handed on in pieces of this size.
const LONGEST: usize = 16 << 20;
const AT_ONCE: usize = 1 << 20;

impl Lines {
    /// Hands each line that was completed since the last call to `line`, without its end.
    pub fn follow(&mut self, memory: &Memory, line: &mut (impl FnMut(&str) + ?Sized)) -> io::Result<()> {
        loop {
            let new = memory.read_from(self.offset, AT_ONCE)?;
            if new.is_empty() {
                return Ok(());
            }
            self.offset += new.len() as u64;
            for piece in new.split_inclusive(|&byte| byte == b'\n') {
                self.rest.extend_from_slice(piece);
                if piece.ends_with(b"\n") || self.rest.len() >= LONGEST {
                    self.flush(line);
                }
            }
        }
    }

    /// As [`Lines::follow`], for a file that doesn't grow any more: an unended last line counts.
    pub fn finish(&mut self, memory: &Memory, line: &mut (impl FnMut(&str) + ?Sized)) -> io::Result<()> {
        self.follow(memory, line)?;
        if !self.rest.is_empty() {
            self.flush(line);
        }
        Ok(())
    }

    fn flush(&mut self, line: &mut (impl FnMut(&str) + ?Sized)) {
        let text = String::from_utf8_lossy(&self.rest);
        line(text.trim_end_matches(['\n', '\r']));
        self.rest.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    proptest! {
        #[test]
        fn lines_come_once_and_whole(text in "[a\u{fc}\n]{0,30}", cuts in proptest::collection::vec(0usize..5, 0..20)) {
            let memory = Memory::new("test").unwrap();
            let mut writer = memory.share().unwrap();
            let mut lines = Lines::default();
            let mut seen: Vec<String> = Vec::new();
            let mut left = text.as_bytes();
            for cut in cuts {
                let (now, later) = left.split_at(cut.min(left.len()));
                writer.write_all(now).unwrap();
                lines.follow(&memory, &mut |line: &str| seen.push(line.to_owned())).unwrap();
                left = later;
            }
            writer.write_all(left).unwrap();
            lines.finish(&memory, &mut |line: &str| seen.push(line.to_owned())).unwrap();
            prop_assert_eq!(seen, text.lines().collect::<Vec<_>>());
            prop_assert_eq!(memory.bytes().unwrap(), text.as_bytes());
        }
    }
}
