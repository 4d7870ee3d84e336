//! PostgreSQL's binary COPY format, as far as the loader writes it.
//!
//! A value is its length in bytes (four bytes, big-endian, -1 for NULL) and its bytes; a row starts with its number of
//! values. Source: <https://www.postgresql.org/docs/current/sql-copy.html>, "Binary Format".

/// What a stream starts with: signature, no flags, no extension.
pub const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What a stream ends with.
pub const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// Starts a row of `values` values.
#[inline]
pub fn row(out: &mut Vec<u8>, values: u16) {
    out.extend_from_slice(&values.to_be_bytes());
}

/// NULL.
#[inline]
pub fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i32).to_be_bytes());
}

/// A `text`, or NULL when it is empty.
#[inline]
pub fn text(out: &mut Vec<u8>, value: &str) {
    match u32::try_from(value.len()) {
        Ok(0) => null(out),
        Ok(length) => {
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(value.as_bytes());
        }
        // Lines are limited to far less than 4 GiB.
        Err(_) => null(out),
    }
}

/// An `integer`.
#[inline]
pub fn integer(out: &mut Vec<u8>, value: i32) {
    fixed(out, value.to_be_bytes());
}

/// A `bigint`.
#[inline]
pub fn bigint(out: &mut Vec<u8>, value: i64) {
    fixed(out, value.to_be_bytes());
}

/// A `double precision`.
#[inline]
pub fn double(out: &mut Vec<u8>, value: f64) {
    fixed(out, value.to_be_bytes());
}

/// A `uuid`.
#[inline]
pub fn uuid(out: &mut Vec<u8>, value: [u8; 16]) {
    fixed(out, value);
}

/// A `timestamp` or `timestamptz`, in microseconds since 2000-01-01 00:00.
#[inline]
pub fn timestamp(out: &mut Vec<u8>, micros: i64) {
    bigint(out, micros);
}

#[inline]
fn fixed<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    out.extend_from_slice(&(N as u32).to_be_bytes());
    out.extend_from_slice(&bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_documented_bytes() {
        let mut out = Vec::new();
        row(&mut out, 4);
        null(&mut out);
        text(&mut out, "é");
        text(&mut out, "");
        integer(&mut out, -2);
        assert_eq!(
            out,
            [0, 4, 255, 255, 255, 255, 0, 0, 0, 2, 0xc3, 0xa9, 255, 255, 255, 255, 0, 0, 0, 4, 255, 255, 255, 254]
        );
        out.clear();
        double(&mut out, 1.5);
        assert_eq!(out, [0, 0, 0, 8, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]);
        assert_eq!(HEADER.len(), 11 + 4 + 4);
        assert_eq!(TRAILER, [255, 255]);
    }
}
