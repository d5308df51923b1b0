//! The heads of requests and responses.

use std::mem::MaybeUninit;

use bytes::{BufMut, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version, response};

use crate::http1::connection::Broken;
use crate::http1::framing::Framing;
use crate::{ProxyHeaders, RequestBody};

/// More headers than this in a response are refused.
const HEADERS: usize = 128;

/// Writes the head of `request` with a body of `length` bytes. With `proxy` it is in the absolute form (RFC 9112 §3.2.2), and
/// says what the proxy wants to know.
pub(super) fn encode(
    request: &Request<RequestBody>,
    host: &HeaderValue,
    length: usize,
    proxy: Option<&ProxyHeaders>,
) -> Vec<u8> {
    let headers = request.headers();
    let mut out = Vec::with_capacity(256 + headers.len() * 48);
    out.put_slice(request.method().as_str().as_bytes());
    out.put_u8(b' ');
    if proxy.is_some() {
        out.put_slice(b"http://");
        out.put_slice(host.as_bytes());
    }
    out.put_slice(request.uri().path_and_query().map_or("/", |path| path.as_str()).as_bytes());
    out.put_slice(b" HTTP/1.1\r\n");
    let mut field = |name: &HeaderName, value: &[u8]| {
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b": ");
        out.put_slice(value);
        out.put_slice(b"\r\n");
    };
    field(&HOST, host.as_bytes());
    if let Some(value) = proxy.and_then(|proxy| proxy.once.as_ref().or(proxy.each.as_ref())) {
        field(&PROXY_AUTHORIZATION, value.as_bytes());
    }
    for (name, value) in headers {
        // Framing is this connection's own business, and what a proxy is told is its way's.
        if name != CONTENT_LENGTH
            && name != TRANSFER_ENCODING
            && name != HOST
            && name != CONNECTION
            && name != PROXY_AUTHORIZATION
        {
            field(name, value.as_bytes());
        }
    }
    if length > 0 || !matches!(*request.method(), Method::GET | Method::HEAD | Method::DELETE) {
        field(&CONTENT_LENGTH, length.to_string().as_bytes());
    }
    out.put_slice(b"\r\n");
    out
}

/// A response head, and what it says about the body and the connection.
pub(super) struct Head {
    pub(super) parts: response::Parts,
    pub(super) framing: Framing,
    /// Whether the connection may be used again after the body.
    pub(super) reusable: bool,
}

/// Takes the first response head out of `buffer`; `None` when it is not complete. Interim responses (1xx) are taken out
/// and passed over.
pub(super) fn take(buffer: &mut BytesMut, to_head: bool) -> Result<Option<Head>, Broken> {
    loop {
        let Some(parts) = parse(buffer)? else { return Ok(None) };
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Broken::NotHttp("it switched protocols, which was not asked for"));
        }
        if parts.status.is_informational() {
            continue;
        }
        let framing = framing(&parts, to_head)?;
        let reusable = is_kept(&parts) && !matches!(framing, Framing::UntilClose);
        return Ok(Some(Head { parts, framing, reusable }));
    }
}

/// Takes one head out of `buffer`, an interim one as well; `None` when it is not complete.
pub(crate) fn parse(buffer: &mut BytesMut) -> Result<Option<response::Parts>, Broken> {
    let mut fields = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; HEADERS];
    let mut head = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut head, buffer, &mut fields);
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Broken::HeadTooLarge),
        Err(_) => return Err(Broken::NotHttp("the response is not HTTP")),
    };
    let status =
        StatusCode::from_u16(head.code.unwrap_or(0)).map_err(|_| Broken::NotHttp("the status is no status"))?;
    let version = if head.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    // The values become slices of the bytes that came: noted as ranges until those are taken out of the buffer.
    let start = buffer.as_ptr() as usize;
    let mut names = smallvec::SmallVec::<[(HeaderName, usize, usize); 24]>::new();
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes())
            .map_err(|_| Broken::NotHttp("a header's name is not a name"))?;
        names.push((name, field.value.as_ptr() as usize - start, field.value.len()));
    }
    let bytes = buffer.split_to(length).freeze();
    let mut headers = HeaderMap::with_capacity(names.len());
    for (name, from, length) in names {
        let value = if length == 0 {
            Ok(HeaderValue::from_static(""))
        } else {
            HeaderValue::from_maybe_shared(bytes.slice(from..from + length))
        };
        headers.append(name, value.map_err(|_| Broken::NotHttp("a header's value holds a control character"))?);
    }
    let mut response = http::Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = version;
    *response.headers_mut() = headers;
    Ok(Some(response.into_parts().0))
}

/// How long the body is: RFC 9112 §6.3. What two readers could understand differently is refused, not repaired.
pub(crate) fn framing(parts: &response::Parts, to_head: bool) -> Result<Framing, Broken> {
    if to_head || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Framing::Length(0));
    }
    let mut length: Option<u64> = None;
    for value in parts.headers.get_all(CONTENT_LENGTH) {
        let digits = value.as_bytes();
        let number = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let number: u64 =
            number.and_then(|text| text.parse().ok()).ok_or(Broken::NotHttp("its Content-Length is not a number"))?;
        if length.is_some_and(|known| known != number) {
            return Err(Broken::NotHttp("it has two Content-Lengths that differ"));
        }
        length = Some(number);
    }
    let mut encodings = parts.headers.get_all(TRANSFER_ENCODING).iter().peekable();
    if encodings.peek().is_some() {
        if length.is_some() {
            return Err(Broken::NotHttp("it has both Content-Length and Transfer-Encoding"));
        }
        let only_chunked = encodings.all(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"));
        if !only_chunked || parts.version == Version::HTTP_10 {
            return Err(Broken::NotHttp("its Transfer-Encoding is not `chunked`"));
        }
        return Ok(Framing::chunked());
    }
    Ok(length.map_or(Framing::UntilClose, Framing::Length))
}

/// Whether the connection stays open after the response, by its own words.
pub(crate) fn is_kept(parts: &response::Parts) -> bool {
    let said = |token: &str| {
        let values = parts.headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
    };
    if parts.version == Version::HTTP_10 { said("keep-alive") } else { !said("close") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> Result<Option<Head>, Broken> {
        take(&mut BytesMut::from(text), false)
    }

    #[test]
    fn heads_are_read_and_interim_ones_passed_over() {
        let mut buffer = BytesMut::from(
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\nx-empty:\r\n\r\nabcrest",
        );
        let head = take(&mut buffer, false).unwrap().unwrap();
        assert_eq!((head.parts.status.as_u16(), head.framing, head.reusable), (200, Framing::Length(3), true));
        assert_eq!((head.parts.headers.len(), &head.parts.headers["x-empty"]), (2, &HeaderValue::from_static("")));
        assert_eq!(buffer, "abcrest");
        assert!(taken("HTTP/1.1 200 OK\r\nContent-Le").unwrap().is_none());
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for head in [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "<html>not HTTP at all</html>\r\n\r\n",
        ] {
            assert!(matches!(taken(head), Err(Broken::NotHttp(_))), "{head}");
        }
    }

    #[test]
    fn connections_are_kept_as_the_head_says() {
        let table = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, Close\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\n\r\n", false),
            ("HTTP/1.1 204 No Content\r\n\r\n", true),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", true),
        ];
        for (head, kept) in table {
            assert_eq!(taken(head).unwrap().unwrap().reusable, kept, "{head}");
        }
    }

    #[test]
    fn a_request_is_written_with_its_length_and_without_other_framing() {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/v1/x?y=1")
            .header("content-length", "99")
            .header("transfer-encoding", "chunked")
            .header("x-a", "b")
            .body(RequestBody::default())
            .unwrap();
        let head = encode(&request, &HeaderValue::from_static("example.com"), 4, None);
        let text = "POST /v1/x?y=1 HTTP/1.1\r\nhost: example.com\r\nx-a: b\r\ncontent-length: 4\r\n\r\n";
        assert_eq!(String::from_utf8(head).unwrap(), text);
    }

    #[test]
    fn a_proxy_is_asked_with_the_absolute_form_and_told_its_own_credentials_alone() {
        let request = Request::builder()
            .uri("/x")
            .header("proxy-authorization", "of a caller")
            .body(RequestBody::default())
            .unwrap();
        let host = HeaderValue::from_static("example.com:8080");
        let said = |proxy: &ProxyHeaders| String::from_utf8(encode(&request, &host, 0, Some(proxy))).unwrap();
        let plain = "GET http://example.com:8080/x HTTP/1.1\r\nhost: example.com:8080\r\n";
        assert_eq!(said(&ProxyHeaders::default()), format!("{plain}\r\n"));
        let (each, once) = (Some(HeaderValue::from_static("each")), Some(HeaderValue::from_static("once")));
        let proxy = ProxyHeaders { each: each.clone(), once: None };
        assert_eq!(said(&proxy), format!("{plain}proxy-authorization: each\r\n\r\n"));
        let proxy = ProxyHeaders { each, once };
        assert_eq!(said(&proxy), format!("{plain}proxy-authorization: once\r\n\r\n"));
    }
}
