//! Calls over gRPC on raw HTTP/2 connections, so that the client costs little.

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;

use crate::Outcome;

/// Where and as whom to call.
pub struct Endpoint {
    address: String,
    token: String,
}

/// One connection; clones of it are streams.
pub type Connection = SendRequest<Full<Bytes>>;

impl Endpoint {
    /// Of `HOST:PORT` and a bearer token.
    pub fn new(address: &str, token: &str) -> Endpoint {
        Endpoint {
            address: address.into(),
            token: token.into(),
        }
    }

    /// A new connection.
    pub async fn connect(&self) -> Outcome<Connection> {
        let stream = tokio::net::TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// One unary call; the bytes of its answer.
    pub async fn call(&self, connection: &mut Connection, path: &str, message: &impl Message) -> Outcome<Bytes> {
        let mut frame = BytesMut::with_capacity(5 + message.encoded_len());
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.encoded_len())?);
        message.encode(&mut frame)?;
        let request = http::Request::post(format!("http://{}{path}", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {}", self.token))
            .body(Full::new(frame.freeze()))?;
        connection.ready().await?;
        let response = connection.send_request(request).await?;
        let status = response.headers().get("grpc-status").cloned();
        let text = response.headers().get("grpc-message").cloned();
        let body = response.into_body().collect().await?;
        let status = status.or_else(|| {
            body.trailers()
                .and_then(|trailers| trailers.get("grpc-status").cloned())
        });
        let text = text.or_else(|| {
            body.trailers()
                .and_then(|trailers| trailers.get("grpc-message").cloned())
        });
        if status.as_ref().is_none_or(|status| status != "0") {
            return Err(format!("{path} answered status {status:?}: {text:?}").into());
        }
        let bytes = body.to_bytes();
        Ok(bytes.slice(5.min(bytes.len())..))
    }
}
