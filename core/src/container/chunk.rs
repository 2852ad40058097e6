//! Chunks: a stream of bytes as a sequence of authenticated pieces.

use std::io::{self, ErrorKind, Read, Write};

use aes_gcm::{AeadInOut, Aes256Gcm};
use sha2::{Digest, Sha256};

use super::envelope::ENVELOPE_LEN;
use super::error::ContainerError;
use super::header::EncodedHeader;
use super::keys::{DataKey, NONCE_LEN, Purpose, TAG_LEN, cipher};

const LENGTH_LEN: usize = 4;

/// What is known of a file when all of it went by.
pub(super) struct Totals {
    pub(super) bytes: u64,
    pub(super) sha256: [u8; 32],
    pub(super) body_sha256: [u8; 32],
}

/// Hashes of the file and of its body.
struct Tally {
    bytes: u64,
    file: Sha256,
    body: Sha256,
}

impl Tally {
    fn new(envelope: &[u8; ENVELOPE_LEN]) -> Self {
        Self {
            bytes: ENVELOPE_LEN as u64,
            file: Sha256::new_with_prefix(envelope),
            body: Sha256::new(),
        }
    }

    fn add(&mut self, body: &[u8]) {
        self.bytes += body.len() as u64;
        // In pieces that stay in the nearest cache for the second hash.
        for piece in body.chunks(16 * 1024) {
            self.file.update(piece);
            self.body.update(piece);
        }
    }

    fn totals(&self) -> Totals {
        Totals {
            bytes: self.bytes,
            sha256: self.file.clone().finalize().into(),
            body_sha256: self.body.clone().finalize().into(),
        }
    }
}

/// Encrypts chunks, or decrypts them.
struct ChunkCipher {
    cipher: Aes256Gcm,
    header_hash: [u8; 32],
    next_index: u64,
}

impl ChunkCipher {
    fn new(data_key: &DataKey, header: &EncodedHeader) -> Result<Self, ContainerError> {
        Ok(Self {
            cipher: cipher(&data_key.subkey(Purpose::Chunks)?),
            header_hash: header.hash,
            next_index: 0,
        })
    }

    /// The nonce and the associated data of the next chunk. No index comes twice.
    fn advance(&mut self, last: bool) -> Result<([u8; NONCE_LEN], [u8; 41]), ContainerError> {
        let index = self.next_index.to_be_bytes();
        self.next_index = self
            .next_index
            .checked_add(1)
            .ok_or(ContainerError::Damaged)?;
        let mut nonce = [0; NONCE_LEN];
        nonce[NONCE_LEN - 8..].copy_from_slice(&index);
        let mut associated_data = [0; 41];
        associated_data[..32].copy_from_slice(&self.header_hash);
        associated_data[32..40].copy_from_slice(&index);
        associated_data[40] = last.into();
        Ok((nonce, associated_data))
    }

    fn seal(&mut self, text: &mut [u8], last: bool) -> Result<[u8; TAG_LEN], ContainerError> {
        let (nonce, associated_data) = self.advance(last)?;
        self.cipher
            .encrypt_inout_detached((&nonce).into(), &associated_data, text.into())
            .map(Into::into)
            .map_err(|_| ContainerError::Damaged)
    }

    fn open(&mut self, text: &mut [u8], tag: &[u8], last: bool) -> Result<(), ContainerError> {
        let (nonce, associated_data) = self.advance(last)?;
        let tag = tag.try_into().map_err(|_| ContainerError::Damaged)?;
        self.cipher
            .decrypt_inout_detached((&nonce).into(), &associated_data, text.into(), tag)
            .map_err(|_| ContainerError::Damaged)
    }
}

pub(super) struct ChunkWriter<W> {
    output: W,
    cipher: ChunkCipher,
    /// Room for the length, then plaintext of the next chunk.
    buffer: Vec<u8>,
    full: usize,
    tally: Tally,
    failed: bool,
}

impl<W: Write> ChunkWriter<W> {
    /// Writes the envelope and the header.
    pub(super) fn new(
        mut output: W,
        envelope: &[u8; ENVELOPE_LEN],
        header: &EncodedHeader,
        chunk_size: u32,
        data_key: &DataKey,
    ) -> Result<Self, ContainerError> {
        let mut tally = Tally::new(envelope);
        output.write_all(envelope)?;
        for part in [&header.bytes[..], &header.tag] {
            output.write_all(part)?;
            tally.add(part);
        }
        let full = LENGTH_LEN + chunk_size as usize;
        let mut buffer = Vec::with_capacity(full + TAG_LEN);
        buffer.extend([0; LENGTH_LEN]);
        Ok(Self {
            output,
            cipher: ChunkCipher::new(data_key, header)?,
            buffer,
            full,
            tally,
            failed: false,
        })
    }

    pub(super) fn write(&mut self, mut data: &[u8]) -> Result<(), ContainerError> {
        self.expect_sound()?;
        while !data.is_empty() {
            if self.buffer.len() == self.full {
                self.emit(false)?;
            }
            let (now, later) = data.split_at(data.len().min(self.full - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            data = later;
        }
        Ok(())
    }

    /// Writes the last chunk.
    pub(super) fn finish(mut self) -> Result<(W, Totals), ContainerError> {
        self.expect_sound()?;
        self.emit(true)?;
        self.output.flush()?;
        Ok((self.output, self.tally.totals()))
    }

    pub(super) fn output(&mut self) -> &mut W {
        &mut self.output
    }

    /// From now on nothing is written.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    /// After a failure nothing more is written: the chunk is encrypted already, and a second time
    /// would undo that.
    fn expect_sound(&self) -> Result<(), ContainerError> {
        match self.failed {
            true => Err(io::Error::other("writing this backup has failed before").into()),
            false => Ok(()),
        }
    }

    fn emit(&mut self, last: bool) -> Result<(), ContainerError> {
        self.failed = true;
        let (length, text) = self.buffer.split_at_mut(LENGTH_LEN);
        let tag = self.cipher.seal(text, last)?;
        length.copy_from_slice(&((text.len() + TAG_LEN) as u32).to_be_bytes());
        self.buffer.extend(tag);
        self.output.write_all(&self.buffer)?;
        self.tally.add(&self.buffer);
        self.buffer.truncate(LENGTH_LEN);
        self.failed = false;
        Ok(())
    }
}

pub(super) struct ChunkReader<R> {
    input: R,
    cipher: ChunkCipher,
    chunk_size: usize,
    /// A chunk and the length of the next one.
    buffer: Vec<u8>,
    /// The length of the next chunk; none after the last.
    next_len: Option<[u8; LENGTH_LEN]>,
    /// The bytes of `buffer` that are plaintext and were not taken yet.
    start: usize,
    end: usize,
    tally: Tally,
}

impl<R: Read> ChunkReader<R> {
    /// Goes on behind the header, which must be authentic.
    pub(super) fn new(
        mut input: R,
        envelope: &[u8; ENVELOPE_LEN],
        header: &EncodedHeader,
        chunk_size: u32,
        data_key: &DataKey,
    ) -> Result<Self, ContainerError> {
        let mut tally = Tally::new(envelope);
        let mut length = [0; LENGTH_LEN];
        if fill(&mut input, &mut length)? < LENGTH_LEN {
            return Err(ContainerError::Damaged);
        }
        for part in [&header.bytes[..], &header.tag, &length] {
            tally.add(part);
        }
        Ok(Self {
            input,
            cipher: ChunkCipher::new(data_key, header)?,
            chunk_size: chunk_size as usize,
            buffer: vec![0; chunk_size as usize + TAG_LEN + LENGTH_LEN],
            next_len: Some(length),
            start: 0,
            end: 0,
            tally,
        })
    }

    /// Authentic plaintext that was not taken yet.
    pub(super) fn available(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn take(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.start;
        self.start = self.end.min(start + length);
        start..self.start
    }

    pub(super) fn bytes(&self, range: std::ops::Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.available() == 0 && self.next_len.is_none()
    }

    pub(super) fn totals(&self) -> Totals {
        self.tally.totals()
    }

    /// Replaces the plaintext, all of which must have been taken, by the next chunk's.
    pub(super) fn advance(&mut self) -> Result<(), ContainerError> {
        let length = self.next_len.take().ok_or(ContainerError::Damaged)?;
        let length = u32::from_be_bytes(length) as usize;
        if !(TAG_LEN..=self.chunk_size + TAG_LEN).contains(&length) {
            return Err(ContainerError::Damaged);
        }
        let read = fill(&mut self.input, &mut self.buffer[..length + LENGTH_LEN])?;
        self.tally.add(&self.buffer[..read]);
        let last = match read.checked_sub(length) {
            Some(0) => true,
            Some(LENGTH_LEN) => false,
            _ => return Err(ContainerError::Damaged),
        };
        let (chunk, next) = self.buffer.split_at_mut(length);
        if !last {
            self.next_len = next.first_chunk().copied();
        }
        let (text, tag) = chunk.split_at_mut(length - TAG_LEN);
        if !last && text.len() != self.chunk_size {
            return Err(ContainerError::Damaged);
        }
        self.cipher.open(text, tag, last)?;
        (self.start, self.end) = (0, text.len());
        Ok(())
    }
}

/// Reads until `bytes` is full or the input ends; gives how many were read.
pub(super) fn fill(input: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < bytes.len() {
        match input.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
