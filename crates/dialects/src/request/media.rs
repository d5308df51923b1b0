//! Images and PDF documents inside of requests: they have to be what they say they are. A provider that is given a broken
//! one answers with an error that says less, after the whole of it was sent.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::json::Text;
use super::path::Path;
use super::reading::{cannot, decoded, text, wrong};
use crate::wire::Obstacle;

/// An image.
pub(super) enum Image<'a> {
    Base64 { media_type: &'static str, data: Cow<'a, str> },
    Url(Text<'a>),
}

/// Whether bytes begin as a kind of file does.
type Magic = fn(&[u8]) -> bool;

/// The media types that all wires have.
const IMAGES: [(&str, Magic); 4] = [
    ("image/png", |bytes| bytes.starts_with(b"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", |bytes| bytes.starts_with(b"\xff\xd8\xff")),
    ("image/gif", |bytes| bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a")),
    ("image/webp", |bytes| bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP")),
];

/// A PDF file begins within its first kilobyte (Adobe's implementation note to ISO 32000 §7.5.2).
fn is_pdf(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(1024)].windows(5).any(|window| window == b"%PDF-")
}

/// Characters of base64 that are decoded at a time; a multiple of 4.
const CHUNK: usize = 4096;

/// The image behind a URL: a `data:` URL, or one that the provider fetches.
pub(super) fn image_at_url<'a>(path: Path<'_>, value: &'a str) -> Result<Image<'a>, Obstacle> {
    let url = decoded(path, value)?;
    if has_scheme(&url, "https://") || has_scheme(&url, "http://") {
        return Ok(Image::Url(text(path, value)?));
    }
    let (media_type, data) = data_url(path, url)?;
    image_of(path, &media_type, data)
}

/// The image in `data`, which is base64.
pub(super) fn image_of<'a>(path: Path<'_>, media_type: &str, data: Cow<'a, str>) -> Result<Image<'a>, Obstacle> {
    // Not a registered name, and yet what many write.
    let media_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type };
    let Some((media_type, is_such)) = IMAGES.iter().find(|(name, _)| *name == media_type) else {
        return Err(cannot(path, "is not a PNG, JPEG, GIF or WebP image"));
    };
    check(path, &data, *is_such, "is not an image of the type that it says")?;
    Ok(Image::Base64 { media_type, data })
}

/// The PDF document in a `data:` URL, as base64.
pub(super) fn pdf_at_url<'a>(path: Path<'_>, value: &'a str) -> Result<Cow<'a, str>, Obstacle> {
    let (media_type, data) = data_url(path, decoded(path, value)?)?;
    if media_type != "application/pdf" {
        return Err(cannot(path, "is not a PDF document"));
    }
    pdf_of(path, data)
}

/// The PDF document in `data`, which is base64.
pub(super) fn pdf_of<'a>(path: Path<'_>, data: Cow<'a, str>) -> Result<Cow<'a, str>, Obstacle> {
    check(path, &data, is_pdf, "is not a PDF document")?;
    Ok(data)
}

fn has_scheme(url: &str, scheme: &str) -> bool {
    url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

/// Media type and data of a `data:` URL with base64 (RFC 2397).
fn data_url<'a>(path: Path<'_>, url: Cow<'a, str>) -> Result<(String, Cow<'a, str>), Obstacle> {
    if !has_scheme(&url, "data:") {
        return Err(wrong(path, "has to be an http, https or data URL"));
    }
    let Some((head, _)) = url.split_once(',') else {
        return Err(wrong(path, "is a data URL without data"));
    };
    let Some(media) = head["data:".len()..].strip_suffix(";base64") else {
        return Err(wrong(path, "is a data URL that is not in base64"));
    };
    let media_type = media.split(';').next().unwrap_or_default().to_ascii_lowercase();
    let start = head.len() + 1;
    let data = match url {
        Cow::Borrowed(url) => Cow::Borrowed(&url[start..]),
        Cow::Owned(mut url) => {
            url.drain(..start);
            Cow::Owned(url)
        }
    };
    Ok((media_type, data))
}

/// Decodes all of `data` without keeping it, and looks at its first bytes.
fn check(path: Path<'_>, data: &str, is_such: Magic, why: &'static str) -> Result<(), Obstacle> {
    let mut buffer = [0; CHUNK / 4 * 3];
    let mut chunks = data.as_bytes().chunks(CHUNK).enumerate().peekable();
    if chunks.peek().is_none() {
        return Err(wrong(path, "is empty"));
    }
    while let Some((index, chunk)) = chunks.next() {
        // Padding ends the data, so that only the last chunk may have it.
        let ends_early = chunks.peek().is_some() && chunk.ends_with(b"=");
        let Some(length) = STANDARD.decode_slice(chunk, &mut buffer).ok().filter(|_| !ends_early) else {
            return Err(wrong(path, "is not valid base64"));
        };
        if index == 0 && !is_such(&buffer[..length]) {
            return Err(wrong(path, why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(url: &str) -> Result<&'static str, Obstacle> {
        match image_at_url(Path::ROOT.key("url"), &format!("\"{url}\""))? {
            Image::Url(_) => Ok("url"),
            Image::Base64 { media_type, .. } => Ok(media_type),
        }
    }

    #[test]
    fn images_are_what_they_say() {
        let png = STANDARD.encode(b"\x89PNG\r\n\x1a\n and more");
        let jpeg = STANDARD.encode(b"\xff\xd8\xff\xe0");
        let large = STANDARD.encode([&b"GIF89a"[..], &[7; 100_000]].concat());
        type Expected = Result<&'static str, (&'static str, bool)>;
        let table: [(&str, Expected); 14] = [
            (&format!("data:image/png;base64,{png}"), Ok("image/png")),
            (&format!("data:image\\/PNG;base64,{png}"), Ok("image/png")),
            (&format!("data:image/jpg;base64,{jpeg}"), Ok("image/jpeg")),
            (&format!("data:image/webp;q=1;base64,{}", STANDARD.encode(b"RIFF....WEBPVP8 ")), Ok("image/webp")),
            (&format!("data:image/gif;base64,{large}"), Ok("image/gif")),
            ("HTTPS://example.com/a.png", Ok("url")),
            (&format!("data:image/png;base64,{jpeg}"), Err(("is not an image of the type that it says", true))),
            (&format!("data:image/bmp;base64,{jpeg}"), Err(("is not a PNG, JPEG, GIF or WebP image", false))),
            (&format!("data:image/gif;base64,{large}!"), Err(("is not valid base64", true))),
            ("data:image/png;base64,", Err(("is empty", true))),
            ("data:image/png;base64", Err(("is a data URL without data", true))),
            ("data:image/png,abc", Err(("is a data URL that is not in base64", true))),
            ("file:///etc/passwd", Err(("has to be an http, https or data URL", true))),
            ("é", Err(("has to be an http, https or data URL", true))),
        ];
        for (text, expected) in table {
            let found = url(text).map_err(|obstacle| (obstacle.why.into_owned(), obstacle.invalid));
            assert_eq!(found, expected.map_err(|(why, invalid)| (why.to_owned(), invalid)), "{text:.60}");
        }
    }

    #[test]
    fn padding_ends_the_data() {
        let path = Path::ROOT.key("data");
        let first = STANDARD.encode([&b"GIF89a"[..], &[0; CHUNK / 4 * 3 - 7]].concat());
        assert!(first.len() == CHUNK && first.ends_with('='));
        assert!(image_of(path, "image/gif", first.clone().into()).is_ok());
        assert!(image_of(path, "image/gif", format!("{first}AAAA").into()).is_err());
    }

    #[test]
    fn documents_are_pdf() {
        let path = Path::ROOT.key("file_data");
        let pdf = STANDARD.encode(b"%PDF-1.7 ...");
        assert!(pdf_at_url(path, &format!("\"data:application/pdf;base64,{pdf}\"")).is_ok());
        assert!(!pdf_at_url(path, &format!("\"data:text/plain;base64,{pdf}\"")).unwrap_err().invalid);
        assert!(
            pdf_at_url(path, &format!("\"data:application/pdf;base64,{}\"", STANDARD.encode(b"x")))
                .unwrap_err()
                .invalid
        );
    }
}
