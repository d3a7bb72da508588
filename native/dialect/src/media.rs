//! Pictures and documents inline, and ids of tool calls.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use crate::neutral::{Media, MediaSource};

/// What a URL names: the data itself, or a place. `None`: data that is not in base64.
pub(crate) fn source(url: String) -> Option<MediaSource> {
    let Some(data) = url.strip_prefix("data:") else {
        return Some(MediaSource::Url(url));
    };
    let (head, base64) = data.split_once(',')?;
    let (media_type, encoding) = head.split_once(';')?;
    (encoding.rsplit(';').next() == Some("base64")).then(|| MediaSource::Inline {
        media_type: media_type.to_owned(),
        base64: base64.to_owned(),
    })
}

/// The bytes of a document: a data URL, or bare base64 whose type the file name tells.
pub(crate) fn document(data: String, name: Option<&str>) -> Option<MediaSource> {
    if data.starts_with("data:") {
        return source(data);
    }
    let is_pdf = name.is_some_and(|name| name.to_ascii_lowercase().ends_with(".pdf"));
    is_pdf.then(|| MediaSource::Inline {
        media_type: "application/pdf".to_owned(),
        base64: data,
    })
}

/// A picture or document as OpenAI writes it: the URL, or a data URL. Put together only where it is written, as it can be
/// megabytes.
pub(crate) struct Url<'a>(pub(crate) &'a Media);

impl Serialize for Url<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.source {
            MediaSource::Url(url) => serializer.serialize_str(url),
            MediaSource::Inline { media_type, base64 } => {
                serializer.collect_str(&format_args!("data:{media_type};base64,{base64}"))
            }
        }
    }
}

/// An id of a tool call that a dialect accepts: the same wherever it can be. Another byte than letters, digits, `_` and
/// `-` becomes `-` and its number in hex; an id of more than `longest` bytes keeps its start and ends in a digest of the
/// whole. Calls and results go through here alike, so that they still belong together, in every turn the same.
pub(crate) fn tool_id(id: &str, any_byte: bool, longest: usize) -> Cow<'_, str> {
    let fits = |byte: u8| any_byte || byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let mut written = Cow::Borrowed(id);
    if !id.bytes().all(fits) {
        let mut text = String::with_capacity(id.len());
        for byte in id.bytes() {
            if fits(byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("-{byte:02x}"));
            }
        }
        written = Cow::Owned(text);
    }
    if written.len() <= longest {
        return written;
    }
    // FNV-1a of the id as the client wrote it.
    let digest = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let kept: String = written
        .chars()
        .filter(char::is_ascii)
        .take(longest.saturating_sub(17))
        .collect();
    Cow::Owned(format!("{kept}-{digest:016x}"))
}
