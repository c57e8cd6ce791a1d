//! Frames out of a stream's bytes.

use hansho_model::FrameFault;

use crate::FrameError;

/// Longest frame, in bytes, without its length.
pub const FRAME_SIZE_MAX: usize = 4_096;
/// Bytes of a frame's length.
const LENGTH_SIZE: usize = 4;

/// A frame of these bytes.
#[must_use]
pub fn frame(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), content].concat()
}

/// Cuts a stream's bytes into frames.
#[derive(Debug, Default)]
pub struct Frames {
    held: Vec<u8>,
}

impl Frames {
    /// More bytes came.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next whole frame, without its length.
    ///
    /// # Errors
    ///
    /// A frame that says it is empty or longer than [`FRAME_SIZE_MAX`]: the stream is over, as
    /// nobody knows where the next one begins.
    pub fn take(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let Some((length, rest)) = self.held.split_first_chunk::<LENGTH_SIZE>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if !(1..=FRAME_SIZE_MAX).contains(&length) {
            let hint = "a frame is a length of 1 to 4,096 (4 bytes) and so many bytes of JSON";
            return Err(FrameError::new(FrameFault::TooLong, hint, true));
        }
        let Some(content) = rest.get(..length) else { return Ok(None) };
        let content = content.to_vec();
        self.held.drain(..LENGTH_SIZE.saturating_add(length));
        Ok(Some(content))
    }

    /// Whether a part of a frame waits for its rest.
    #[must_use]
    pub const fn is_unfinished(&self) -> bool {
        !self.held.is_empty()
    }
}
