//! How fields become bytes that are hashed: no two different rows give the same bytes.
//!
//! A field is a presence byte, 0 for NULL and 1 else, and for the latter the length in eight bytes,
//! the highest first, and the bytes. Numbers are eight bytes in two's complement, the highest first.
//! A list is a presence byte of 2, the number of its elements, and each as a field.

use sha2::{Digest, Sha256};

/// Where encoded bytes go.
pub trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for Sha256 {
    fn put(&mut self, bytes: &[u8]) {
        Digest::update(self, bytes);
    }
}

pub struct Encoder<S>(S);

impl<S: Sink> Encoder<S> {
    /// `domain` says what is encoded, so that the bytes of one thing are never those of another.
    pub fn new(sink: S, domain: &str) -> Self {
        let mut encoder = Self(sink);
        encoder.bytes(domain.as_bytes());
        encoder
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.put(&[1]);
        self.0.put(&(bytes.len() as u64).to_be_bytes());
        self.0.put(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub fn optional_text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.null(),
        }
    }

    pub fn int(&mut self, number: i64) {
        self.bytes(&number.to_be_bytes());
    }

    pub fn optional_int(&mut self, number: Option<i64>) {
        match number {
            Some(number) => self.int(number),
            None => self.null(),
        }
    }

    pub fn unsigned(&mut self, number: u64) {
        self.bytes(&number.to_be_bytes());
    }

    pub fn flag(&mut self, flag: bool) {
        self.bytes(&[u8::from(flag)]);
    }

    pub fn null(&mut self) {
        self.0.put(&[0]);
    }

    /// Its elements are to follow.
    pub fn list(&mut self, count: usize) {
        self.0.put(&[2]);
        self.0.put(&(count as u64).to_be_bytes());
    }

    pub fn finish(self) -> S {
        self.0
    }
}
