//! Reading request bodies within limits: size on the wire, size after decompression. Must not parse.

use std::io::Read as _;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use kernel::Category;

/// Why a body could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Over the limit, before or after decompression.
    #[error("the body is larger than {limit} bytes: split it into several requests")]
    TooLarge {
        /// The limit in force.
        limit: usize,
    },
    /// The connection ended within the body.
    #[error("the body ended early: send it again")]
    Cut,
    /// An encoding that is not offered, or damaged data in it.
    #[error("the body's content encoding cannot be read: send it plain or as gzip")]
    Encoding,
}

impl BodyError {
    /// Its row of the category table.
    #[must_use]
    pub const fn category(&self) -> Category {
        match self {
            Self::TooLarge { .. } => Category::TooLarge,
            Self::Cut | Self::Encoding => Category::Invalid,
        }
    }
}

/// Reads a whole body of at most `limit` bytes, also after decompression.
pub async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(BodyError::TooLarge { limit });
    }
    let collected = Limited::new(body, limit).collect().await.map_err(|error| {
        if error.downcast_ref::<LengthLimitError>().is_some() {
            BodyError::TooLarge { limit }
        } else {
            BodyError::Cut
        }
    })?;
    let bytes = collected.to_bytes();
    match headers
        .get(header::CONTENT_ENCODING)
        .map(HeaderValue::as_bytes)
    {
        None | Some(b"identity") => Ok(bytes),
        Some(b"gzip" | b"x-gzip") => inflate(&bytes, limit),
        Some(_) => Err(BodyError::Encoding),
    }
}

fn inflate(compressed: &[u8], limit: usize) -> Result<Bytes, BodyError> {
    let mut plain = Vec::with_capacity(compressed.len().saturating_mul(4).min(limit));
    // One byte more than allowed tells "exactly at the limit" from "over it" without unpacking a bomb.
    let mut reader = flate2::read::GzDecoder::new(compressed).take(limit as u64 + 1);
    reader
        .read_to_end(&mut plain)
        .map_err(|_| BodyError::Encoding)?;
    if plain.len() > limit {
        Err(BodyError::TooLarge { limit })
    } else {
        Ok(Bytes::from(plain))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    async fn reading(
        encoding: Option<&'static str>,
        body: Vec<u8>,
        limit: usize,
    ) -> Result<Bytes, BodyError> {
        let mut headers = HeaderMap::new();
        if let Some(encoding) = encoding {
            headers.insert(header::CONTENT_ENCODING, encoding.parse().unwrap());
        }
        read(&headers, Body::from(body), limit).await
    }

    #[tokio::test]
    async fn limits_hold_before_and_after_decompression() {
        assert_eq!(reading(None, vec![1; 10], 10).await.unwrap().len(), 10);
        assert_eq!(
            reading(None, vec![1; 11], 10).await,
            Err(BodyError::TooLarge { limit: 10 })
        );
        assert_eq!(
            reading(Some("gzip"), gzip(&[7; 1000]), 1000)
                .await
                .unwrap()
                .len(),
            1000
        );
        let bomb = gzip(&vec![0; 10_000_000]);
        assert!(bomb.len() < 20_000);
        assert_eq!(
            reading(Some("gzip"), bomb, 20_000).await,
            Err(BodyError::TooLarge { limit: 20_000 })
        );
        assert_eq!(
            reading(Some("gzip"), b"not gzip".to_vec(), 100).await,
            Err(BodyError::Encoding)
        );
        assert_eq!(
            reading(Some("br"), vec![1], 100).await,
            Err(BodyError::Encoding)
        );
    }
}
