//! Response bodies that the front adds something to: an end that comes from outside, and a guard that lives as long.
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// Ends a stream from outside; the status becomes its trailers.
pub type Interrupt = Pin<Box<dyn Future<Output = Status> + Send>>;

/// A gRPC response body whose frames pass untouched until it ends by itself, breaks, or is interrupted. The last two
/// become trailers with a status, so that the client never sees a bare reset.
pub struct Interruptible<B> {
    /// Gone after the end: dropping it resets the stream behind it.
    inner: Option<B>,
    interrupt: Option<Interrupt>,
    broken: fn() -> Status,
}

impl<B> Interruptible<B>
where
    B: HttpBody<Data = Bytes> + Unpin + Send + 'static,
{
    /// `broken` is the status when the inner body fails.
    pub fn new(inner: B, interrupt: Option<Interrupt>, broken: fn() -> Status) -> Self {
        Self {
            inner: Some(inner),
            interrupt,
            broken,
        }
    }

    fn end(&mut self, status: &Status) -> Frame<Bytes> {
        self.inner = None;
        self.interrupt = None;
        let mut trailers = HeaderMap::new();
        if status.add_header(&mut trailers).is_err() {
            // Only a message with bytes that no header may hold: the code alone says enough.
            trailers.clear();
            trailers.insert(Status::GRPC_STATUS, http::HeaderValue::from_static("14"));
        }
        Frame::trailers(trailers)
    }
}

impl<B> HttpBody for Interruptible<B>
where
    B: HttpBody<Data = Bytes> + Unpin + Send + 'static,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(inner) = this.inner.as_mut() else {
            return Poll::Ready(None);
        };
        // First, so that a stream that always has a frame ready cannot outrun its deadline.
        if let Some(Poll::Ready(status)) = this
            .interrupt
            .as_mut()
            .map(|interrupt| interrupt.as_mut().poll(context))
        {
            return Poll::Ready(Some(Ok(this.end(&status))));
        }
        match Pin::new(inner).poll_frame(context) {
            Poll::Ready(Some(Err(_))) => {
                let status = (this.broken)();
                Poll::Ready(Some(Ok(this.end(&status))))
            }
            Poll::Ready(None) => {
                this.inner = None;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }
}

/// A body with something that is dropped when it ends or is dropped.
pub struct Guarded<G> {
    inner: Body,
    _guard: G,
}

impl<G: Send + Unpin + 'static> Guarded<G> {
    /// Keeps the guard while `inner` lives; an empty body lets it go at once.
    pub fn wrap(inner: Body, guard: G) -> Body {
        if inner.is_end_stream() {
            return inner;
        }
        Body::new(Self { inner, _guard: guard })
    }

    /// The same for a whole response.
    pub fn wrap_response(response: http::Response<Body>, guard: G) -> http::Response<Body> {
        response.map(|body| Self::wrap(body, guard))
    }
}

impl<G: Send + Unpin + 'static> HttpBody for Guarded<G> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use http_body_util::{BodyExt, Full};

    fn lost() -> Status {
        Status::unavailable("lost")
    }

    #[tokio::test]
    async fn frames_and_the_end_pass_untouched() {
        let body = Interruptible::new(Full::new(Bytes::from_static(b"abc")), None, lost);
        let collected = body.collect().await.unwrap();
        assert!(collected.trailers().is_none());
        assert_eq!(collected.to_bytes(), "abc");
    }

    #[tokio::test]
    async fn a_broken_stream_ends_with_a_status() {
        let broken = http_body_util::StreamBody::new(tokio_stream::once(Err::<Frame<Bytes>, _>("reset")));
        let collected = Interruptible::new(broken, None, lost).collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap().get("grpc-status").unwrap(), "14");
    }

    #[tokio::test]
    async fn an_interrupt_ends_an_idle_stream_and_drops_what_is_behind_it() {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Status>>(1);
        let idle = http_body_util::StreamBody::new(tokio_stream::wrappers::ReceiverStream::new(receiver));
        let interrupt: Interrupt = Box::pin(async { Status::deadline_exceeded("late") });
        let collected = Interruptible::new(idle, Some(interrupt), lost).collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap().get("grpc-status").unwrap(), "4");
        assert!(sender.is_closed());
    }
}
